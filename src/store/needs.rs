//! What a change needs of its table, and whether it may have it: tables and columns that are made, names that are taken,
//! types that conflict, the index that makes a key fast. A store looks its table up and describes it as [`Known`]; what
//! is decided here it says in SQL.

use std::collections::HashSet;

use super::{ApplyRules, StoreError, keyed};
use crate::change::{Cell, Change, ColumnType, MisfitKind, TableName, Value};
use crate::problem::ProblemType;

/// More columns tell rows apart hardly better and cost space.
const INDEX_COLUMNS_MAX: usize = 4;

/// A table as its store found it.
pub(super) trait Known {
    /// The names that no column of a table can have, since the database keeps columns of its own under them.
    const RESERVED: &'static [&'static str];

    /// The database's name, for people.
    const DATABASE: &'static str;

    /// The name as it was created.
    fn name(&self) -> &str;

    /// The names of all columns.
    fn columns(&self) -> impl Iterator<Item = &str>;

    /// The type of a column, by its name in the same letter case.
    fn column_type(&self, name: &str) -> Option<&ColumnType>;

    /// Whether the database itself keeps columns of [`Known::RESERVED`] names in this table.
    fn has_reserved(&self) -> bool {
        true
    }

    /// Whether only the database may set a column.
    fn is_generated(&self, column: &str) -> bool {
        let _ = column;
        false
    }

    /// The first columns of all indexes.
    fn leading(&self) -> &HashSet<String>;

    /// How a column can be found by an index; none when it cannot.
    fn index_of(&self, column: &str) -> Option<Indexing>;

    /// Whether Sluicegate made it.
    fn is_ours(&self) -> bool;
}

/// How a column can be found by an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Indexing {
    /// In an order, together with other columns.
    Ordered,
    /// By a hash of its values, alone: they may be too long for an order.
    Hashed,
}

/// What is made before a change.
#[derive(Debug, PartialEq)]
pub(super) enum Needed<'c> {
    /// The table, with a column for each cell, and this primary key unless it is empty.
    Table { row: &'c [Cell<'c>], primary_key: Vec<String> },
    /// Columns of a table that is there; often none.
    Columns(Vec<&'c Cell<'c>>),
}

/// What `change` needs of a table; none when there is no such table.
pub(super) fn needed<'c, T: Known>(
    table: Option<&T>,
    change: &'c Change<'_>,
    rules: &ApplyRules,
) -> Result<Needed<'c>, StoreError> {
    let Some(table) = table else {
        let Some((row, key)) = change.action.creation().filter(|_| rules.create) else {
            return Err(keyed::unknown_table(change));
        };
        if let Some(cell) = row.iter().find(|cell| T::RESERVED.contains(&&*cell.name)) {
            return Err(reserved::<T>(&cell.name));
        }
        return Ok(Needed::Table { row, primary_key: rules.primary_key(change, key) });
    };
    let is_there = |name: &str| table.column_type(name).is_some();
    let missing: Vec<_> = change.action.additions().iter().filter(|cell| !is_there(&cell.name)).collect();
    let is_forbidden =
        |cell: &&&Cell<'_>| !rules.create || other_case(table, &cell.name).is_some() || is_reserved(table, &cell.name);
    if let Some(cell) = missing.iter().find(is_forbidden) {
        return Err(unknown_column(table, &cell.name));
    }
    let (_, _, key) = change.parts();
    if let Some(cell) = key.and_then(|key| key.missing(is_there)) {
        return Err(unknown_column(table, &cell.name));
    }
    Ok(Needed::Columns(missing))
}

