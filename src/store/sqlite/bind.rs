//! Values on their way into SQLite, and back as JSON.

use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::change::moment::rfc3339;
use crate::change::{ColumnType, Family, Scalar, Value};

/// A value as SQLite takes it.
pub(super) fn to_sql<'v>(value: &'v Value<'_>) -> ToSqlOutput<'v> {
    match value {
        Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
        Value::Boolean(value) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*value))),
        Value::Whole(value) => ToSqlOutput::Borrowed(ValueRef::Integer(*value)),
        // SQLite would keep NaN as NULL.
        Value::Float(value) if value.is_nan() => ToSqlOutput::Borrowed(ValueRef::Text(b"NaN")),
        Value::Float(value) => ToSqlOutput::Borrowed(ValueRef::Real(*value)),
        Value::Decimal(text) | Value::Text(text) | Value::Json(text) => {
            ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
        }
        Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        Value::Array(_) => {
            let mut text = String::new();
            write_json(&mut text, value);
            ToSqlOutput::Owned(text.into())
        }
    }
}

fn write_json(to: &mut String, value: &Value<'_>) {
    match value {
        Value::Null => to.push_str("null"),
        Value::Boolean(value) => to.push_str(if *value { "true" } else { "false" }),
        Value::Whole(value) => to.push_str(&value.to_string()),
        Value::Float(value) => write_float(to, *value),
        Value::Decimal(text) | Value::Text(text) => write_text(to, text),
        Value::Json(text) => to.push_str(text),
        Value::Bytes(bytes) => write_text(to, &hex(bytes)),
        Value::Array(elements) => {
            to.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    to.push(',');
                }
                write_json(to, element);
            }
            to.push(']');
        }
    }
}

fn write_float(to: &mut String, value: f64) {
    if value.is_finite() {
        // Display prints the shortest digits that read back as the same number.
        to.push_str(&value.to_string());
    } else {
        let text = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        write_text(to, text);
    }
}

pub(super) fn write_text(to: &mut String, text: &str) {
    to.push_str(&serde_json::Value::from(text).to_string());
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Appends a stored value as JSON, by the column's type. Decimals are strings: few readers of JSON numbers keep digits.
pub(super) fn write_stored(to: &mut String, value: ValueRef<'_>, column_type: &ColumnType) {
    let is_json = column_type.is_array() || column_type.family() == Family::Json;
    match value {
        ValueRef::Null => to.push_str("null"),
        ValueRef::Integer(value) if column_type.family() == Family::Boolean && (0..=1).contains(&value) => {
            to.push_str(if value == 1 { "true" } else { "false" });
        }
        ValueRef::Integer(value) => to.push_str(&value.to_string()),
        ValueRef::Real(value) => write_float(to, value),
        ValueRef::Text(text) => {
            let text = String::from_utf8_lossy(text);
            let is_moment = matches!(column_type.scalar(), Scalar::Timestamp { .. });
            if is_moment && !is_json {
                return write_text(to, &rfc3339(&text));
            }
            if is_moment && let Ok(mut elements) = serde_json::from_str::<serde_json::Value>(&text) {
                moments(&mut elements);
                return to.push_str(&elements.to_string());
            }
            // What others wrote into such a column may be no JSON.
            if is_json && crate::json::check(&text).is_ok() {
                to.push_str(&text);
            } else {
                write_text(to, &text);
            }
        }
        ValueRef::Blob(bytes) => write_text(to, &hex(bytes)),
    }
}

/// The moments in an array, which may hold arrays.
fn moments(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => *text = rfc3339(text).into_owned(),
        serde_json::Value::Array(elements) => elements.iter_mut().for_each(moments),
        _ => {}
    }
}
