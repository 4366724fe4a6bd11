//! Values as a document gives them, read by the declared type of their column.
//!
//! This is the way in and what comes out of it, arrays included; `reading.rs` reads what is no array. Binding values to
//! a database is the backend's matter.

use std::borrow::Cow;
use std::fmt::Write;

use super::array::{self, DIMENSIONS_MAX};
use super::misfit::MisfitKind::Invalid;
use super::misfit::shown;
use super::reading::{in_range, read_scalar, read_text};
use super::{ColumnType, Family, Misfit, Scalar};
use crate::json::{self, Json};

/// A value of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// NULL, of any type.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Whole(i64),
    /// A float; one of 32 bits is the 64-bit float with the same shortest digits.
    Float(f64),
    /// A decimal in plain notation with every digit, or `NaN`, `Infinity`, `-Infinity`.
    Decimal(Cow<'a, str>),
    /// Text, moments and intervals (see `moment.rs`), UUIDs in lower case, and whatever nobody here knows.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Vec<u8>),
    /// JSON text.
    Json(Cow<'a, str>),
    /// The elements of an array; those of a dimension are all of one length.
    Array(Vec<Value<'a>>),
}

impl ColumnType {
    /// Reads a document's JSON as a value of this type. JSON null is NULL of every type.
    pub fn read<'a>(&self, json: Json<'a>) -> Result<Value<'a>, Misfit> {
        match json {
            json if !self.is_array() => read_scalar(self.scalar(), json),
            Json::Null => Ok(Value::Null),
            Json::Text(text) => read_array_text(self, text),
            Json::Array(text) => even(self, read_json_array(self, text, 1)?, text),
            json => Err(Misfit::wrong_kind(self, &json)),
        }
    }

    /// Fits a value into a column of this type, after it was read by a declared type that does not conflict with it
    /// (see [`ColumnType::conflicts_with`]). Text, which an unknown type leaves behind, is read as this type.
    pub fn admit<'a>(&self, value: Value<'a>) -> Result<Value<'a>, Misfit> {
        match value {
            Value::Null => Ok(Value::Null),
            value if self.family() == Family::Unknown => Ok(Value::Text(Cow::Owned(match value {
                Value::Text(text) | Value::Json(text) | Value::Decimal(text) => return Ok(Value::Text(text)),
                value => value.text().into_owned(),
            }))),
            Value::Text(text) if self.is_array() => read_array_text(self, text),
            Value::Array(values) if self.is_array() => {
                values.into_iter().map(|value| admit_element(self, value)).collect::<Result<_, _>>().map(Value::Array)
            }
            value if self.is_array() => Err(Misfit::stranger(self, &value)),
            value => admit_scalar(self.scalar(), value),
        }
    }
}

fn admit_element<'a>(array: &ColumnType, value: Value<'a>) -> Result<Value<'a>, Misfit> {
    match value {
        Value::Array(_) => array.admit(value),
        value => admit_scalar(array.scalar(), value),
    }
}

fn admit_scalar<'a>(scalar: &Scalar, value: Value<'a>) -> Result<Value<'a>, Misfit> {
    match (scalar.family(), value) {
        (_, Value::Null) => Ok(Value::Null),
        (_, Value::Text(text)) => read_text(scalar, text),
        (Family::Whole, Value::Whole(value)) => in_range(scalar, value),
        (Family::Decimal | Family::Float, value @ Value::Whole(_)) => {
            read_text(scalar, value.text().into_owned().into())
        }
        (Family::Decimal, Value::Decimal(text)) => read_text(scalar, text),
        (Family::Float, Value::Float(value)) if *scalar == Scalar::Double => Ok(Value::Float(value)),
        (Family::Float, value @ Value::Float(_)) => read_text(scalar, value.text().into_owned().into()),
        (Family::Boolean, value @ Value::Boolean(_)) => Ok(value),
        (Family::Bytes, value @ Value::Bytes(_)) => Ok(value),
        (Family::Json, value @ Value::Json(_)) => Ok(value),
        (_, value) => Err(Misfit::stranger(scalar, &value)),
    }
}

