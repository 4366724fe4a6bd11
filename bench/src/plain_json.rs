//! The baseline of the gate: serde_json reads a document into structs that borrow what they can, and judges nothing.
//!
//! Numbers become machine numbers, so it keeps no digits beyond them; the gate keeps them all.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

/// A text that is borrowed when it holds no escapes. (serde borrows a `Cow` only as the field of a struct.)
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "a reader would use them")]
pub(crate) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Any value of a cell.
#[derive(Debug)]
#[allow(dead_code, reason = "a reader would use them")]
pub(crate) enum Value<'a> {
    Null,
    Boolean(bool),
    Whole(i64),
    Large(u64),
    Float(f64),
    Text(Cow<'a, str>),
    Array(Vec<Value<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a cell")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::Whole(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or(Value::Large(value), Value::Whole))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = elements.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }
}

/// A document of the form `activities`.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "a reader would use them")]
pub(crate) struct Activities<'a> {
    #[serde(borrow)]
    activities: Vec<Activity<'a>>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "a reader would use them")]
struct Activity<'a> {
    #[serde(borrow)]
    operation: Cow<'a, str>,
    #[serde(borrow)]
    table: Cow<'a, str>,
    #[serde(borrow, default)]
    col_names: Vec<Text<'a>>,
    #[serde(borrow, default)]
    col_types: Vec<Text<'a>>,
    #[serde(borrow, default)]
    col_values: Vec<Value<'a>>,
    #[serde(borrow)]
    old_value: Option<OldValue<'a>>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "a reader would use them")]
struct OldValue<'a> {
    #[serde(borrow)]
    col_names: Vec<Text<'a>>,
    #[serde(borrow)]
    col_types: Vec<Text<'a>>,
    #[serde(borrow)]
    col_values: Vec<Value<'a>>,
}

/// A document of wal2json, format version 1.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "a reader would use them")]
pub(crate) struct Wal2json<'a> {
    #[serde(borrow)]
    change: Vec<WalChange<'a>>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "a reader would use them")]
struct WalChange<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    schema: Cow<'a, str>,
    #[serde(borrow)]
    table: Cow<'a, str>,
    #[serde(borrow, default)]
    columnnames: Vec<Text<'a>>,
    #[serde(borrow, default)]
    columntypes: Vec<Text<'a>>,
    #[serde(borrow, default)]
    columnvalues: Vec<Value<'a>>,
    #[serde(borrow)]
    oldkeys: Option<OldKeys<'a>>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "a reader would use them")]
struct OldKeys<'a> {
    #[serde(borrow)]
    keynames: Vec<Text<'a>>,
    #[serde(borrow)]
    keytypes: Vec<Text<'a>>,
    #[serde(borrow)]
    keyvalues: Vec<Value<'a>>,
}
