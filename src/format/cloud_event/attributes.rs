//! The attributes of an event, each judged by the rules for its name (CloudEvents 1.0.2, "Context Attributes").

use super::text;
use crate::excerpt::{self, VALUE_CHARS};
use crate::json::{Json, Path};
use crate::judgement::Judge;
use crate::media_type;
use crate::record::{Headers, SPECVERSION};

/// The attributes that every event has.
const REQUIRED: [&str; 4] = ["id", "source", "specversion", "type"];

/// Optional attributes that are not empty when they are there.
const NEVER_EMPTY: [&str; 3] = ["subject", "dataschema", "datacontenttype"];

/// An event has no more attributes than this: a journal keeps each in a header of its own.
const ATTRIBUTES_MAX: usize = 50;

/// The attributes met so far.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    list: Vec<(String, String)>,
    /// Those that were met and found wrong.
    wrong: Vec<String>,
}

impl Attributes {
    /// Takes one attribute. JSON null stands for none.
    pub(super) fn add(&mut self, path: &Path<'_>, name: &str, value: Json<'_>, judge: &mut Judge<'_, '_>) {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
            return judge.violation(path, || "an attribute's name has no other characters than a-z and 0-9".into());
        }
        let is_known = REQUIRED.contains(&name) || NEVER_EMPTY.contains(&name) || name == "time";
        let value = match value {
            Json::Null => return,
            Json::Text(text) => text.into_owned(),
            Json::Boolean(value) if !is_known => value.to_string(),
            // The type Integer of CloudEvents has 32 bits.
            Json::Number(digits) if !is_known && digits.parse::<i32>().is_ok() => digits.to_owned(),
            other => {
                let right = if is_known { "is a string" } else { "is a string, a boolean or an integer of 32 bits" };
                judge.violation(path, || format!("{} was found; this attribute {right}", other.kind()));
                return self.wrong.push(name.to_owned());
            }
        };
        match flaw(name, &value) {
            Some(flaw) => {
                judge.violation(path, || flaw);
                self.wrong.push(name.to_owned());
            }
            None if self.list.iter().any(|(known, _)| known == name) => {
                judge.violation(path, || "this attribute is named twice".into());
            }
            None if self.list.len() == ATTRIBUTES_MAX => {
                judge.violation(path, || format!("an event has at most {ATTRIBUTES_MAX} attributes"));
            }
            None => self.list.push((name.to_owned(), value)),
        }
    }

    /// The attributes as headers, once all were met.
    pub(super) fn finish(self, judge: &mut Judge<'_, '_>) -> Headers {
        for name in REQUIRED {
            let is_met =
                self.list.iter().any(|(known, _)| known == name) || self.wrong.iter().any(|wrong| wrong == name);
            if !is_met {
                judge.violation(&Path::ROOT, || format!("the attribute `{name}` is missing"));
            }
        }
        Headers::from_attributes(self.list)
    }
}

/// What is wrong with the value of an attribute.
fn flaw(name: &str, value: &str) -> Option<String> {
    let found = || excerpt::quoted(value, VALUE_CHARS);
    if value.is_empty() && (REQUIRED.contains(&name) || NEVER_EMPTY.contains(&name)) {
        return Some("the text is empty".into());
    }
    if value.chars().any(char::is_control) {
        return Some(format!("{} holds a control character", found()));
    }
    match name {
        "specversion" if value != SPECVERSION => {
            Some(format!("{} is not {SPECVERSION}, the version that is known here", found()))
        }
        "time" if !text::is_rfc3339(value) => {
            Some(format!("{} is no time of RFC 3339, such as 2026-01-31T13:45:00Z", found()))
        }
        "datacontenttype" if !media_type::is_well_formed(value) => {
            Some(format!("{} is no media type, such as application/json", found()))
        }
        _ => None,
    }
}
