//! What SQLite makes of a value because of the name of its column's type, and whether it is still the same value.
//!
//! Text that looks like a number becomes one in a column that others declared `NUMERIC(30,12)`, `JSON`, `DATE` or
//! `STRING`; as an integer of 64 bits or a float, whatever digits it had. A whole number becomes a float in `REAL`. The
//! types that this program declares have affinities that change nothing.

use std::cmp::Ordering;

use crate::change::{Family, Value, decimal};

/// An affinity that may change a value (datatype3.html, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Affinity {
    /// Whole numbers become floats.
    is_real: bool,
    /// Text is kept for its characters: `007` is not `7`.
    is_text: bool,
}

impl Affinity {
    /// The affinity of a column declared as `declared`, which stands for the family; none when it changes no value.
    pub(super) fn of(declared: &str, family: Family) -> Option<Self> {
        let upper = declared.to_ascii_uppercase();
        let contains = |parts: &[&str]| parts.iter().any(|part| upper.contains(part));
        let is_real = match upper {
            _ if contains(&["INT"]) => false,
            _ if contains(&["CHAR", "CLOB", "TEXT", "BLOB"]) || upper.is_empty() => return None,
            _ => contains(&["REAL", "FLOA", "DOUB"]),
        };
        Some(Affinity { is_real, is_text: family != Family::Unknown })
    }

    /// Whether a value stays what it is.
    pub(super) fn keeps(self, value: &Value<'_>) -> bool {
        match value {
            Value::Null | Value::Boolean(_) | Value::Float(_) | Value::Bytes(_) | Value::Array(_) => true,
            Value::Whole(value) => !self.is_real || (*value as f64) as i128 == i128::from(*value),
            Value::Decimal(text) | Value::Json(text) => self.number(text).is_none_or(|kept| is_same(text, &kept)),
            Value::Text(text) => self.number(text).is_none_or(|kept| {
                let is_plain = || kept.starts_with(text.trim_end_matches('0').trim_end_matches('.'));
                **text == *kept || !self.is_text && is_same(text, &kept) && is_plain()
            }),
        }
    }

    /// The number that a text becomes, written out; none when the text stays text.
    fn number(self, text: &str) -> Option<String> {
        // SQLite's space is ASCII's.
        let number = text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
        if !looks_like_a_number(number) {
            return None;
        }
        if let (false, Ok(whole)) = (self.is_real, number.parse::<i64>()) {
            return Some(whole.to_string());
        }
        // Display prints the shortest digits that read back as the same number.
        Some(number.parse::<f64>().map_or_else(|_| "NaN".into(), |float| float.to_string()))
    }
}

fn is_same(text: &str, kept: &str) -> bool {
    // Infinity is what has become of too large a number.
    looks_like_a_number(kept) && decimal::compare(text.trim_ascii(), kept) == Ordering::Equal
}

/// A sign, digits with a point among them or beside them, an exponent.
fn looks_like_a_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        None => (unsigned, None),
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    whole.len() + fraction.len() > 0
        && is_digits(whole)
        && is_digits(fraction)
        && exponent.is_none_or(|exponent| !exponent.is_empty() && is_digits(exponent))
}

#[cfg(test)]
mod tests {
    use rusqlite::types::ValueRef;

    use super::super::bind::to_sql;
    use super::*;
    use crate::store::sqlite::catalogue::from_declared;

    /// What SQLite has kept, written out; floats with the digits that tell them apart.
    fn kept(declared: &str, value: &Value<'_>) -> String {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch(&format!("CREATE TABLE t (c {declared})")).unwrap();
        connection.execute("INSERT INTO t VALUES (?1)", [to_sql(value)]).unwrap();
        let shown = connection.query_row("SELECT c FROM t", [], |row| {
            Ok(match row.get_ref(0)? {
                ValueRef::Null => "null".into(),
                ValueRef::Integer(value) => value.to_string(),
                ValueRef::Real(value) => value.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                ValueRef::Blob(bytes) => format!("{bytes:?}"),
            })
        });
        shown.unwrap()
    }

