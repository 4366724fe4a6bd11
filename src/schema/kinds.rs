//! Which column fits a member, by what the schema says of it.
//!
//! It follows `$ref`, `allOf`, `anyOf` and `oneOf` as far as a type is told; what it cannot tell it leaves open. Whether a
//! value fits is asked of the value.

use serde_json::Value;

use super::files::Files;
use crate::json::pointer;

/// References that lead to references are followed so far; a circle ends here.
const STEPS_MAX: usize = 32;

/// A schema, and the URI of the file it stands in.
#[derive(Clone)]
struct Place {
    schema: Value,
    file: String,
}

/// A type, and a format of it.
type Kind = (String, Option<String>);

/// The name of the type for the value at a JSON Pointer; none when the schema does not say.
pub(super) fn column_type(files: &Files, root: &Value, pointer: &str) -> Option<&'static str> {
    let mut place = Place { schema: root.clone(), file: files.root_uri().to_owned() };
    for step in pointer::steps(pointer) {
        place = within(files, &place, &step, STEPS_MAX)?;
    }
    let mut kinds = kinds(files, &place, STEPS_MAX)?;
    kinds.retain(|(kind, _)| kind != "null");
    let all = |wanted: &[&str]| kinds.iter().all(|(kind, _)| wanted.contains(&kind.as_str()));
    Some(match kinds.first() {
        None => "text",
        Some((_, format)) if all(&["string"]) => {
            let is_one = kinds.iter().all(|(_, other)| other == format);
            match format.as_deref().filter(|_| is_one) {
                Some("date-time") => "timestamptz",
                Some("date") => "date",
                Some("uuid") => "uuid",
                _ => "text",
            }
        }
        _ if all(&["integer"]) => "bigint",
        _ if all(&["integer", "number"]) => "numeric",
        _ if all(&["boolean"]) => "boolean",
        _ => "jsonb",
    })
}

/// The schema of the member or element `step` of what `place` describes.
fn within(files: &Files, place: &Place, step: &str, left: usize) -> Option<Place> {
    let left = left.checked_sub(1)?;
    let here = |schema: &Value| Place { schema: schema.clone(), file: place.file.clone() };
    let schema = &place.schema;
    if let Some(found) = schema.get("properties").and_then(|properties| properties.get(step)) {
        return Some(here(found));
    }
    if let Ok(index) = step.parse::<usize>() {
        let prefix = ["prefixItems", "items"].iter().find_map(|word| schema.get(word)?.as_array()?.get(index));
        let items = || schema.get("items").filter(|items| items.is_object());
        if let Some(found) = prefix.or_else(items) {
            return Some(here(found));
        }
    }
    branches(files, place).iter().find_map(|branch| within(files, branch, step, left)).or_else(|| {
        let others = schema.get("additionalProperties").filter(|others| others.is_object());
        others.map(here)
    })
}

/// The schemas that hold of the same value: what `$ref` names, and all of `allOf`.
fn branches(files: &Files, place: &Place) -> Vec<Place> {
    let mut found = Vec::new();
    if let Some(reference) = place.schema.get("$ref").and_then(Value::as_str) {
        let (name, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        if let Some((file, schema)) = files.referred(&place.file, name)
            && let Some(schema) = schema.pointer(fragment)
        {
            found.push(Place { schema: schema.clone(), file });
        }
    }
    let all = place.schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
    found.extend(all.map(|schema| Place { schema: schema.clone(), file: place.file.clone() }));
    found
}

fn kinds(files: &Files, place: &Place, left: usize) -> Option<Vec<Kind>> {
    let left = left.checked_sub(1)?;
    let schema = &place.schema;
    let format = schema.get("format").and_then(Value::as_str);
    let kind = |name: &Value| Some((name.as_str()?.to_owned(), format.map(str::to_owned)));
    match schema.get("type") {
        Some(Value::Array(names)) => return names.iter().map(kind).collect(),
        Some(name) => return kind(name).map(|kind| vec![kind]),
        None => {}
    }
    let values = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice);
    if let Some(values) = values.or_else(|| schema.get("const").map(std::slice::from_ref)) {
        return Some(values.iter().map(|value| (kind_of(value).to_owned(), None)).collect());
    }
    if let Some(found) = branches(files, place).iter().find_map(|branch| kinds(files, branch, left)) {
        return Some(found);
    }
    let any = ["anyOf", "oneOf"].iter().find_map(|word| schema.get(word)?.as_array())?;
    let each: Option<Vec<_>> = any
        .iter()
        .map(|schema| kinds(files, &Place { schema: schema.clone(), file: place.file.clone() }, left))
        .collect();
    Some(each?.into_iter().flatten().collect())
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
