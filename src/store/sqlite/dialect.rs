//! SQLite's words for a question about rows.

use rusqlite::types::{ToSqlOutput, Value as Sql, ValueRef};

use super::bind::to_sql;
use super::catalogue::quote;
use super::functions::{self, AT, GIVE, LIKE, ROOM, ROW};
use super::order::{DECIMAL, JSON, MOMENT};
use crate::change::{ColumnType, Family, Value};
use crate::store::rows::Step;
use crate::store::selecting::Dialect;

/// SQLite, with the functions and collations that a reading connection has.
pub(super) struct Sqlite;

impl Dialect for Sqlite {
    type Bound = Sql;

    fn quoted(&self, name: &str) -> String {
        quote(name)
    }

    fn placeholder(&self, number: usize) -> String {
        format!("?{number}")
    }

    fn bound(&self, value: &Value<'_>) -> Sql {
        match to_sql(value) {
            ToSqlOutput::Owned(value) => value,
            // What is stored is UTF-8, so that nothing is replaced here; and nothing but these two comes out.
            ToSqlOutput::Borrowed(ValueRef::Text(text)) => Sql::Text(String::from_utf8_lossy(text).into_owned()),
            ToSqlOutput::Borrowed(ValueRef::Blob(bytes)) => Sql::Blob(bytes.to_vec()),
            ToSqlOutput::Borrowed(ValueRef::Integer(value)) => Sql::Integer(value),
            ToSqlOutput::Borrowed(ValueRef::Real(value)) => Sql::Real(value),
            _ => Sql::Null,
        }
    }

    fn at(&self, column: String, path: &[Step], as_text: bool, bind: &mut dyn FnMut(Sql) -> String) -> String {
        let path = bind(Sql::Text(functions::path(path)));
        format!("{AT}({column}, {path}, {})", u8::from(as_text))
    }

    fn operand(&self, expression: String, kind: &ColumnType) -> String {
        match kind.family() {
            _ if kind.is_array() => format!("{expression} COLLATE {JSON}"),
            Family::Json => format!("{expression} COLLATE {JSON}"),
            Family::Decimal => format!("{expression} COLLATE {DECIMAL}"),
            Family::Date | Family::Timestamp => format!("{expression} COLLATE {MOMENT}"),
            _ => expression,
        }
    }

    fn begins(&self, expression: String) -> String {
        format!("{ROW}({expression})")
    }

    /// What may be large is counted before SQLite holds it: a row of many such columns would fill the memory.
    fn given(&self, expression: String, kind: &ColumnType) -> String {
        match kind.family() {
            _ if expression.starts_with(AT) => format!("{GIVE}({expression})"),
            Family::Text | Family::Json | Family::Bytes | Family::Unknown | Family::Decimal => {
                format!("CASE WHEN {ROOM}(octet_length({expression})) THEN {expression} END")
            }
            _ => expression,
        }
    }

    fn like(&self, operand: &str, placeholder: &str, in_any_case: bool) -> String {
        format!("{LIKE}({operand}, {placeholder}, {})", u8::from(in_any_case))
    }
}

/// Whether values of this type are kept so that SQLite can tell which is greater.
pub(super) fn is_ordered(kind: &ColumnType) -> bool {
    let has_zone = kind.scalar() == &crate::change::Scalar::Time { zone: true };
    !(has_zone || kind.is_array() || kind.family() == Family::Interval)
}
