//! The values that a template takes: where each comes from, what stands in for it, and how it is put in.

use crate::gate::quoted;
use crate::json::pointer;

/// What a value of a number is announced by.
const NUMBER: &str = "number ";

/// What a default stands behind, as in the configuration's own `${NAME:-default}`.
const DEFAULT: &str = ":-";

const KNOWN: &str = "there are {query.NAME}, {path.NAME}, {header.NAME}, {address}, {time} and {body/POINTER}, \
    {query.NAME:-default} for what may be missing, {number query.NAME} for a number, and `{{` for the bracket itself";

/// A place for a value: `{query.user}`, `{query.user:-nobody}`, `{number query.price}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Where the value comes from.
    pub source: Source,
    /// Whether it must be a number, which JSON then holds as one.
    pub is_number: bool,
    /// What it is where the request does not have it.
    pub default: Option<String>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// `{query.NAME}`: a parameter of the query string.
    Query(String),
    /// `{path.NAME}`: a parameter of the route.
    Path(String),
    /// `{header.NAME}`: a request header, its name in small letters.
    Header(String),
    /// `{address}`: the caller's IP address.
    Address,
    /// `{time}`: when the request was read, in RFC 3339.
    Time,
    /// `{body/POINTER}`: the value at a JSON Pointer of the body, or `{body}`, the whole of it.
    Body(String),
}

/// A value as the request has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// Text.
    Text(String),
    /// The text of a JSON value that is no string, checked to be well formed.
    Json(String),
}

/// Whether JSON writes a number so (RFC 8259, 6).
pub fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic()) && serde_json::from_str::<serde_json::Number>(text).is_ok()
}

impl Taken {
    /// Reads what stands between the brackets; says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (is_number, rest) = match text.strip_prefix(NUMBER) {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text),
        };
        let (source, default) = match rest.split_once(DEFAULT) {
            Some((source, default)) => (source, Some(default.to_owned())),
            None => (rest, None),
        };
        if let Some(default) = default.as_deref().filter(|default| is_number && !self::is_number(default)) {
            return Err(format!("`{{{text}}}` must be a number, and its default {default:?} is none"));
        }
        Ok(Taken { source: Source::parse(source)?, is_number, default })
    }

    /// The value in the midst of a text.
    pub(super) fn text(&self, given: Option<Given>) -> Result<String, String> {
        let text = match (given, &self.default) {
            (None, Some(default)) => default.clone(),
            (None, None) => return Err(format!("{} is missing", self.source.words())),
            (Some(Given::Text(text)), _) => text,
            (Some(Given::Json(json)), Some(default)) if json == "null" => default.clone(),
            (Some(Given::Json(json)), _) if json == "null" || json.starts_with(['[', '{']) => {
                let kind = if json == "null" { "null" } else { "an array or an object" };
                return Err(format!("{} is {kind}, where text is wanted", self.source.words()));
            }
            (Some(Given::Json(json)), _) => json,
        };
        if self.is_number && !is_number(&text) {
            return Err(format!("{} is no number", self.source.words()));
        }
        Ok(text)
    }

    /// The value as JSON text, where it is a whole JSON value: a number as one, a part of the body as it is there.
    pub(super) fn json(&self, given: Option<Given>) -> Result<String, String> {
        match given {
            Some(Given::Json(json)) if !(self.is_number || json == "null" && self.default.is_some()) => Ok(json),
            given if self.is_number => self.text(given),
            given => self.text(given).map(|text| quoted(&text)),
        }
    }
}

impl Source {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "address" => return Ok(Source::Address),
            "time" => return Ok(Source::Time),
            "body" => return Ok(Source::Body(String::new())),
            _ => {}
        }
        if let Some(pointer) = text.strip_prefix("body").filter(|pointer| pointer.starts_with('/')) {
            return match pointer::is_escaped(pointer) {
                true => Ok(Source::Body(pointer.to_owned())),
                false => Err(format!("in the JSON Pointer `{pointer}` `~` is written `~0`, and `/` in a name `~1`")),
            };
        }
        let (kind, name) =
            text.split_once('.').ok_or_else(|| format!("`{{{text}}}` is no source of a value; {KNOWN}"))?;
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        match kind {
            _ if name.is_empty() => Err(format!("`{{{text}}}` names nothing after the point; {KNOWN}")),
            "query" => Ok(Source::Query(name.to_owned())),
            "path" => Ok(Source::Path(name.to_owned())),
            "header" if name.bytes().all(is_token) => Ok(Source::Header(name.to_ascii_lowercase())),
            "header" => Err(format!("`{name}` is not the name of a header: letters, digits, `-` and `_`")),
            _ => Err(format!("`{{{text}}}` is no source of a value; {KNOWN}")),
        }
    }

    /// What a sentence calls it.
    pub fn words(&self) -> String {
        match self {
            Source::Query(name) => format!("the query parameter `{name}`"),
            Source::Path(name) => format!("the path parameter `{name}`"),
            Source::Header(name) => format!("the header `{name}`"),
            Source::Address => "the caller's address".to_owned(),
            Source::Time => "the time".to_owned(),
            Source::Body(pointer) if pointer.is_empty() => "the body".to_owned(),
            Source::Body(pointer) => format!("the body's `{pointer}`"),
        }
    }
}
