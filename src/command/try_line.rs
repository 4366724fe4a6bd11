//! The line that `up` offers to try: a document that the stream takes, or nothing.
//!
//! Documents are proposed and put before the stream's own gate, so that a line which would be refused is never shown.

use serde_json::{Map, Value, json};

use crate::gate::{DocumentKind, KeyRule};
use crate::json::pointer;
use crate::stream::Stream;

/// The form `activities`, as one line.
const ACTIVITIES: &str = r#"{"activities":[{"operation":"insert","table":"item","col_names":["id","name"],"col_types":["INTEGER","TEXT"],"col_values":[1,"sword"]}]}"#;

/// The same as wal2json writes it.
const WAL2JSON: &str = r#"{"change":[{"kind":"insert","table":"item","columnnames":["id","name"],"columntypes":["integer","text"],"columnvalues":[1,"sword"]}]}"#;

/// How deep a document is made from a schema that nests.
const DEPTH_MAX: usize = 8;

/// The `curl` command for one of the streams: of those with tables first. It needs no curl of any age.
pub(super) fn command<'s>(streams: impl Iterator<Item = &'s Stream> + Clone, address: &str) -> Option<String> {
    let with_tables = streams.clone().filter(|stream| stream.is_applied());
    let (stream, example) = with_tables
        .chain(streams)
        .filter(|stream| !stream.is_foreign)
        .find_map(|stream| Some((stream, example(stream)?)))?;
    let quoted = example.replace('\'', r"'\''");
    Some(format!("curl -H 'content-type: application/json' -d '{quoted}' http://{address}/v1/streams/{}", stream.name))
}

/// A document that the stream accepts; none when none of those that are proposed is.
pub(super) fn example(stream: &Stream) -> Option<String> {
    let proposed = match &stream.gate.takes {
        // Nothing may be made, so a table of ours is not there.
        DocumentKind::Changes { .. } if !stream.apply.rules.create => {
            vec![r#"{"activities":[]}"#.into(), r#"{"change":[]}"#.into()]
        }
        DocumentKind::Changes { .. } => changes(&stream.gate.rules.changes.allow.tables),
        DocumentKind::Events(rules) => {
            let schema = rules.schema().map(|schema| schema.value());
            let from_schema = schema.into_iter().flat_map(|schema| {
                let examples = schema["examples"].as_array().cloned().unwrap_or_default();
                examples.into_iter().chain(made(schema, 0)).map(|value| value.to_string())
            });
            from_schema.chain([r#"{"name":"george","age":24}"#.into(), "{}".into()]).collect()
        }
    };
    proposed
        .into_iter()
        .flat_map(|text| [with_key(&stream.gate.key, &text), Some(text)])
        .flatten()
        .find(|text| stream.gate.judge(text.as_bytes()).is_ok())
}

/// Inserts into a table that one of the patterns allows, in each form.
fn changes(patterns: &[String]) -> Vec<String> {
    let tables = patterns.iter().map(|pattern| pattern.replace('*', "item"));
    let of = |table: &str, form: &str| form.replace("\"table\":\"item\"", &format!("\"table\":{}", json!(table)));
    tables.flat_map(|table| [of(&table, ACTIVITIES), of(&table, WAL2JSON)]).collect()
}

/// The document with a value where the stream's key stands.
fn with_key(rule: &KeyRule, text: &str) -> Option<String> {
    let KeyRule::Pointer(pointer) = rule else { return None };
    let mut document: Value = serde_json::from_str(text).ok()?;
    let mut at = &mut document;
    for step in pointer::steps(pointer) {
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        at = match at {
            Value::Object(members) => members.entry(step.into_owned()).or_insert(Value::Null),
            Value::Array(items) => items.get_mut(pointer::index(&step)?)?,
            _ => return None,
        };
    }
    if at.is_null() {
        *at = "a".into();
    }
    Some(document.to_string())
}

/// What a schema seems to ask for; whether it does, the gate says.
fn made(schema: &Value, depth: usize) -> Option<Value> {
    if depth > DEPTH_MAX {
        return None;
    }
    let first = schema["examples"].get(0).or_else(|| schema["enum"].get(0));
    if let Some(value) = first.or_else(|| schema.get("const")).or_else(|| schema.get("default")) {
        return Some(value.clone());
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"].get(0)?.as_str());
    let kind = kind.or_else(|| schema["properties"].is_object().then_some("object"));
    Some(match kind? {
        "object" => {
            let members = schema["properties"].as_object().into_iter().flatten();
            members
                .filter_map(|(name, schema)| Some((name.clone(), made(schema, depth + 1)?)))
                .collect::<Map<_, _>>()
                .into()
        }
        "array" => made(&schema["items"], depth + 1).into_iter().collect(),
        "string" => match schema["format"].as_str() {
            Some("date-time") => "2026-01-02T03:04:05Z".into(),
            Some("date") => "2026-01-02".into(),
            Some("time") => "03:04:05Z".into(),
            Some("uuid") => "0197c1f0-0000-7000-8000-000000000000".into(),
            Some("email") => "george@example.com".into(),
            Some("uri") => "https://example.com/".into(),
            _ => "text".into(),
        },
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| 1.into()),
        "boolean" => true.into(),
        _ => return None,
    })
}
