//! wal2json v2: a JSON object a line, `{"action":"I","schema","table","columns":[{"name","type","value"}],"identity"}`.
//!
//! The lines from `B` to `C` are one document. Without them (`include-transaction=false`) each line is one.

use std::borrow::Cow;

use crate::change::{Action, Cell, Change, ChangeSet, ColumnType, Key, TableName};
use crate::format::columns::{enter, text};
use crate::json::{Duplicates, Fault, Json, Kind, Names, Path, Reader};
use crate::judgement::Judge;
use crate::words::Operation;

pub(in crate::format) fn read<'a>(reader: &mut Reader<'a>, judge: &mut Judge<'a, '_>) -> Result<ChangeSet<'a>, Fault> {
    let mut changes = Vec::new();
    match line(reader, judge, &Path::ROOT)? {
        Line::Begin => {}
        Line::Change(change) => return Ok(ChangeSet { changes: vec![change] }),
        Line::Nothing => return Ok(ChangeSet { changes }),
        Line::Commit => {
            judge.violation(&Path::ROOT, || "a transaction ends (`C`) that did not begin (`B`)".into());
            return Ok(ChangeSet { changes });
        }
    }
    let mut index = 1;
    loop {
        if reader.is_done() {
            judge.violation(&Path::ROOT, || {
                "the body ends inside a transaction: the line with action `C` is missing".to_string()
            });
            break;
        }
        // The lines of a transaction are counted as the elements of an array would be.
        match line(reader, judge, &Path::ROOT.element(index))? {
            Line::Change(change) => changes.push(change),
            Line::Nothing => {}
            Line::Commit => break,
            Line::Begin => judge.violation(&Path::ROOT.element(index), || {
                "another transaction begins (`B`) before this one ends (`C`)".to_string()
            }),
        }
        index += 1;
    }
    Ok(ChangeSet { changes })
}

/// What one line means.
enum Line<'a> {
    Begin,
    Commit,
    Change(Change<'a>),
    /// A message, or a change that is not valid.
    Nothing,
}

fn line<'a>(reader: &mut Reader<'a>, judge: &mut Judge<'a, '_>, path: &Path<'_>) -> Result<Line<'a>, Fault> {
    if !enter(reader, judge, path, Kind::Object)? {
        return Ok(Line::Nothing);
    }
    let before = judge.count();
    let (mut action, mut schema, mut table) = (None, None, None);
    let (mut columns, mut identity) = (None, None);
    let mut primary_key = Vec::new();
    let mut names = Names::default();
    while let Some(name) = reader.next_member()? {
        let place = path.member(&name);
        if !names.is_new(&name) {
            judge.duplicate(&place);
        }
        match &*name {
            "action" => action = text(reader, judge, &place, "an action")?,
            "schema" => schema = text(reader, judge, &place, "a schema's name")?,
            "table" => table = text(reader, judge, &place, "a table's name")?,
            "columns" => columns = Some(cells(reader, judge, &place)?),
            "identity" => identity = Some(cells(reader, judge, &place)?),
            "pk" => primary_key = cells(reader, judge, &place)?.into_iter().map(|cell| cell.name).collect(),
            _ => reader.skip(&place, judge)?,
        }
        names.keep(name);
    }
    let operation = match action.as_deref() {
        Some("B") => return Ok(Line::Begin),
        Some("C") => return Ok(Line::Commit),
        Some("M") => return Ok(Line::Nothing),
        Some("I") => Operation::Insert,
        Some("U") => Operation::Update,
        Some("D") => Operation::Delete,
        Some("T") => Operation::Truncate,
        Some(other) => {
            judge.violation(&path.member("action"), || format!("{other:?} is not one of B, I, U, D, T, M, C"));
            return Ok(Line::Nothing);
        }
        None => {
            if judge.count() == before {
                judge.violation(path, || "`action` is missing".into());
            }
            return Ok(Line::Nothing);
        }
    };
    let Some(table) = table else {
        judge.violation(path, || "`table` is missing".into());
        return Ok(Line::Nothing);
    };
    let table = TableName { schema, name: table };
    judge.table(&path.member("table"), &table, operation);
    let require = |member: &str, cells: Option<Vec<Cell<'a>>>, judge: &mut Judge<'a, '_>| {
        let cells = cells.unwrap_or_default();
        if cells.is_empty() && judge.count() == before {
            judge.violation(path, || format!("`{member}` is missing or empty"));
        }
        let names: Vec<_> = cells.iter().map(|cell| cell.name.clone()).collect();
        judge.columns(&path.member(member), Some(&table), &names);
        cells
    };
    let action = match operation {
        Operation::Truncate => Action::Truncate,
        // wal2json knows no upsert.
        Operation::Insert | Operation::Upsert => {
            Action::Insert { row: require("columns", columns, judge), primary_key }
        }
        Operation::Update => {
            let row = require("columns", columns, judge);
            let cells = match (identity, judge.key_in(&row)) {
                (None, Some(cells)) => cells,
                (identity, _) => require("identity", identity, judge),
            };
            Action::Update { row, key: Key { cells, is_tables: false, omits_nulls: false, is_one_row: true } }
        }
        Operation::Delete => Action::Delete {
            key: Key {
                cells: require("identity", identity, judge),
                is_tables: false,
                omits_nulls: false,
                is_one_row: true,
            },
        },
    };
    Ok(if judge.count() == before { Line::Change(Change { table, action }) } else { Line::Nothing })
}

/// Reads an array of `{"name","type","value"}`.
fn cells<'a>(reader: &mut Reader<'a>, judge: &mut Judge<'a, '_>, path: &Path<'_>) -> Result<Vec<Cell<'a>>, Fault> {
    let mut found = Vec::with_capacity(4);
    if !enter(reader, judge, path, Kind::Array)? {
        return Ok(found);
    }
    let mut index = 0;
    while reader.next_element()? {
        let place = path.element(index);
        index += 1;
        if !enter(reader, judge, &place, Kind::Object)? {
            continue;
        }
        let mut name: Option<Cow<'a, str>> = None;
        let mut column_type = None;
        let mut value = Json::Null;
        let mut names = Names::default();
        while let Some(member) = reader.next_member()? {
            let spot = place.member(&member);
            if !names.is_new(&member) {
                judge.duplicate(&spot);
            }
            match &*member {
                "name" => name = text(reader, judge, &spot, "a column's name")?,
                "type" => {
                    column_type =
                        text(reader, judge, &spot, "a type's name")?.map(|name| judge.column_type(&spot, name));
                }
                "value" => value = reader.value(&spot, judge)?,
                _ => reader.skip(&spot, judge)?,
            }
            names.keep(member);
        }
        match name {
            Some(name) => {
                // `include-types=false` leaves the types out.
                let column_type = column_type.unwrap_or_else(|| ColumnType::parse(""));
                found.push(judge.cell(&place.member("value"), name, column_type, value));
            }
            None => judge.violation(&place, || "`name` is missing".into()),
        }
    }
    Ok(found)
}
