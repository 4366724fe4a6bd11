//! The shape of a change: what two changes have in common when one plan serves both.

use std::hash::Hash as _;

use rustc_hash::FxHasher;

use crate::change::{Change, ColumnType};
use crate::words::Operation;

/// So many shapes are kept. A sender that makes up new ones all the time costs time, not memory.
pub(super) const PLANS_MAX: usize = 1_000;

/// Table, operation, columns and types. A store adds what else its statements depend on.
#[derive(Debug, PartialEq)]
pub(super) struct Shape {
    table: (Option<String>, String),
    pub(super) operation: Operation,
    omits_nulls: bool,
    is_one_row: bool,
    columns: Vec<(String, ColumnType)>,
    row_length: usize,
}

impl Shape {
    pub(super) fn of(change: &Change<'_>) -> Self {
        let (operation, row, key) = change.parts();
        Shape {
            table: (change.table.schema.as_deref().map(str::to_owned), change.table.name.to_string()),
            operation,
            omits_nulls: key.is_some_and(|key| key.omits_nulls),
            is_one_row: key.is_some_and(|key| key.is_one_row),
            columns: change.cells().map(|cell| (cell.name.to_string(), cell.column_type.clone())).collect(),
            row_length: row.len(),
        }
    }

    pub(super) fn is_of(&self, change: &Change<'_>) -> bool {
        let (operation, row, key) = change.parts();
        let key_cells = key.map_or(&[][..], |key| &key.cells);
        self.operation == operation
            && self.row_length == row.len()
            && self.columns.len() == row.len() + key_cells.len()
            && self.table.1 == change.table.name
            && self.table.0.as_deref() == change.table.schema.as_deref()
            && self.omits_nulls == key.is_some_and(|key| key.omits_nulls)
            && self.is_one_row == key.is_some_and(|key| key.is_one_row)
            && self
                .columns
                .iter()
                .zip(row.iter().chain(key_cells))
                .all(|(known, cell)| known.0 == cell.name && known.1 == cell.column_type)
    }
}

/// The hash by which the plan for a change is looked up, for a store to go on with.
pub(super) fn hasher(change: &Change<'_>) -> FxHasher {
    let mut hasher = FxHasher::default();
    let (operation, row, _) = change.parts();
    (operation, row.len(), &change.table).hash(&mut hasher);
    for cell in change.cells() {
        (&cell.name, &cell.column_type).hash(&mut hasher);
    }
    hasher
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::hash::Hasher as _;

    use super::*;
    use crate::change::{Action, Cell, Key, TableName, Value};

    fn cell(name: &'static str, kind: &str, value: i64) -> Cell<'static> {
        Cell { name: name.into(), column_type: ColumnType::parse(kind), value: Value::Whole(value) }
    }

    fn key(cells: Vec<Cell<'static>>, omits_nulls: bool, is_one_row: bool) -> Key<'static> {
        Key { cells, is_tables: false, omits_nulls, is_one_row }
    }

    #[test]
    fn one_plan_serves_changes_that_differ_in_values_and_no_others() {
        let insert = |row| Action::Insert { row, primary_key: Vec::new() };
        let update = |row, key| Action::Update { row, key };
        let (a, b) = (|| cell("a", "integer", 1), || cell("b", "integer", 1));
        let each = [
            ("t", insert(vec![a(), b()])),
            ("u", insert(vec![a(), b()])),
            ("s.t", insert(vec![a(), b()])),
            ("t", insert(vec![b(), a()])),
            ("t", insert(vec![a()])),
            ("t", insert(vec![a(), cell("b", "bigint", 1)])),
            ("t", update(vec![a()], key(vec![b()], false, false))),
            ("t", update(vec![a()], key(vec![b()], true, false))),
            ("t", update(vec![a()], key(vec![b()], false, true))),
            ("t", update(vec![a(), b()], key(vec![b()], false, false))),
            ("t", update(vec![a()], key(vec![b(), b()], false, false))),
            ("t", Action::Delete { key: key(vec![a(), b()], false, false) }),
            ("t", Action::Truncate),
        ];
        let changes: Vec<_> = each
            .into_iter()
            .map(|(table, action)| Change { table: TableName::parse(Cow::Borrowed(table)), action })
            .collect();
        for (at, one) in changes.iter().enumerate() {
            for (other_at, other) in changes.iter().enumerate() {
                assert_eq!(Shape::of(one).is_of(other), at == other_at, "{one:?} {other:?}");
            }
        }
        let other_values = Change {
            table: TableName::parse("t".into()),
            action: insert(vec![cell("a", "integer", 7), cell("b", "integer", 8)]),
        };
        assert!(Shape::of(&changes[0]).is_of(&other_values));
        assert_eq!(hasher(&changes[0]).finish(), hasher(&other_values).finish());
    }
}