fn read_array_text<'a>(array: &ColumnType, text: Cow<'a, str>) -> Result<Value<'a>, Misfit> {
    match text {
        Cow::Borrowed(text) => read_array_literal(array, text),
        Cow::Owned(text) => read_array_literal(array, &text).map(Value::into_owned),
    }
}

/// A literal of PostgreSQL, or the text of a JSON array.
fn read_array_literal<'a>(array: &ColumnType, text: &'a str) -> Result<Value<'a>, Misfit> {
    let values = match array::read(text, &mut |element| read_text(array.scalar(), element)) {
        Ok(values) => values,
        Err(array::Flaw::Element(misfit)) => return Err(misfit),
        Err(array::Flaw::TooDeep) => return Err(Misfit::too_deep(array, text)),
        Err(array::Flaw::Malformed) if text.trim_ascii().starts_with('[') && json::check(text).is_ok() => {
            read_json_array(array, text, 1)?
        }
        Err(array::Flaw::Malformed) => return Err(Misfit::new(Invalid, shown(text), "is not an array", array)),
    };
    even(array, values, text)
}

fn read_json_array<'a>(array: &ColumnType, text: &'a str, depth: usize) -> Result<Vec<Value<'a>>, Misfit> {
    if depth > DIMENSIONS_MAX {
        return Err(Misfit::too_deep(array, text));
    }
    let read = |element| match element {
        // An array within an array of JSON is an element, which is JSON; elsewhere it is another dimension.
        Json::Array(inner) if array.family() != Family::Json => {
            read_json_array(array, inner, depth + 1).map(Value::Array)
        }
        element => read_scalar(array.scalar(), element),
    };
    json::elements(text).into_iter().map(read).collect()
}

fn even<'a>(array: &ColumnType, values: Vec<Value<'a>>, text: &str) -> Result<Value<'a>, Misfit> {
    match array::evened(values) {
        Some(values) => Ok(Value::Array(values)),
        None => Err(Misfit::new(Invalid, shown(text), "has inner arrays of different lengths", array)),
    }
}

