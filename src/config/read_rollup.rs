//! One rollup of the file as a `Rollup`: each setting read, judged, and defaulted.
//!
//! It does not see the streams, except for their names and topics.

use std::time::Duration;

use super::fields::{Field, Fields};
use super::problem::Problems;
use super::read_stream::{Claims, judged, set};
use super::rollup::Rollup;
use super::schema::{KEY_PART, ROLLUP, SUMMARY, WINDOW};
use super::tree::{Kind, Name, Node, Scalar, Value};
use super::{Stream, refuse};
use crate::near;
use crate::rollup::{
    Chosen, Definition, Function, Named, Place, Publish, Summary, Unit, WINDOW as WINDOW_MEMBER, Window,
};
use crate::settings::units;

/// Summaries of more members than this are a mistake.
const SUMMARIES_MAX: usize = 100;

/// So is an interval shorter than this: `changes` is what is meant.
const EVERY_MIN: Duration = Duration::from_millis(100);

/// Reads `rollups`.
pub(super) fn read(
    field: &Field<'_>,
    streams: &[Stream],
    claims: &mut Claims,
    problems: &mut Problems,
) -> Option<Vec<Rollup>> {
    let what =
        "a mapping of names to rollups, such as `seen: {from: sightings, key: /userId, summary: {n: {count: \"\"}}}`";
    let members = field.members(what, problems)?;
    Some(members.filter_map(|(name, node)| rollup(name, node, streams, claims, problems)).collect())
}

fn rollup(
    name: &Name,
    node: &Node,
    streams: &[Stream],
    claims: &mut Claims,
    problems: &mut Problems,
) -> Option<Rollup> {
    let label = format!("rollups.{}", name.text);
    if let Err(words) = refuse::stream_name(&name.text) {
        problems.add(name.place, words);
    } else {
        claims.output(name, problems);
    }
    let fields = Fields::open(node, &label, &ROLLUP, &[], problems)?;
    let mut rollup = Rollup::named(&name.text);
    for (key, example) in [("from", "sightings"), ("key", "/userId"), ("summary", "{n: {count: \"\"}}")] {
        if !fields.names().any(|name| name.text == key) {
            problems.add(name.place, format!("`{label}` must say `{key}`, such as `{key}: {example}`"));
        }
    }
    set(&mut rollup.from, fields.take("from"), |field| {
        let from = field.text("the name of a stream", problems)?;
        let names = streams.iter().map(|stream| stream.name.as_str());
        if !names.clone().any(|name| name == from) {
            problems.add(field.node.place, format!("`{}`: {}", field.label, near::unknown("stream", from, names)));
        }
        Some(from.to_owned())
    });
    let definition = &mut rollup.definition;
    set(&mut definition.key, fields.take("key"), |field| key(field, problems));
    set(&mut definition.summaries, fields.take("summary"), |field| summaries(field, problems));
    set(&mut definition.chosen, fields.take("where"), |field| chosen(field, problems).map(Some));
    set(&mut definition.window, fields.take("window"), |field| window(field, problems).map(Some));
    refuse_twice(name, definition, problems);
    set(&mut rollup.publish, fields.take("publish"), |field| publish(field, problems));
    set(&mut rollup.table, fields.take("table"), |field| {
        let table = field.text("the name of a table", problems)?;
        judged(field, refuse::table(table), problems).then(|| Some(table.to_owned()))
    });
    set(&mut rollup.on_failure, fields.take("on_failure"), |field| field.choice(problems));
    Some(rollup)
}

/// A summary has each member once.
fn refuse_twice(name: &Name, definition: &Definition, problems: &mut Problems) {
    let window = definition.window.iter().map(|_| WINDOW_MEMBER);
    let keys = definition.key.iter().map(|part| part.name.as_str());
    let summaries = definition.summaries.iter().map(|summary| summary.name.as_str());
    let mut names: Vec<&str> = keys.chain(window).chain(summaries).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let words = format!(
            "`rollups.{}` calls two members `{}`; write `{{as: NAME, at: PLACE}}` in `key`",
            name.text, pair[0]
        );
        problems.add(name.place, words);
    }
}

