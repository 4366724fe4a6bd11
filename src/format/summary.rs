//! The summary of a rollup, as its output topic holds it, becomes a row of the rollup's table.
//!
//! A summary is a flat object. Its columns are typed by their values: a number is a NUMERIC with all its digits, a text is
//! text, anything else is JSON. What is null yet has no column yet.

use std::borrow::Cow;

use crate::change::{Action, Cell, Change, ChangeSet, ColumnType, KeyColumns, TableName, Value};
use crate::json::{self, Json};

/// The row of the summary in `text`, by its `key`, the names of the members that tell summaries apart. `text` was judged as
/// JSON before. None when it is no object, or lacks a part of the key.
pub fn row<'a>(table: &'a str, key: &'a [String], text: &'a str) -> Option<ChangeSet<'a>> {
    let members = json::members(text);
    let is_whole = key.iter().all(|name| members.iter().any(|(known, value)| known == name && *value != Json::Null));
    if !is_whole {
        return None;
    }
    let cell = |(name, value): (Cow<'a, str>, Json<'a>)| {
        let (column_type, value) = match value {
            Json::Null => return None,
            Json::Boolean(value) => ("boolean", Value::Boolean(value)),
            Json::Number(digits) => {
                let numeric = ColumnType::parse("numeric");
                // A number past NUMERIC's limits was refused as the record was judged.
                let value = numeric.read(Json::Number(digits)).unwrap_or(Value::Null);
                ("numeric", value)
            }
            Json::Text(text) => ("text", Value::Text(text)),
            Json::Array(text) | Json::Object(text) => ("jsonb", Value::Json(Cow::Borrowed(text))),
        };
        Some(Cell { name, column_type: ColumnType::parse(column_type), value })
    };
    let row: Vec<_> = members.into_iter().filter_map(cell).collect();
    let key = KeyColumns::Named(key.iter().map(|name| Cow::Borrowed(name.as_str())).collect());
    let table = TableName::parse(Cow::Borrowed(table));
    Some(ChangeSet { changes: vec![Change { table, action: Action::Upsert { row, key } }] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_an_upsert_by_its_key() {
        let key = ["user".to_owned(), "window".to_owned()];
        let text = r#"{"user":"a/é","window":"2026-01-01T00:00:00Z","n":18446744073709551616,"first":null,"last":{"a":[1]},"is":true}"#;
        let changes = row("t", &key, text).unwrap().changes;
        let [Change { action: Action::Upsert { row: cells, key: KeyColumns::Named(named) }, .. }] = &changes[..] else {
            panic!("{changes:?}")
        };
        assert_eq!(named, &["user", "window"]);
        let shown: Vec<_> =
            cells.iter().map(|cell| format!("{} {} {:?}", cell.name, cell.column_type, cell.value)).collect();
        assert_eq!(
            shown,
            [
                "user TEXT Text(\"a/é\")",
                "window TEXT Text(\"2026-01-01T00:00:00Z\")",
                "n NUMERIC Decimal(\"18446744073709551616\")",
                "last JSONB Json(\"{\\\"a\\\":[1]}\")",
                "is BOOLEAN Boolean(true)",
            ]
        );
    }

    #[test]
    fn what_is_no_summary_is_no_row() {
        let key = ["user".to_owned()];
        for text in ["[]", "1", "\"a\"", "{}", r#"{"other":1}"#, r#"{"user":null}"#] {
            assert!(row("t", &key, text).is_none(), "{text}");
        }
    }
}
