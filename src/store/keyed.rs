//! Which key is meant where a change leaves that to the table.
//!
//! The rule for every store: the columns that the stream names for the table (`keys`), else those of its primary key. A
//! store asks [`told`] when it has looked the table up, and plans what comes back, which names its key like any other.

use std::borrow::Cow;
use std::ops::Deref;

use super::{ApplyRules, StoreError};
use crate::change::{Action, Cell, Change, Key, KeyColumns, TableName};
use crate::problem::ProblemType;

/// A change whose key is told.
#[derive(Debug)]
pub(super) enum Keyed<'c, 'a> {
    /// It told it by itself.
    AsItCame(&'c Change<'a>),
    /// The table has told it.
    ByTable(Box<Change<'a>>),
}

impl<'a> Deref for Keyed<'_, 'a> {
    type Target = Change<'a>;

    fn deref(&self) -> &Change<'a> {
        match self {
            Keyed::AsItCame(change) => change,
            Keyed::ByTable(change) => change,
        }
    }
}

/// The change with its key. `primary_key` is the table's, empty when it has none; none when there is no such table.
pub(super) fn told<'c, 'a>(
    change: &'c Change<'a>,
    rules: &ApplyRules,
    primary_key: Option<&[String]>,
) -> Result<Keyed<'c, 'a>, StoreError> {
    if !change.is_by_tables_key() {
        return Ok(Keyed::AsItCame(change));
    }
    let table = &change.table;
    let is_created = primary_key.is_none() && rules.create && change.action.creation().is_some();
    let columns = match (rules.key_of(table), primary_key) {
        // The plan says of it what it says of any change.
        (_, None) if !is_created => return Err(unknown_table(change)),
        (Some(named), _) => named,
        (None, Some(primary_key)) if !primary_key.is_empty() => primary_key,
        (None, primary_key) => return Err(untold(table, primary_key.is_some())),
    };
    let action = match &change.action {
        Action::Upsert { row, .. } => {
            for column in columns {
                cell_of(row, column, table)?;
            }
            let key = KeyColumns::Named(columns.iter().cloned().map(Cow::Owned).collect());
            Action::Upsert { row: row.clone(), key }
        }
        Action::Update { row, key } => Action::Update { row: row.clone(), key: narrowed(key, columns, table)? },
        Action::Delete { key } => Action::Delete { key: narrowed(key, columns, table)? },
        Action::Insert { .. } | Action::Truncate => return Ok(Keyed::AsItCame(change)),
    };
    Ok(Keyed::ByTable(Box::new(Change { table: table.clone(), action })))
}

/// Fails when an upsert names a key that nothing in the table keeps unique: `unique_keys` are the columns of each index
/// that no two rows are alike in.
pub(super) fn check_unique(change: &Change<'_>, unique_keys: &[Vec<String>]) -> Result<(), StoreError> {
    let Action::Upsert { key: KeyColumns::Named(key), .. } = &change.action else { return Ok(()) };
    let is_key = |columns: &Vec<String>| {
        columns.len() == key.len() && columns.iter().all(|known| key.iter().any(|name| name == known))
    };
    if unique_keys.iter().any(is_key) {
        return Ok(());
    }
    let names = key.iter().map(|column| format!("{column:?}")).collect::<Vec<_>>().join(", ");
    let detail = format!(
        "a row of table {} may be there already, and nothing tells which: it has no unique index on {names}",
        change.table
    );
    Err(StoreError::document(ProblemType::ConstraintViolated, detail))
}

/// The refusal of a change whose table does not exist, or may not be created by it.
pub(super) fn unknown_table(change: &Change<'_>) -> StoreError {
    let hint = if change.action.creation().is_some() { "; this stream may not create it" } else { "" };
    StoreError::document(ProblemType::UnknownTable, format!("table {} does not exist{hint}", change.table))
}

fn untold(table: &TableName<'_>, is_there: bool) -> StoreError {
    let detail = match is_there {
        true => format!(
            "the document leaves it to table {table} which row is meant, and the table has no primary key; give it one, or \
             name its key under the stream's `keys`"
        ),
        false => format!(
            "the document leaves it to table {table} which row is meant, and there is no such table yet; create it with a \
             primary key, or name its key under the stream's `keys`"
        ),
    };
    StoreError::document(ProblemType::UnknownKey, detail)
}

/// The key of the cells that are in `columns`, each of which must be there.
fn narrowed<'a>(key: &Key<'a>, columns: &[String], table: &TableName<'_>) -> Result<Key<'a>, StoreError> {
    let cells = columns.iter().map(|column| cell_of(&key.cells, column, table).cloned()).collect::<Result<_, _>>()?;
    Ok(Key { cells, is_tables: false, omits_nulls: false, is_one_row: key.is_one_row })
}

fn cell_of<'c, 'a>(cells: &'c [Cell<'a>], column: &str, table: &TableName<'_>) -> Result<&'c Cell<'a>, StoreError> {
    cells.iter().find(|cell| cell.name == column).ok_or_else(|| {
        let detail =
            format!("the key of table {table} has the column {column:?}, and the document gives no value for it");
        StoreError::document(ProblemType::UnknownKey, detail)
    })
}
