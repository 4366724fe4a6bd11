//! Where a page ended, as text: opaque to clients, and no more than a place. A made-up one finds other rows, not others'.

use rusqlite::types::Value;

/// Writes the values that the last row was ordered by.
pub(super) fn write(values: &[Value]) -> String {
    let part = |value: &Value| match value {
        Value::Null => "n".to_owned(),
        Value::Integer(value) => format!("i{value}"),
        Value::Real(value) => format!("r{value}"),
        Value::Text(text) => format!("t{text}"),
        Value::Blob(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("b{hex}")
        }
    };
    match values {
        // The usual place is a rowid.
        [Value::Integer(value)] => value.to_string(),
        _ => serde_json::to_string(&values.iter().map(part).collect::<Vec<_>>()).unwrap_or_default(),
    }
}

/// Reads `length` values; none when `text` was not written by [`write`].
pub(super) fn read(text: &str, length: usize) -> Option<Vec<Value>> {
    let values = match text.parse() {
        Ok(value) => vec![Value::Integer(value)],
        Err(_) => {
            let parts: Vec<String> = serde_json::from_str(text).ok()?;
            parts.iter().map(|part| value(part)).collect::<Option<Vec<_>>>()?
        }
    };
    (values.len() == length).then_some(values)
}

fn value(part: &str) -> Option<Value> {
    let rest = part.get(1..)?;
    Some(match part.as_bytes().first()? {
        b'n' => Value::Null,
        b'i' => Value::Integer(rest.parse().ok()?),
        b'r' => Value::Real(rest.parse().ok()?),
        b't' => Value::Text(rest.to_owned()),
        b'b' => {
            let digits = rest.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
            Value::Blob(digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for values in [
            vec![Value::Integer(-7)],
            vec![Value::Text("a\"b,]".into()), Value::Integer(i64::MAX), Value::Null],
            vec![Value::Blob(vec![0, 255]), Value::Real(1.5)],
        ] {
            assert_eq!(read(&write(&values), values.len()), Some(values));
        }
        for text in ["", "x", "[]", "[\"\"]", "[\"i\"]", "[\"bz0\"]", "[1]"] {
            assert_eq!(read(text, 1), None, "{text}");
        }
    }
}
