//! The `activities` form: `{"activities":[{"operation","table","col_names","col_types","col_values","old_value"}]}`.
//!
//! The key of an update or a delete stands under `old_value` or `value_to_delete`; both are in use. Members that an
//! activity does not have are refused, since a misspelt one would be lost without a word.

use std::borrow::Cow;

use super::columns::{Columns, Members, enter, text};
use crate::change::{Action, Cell, Change, ChangeSet, Key, KeyColumns, TableName};
use crate::json::{Duplicates, Fault, Kind, Names, Path, Reader};
use crate::judgement::Judge;
use crate::words::Operation;

const ROW: Members = Members { names: "col_names", types: "col_types", values: "col_values", types_optional: false };

pub(super) fn read<'a>(reader: &mut Reader<'a>, judge: &mut Judge<'a, '_>) -> Result<ChangeSet<'a>, Fault> {
    let mut changes = Vec::with_capacity(4);
    let mut others = Names::default();
    let mut is_met = false;
    reader.begin_object()?;
    while let Some(name) = reader.next_member()? {
        let path = Path::ROOT.member(&name);
        if name == "activities" {
            if std::mem::replace(&mut is_met, true) {
                judge.duplicate(&path);
            }
            if enter(reader, judge, &path, Kind::Array)? {
                let mut index = 0;
                while reader.next_element()? {
                    let place = path.element(index);
                    index += 1;
                    changes.extend(activity(reader, judge, &place)?);
                }
            }
        } else {
            if !others.is_new(&name) {
                judge.duplicate(&path);
            }
            reader.skip(&path, judge)?;
            others.keep(name);
        }
    }
    Ok(ChangeSet { changes })
}

/// The members of one activity as they are met.
struct Activity<'a> {
    operation: Option<Cow<'a, str>>,
    table: Option<TableName<'a>>,
    row: Columns<'a>,
    /// The member that held the key, and its columns.
    key: Option<(&'static str, Columns<'a>)>,
}

fn activity<'a>(
    reader: &mut Reader<'a>,
    judge: &mut Judge<'a, '_>,
    path: &Path<'_>,
) -> Result<Option<Change<'a>>, Fault> {
    if !enter(reader, judge, path, Kind::Object)? {
        return Ok(None);
    }
    let mut found = Activity { operation: None, table: None, row: Columns::new(ROW), key: None };
    let before = judge.count();
    let (mut has_operation, mut has_table) = (false, false);
    while let Some(name) = reader.next_member()? {
        let place = path.member(&name);
        let again = match &*name {
            "operation" => {
                found.operation = text(reader, judge, &place, "an operation")?;
                std::mem::replace(&mut has_operation, true)
            }
            "table" => {
                found.table = text(reader, judge, &place, "a table's name")?.map(TableName::parse);
                std::mem::replace(&mut has_table, true)
            }
            "old_value" | "value_to_delete" => {
                let member = if name == "old_value" { "old_value" } else { "value_to_delete" };
                key(reader, judge, &place, member, &mut found)?
            }
            _ if found.row.take(&name, &place, reader, judge)? => false,
            _ => {
                judge.violation(&place, || {
                    "an activity has no such member; it has operation, table, col_names, col_types, col_values, and \
                     old_value or value_to_delete"
                        .into()
                });
                reader.skip(&place, judge)?;
                false
            }
        };
        if again {
            judge.duplicate(&place);
        }
    }
    for (member, is_there) in [("operation", has_operation), ("table", has_table)] {
        if !is_there {
            judge.violation(path, || format!("`{member}` is missing"));
        }
    }
    let change = found.judge(judge, path);
    Ok(change.filter(|_| judge.count() == before))
}

/// Reads the object that holds a key. True when there was one before.
fn key<'a>(
    reader: &mut Reader<'a>,
    judge: &mut Judge<'a, '_>,
    path: &Path<'_>,
    member: &'static str,
    found: &mut Activity<'a>,
) -> Result<bool, Fault> {
    if reader.peek()? == Kind::Null {
        reader.skip(path, judge)?;
        return Ok(false);
    }
    let mut columns = Columns::new(ROW);
    if enter(reader, judge, path, Kind::Object)? {
        while let Some(name) = reader.next_member()? {
            let place = path.member(&name);
            if !columns.take(&name, &place, reader, judge)? {
                judge.violation(&place, || "a key has col_names, col_types and col_values only".into());
                reader.skip(&place, judge)?;
            }
        }
    }
    match found.key.replace((member, columns)) {
        Some((other, _)) if other != member => {
            judge.violation(path, || format!("the key stands under `{other}` already; one of the two is enough"));
            Ok(false)
        }
        Some(_) => Ok(true),
        None => Ok(false),
    }
}

impl<'a> Activity<'a> {
    /// Judges what the members mean together.
    fn judge(mut self, judge: &mut Judge<'a, '_>, path: &Path<'_>) -> Option<Change<'a>> {
        let operation = self.operation.as_deref().and_then(|word| {
            let known = [Operation::Insert, Operation::Update, Operation::Delete];
            let operation = known.into_iter().find(|known| known.word().eq_ignore_ascii_case(word));
            if operation.is_none() {
                judge.violation(&path.member("operation"), || format!("{word:?} is not one of insert, update, delete"));
            }
            operation
        });
        if let Some(table) = &self.table {
            // Without a known operation the table's name is judged all the same; insert is what every table admits.
            judge.table(&path.member("table"), table, operation.unwrap_or(Operation::Insert));
        }
        let table = self.table.clone();
        let takes_row = operation.map_or(!self.row.is_empty(), |operation| operation != Operation::Delete);
        let takes_key = operation.map_or(self.key.is_some(), |operation| operation != Operation::Insert);
        let mut row = Vec::new();
        let mut key = Vec::new();
        if takes_row {
            row = self.row.finish(path, table.as_ref(), judge);
        } else if !self.row.is_empty() {
            judge.violation(path, || "a delete has no col_names of its own; its key stands under `old_value`".into());
        }
        match (takes_key, self.key) {
            (true, Some((member, mut columns))) => {
                key = columns.finish(&path.member(member), table.as_ref(), judge);
            }
            (true, None) => match judge.key_in(&row) {
                Some(cells) => key = cells,
                None => judge.violation(path, || {
                    "the key is missing: which rows, under `old_value` or `value_to_delete`".into()
                }),
            },
            (false, Some((member, _))) => {
                judge.violation(&path.member(member), || "an insert has no key; remove this member".into());
            }
            (false, None) => {}
        }
        Some(Change { table: self.table?, action: action(operation?, row, key) })
    }
}

fn action<'a>(operation: Operation, row: Vec<Cell<'a>>, key: Vec<Cell<'a>>) -> Action<'a> {
    let key = Key { cells: key, is_tables: false, omits_nulls: false, is_one_row: false };
    match operation {
        Operation::Insert => Action::Insert { row, primary_key: Vec::new() },
        // No word of this form says it yet.
        Operation::Upsert => Action::Upsert { row, key: KeyColumns::OfTable },
        Operation::Update => Action::Update { row, key },
        Operation::Delete => Action::Delete { key },
        Operation::Truncate => Action::Truncate,
    }
}
