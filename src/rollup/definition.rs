//! What a rollup is told to do, as plain data: keys, summaries, the documents that count, the window.

use std::time::Duration;

use super::Window;
use crate::json::pointer;

/// What a rollup does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// What its summaries are told apart by, at least one.
    pub key: Vec<Named>,
    /// What it sums up, in the order in which summaries show it.
    pub summaries: Vec<Summary>,
    /// Which documents count; all, where nothing is said.
    pub chosen: Option<Chosen>,
    /// The window of time that is part of the key.
    pub window: Option<Window>,
}

/// When changed summaries are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publish {
    /// Each changed key once a batch.
    Changes,
    /// The keys that changed since, this often.
    Every(Duration),
    /// Once everything was read.
    End,
}

/// A part of the key, and what summaries call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The member's name.
    pub name: String,
    /// Where it stands in a document.
    pub at: Place,
}

/// One member of a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The member's name.
    pub name: String,
    /// How values become one.
    pub function: Function,
    /// Where the values stand.
    pub of: Place,
}

/// How the values of a key's documents become one. A field that is missing or null changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Function {
    /// The smallest: numbers before times before texts.
    Min,
    /// The greatest.
    Max,
    /// How many documents have the field.
    Count,
    /// The exact sum of numbers.
    Sum,
    /// The sum by the count, to 16 digits behind the point, or as many as the sum has.
    Average,
    /// The value of the earliest document by the time at a place; of several, of the one that stands first.
    First(Place),
    /// The value of the latest document by the time at a place; of several, of the one that stands last.
    Last(Place),
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the document, by a JSON Pointer (RFC 6901).
    Pointer(String),
    /// Beside it: the CloudEvents attribute of this name, written `ce.NAME`.
    Attribute(String),
}

/// The documents that count: those with one of these values, as JSON text, at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Where the value stands.
    pub at: Place,
    /// The values; a number is equal to it however it is written.
    pub values: Vec<String>,
}

impl Definition {
    /// How many parts its keys have, the begin of the window among them.
    pub fn key_parts(&self) -> usize {
        self.key.len() + usize::from(self.window.is_some())
    }

    /// A text that is another one for every definition whose states are not the same: what is written by one is not read by
    /// another.
    pub fn fingerprint(&self) -> String {
        let key = self.key.iter().map(|part| format!("{}={}", part.name, part.at.words()));
        let summaries = self.summaries.iter().map(|summary| {
            let (function, by) = match &summary.function {
                Function::Min => ("min", None),
                Function::Max => ("max", None),
                Function::Count => ("count", None),
                Function::Sum => ("sum", None),
                Function::Average => ("avg", None),
                Function::First(by) => ("first", Some(by)),
                Function::Last(by) => ("last", Some(by)),
            };
            let by = by.map(|by| format!(" by {}", by.words())).unwrap_or_default();
            format!("{}={function} {}{by}", summary.name, summary.of.words())
        });
        let chosen = self.chosen.iter().map(|chosen| format!("where {}={:?}", chosen.at.words(), chosen.values));
        let window = self.window.iter().map(|window| {
            format!("window {} {} {:?} {:?}", window.of_ms, window.at.words(), window.unit, window.keep_ms)
        });
        let all: Vec<String> = key.chain(summaries).chain(chosen).chain(window).collect();
        let digest = crate::digest(all.join("\n").as_bytes());
        digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Place {
    /// Reads a JSON Pointer or `ce.NAME`; says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("ce.") {
            let is_name =
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            return match is_name {
                true => Ok(Place::Attribute(name.to_owned())),
                false => {
                    Err(format!("`{text}` names no attribute of CloudEvents: small letters and digits, as ce.type"))
                }
            };
        }
        if !text.is_empty() && !text.starts_with('/') {
            return Err(format!("`{text}` is no JSON Pointer; write `/{text}`, or ce.NAME for an attribute"));
        }
        match pointer::is_escaped(text) {
            true => Ok(Place::Pointer(text.to_owned())),
            false => Err(format!("in the JSON Pointer `{text}` `~` is written `~0`, and `/` in a name `~1`")),
        }
    }

    /// What a member made of it is called where nothing else is said: the pointer's last part, or the attribute. None for
    /// the whole document, and where the last part is empty.
    pub fn name(&self) -> Option<String> {
        match self {
            Place::Pointer(text) => pointer::steps(text).last().map(String::from).filter(|name| !name.is_empty()),
            Place::Attribute(name) => Some(name.clone()),
        }
    }

    /// How the configuration writes it.
    pub fn words(&self) -> String {
        match self {
            Place::Pointer(text) if text.is_empty() => "the document".to_owned(),
            Place::Pointer(text) => text.clone(),
            Place::Attribute(name) => format!("ce.{name}"),
        }
    }
}
