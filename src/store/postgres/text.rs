//! Values on their way into PostgreSQL: as the text that its input routines read, straight into the buffer that is sent.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

use crate::change::moment::rfc3339;
use crate::change::{ColumnType, Family, Scalar, Value};
use crate::json::Json;

/// A value as a parameter of a statement.
pub(super) struct Parameter<'v>(pub(super) Cow<'v, Value<'v>>);

impl std::fmt::Debug for Parameter<'_> {
    /// What a document holds is nobody's business in a log.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("…")
    }
}

impl ToSql for Parameter<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        if matches!(*self.0, Value::Null) {
            return Ok(IsNull::Yes);
        }
        write_plain(&self.0, out);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    tokio_postgres::types::to_sql_checked!();
}

/// Appends the text of a value; nothing for NULL.
fn write_plain(value: &Value<'_>, out: &mut BytesMut) {
    match value {
        Value::Decimal(text) | Value::Text(text) | Value::Json(text) => out.put_slice(text.as_bytes()),
        Value::Whole(value) => write_whole(*value, out),
        Value::Bytes(bytes) => write_hex(bytes, out),
        value => out.put_slice(value.text().as_bytes()),
    }
}

fn write_whole(value: i64, out: &mut BytesMut) {
    // Writing to a buffer that grows cannot fail.
    let _ = write!(out, "{value}");
}

fn write_hex(bytes: &[u8], out: &mut BytesMut) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.put_slice(b"\\x");
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.put_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// Appends a value as a field of COPY's text format.
pub(super) fn write_copy(value: &Value<'_>, out: &mut BytesMut) {
    match value {
        Value::Null => out.put_slice(b"\\N"),
        Value::Text(text) | Value::Json(text) => write_escaped(text.as_bytes(), out),
        Value::Bytes(bytes) => {
            out.put_u8(b'\\');
            write_hex(bytes, out);
        }
        Value::Array(_) => write_escaped(value.text().as_bytes(), out),
        value => write_plain(value, out),
    }
}

fn write_escaped(mut text: &[u8], out: &mut BytesMut) {
    while let Some(at) = text.iter().position(|byte| matches!(byte, b'\\' | b'\t' | b'\n' | b'\r')) {
        out.put_slice(&text[..at]);
        out.put_slice(match text[at] {
            b'\t' => b"\\t",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            _ => b"\\\\",
        });
        text = &text[at + 1..];
    }
    out.put_slice(text);
}

/// A column of values as one parameter: PostgreSQL's binary array.
pub(super) struct Column {
    /// The type of the elements.
    element: Type,
    count: i32,
    elements: BytesMut,
}

impl std::fmt::Debug for Column {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("…")
    }
}

impl Column {
    /// A column of `element`, which is one of PostgreSQL's integers, or text that the statement casts.
    pub(super) fn new(element: Type) -> Self {
        Column { element, count: 0, elements: BytesMut::new() }
    }

    /// The type of the whole.
    pub(super) fn array_type(&self) -> Type {
        match self.element {
            Type::INT2 => Type::INT2_ARRAY,
            Type::INT4 => Type::INT4_ARRAY,
            Type::INT8 => Type::INT8_ARRAY,
            _ => Type::TEXT_ARRAY,
        }
    }

    /// Appends a value. One that is no integer of the column's width becomes NULL, which [`fits`] rules out.
    pub(super) fn push(&mut self, value: &Value<'_>) {
        self.count += 1;
        let out = &mut self.elements;
        match (&self.element, value) {
            (_, Value::Null) => out.put_i32(-1),
            (&Type::INT2, Value::Whole(value)) => put(out, i16::try_from(*value).ok().map(i16::to_be_bytes)),
            (&Type::INT4, Value::Whole(value)) => put(out, i32::try_from(*value).ok().map(i32::to_be_bytes)),
            (&Type::INT8, Value::Whole(value)) => put(out, Some(value.to_be_bytes())),
            (&Type::INT2 | &Type::INT4 | &Type::INT8, _) => out.put_i32(-1),
            (_, value) => {
                let at = out.len();
                out.put_i32(0);
                write_plain(value, out);
                // A document is far smaller than 2 GiB.
                let length = i32::try_from(out.len() - at - 4).unwrap_or(i32::MAX);
                out[at..at + 4].copy_from_slice(&length.to_be_bytes());
            }
        }
    }
}

/// Whether an integer column can hold the value as it is.
pub(super) fn fits(element: &Type, value: &Value<'_>) -> bool {
    match (element, value) {
        (_, Value::Null) => true,
        (&Type::INT2, Value::Whole(value)) => i16::try_from(*value).is_ok(),
        (&Type::INT4, Value::Whole(value)) => i32::try_from(*value).is_ok(),
        (&Type::INT8, Value::Whole(_)) => true,
        (&Type::INT2 | &Type::INT4 | &Type::INT8, _) => false,
        _ => true,
    }
}

fn put<const N: usize>(out: &mut BytesMut, bytes: Option<[u8; N]>) {
    match bytes {
        None => out.put_i32(-1),
        Some(bytes) => {
            out.put_i32(N as i32);
            out.put_slice(&bytes);
        }
    }
}

impl ToSql for Column {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        // Dimensions, whether there are NULLs, the elements' type, the length, and where counting begins.
        for word in [1, 1] {
            out.put_i32(word);
        }
        out.put_u32(self.element.oid());
        out.put_i32(self.count);
        out.put_i32(1);
        out.put_slice(&self.elements);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// Appends the text of a stored value as JSON, by the column's type. Decimals are strings: few readers of JSON numbers
/// keep digits.
pub(super) fn write_json(to: &mut String, text: Option<&str>, column_type: &ColumnType) {
    let Some(text) = text else { return to.push_str("null") };
    let is_moment = matches!(column_type.scalar(), Scalar::Timestamp { .. });
    if column_type.is_array() {
        return match column_type.read(Json::Text(text.into())) {
            Ok(value) => write_value(to, &value, is_moment),
            Err(_) => write_string(to, text),
        };
    }
    match column_type.family() {
        Family::Whole | Family::Boolean | Family::Json => to.push_str(text),
        Family::Float => match text.parse::<f64>() {
            Ok(value) if value.is_finite() => to.push_str(&value.to_string()),
            _ => write_string(to, text),
        },
        Family::Bytes => write_string(to, text.trim_start_matches("\\x")),
        _ if is_moment => write_string(to, &rfc3339(text)),
        _ => write_string(to, text),
    }
}

fn write_value(to: &mut String, value: &Value<'_>, is_moment: bool) {
    match value {
        Value::Null => to.push_str("null"),
        Value::Boolean(_) | Value::Whole(_) | Value::Json(_) => to.push_str(&value.text()),
        Value::Float(value) if value.is_finite() => to.push_str(&value.to_string()),
        Value::Bytes(_) => write_string(to, value.text().trim_start_matches("\\x")),
        Value::Array(elements) => {
            to.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    to.push(',');
                }
                write_value(to, element, is_moment);
            }
            to.push(']');
        }
        value if is_moment => write_string(to, &rfc3339(&value.text())),
        value => write_string(to, &value.text()),
    }
}

fn write_string(to: &mut String, text: &str) {
    to.push_str(&serde_json::Value::from(text).to_string());
}
