//! What the summaries of a rollup are told apart by.

use std::borrow::Borrow;

use crate::clock;
use crate::gate::quoted;
use crate::json::{self, Json};

/// The parts of a key, and the begin of its window, as the text of a JSON array: `["j11288090","2026-01-02T03:00:00Z"]`.
///
/// Equal keys are the same text: numbers are written as one plain notation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Box<str>);

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What a window's begin is called in summaries.
pub const WINDOW: &str = "window";

impl Key {
    /// Puts a key together from the JSON text of its parts.
    pub(super) fn of(parts: &[String], window_ms: Option<i64>) -> Self {
        let window = window_ms.map(|ms| quoted(&clock::rfc3339(ms)));
        let parts: Vec<&str> = parts.iter().chain(&window).map(String::as_str).collect();
        Key(format!("[{}]", parts.join(",")).into())
    }

    /// A key by its text, as [`Key::as_str`] gave it.
    pub fn from_text(text: &str) -> Self {
        Key(text.into())
    }

    /// The key of `parts` parts whose record has this key, as [`Key::record_key`] gave it.
    pub fn from_record_key(text: &str, parts: usize) -> Self {
        match parts {
            1 if json::check(text).is_err() => Key(format!("[{}]", quoted(text)).into()),
            1 => Key(format!("[{text}]").into()),
            _ => Key(text.into()),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts, as JSON values.
    pub(super) fn parts(&self) -> Vec<Json<'_>> {
        json::elements(&self.0)
    }

    /// The key of the output record. A single text is that text, bare; any other key is JSON, and so is a text that could be
    /// mistaken for one: two keys never share a record's key.
    pub fn record_key(&self) -> String {
        let parts = self.parts();
        let [only] = &parts[..] else { return self.0.to_string() };
        match only {
            Json::Text(text) if json::check(text).is_err() => text.to_string(),
            _ => self.0[1..self.0.len() - 1].to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_keys_never_share_a_record_key() {
        for (parts, window, wanted) in [
            (vec!["\"j1\""], None, "j1"),
            (vec!["\"a/b %\u{e9}\\\"\""], None, "a/b %\u{e9}\""),
            (vec!["\"\""], None, ""),
            (vec!["1"], None, "1"),
            (vec!["\"1\""], None, "\"1\""),
            (vec!["true"], None, "true"),
            (vec!["\"true\""], None, "\"true\""),
            (vec!["\"[1,2]\""], None, "\"[1,2]\""),
            (vec!["1", "2"], None, "[1,2]"),
            (vec!["\"j1\""], Some(0), "[\"j1\",\"1970-01-01T00:00:00Z\"]"),
        ] {
            let parts: Vec<String> = parts.into_iter().map(String::from).collect();
            let key = Key::of(&parts, window);
            assert_eq!(key.record_key(), wanted, "{parts:?}");
            let count = parts.len() + usize::from(window.is_some());
            assert_eq!(Key::from_record_key(wanted, count), key, "{parts:?} come back");
        }
    }
}
