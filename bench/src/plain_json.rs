//! The baseline of the gate: serde_json reads a document into structs that borrow what they can, and judges nothing.
//!
//! Numbers become machine numbers, so it keeps no digits beyond them; the gate keeps them all. The schema crate has
//! serde_json keep the digits of every number whose type the reader leaves open, in a text of its own each. A plain
//! program would not pay for that: so a cell is read by the type that stands beside it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A document of the form `activities`.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "a reader would use them")]
pub(crate) struct Activities<'a> {
    #[serde(borrow)]
    activities: Vec<Change<'a>>,
}

/// A document of wal2json, format version 1.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "a reader would use them")]
pub(crate) struct Wal2json<'a> {
    #[serde(borrow)]
    change: Vec<Change<'a>>,
}

/// A text that is borrowed when it holds no escapes. (serde borrows a `Cow` only as the field of a struct.)
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "a reader would use them")]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A cell by its type.
#[derive(Debug)]
#[allow(dead_code, reason = "a reader would use them")]
enum Value<'a> {
    Boolean(Option<bool>),
    Whole(Option<i64>),
    Float(Option<f64>),
    Text(Option<Text<'a>>),
}

/// A change of either form, or the old row of one.
#[derive(Debug, Default)]
#[allow(dead_code, reason = "a reader would use them")]
struct Change<'a> {
    operation: Option<Text<'a>>,
    schema: Option<Text<'a>>,
    table: Option<Text<'a>>,
    names: Vec<Text<'a>>,
    types: Vec<Text<'a>>,
    values: Vec<Value<'a>>,
    old: Option<Box<Change<'a>>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Change<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ChangeVisitor)
    }
}

struct ChangeVisitor;

impl<'de> Visitor<'de> for ChangeVisitor {
    type Value = Change<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a change")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut change = Change::default();
        while let Some(name) = members.next_key::<&str>()? {
            match name {
                "operation" | "kind" => change.operation = Some(members.next_value()?),
                "schema" => change.schema = Some(members.next_value()?),
                "table" => change.table = Some(members.next_value()?),
                "col_names" | "columnnames" | "keynames" => change.names = members.next_value()?,
                "col_types" | "columntypes" | "keytypes" => change.types = members.next_value()?,
                "col_values" | "columnvalues" | "keyvalues" => {
                    change.values = members.next_value_seed(Cells(&change.types))?;
                }
                "old_value" | "oldkeys" => change.old = Some(members.next_value()?),
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(change)
    }
}

/// Reads cells of these types.
struct Cells<'t, 'a>(&'t [Text<'a>]);

impl<'de> DeserializeSeed<'de> for Cells<'_, '_> {
    type Value = Vec<Value<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Cells<'_, '_> {
    type Value = Vec<Value<'de>>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("cells")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::with_capacity(self.0.len());
        let missing = |at| A::Error::invalid_length(at, &"a cell for each type");
        for (at, of) in self.0.iter().enumerate() {
            values.push(match &*of.0 {
                "boolean" | "BOOLEAN" => Value::Boolean(elements.next_element()?.ok_or_else(|| missing(at))?),
                "bigint" | "integer" | "INTEGER" => Value::Whole(elements.next_element()?.ok_or_else(|| missing(at))?),
                "double precision" => Value::Float(elements.next_element()?.ok_or_else(|| missing(at))?),
                kind if kind.starts_with("numeric") => {
                    Value::Float(elements.next_element()?.ok_or_else(|| missing(at))?)
                }
                _ => Value::Text(elements.next_element()?.ok_or_else(|| missing(at))?),
            });
        }
        match elements.next_element::<IgnoredAny>()? {
            None => Ok(values),
            Some(_) => Err(missing(values.len() + 1)),
        }
    }
}