/// A place in a document; `""`, the whole of it, only where it makes sense.
fn place(field: &Field<'_>, problems: &mut Problems) -> Option<Place> {
    let text = match &field.node.value {
        Value::Scalar(Scalar { kind: Kind::Text, text, .. }) if text.is_empty() => "",
        _ => field.text("a JSON Pointer such as /userId, or ce.NAME", problems)?,
    };
    match Place::parse(text) {
        Ok(place) => Some(place),
        Err(words) => {
            field.refuse(problems, format!("is wrong: {words}"));
            None
        }
    }
}

fn key(field: &Field<'_>, problems: &mut Problems) -> Option<Vec<Named>> {
    match &field.node.value {
        Value::List(items) if items.is_empty() => {
            field.refuse(problems, "is an empty list; write a place such as /userId");
            None
        }
        Value::List(items) => {
            let part = |node: &std::rc::Rc<Node>| {
                let field = Field { label: field.label.clone(), key_place: field.key_place, node };
                key_part(&field, problems)
            };
            Some(items.iter().filter_map(part).collect())
        }
        _ => key_part(field, problems).map(|part| vec![part]),
    }
}

fn key_part(field: &Field<'_>, problems: &mut Problems) -> Option<Named> {
    let (name, at) = match &field.node.value {
        Value::Map(_) => {
            let fields = Fields::open(field.node, &field.label, &KEY_PART, &[], problems)?;
            let Some(at) = fields.take("at") else {
                field.refuse(problems, "must say where it stands; write `{as: user, at: /userId}`");
                return None;
            };
            let name = fields.take("as").and_then(|field| field.text("a name", problems)).map(str::to_owned);
            (name, place(&at, problems)?)
        }
        _ => (None, place(field, problems)?),
    };
    let Some(name) = name.or_else(|| at.name()) else {
        field.refuse(problems, "has no last part that could be its name; write `{as: user, at: /userId}`");
        return None;
    };
    Some(Named { name, at })
}

fn summaries(field: &Field<'_>, problems: &mut Problems) -> Option<Vec<Summary>> {
    let what = "a mapping such as `{firstSeen: {min: /at}, lastSeen: {max: /at}}`";
    let mut summaries = Vec::new();
    for (name, node) in field.members(what, problems)? {
        let field = Field { label: format!("{}.{}", field.label, name.text), key_place: name.place, node };
        summaries.extend(summary(&name.text, &field, problems));
    }
    if summaries.len() > SUMMARIES_MAX {
        field.refuse(problems, format!("has {} members; {SUMMARIES_MAX} are the most", summaries.len()));
    }
    Some(summaries)
}

fn summary(name: &str, field: &Field<'_>, problems: &mut Problems) -> Option<Summary> {
    let fields = Fields::open(field.node, &field.label, &SUMMARY, &[], problems)?;
    let functions = ["min", "max", "count", "sum", "avg", "first", "last"];
    let mut said = functions.into_iter().filter_map(|function| Some((function, fields.take(function)?)));
    let (Some((function, at)), None) = (said.next(), said.next()) else {
        field.refuse(
            problems,
            "must say one of `min`, `max`, `count`, `sum`, `avg`, `first` and `last`, and where: `{min: /at}`",
        );
        return None;
    };
    let of = place(&at, problems)?;
    let by = fields.take("by");
    let picks = matches!(function, "first" | "last");
    let by = match (by, picks) {
        (Some(by), true) => Some(place(&by, problems)?),
        (Some(by), false) => {
            by.refuse(problems, "is for `first` and `last`; remove it");
            None
        }
        (None, true) => {
            let words = format!("must say by which time: `{{{function}: {}, by: /at}}`", of.words());
            field.refuse(problems, words);
            return None;
        }
        (None, false) => None,
    };
    let function = match (function, by) {
        ("min", _) => Function::Min,
        ("max", _) => Function::Max,
        ("count", _) => Function::Count,
        ("sum", _) => Function::Sum,
        ("first", Some(by)) => Function::First(by),
        ("last", Some(by)) => Function::Last(by),
        _ => Function::Average,
    };
    Some(Summary { name: name.to_owned(), function, of })
}

