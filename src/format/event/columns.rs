//! The columns beside the document: where each value stands, and how it is read.

use std::borrow::Cow;

use crate::change::{ColumnType, Family, Misfit, Value};
use crate::json::{Json, Judged, Path, Reader};

/// Where the value of a column stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// At a JSON Pointer of the document.
    Document(String),
    /// In the attribute of that name of a CloudEvent.
    Attribute(String),
}

/// Attributes are written with this before their name. No JSON Pointer begins so.
pub const ATTRIBUTE: &str = "ce.";

impl std::fmt::Display for At {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            At::Document(pointer) => out.write_str(pointer),
            At::Attribute(name) => write!(out, "{ATTRIBUTE}{name}"),
        }
    }
}

/// A column that keeps one value of each document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordColumn {
    /// Its name.
    pub name: String,
    /// Where its value stands.
    pub at: At,
    /// Its type.
    pub column_type: ColumnType,
    /// Nobody has said a type: a text column, which keeps strings as they are and any other value as its JSON.
    pub is_open: bool,
}

impl RecordColumn {
    /// The value of the JSON text that stands in the document; a document without it has NULL.
    pub(super) fn read<'a>(&self, json: Option<&'a str>) -> Result<Value<'a>, Misfit> {
        let Some(text) = json else { return Ok(Value::Null) };
        let is_json = self.column_type.family() == Family::Json && !self.column_type.is_array();
        // The walk has found it to be sound.
        let value = Reader::new(text).value(&Path::ROOT, &mut Judged).unwrap_or(Json::Null);
        match value {
            Json::Null => Ok(Value::Null),
            // A string in a document is a string of JSON; only change documents write JSON in strings.
            _ if is_json => Ok(Value::Json(Cow::Borrowed(text))),
            Json::Text(text) if self.is_open => self.column_type.read(Json::Text(text)),
            _ if self.is_open => Ok(Value::Text(Cow::Borrowed(text))),
            value => self.column_type.read(value),
        }
    }

    /// The value of an attribute, which is text.
    pub(super) fn read_attribute<'a>(&self, text: Option<&'a str>) -> Result<Value<'a>, Misfit> {
        let Some(text) = text else { return Ok(Value::Null) };
        if self.column_type.family() == Family::Json && !self.column_type.is_array() {
            return Ok(Value::Json(Cow::Owned(serde_json::Value::from(text).to_string())));
        }
        self.column_type.read(Json::Text(Cow::Borrowed(text)))
    }
}
