//! docs/configuration.md, made from the types' comments; a test holds the file to it.
//!
//! It does not say anything of a key that its field's comment does not: only the frame is written here.

use serde_json::Value;

use super::schema::schema;

const FRAME: &str = "\
# Configuration

Made from the comments of the types in `src/config/` and `src/settings/`; `UPDATE_DOCS=1 cargo test configuration_md`
writes it again. `sluicegate init` writes a commented file to begin with, `sluicegate check` says what is wrong with one, and
`sluicegate schema` prints its JSON Schema for editors.

## How it is read

- Sluicegate needs no configuration. `--config FILE` or `SLUICEGATE_CONFIG` names a file, which must be there; else
  `sluicegate.yaml` in the working directory is read, if it is there.
- Flags stand over environment variables, these over the file, and the file over the defaults. `--listen`, `--data`,
  `--journal` and `--store` have the variables `SLUICEGATE_LISTEN`, `SLUICEGATE_DATA`, `SLUICEGATE_JOURNAL` and
  `SLUICEGATE_STORE`. A variable that is set to nothing counts as not set.
- The file is YAML 1.2: `no` is a text, `true` and `false` are not. An unknown key, a key that stands twice, and a value
  of the wrong type are errors with file, line and column; all of them are reported at once.
- Paths in the file are relative to the file's folder; in flags and environment variables, to the working directory.
- `${NAME}` in a value takes an environment variable, `${NAME:-default}` a default where it is not set or empty, and
  `$${` stands for `${` itself. Within `{ }` and `[ ]` such a value must be in quotes.
- Sizes carry a unit: `B`, `KB`, `MB`, `GB`, `TB` (of 1000) or `KiB`, `MiB`, `GiB`, `TiB` (of 1024), as in `1MiB`.
  Durations too: `ms`, `s`, `m`, `h` or `d`, as in `7d`. Both are whole numbers.
- Passwords in URLs are never shown, neither in errors nor in logs.
- The form `debezium` of a stream is not built yet in this version, and refused.
";

/// The reference of every key as Markdown: type, default, meaning, example.
pub fn reference() -> String {
    let schema = schema();
    let mut out = FRAME.to_owned();
    mapping("", "At the top", &schema, &mut out);
    out
}

/// A section for a mapping, with a part for each key, and then sections for the mappings within.
fn mapping(path: &str, title: &str, schema: &Value, out: &mut String) {
    out.push_str(&format!("\n## {title}\n"));
    let mut within = Vec::new();
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        setting(key, property, out);
        if property["properties"].is_object() {
            within.push((path, property));
        } else if property["additionalProperties"]["properties"].is_object() {
            within.push((format!("{path}.NAME"), &property["additionalProperties"]));
        }
    }
    for (path, schema) in within {
        mapping(&path, &format!("`{path}`"), schema, out);
    }
}

fn setting(key: &str, property: &Value, out: &mut String) {
    out.push_str(&format!("\n### `{key}`\n\n{}", type_of(property)));
    if let Some(default) = property["x-default"].as_str() {
        out.push_str(&format!(" · default: {default}"));
    } else if !property["properties"].is_object() {
        out.push_str(&format!(" · default: `{}`", flow(&property["default"])));
    }
    if let Some(takes) = property["x-takes"].as_str() {
        out.push_str(&format!(" · only with `takes: {takes}`"));
    }
    out.push('\n');
    for paragraph in property["description"].as_str().unwrap_or_default().split("\n\n") {
        out.push_str(&format!("\n{}\n", paragraph.replace('\n', " ")));
    }
    for (nth, word) in words_of(property).enumerate() {
        out.push_str(if nth == 0 { "\n" } else { "" });
        let meaning = word["description"].as_str().unwrap_or_default().replace('\n', " ");
        out.push_str(&format!("- `{}`: {meaning}\n", word["const"].as_str().unwrap_or_default()));
    }
    for example in property["examples"].as_array().into_iter().flatten() {
        out.push_str(&format!("\nExample: `{key}: {}`\n", flow(example)));
    }
}

/// The words that a setting, or each item of its list, can be.
fn words_of(property: &Value) -> impl Iterator<Item = &Value> {
    let of = |value: &'_ Value| value["oneOf"].as_array().is_some();
    let words = if of(&property["items"]) { &property["items"]["oneOf"] } else { &property["oneOf"] };
    words.as_array().into_iter().flatten()
}

fn type_of(property: &Value) -> String {
    if let Some(words) = property["x-type"].as_str() {
        return words.to_owned();
    }
    match property["type"].as_str() {
        _ if property["oneOf"].is_array() => "one of the words below".to_owned(),
        Some("array") if property["items"]["oneOf"].is_array() => "list of the words below".to_owned(),
        Some("array") => format!("list of {}", type_of(&property["items"])),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("object") if property["additionalProperties"]["properties"].is_object() => {
            "mapping of names to settings".to_owned()
        }
        Some("object") if property["properties"].is_object() => "mapping of settings".to_owned(),
        Some("object") => format!("mapping of names to {}", type_of(&property["additionalProperties"])),
        _ => "text".to_owned(),
    }
}

/// A value as YAML in one line.
fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| format!("{key}: {}", flow(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        Value::String(text) if text.starts_with('*') => format!("\"{text}\""),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
