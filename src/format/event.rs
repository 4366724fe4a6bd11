//! Events: any JSON value, kept as it is.
//!
//! Judging by a JSON Schema is the gate's work, not this form's.

use std::borrow::Cow;

use crate::change::{Action, Cell, Change, ChangeSet, ColumnType, TableName, Value};
use crate::document::Receipt;
use crate::json::{Duplicates, Fault, Json, Kind, Names, Path, Reader};
use crate::judgement::Judge;

/// The name of the form in records.
pub const NAME: &str = "event";

/// Judges the one event in `text`. With a table, the text must also be one that every database's JSON can hold: no
/// U+0000, and no number past PostgreSQL's NUMERIC.
pub fn read<'a>(text: &'a str, has_table: bool, judge: &mut Judge<'a, '_>) -> Result<(), Fault> {
    let mut reader = Reader::new(text);
    if has_table {
        walk(&mut reader, &Path::ROOT, judge)?;
    } else {
        reader.skip(&Path::ROOT, judge)?;
    }
    reader.finish()
}

fn walk<'a>(reader: &mut Reader<'a>, path: &Path<'_>, judge: &mut Judge<'a, '_>) -> Result<(), Fault> {
    match reader.peek()? {
        Kind::Object => {
            let mut names = Names::default();
            reader.begin_object()?;
            while let Some(name) = reader.next_member()? {
                let place = path.member(&name);
                if name.contains('\0') {
                    judge.violation(&place, || nul("a member's name"));
                }
                walk(reader, &place, judge)?;
                if !names.is_new(&name) {
                    judge.duplicate(&place);
                }
                names.keep(name);
            }
        }
        Kind::Array => {
            reader.begin_array()?;
            let mut index = 0;
            while reader.next_element()? {
                walk(reader, &path.element(index), judge)?;
                index += 1;
            }
        }
        _ => match reader.value(path, judge)? {
            // A string without escapes cannot hold U+0000: JSON has it escaped.
            Json::Text(Cow::Owned(text)) if text.contains('\0') => judge.violation(path, || nul("the text")),
            Json::Number(digits) if digits.len() > 100 || digits.contains(['e', 'E']) => {
                if let Err(misfit) = ColumnType::parse("numeric").read(Json::Number(digits)) {
                    judge.violation(path, || misfit.to_string());
                }
            }
            _ => {}
        },
    }
    Ok(())
}

fn nul(what: &str) -> String {
    format!("{what} holds the character U+0000; databases cannot hold it")
}

/// The row that keeps an event: `receipt` (primary key), `received_at`, and the document itself.
pub fn row<'a>(
    table: &'a str,
    document_column: &'a str,
    receipt: &Receipt,
    received_at_ms: i64,
    text: impl Into<Cow<'a, str>>,
) -> ChangeSet<'a> {
    let cell = |name: &'a str, column_type: &str, value: Value<'a>| Cell {
        name: Cow::Borrowed(name),
        column_type: ColumnType::parse(column_type),
        value,
    };
    let row = vec![
        cell("receipt", "text", Value::Text(Cow::Owned(receipt.to_string()))),
        cell("received_at", "timestamptz", Value::Text(Cow::Owned(crate::clock::timestamp(received_at_ms)))),
        cell(document_column, "jsonb", Value::Json(text.into())),
    ];
    let primary_key = vec![Cow::Borrowed("receipt")];
    let table = TableName::parse(Cow::Borrowed(table));
    ChangeSet { changes: vec![Change { table, action: Action::Insert { row, primary_key } }] }
}
