//! What a schema says of itself: the draft that it is written in, or a metaschema of its author's, which is a file beside it.
//!
//! A metaschema of one's own is a draft with further rules for schemas. Its rules are applied to the schema; documents are
//! judged by the draft that it stands on, and `$vocabulary` changes nothing.

use std::sync::Arc;

use jsonschema::{Draft, ValidationError};
use serde_json::Value;

use super::files::{Files, Shared};
use crate::excerpt;
use crate::json::pointer;

/// What a schema is written in that does not say it.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Metaschemas that stand on each other are few; more than this is a circle.
pub(super) const DEPTH_MAX: usize = 8;

/// Formats that are not checked here: their rules are tables of Unicode that are not built in.
const UNCHECKED: [&str; 2] = ["idn-hostname", "idn-email"];

/// What is wrong with a schema: a pointer, and a sentence.
pub(super) type Fault = (String, String);

/// Judges a schema by the schema of its draft, or by the metaschema that it names.
pub(super) fn check(schema: &mut Value, files: &Files, file: &str) -> Result<(), Fault> {
    if !matches!(schema, Value::Object(_) | Value::Bool(_)) {
        return Err((String::new(), "a schema is an object, or true or false".into()));
    }
    let name = match schema.get("$schema") {
        Some(Value::String(name)) if Draft::default().detect(schema) == Draft::Unknown => name.clone(),
        Some(other) if !other.is_string() => return Err(("/$schema".into(), "it must be the URI of a draft".into())),
        _ => return jsonschema::meta::validate(schema).map_err(|error| fault(&error)),
    };
    let wrong = |words: String| ("/$schema".to_owned(), words);
    let metaschema = files.metaschema(&name, file).map_err(wrong)?;
    let root = metaschema.root().map_err(|broken| wrong(broken.to_string()))?;
    let draft = root.get("$schema").and_then(Value::as_str).unwrap_or(DRAFT).to_owned();
    let validator = jsonschema::options()
        .with_base_uri(metaschema.root_uri())
        .with_retriever(Shared(Arc::clone(&metaschema)))
        .build(&root)
        .map_err(|error| wrong(metaschema.blame(&root, &error).to_string()))?;
    if !name.contains("://") {
        // Older drafts want a URI there, and the name of a file is a reference to one.
        schema["$schema"] = metaschema.root_uri().into();
    }
    validator.validate(schema).map_err(|error| fault(&error))?;
    schema["$schema"] = draft.into();
    jsonschema::meta::validate(schema).map_err(|error| fault(&error))
}

fn fault(error: &ValidationError<'_>) -> Fault {
    (error.instance_path().as_str().to_owned(), excerpt::cut(&error.to_string(), 300).into_owned())
}

/// The first place where a format stands that is not checked here, and its name.
pub(super) fn unchecked_format(schema: &Value) -> Option<(String, &'static str)> {
    /// What stands under these is no schema.
    const DATA: [&str; 5] = ["const", "enum", "default", "examples", "example"];
    match schema {
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            let step = format!("/{}", pointer::escaped(name));
            match value.as_str() {
                Some(format) if name == "format" => {
                    UNCHECKED.into_iter().find(|unchecked| *unchecked == format).map(|format| (step, format))
                }
                _ if DATA.contains(&name.as_str()) => None,
                _ => unchecked_format(value).map(|(rest, format)| (step + &rest, format)),
            }
        }),
        Value::Array(elements) => elements.iter().enumerate().find_map(|(index, element)| {
            unchecked_format(element).map(|(rest, format)| (format!("/{index}{rest}"), format))
        }),
        _ => None,
    }
}