fn chosen(field: &Field<'_>, problems: &mut Problems) -> Option<Chosen> {
    let mut members = field.members("a place and a value, such as `{/type: Event}`", problems)?;
    let (name, node) = members.next()?;
    if members.next().is_some() {
        field.refuse(problems, "names several places; it can be one, with a value or a list of values");
        return None;
    }
    let at = match Place::parse(&name.text) {
        Ok(at) => at,
        Err(words) => {
            problems.add(name.place, format!("`{}`: {words}", field.label));
            return None;
        }
    };
    let one = Field { label: format!("{}.{}", field.label, name.text), key_place: name.place, node };
    let values = match &node.value {
        Value::List(items) if !items.is_empty() => items.iter().map(|item| json_of(item)).collect::<Option<Vec<_>>>(),
        Value::List(_) => None,
        _ => json_of(node).map(|value| vec![value]),
    };
    if values.is_none() {
        one.refuse(problems, "must be a text, a number, `true`, `false`, `null`, or a list of such values");
    }
    Some(Chosen { at, values: values? })
}

/// A scalar of the file as JSON text.
fn json_of(node: &Node) -> Option<String> {
    let Value::Scalar(scalar) = &node.value else { return None };
    match scalar.kind {
        Kind::Null => Some("null".to_owned()),
        Kind::Boolean(value) => Some(value.to_string()),
        // YAML knows numbers that JSON does not, such as 0x1F and .inf.
        Kind::Number => serde_json::from_str::<serde_json::Number>(&scalar.text).ok().map(|_| scalar.text.clone()),
        Kind::Text | Kind::Unknown => Some(serde_json::Value::from(scalar.text.as_str()).to_string()),
    }
}

fn window(field: &Field<'_>, problems: &mut Problems) -> Option<Window> {
    let fields = Fields::open(field.node, &field.label, &WINDOW, &[], problems)?;
    let (Some(of), Some(at)) = (fields.take("of"), fields.take("at")) else {
        field.refuse(problems, "must say how long it is, and by which time: `{of: 1h, at: /metadata/timestamp}`");
        return None;
    };
    let ms = |period: Duration| i64::try_from(period.as_millis()).unwrap_or(i64::MAX);
    let length = of.period(problems)?;
    if length.is_zero() {
        of.refuse(problems, "cannot be 0; write a duration such as 1h");
        return None;
    }
    let keep = fields.take("keep").and_then(|field| field.period(problems)).map(ms);
    let unit = fields.take("unit").and_then(|field| field.choice::<Unit>(problems)).unwrap_or_default();
    Some(Window { of_ms: ms(length), at: place(&at, problems)?, unit, keep_ms: keep })
}

fn publish(field: &Field<'_>, problems: &mut Problems) -> Option<Publish> {
    let what = "`changes`, `end`, or `every` and a duration, such as `every 5s`";
    let text = field.text(what, problems)?;
    let every = text.strip_prefix("every ").map(|period| units::parse_period(period.trim()));
    match (text, every) {
        ("changes", _) => Some(Publish::Changes),
        ("end", _) => Some(Publish::End),
        (_, Some(Ok(period))) if period >= EVERY_MIN => Some(Publish::Every(period)),
        (_, Some(Ok(_))) => {
            field.refuse(problems, "is too often: `every 100ms` is the shortest, and `changes` is at once");
            None
        }
        (_, Some(Err(words))) => {
            field.refuse(problems, words);
            None
        }
        (_, None) => {
            field.refuse(problems, format!("must be {what}, found {}", field.node.found()));
            None
        }
    }
}