impl Value<'_> {
    /// The value as text that PostgreSQL's input routine for its type reads. NULL has none; it gives an empty one.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Value::Null => Cow::Borrowed(""),
            Value::Boolean(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Value::Whole(value) => Cow::Owned(value.to_string()),
            Value::Float(value) if value.is_nan() => Cow::Borrowed("NaN"),
            Value::Float(f64::INFINITY) => Cow::Borrowed("Infinity"),
            Value::Float(f64::NEG_INFINITY) => Cow::Borrowed("-Infinity"),
            Value::Float(value) if *value == 0.0 || (1e-5..1e15).contains(&value.abs()) => {
                Cow::Owned(value.to_string())
            }
            Value::Float(value) => Cow::Owned(format!("{value:e}")),
            Value::Decimal(text) | Value::Text(text) | Value::Json(text) => Cow::Borrowed(text),
            Value::Bytes(bytes) => {
                let mut text = String::with_capacity(2 + bytes.len() * 2);
                text.push_str("\\x");
                for byte in bytes {
                    let _ = write!(text, "{byte:02x}");
                }
                Cow::Owned(text)
            }
            Value::Array(values) => {
                let mut text = String::new();
                array::write(values, &mut text);
                Cow::Owned(text)
            }
        }
    }

    /// The value without ties to the document.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Boolean(value) => Value::Boolean(value),
            Value::Whole(value) => Value::Whole(value),
            Value::Float(value) => Value::Float(value),
            Value::Decimal(text) => Value::Decimal(Cow::Owned(text.into_owned())),
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::Bytes(bytes) => Value::Bytes(bytes),
            Value::Json(text) => Value::Json(Cow::Owned(text.into_owned())),
            Value::Array(values) => Value::Array(values.into_iter().map(Value::into_owned).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::MisfitKind;
    use crate::json::{Judged, Path, Reader};

    fn json(text: &str) -> Json<'_> {
        Reader::new(text).value(&Path::ROOT, &mut Judged).unwrap()
    }

    /// Reads JSON by a type and shows the value: its kind, and its text.
    fn read(name: &str, text: &str) -> Result<String, MisfitKind> {
        ColumnType::parse(name).read(json(text)).map(|value| show(&value)).map_err(|misfit| misfit.kind)
    }

    fn show(value: &Value<'_>) -> String {
        let kind = format!("{value:?}");
        format!("{} {}", kind.split('(').next().unwrap(), value.text())
    }

    #[test]
    fn json_is_read_by_its_type() {
        for (name, text, wanted) in [
            ("integer", "null", "Null "),
            ("integer[]", "null", "Null "),
            ("integer", "2147483647", "Whole 2147483647"),
            ("bigint", "-9223372036854775808", "Whole -9223372036854775808"),
            ("smallint", "1.0", "Whole 1"),
            ("integer", "1e3", "Whole 1000"),
            ("integer", r#""-7""#, "Whole -7"),
            ("numeric", "1.50", "Decimal 1.50"),
            ("numeric(30,12)", "12345678901234568.123456789012", "Decimal 12345678901234568.123456789012"),
            ("numeric", r#""nan""#, "Decimal NaN"),
            ("numeric", r#""-infinity""#, "Decimal -Infinity"),
            ("float", "1e300", "Float 1e300"),
            ("float", r#""-Infinity""#, "Float -Infinity"),
            ("real", "0.1", "Float 0.1"),
            ("real", "3.4e38", "Float 3.4e38"),
            ("real", "0.10000000149011612", "Float 0.1"),
            ("real", "16777217", "Float 16777216"),
            ("text", r#""it's ünïcode ☃""#, "Text it's ünïcode ☃"),
            ("varchar(3)", r#""☃☃☃""#, "Text ☃☃☃"),
            ("char(3)", r#""ab     ""#, "Text ab "),
            ("boolean", "true", "Boolean true"),
            ("boolean", r#"" OFF ""#, "Boolean false"),
            ("boolean", r#""1""#, "Boolean true"),
            ("bytea", r#""DEADbeef""#, r"Bytes \xdeadbeef"),
            ("bytea", r#""\\xde""#, r"Bytes \xde"),
            ("bytea", r#""""#, r"Bytes \x"),
            ("jsonb", r#"{"a": [1]}"#, r#"Json {"a": [1]}"#),
            ("jsonb", r#""{\"a\": [1]}""#, r#"Json {"a": [1]}"#),
            ("json", r#"["\\u0000"]"#, r#"Json ["\\u0000"]"#),
            ("json", r#""null""#, "Json null"),
            ("json", "1.50", "Json 1.50"),
            ("uuid", r#""5A0D1B8E6F0F-4F5E9A53-2F8F6E6A2A11""#, "Text 5a0d1b8e-6f0f-4f5e-9a53-2f8f6e6a2a11"),
            ("uuid", r#""{5a0d1b8e-6f0f-4f5e-9a53-2f8f6e6a2a11}""#, "Text 5a0d1b8e-6f0f-4f5e-9a53-2f8f6e6a2a11"),
            ("date", r#""2026-01-02T10:00:00Z""#, "Text 2026-01-02"),
            ("timestamptz", r#""2026-01-02 01:04:05+02""#, "Text 2026-01-01 23:04:05+00"),
            ("interval", r#"" 1 day ""#, "Text 1 day"),
            ("text[]", r#""{a,\"b c\",NULL}""#, r#"Array {"a","b c",NULL}"#),
            ("integer[]", "[[1,2],[3,null]]", r#"Array {{"1","2"},{"3",NULL}}"#),
            ("integer[]", r#""[1, 2]""#, r#"Array {"1","2"}"#),
            ("integer[]", r#""[0:1]={1,2}""#, r#"Array {"1","2"}"#),
            ("jsonb[]", r#"[[1],{"a":2}]"#, r#"Array {"[1]","{\"a\":2}"}"#),
            ("integer[]", "[]", "Array {}"),
            ("integer[]", "[[],[]]", "Array {}"),
            ("mood", r#""happy""#, "Text happy"),
            ("mood", "1.50", "Text 1.50"),
            ("mood[]", "[true]", "Text [true]"),
        ] {
            assert_eq!(read(name, text).as_deref(), Ok(wanted), "{text} as {name}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_by_kind() {
        use MisfitKind::{Invalid, OutOfRange, WrongKind};
        for (kind, name, texts) in [
            (WrongKind, "integer", "true|[1]|{}"),
            (WrongKind, "text", "1|true|[]|{}"),
            (WrongKind, "boolean", "1|0"),
            (WrongKind, "date", "20260102|true"),
            (WrongKind, "interval", "90"),
            (WrongKind, "uuid", "1"),
            (WrongKind, "integer[]", "1|{}|[{}]|[true]"),
            (OutOfRange, "smallint", r#"32768|-32769|"32768"|1e999999999"#),
            (OutOfRange, "bigint", "9223372036854775808|-9223372036854775809"),
            (OutOfRange, "numeric(5,2)", r#"1000|0.001|"Infinity"|1e999999999|1e-999999999"#),
            (OutOfRange, "numeric", "1e131072|1e-16384"),
            (OutOfRange, "float", "1e309|-1e309|1e-400"),
            (OutOfRange, "real", "3.5e38|1e-50"),
            (OutOfRange, "varchar(3)", r#""abcd"|"☃☃☃☃""#),
            (OutOfRange, "timestamp", r#""294277-01-01""#),
            (Invalid, "integer", r#""abc"|1.5|"NaN"|"""#),
            (Invalid, "numeric", r#""abc"|"1,5""#),
            (Invalid, "real", r#""abc"|"""#),
            (Invalid, "text", r#""a\u0000""#),
            (Invalid, "mood", r#""a\u0000""#),
            (Invalid, "boolean", r#""maybe"|"2"|"""#),
            (Invalid, "bytea", r#""abc"|"zz"|"é""#),
            (Invalid, "jsonb", r#""{"|"abc"|["\u0000"]|"[\"\\u0000\"]""#),
            (
                Invalid,
                "uuid",
                r#""5a0d"|"5a0d1b8e-6f0f-4f5e-9a53-2f8f6e6a2a1g"|"-5a0d1b8e6f0f4f5e9a532f8f6e6a2a11"|"é""#,
            ),
            (Invalid, "date", r#""hello"|"2026-02-30"|"now""#),
            (Invalid, "interval", r#""hello""#),
            (Invalid, "integer[]", r#""{1,2"|"1"|"{a}"|[[1],[2,3]]|[1,[2]]|[[[[[[[1]]]]]]]|"{{{{{{{1}}}}}}}""#),
        ] {
            for text in texts.split('|') {
                assert_eq!(read(name, text), Err(kind), "{text} as {name}");
            }
        }
    }

    #[test]
    fn the_sentence_says_what_was_found_and_what_would_be_right() {
        for (name, text, wanted) in [
            (
                "integer",
                r#""abc""#,
                r#""abc" is not a whole number; INTEGER takes digits from -2147483648 to 2147483647"#,
            ),
            ("date", r#""2026-02-30""#, r#""2026-02-30" is not a date; DATE takes a date such as 2026-01-31"#),
            ("text", "12", "12 is not a string; TEXT takes a string"),
            (
                "varchar(3)",
                r#""abcdefghijabcdefghijabcdefghijabcdefghijabcdefghij""#,
                "\"abcdefghijabcdefghijabcdefghijabcdefghij…\" has 50 characters; CHARACTER VARYING(3) takes a string of \
                 at most 3 characters",
            ),
            ("text", r#""a\u0000""#, r#""a\0" contains the character U+0000; databases cannot hold it"#),
        ] {
            assert_eq!(ColumnType::parse(name).read(json(text)).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn values_are_admitted_to_other_columns_of_their_family() {
        use MisfitKind::{Invalid, OutOfRange, WrongKind};
        for (declared, text, column, wanted) in [
            ("bigint", "5", "smallint", Ok("Whole 5")),
            ("bigint", "32768", "smallint", Err(OutOfRange)),
            ("bigint", "5", "numeric(3,1)", Ok("Decimal 5")),
            ("bigint", "500", "numeric(3,1)", Err(OutOfRange)),
            ("bigint", "5", "real", Ok("Float 5")),
            ("float", "0.1", "real", Ok("Float 0.1")),
            ("numeric", "1.234", "numeric(3,2)", Err(OutOfRange)),
            ("varchar(30)", r#""abcd""#, "varchar(3)", Err(OutOfRange)),
            ("varchar(30)", r#""abc ""#, "varchar(3)", Ok("Text abc")),
            ("timestamp", r#""2026-01-02""#, "timestamptz", Ok("Text 2026-01-02 00:00:00+00")),
            ("json", "1", "jsonb", Ok("Json 1")),
            ("mood", "5", "integer", Ok("Whole 5")),
            ("mood", "true", "boolean", Ok("Boolean true")),
            ("mood", r#"{"a":1}"#, "jsonb", Ok(r#"Json {"a":1}"#)),
            ("mood[]", r#"["a"]"#, "text[]", Ok(r#"Array {"a"}"#)),
            ("mood", r#""abc""#, "integer", Err(Invalid)),
            ("integer[]", "[[1],[2]]", "smallint[]", Ok(r#"Array {{"1"},{"2"}}"#)),
            ("integer[]", "[1,32768]", "smallint[]", Err(OutOfRange)),
            ("integer[]", "[1,null]", "mood[]", Ok(r#"Text {"1",NULL}"#)),
            ("bytea", r#""ff""#, "mood", Ok(r"Text \xff")),
            ("integer", "null", "text", Ok("Null ")),
            ("boolean", "true", "integer", Err(WrongKind)),
            ("integer", "1", "integer[]", Err(WrongKind)),
        ] {
            let value = ColumnType::parse(declared).read(json(text)).unwrap();
            let found = ColumnType::parse(column).admit(value).map(|value| show(&value)).map_err(|misfit| misfit.kind);
            assert_eq!(found.as_deref(), wanted.as_ref().copied(), "{text} as {declared} into {column}");
        }
    }

    #[test]
    fn every_value_of_the_wal2json_captures_is_read() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/wal2json/v1-default.ndjson");
        let document = std::fs::read_to_string(path).unwrap();
        let at = |change, pointer| match json::at(change, pointer) {
            Some(Json::Array(array)) => json::elements(array),
            _ => Vec::new(),
        };
        let mut count = 0;
        for line in document.lines() {
            let Some(Json::Array(changes)) = json::at(line, "/change") else { panic!("{line}") };
            for change in json::elements(changes) {
                let Json::Object(change) = change else { panic!("{change:?}") };
                for (types, values) in [("/columntypes", "/columnvalues"), ("/oldkeys/keytypes", "/oldkeys/keyvalues")]
                {
                    for (name, value) in at(change, types).into_iter().zip(at(change, values)) {
                        let Json::Text(name) = name else { panic!("{name:?}") };
                        let column = ColumnType::parse(&name);
                        let read = column.read(value.clone()).unwrap();
                        assert_eq!(column.admit(read.clone()).as_ref(), Ok(&read), "{value:?} as {name}");
                        assert_eq!(column.family() == Family::Unknown, name == "mood");
                        count += 1;
                    }
                }
            }
        }
        assert!(count > 50, "only {count} values");
    }
}
