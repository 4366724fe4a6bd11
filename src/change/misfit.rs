//! Why a value is not of a type, said in one sentence.
//!
//! It decides nothing; it finds the words.

use std::fmt::Display;

use super::{ColumnType, Family, Scalar, Value};
use crate::excerpt;
use crate::json::Json;

/// Why a value is not of a type: one sentence, with what was found and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found_and_right}")]
pub struct Misfit {
    /// What went wrong.
    pub kind: MisfitKind,
    /// The sentence. Values in it are cut to 40 characters.
    pub found_and_right: String,
}

/// How a value misses its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MisfitKind {
    /// A kind of value that never fits the type: a number as text, an object as a date.
    WrongKind,
    /// A value of the type's kind that the type cannot hold.
    OutOfRange,
    /// A text that the type cannot read.
    Invalid,
}

/// A type, for the sentence.
pub(super) trait Wanted: Display {
    /// What is no value of the type: `a date`.
    fn noun(&self) -> String;
    /// What would be one: `a date such as 2026-01-31`.
    fn right(&self) -> String;
}

impl Misfit {
    /// `FOUND PROBLEM; TYPE takes RIGHT`.
    pub(super) fn new(kind: MisfitKind, found: String, problem: &str, wanted: &impl Wanted) -> Misfit {
        Misfit { kind, found_and_right: format!("{found} {problem}; {wanted} takes {}", wanted.right()) }
    }

    /// JSON of a kind that the type never takes.
    pub(super) fn wrong_kind(wanted: &impl Wanted, json: &Json<'_>) -> Misfit {
        let found = match json {
            Json::Number(digits) => cut(digits),
            Json::Boolean(value) => value.to_string(),
            Json::Text(text) => shown(text),
            other => other.kind().to_owned(),
        };
        Misfit::new(MisfitKind::WrongKind, found, &format!("is not {}", wanted.noun()), wanted)
    }

    /// A value of another family, which nobody should have asked to admit.
    pub(super) fn stranger(wanted: &impl Wanted, value: &Value<'_>) -> Misfit {
        Misfit::new(MisfitKind::WrongKind, shown(&value.text()), &format!("is not {}", wanted.noun()), wanted)
    }

    /// A string that cannot be read as the type.
    pub(super) fn no_such(wanted: &impl Wanted, text: &str) -> Misfit {
        Misfit::new(MisfitKind::Invalid, shown(text), &format!("is not {}", wanted.noun()), wanted)
    }

    /// An array of too many dimensions.
    pub(super) fn too_deep(wanted: &impl Wanted, text: &str) -> Misfit {
        Misfit::new(MisfitKind::Invalid, shown(text), "has more than 6 dimensions", wanted)
    }

    /// A string with the one character that no database holds.
    pub(super) fn nul(text: &str) -> Misfit {
        let sentence = format!("{} contains the character U+0000; databases cannot hold it", shown(text));
        Misfit { kind: MisfitKind::Invalid, found_and_right: sentence }
    }
}

/// A string, in quotes and cut.
pub(crate) fn shown(text: &str) -> String {
    excerpt::quoted(text, excerpt::VALUE_CHARS)
}

/// A number, cut.
pub(super) fn cut(text: &str) -> String {
    excerpt::cut(text, excerpt::VALUE_CHARS).into_owned()
}

impl Wanted for ColumnType {
    fn noun(&self) -> String {
        if self.is_array() { "an array".into() } else { self.scalar().noun() }
    }

    fn right(&self) -> String {
        match self.is_array() {
            true => "a JSON array or text such as {1,2,NULL}, evenly nested and at most 6 deep".into(),
            false => self.scalar().right(),
        }
    }
}

impl Wanted for Scalar {
    fn noun(&self) -> String {
        match self.family() {
            Family::Whole => "a whole number",
            Family::Decimal => "a decimal number",
            Family::Float => "a number",
            Family::Text => "a string",
            Family::Boolean => "a boolean",
            Family::Date => "a date",
            Family::Time => "a time",
            Family::Timestamp => "a timestamp",
            Family::Interval => "an interval",
            Family::Bytes => "bytes in hexadecimal",
            Family::Json => "JSON",
            Family::Uuid => "a UUID",
            Family::Unknown => "text",
        }
        .into()
    }

    fn right(&self) -> String {
        match self {
            Scalar::SmallInt => "digits from -32768 to 32767",
            Scalar::Integer => "digits from -2147483648 to 2147483647",
            Scalar::BigInt => "digits from -9223372036854775808 to 9223372036854775807",
            Scalar::Numeric { precision: Some(precision), scale } => {
                let whole = i64::from(*precision) - i64::from(*scale);
                return match whole >= 0 && *scale >= 0 {
                    true => format!("at most {whole} digits before the point and {scale} after it"),
                    false => format!("numbers below 1e{whole} that are multiples of 1e{}", -scale),
                };
            }
            Scalar::Numeric { .. } => "at most 131072 digits before the point and 16383 after it",
            Scalar::Real => "numbers such as 1.5, up to 3.4e38",
            Scalar::Double => "numbers such as 1.5, up to 1.7e308",
            Scalar::Text | Scalar::Varchar(None) => "a string",
            Scalar::Varchar(Some(length)) | Scalar::Char(length) => {
                return format!("a string of at most {length} character{}", if *length == 1 { "" } else { "s" });
            }
            Scalar::Boolean => "true or false",
            Scalar::Date => "a date such as 2026-01-31",
            Scalar::Time { zone: false } => "a time such as 13:45:00",
            Scalar::Time { zone: true } => "a time such as 13:45:00+02",
            Scalar::Timestamp { zone: false } => "a timestamp such as 2026-01-31 13:45:00",
            Scalar::Timestamp { zone: true } => "a timestamp such as 2026-01-31 13:45:00+00",
            Scalar::Interval => "an interval such as 1 day 02:03:04",
            Scalar::Bytea => "a string of hexadecimal digits, two for each byte",
            Scalar::Json | Scalar::Jsonb => "JSON, or a string that holds the text of JSON",
            Scalar::Uuid => "a UUID such as 5a0d1b8e-6f0f-4f5e-9a53-2f8f6e6a2a11",
            Scalar::Unknown(_) => "text",
        }
        .into()
    }
}