    #[test]
    fn what_sqlite_would_change_is_known() {
        let decimal = |text: &'static str| Value::Decimal(text.into());
        let json = |text: &'static str| Value::Json(text.into());
        let text = |text: &'static str| Value::Text(text.into());
        let whole = Value::Whole;
        for (declared, value, keeps) in [
            ("NUMERIC(30,12)", decimal("12345678901234568.123456789012"), false),
            ("NUMERIC(30,12)", decimal("0.1"), true),
            ("NUMERIC(30,12)", decimal("1.50"), true),
            ("NUMERIC(30,12)", decimal("-9223372036854775808"), true),
            ("NUMERIC(30,12)", decimal("9223372036854775809"), false),
            // A float holds it, and no reader of floats shows all of its digits.
            ("NUMERIC(30,12)", decimal("9223372036854775808"), false),
            ("NUMERIC(30,12)", decimal("100000000000000000000"), true),
            ("NUMERIC(30,12)", decimal("123456789.123456789"), false),
            ("NUMERIC", decimal("NaN"), true),
            ("DECIMAL(10,5)", decimal("12345.67891"), true),
            ("DECIMAL_TEXT(30,12)", decimal("12345678901234568.123456789012"), true),
            ("JSON", json("1.0"), true),
            ("JSON", json("12345678901234567890123"), false),
            ("JSON", json("1e400"), false),
            ("JSON", json("1e2"), true),
            ("JSON", json(" 5 "), true),
            ("JSON", json("\"5\""), true),
            ("JSON", json("[1.00000000000000000001]"), true),
            ("JSON", json("true"), true),
            ("JSON_TEXT", json("12345678901234567890123"), true),
            ("REAL", whole(9_007_199_254_740_993), false),
            ("REAL", whole(9_007_199_254_740_992), true),
            ("REAL", whole(i64::MAX), false),
            ("REAL", whole(-3), true),
            ("DOUBLE PRECISION", whole(9_007_199_254_740_993), false),
            ("REAL", Value::Float(0.1), true),
            ("BIGINT", whole(i64::MAX), true),
            ("INTEGER", whole(i64::MIN), true),
            ("VARCHAR(30)", whole(9_007_199_254_740_993), true),
            ("DATE", text("2026-01-31"), true),
            ("DATETIME", text("2026-01-31 10:00:00"), true),
            ("TIME", text("10:00:00"), true),
            ("INTERVAL", text("1 day"), true),
            ("UUID", text("123e4567-e89b-12d3-a456-426614174000"), true),
            ("STRING", text("007"), false),
            ("STRING", text("12.50"), false),
            ("STRING", text("+5"), false),
            ("STRING", text(" 5"), false),
            ("STRING", text("1e3"), false),
            ("STRING", text("0x10"), true),
            ("STRING", text("12345678901234567890"), false),
            ("STRING", text("7"), true),
            ("STRING", text("seven"), true),
            ("STRING", text(""), true),
            ("STRING", text("."), true),
            ("STRING", text("1_000"), true),
            ("TEXT", text("007"), true),
            ("MONEY", text("12.50"), true),
            ("MONEY", text("007"), false),
            ("MONEY", text("12345678901234567.89"), false),
            ("BOOLEAN", Value::Boolean(true), true),
            ("NUMERIC", Value::Bytes(b"12".as_slice().into()), true),
            ("NUMERIC", Value::Null, true),
            ("", text("007"), true),
            ("BLOB", text("007"), true),
        ] {
            let affinity = Affinity::of(declared, from_declared(declared).family());
            let found = affinity.is_none_or(|affinity| affinity.keeps(&value));
            let kept = kept(declared, &value);
            assert_eq!(found, keeps, "{value:?} in {declared} is kept as {kept}");
            // What is said to be kept reads back as the same number, or the same text.
            if let (true, Value::Decimal(text) | Value::Json(text) | Value::Text(text)) = (keeps, &value) {
                let is_equal = **text == *kept || looks_like_a_number(&kept) && is_same(text, &kept);
                assert!(is_equal, "{text} in {declared} is kept as {kept}");
            }
        }
    }
}