/// For each cell whose column has another type than the document declares: the column's. Fails where the types conflict,
/// and where a cell that is set (`is_set`, by its index) is the database's own to set.
pub(super) fn admits<T: Known>(
    table: &T,
    change: &Change<'_>,
    is_set: impl Fn(usize) -> bool,
) -> Result<Vec<Option<ColumnType>>, StoreError> {
    let admits = change.cells().enumerate().map(|(at, cell)| {
        let Some(column_type) = table.column_type(&cell.name) else {
            return Err(unknown_column(table, &cell.name));
        };
        let place = || format!("column {:?} of table {}", cell.name, change.table);
        if cell.column_type.conflicts_with(column_type) {
            let detail = format!("{} is {column_type}, and the document declares {}", place(), cell.column_type);
            return Err(StoreError::document(ProblemType::TypeConflict, detail));
        }
        if table.is_generated(&cell.name) && is_set(at) {
            let detail = format!(
                "{} is GENERATED ALWAYS, and only the database sets it; leave it out, or alter it to BY DEFAULT",
                place()
            );
            return Err(StoreError::document(ProblemType::ConstraintViolated, detail));
        }
        Ok((cell.column_type != *column_type).then(|| column_type.clone()))
    });
    admits.collect()
}

/// The value of a cell as a column of another type takes it.
pub(super) fn admitted<'v>(
    column_type: &ColumnType,
    table: &TableName<'_>,
    cell: &Cell<'v>,
) -> Result<Value<'v>, StoreError> {
    column_type.admit(cell.value.clone()).map_err(|misfit| {
        let kind = match misfit.kind {
            MisfitKind::OutOfRange => ProblemType::ValueOutOfRange,
            _ => ProblemType::InvalidValue,
        };
        StoreError::document(kind, format!("column {:?} of table {table}: {misfit}", cell.name))
    })
}

/// The columns of the index that makes the change's key fast in a table of ours, when no index leads with one of them.
pub(super) fn missing_index<'t, T: Known>(table: &T, change: &'t Change<'_>) -> Option<(Indexing, Vec<&'t str>)> {
    let (_, _, key) = change.parts();
    let names = || key.into_iter().flat_map(|key| &key.cells).map(|cell| &*cell.name);
    if names().any(|name| table.leading().contains(name)) {
        return None;
    }
    let of = |how: Indexing| names().filter(move |name| table.index_of(name) == Some(how));
    let ordered: Vec<_> = of(Indexing::Ordered).take(INDEX_COLUMNS_MAX).collect();
    let index = match of(Indexing::Hashed).next() {
        _ if !ordered.is_empty() => (Indexing::Ordered, ordered),
        Some(hashed) => (Indexing::Hashed, vec![hashed]),
        None => return None,
    };
    if table.is_ours() {
        return Some(index);
    }
    tracing::warn!(
        table = table.name(),
        columns = ?index.1,
        "Deletes and updates by these columns read the whole table: it has no index that leads with one of them."
    );
    None
}

/// The fault of a document that names a column that the table does not have.
pub(super) fn unknown_column<T: Known>(table: &T, name: &str) -> StoreError {
    if is_reserved(table, name) {
        return reserved::<T>(name);
    }
    let shown = table.name();
    match other_case(table, name) {
        Some(other) => StoreError::document(
            ProblemType::NameConflict,
            format!("column {name:?} of table {shown} differs from {other:?} in letter case only"),
        ),
        None => StoreError::document(ProblemType::UnknownColumn, format!("table {shown} has no column {name:?}")),
    }
}

/// Fails when the table that was found under a name is called otherwise: then it differs in letter case only.
pub(super) fn same_case(name: &str, found: Option<&str>) -> Result<(), StoreError> {
    match found {
        Some(found) if found != name => {
            let detail = format!("table {name:?} differs from {found:?} in letter case only");
            Err(StoreError::document(ProblemType::NameConflict, detail))
        }
        _ => Ok(()),
    }
}

/// The fault of a document for whose table the name is taken, by `what` is no table that can be written.
pub(super) fn taken(name: &str, what: &str) -> StoreError {
    let detail = format!("{name} is {what}, and so no table of this name can be made or written");
    StoreError::document(ProblemType::NameConflict, detail)
}

fn is_reserved<T: Known>(table: &T, name: &str) -> bool {
    table.has_reserved() && T::RESERVED.contains(&name)
}

fn reserved<T: Known>(name: &str) -> StoreError {
    let detail = format!("column {name:?} is a system column of {}, which only the database sets", T::DATABASE);
    StoreError::document(ProblemType::NameConflict, detail)
}

/// A column whose name differs in letter case only.
fn other_case<'t, T: Known>(table: &'t T, name: &str) -> Option<&'t str> {
    table.columns().find(|column| *column != name && column.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests;
