//! The SQL that makes schemas, tables, columns and indexes.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::catalogue::{Column, Place, Table, declared, quote};
use super::sql::parts;
use crate::change::{Action, Cell, Change, Family, Scalar};
use crate::problem::ProblemType;
use crate::store::{ApplyRules, StoreError};

pub(super) fn unknown_column(table: &Table, name: &str) -> StoreError {
    match table.other_case(name) {
        Some(other) => StoreError::document(
            ProblemType::NameConflict,
            format!("column {name:?} of table {} differs from {:?} in letter case only", table.name, other.name),
        ),
        None => {
            StoreError::document(ProblemType::UnknownColumn, format!("table {} has no column {name:?}", table.name))
        }
    }
}

/// The primary key of a table about to be created: the stream's word before the document's.
pub(super) fn primary_key_of(change: &Change<'_>, named: &[Cow<'_, str>], rules: &ApplyRules) -> Vec<String> {
    let table = &change.table;
    let ours = rules.keys.get(&table.to_string()).or_else(|| rules.keys.get(&*table.name));
    let columns = ours.cloned().unwrap_or_else(|| named.iter().map(ToString::to_string).collect());
    let Action::Insert { row, .. } = &change.action else { return Vec::new() };
    // A key that the row lacks cannot be one.
    let is_whole = columns.iter().all(|column| row.iter().any(|cell| cell.name == *column));
    if is_whole { columns } else { Vec::new() }
}

pub(super) fn create_schema(name: &str) -> String {
    format!("CREATE SCHEMA IF NOT EXISTS {}", quote(name))
}

pub(super) fn create(place: &Place, row: &[Cell<'_>], primary_key: &[String]) -> String {
    let columns = row.iter().map(|cell| format!("{} {}", quote(&cell.name), declared(&cell.column_type)));
    let mut parts: Vec<_> = columns.collect();
    if !primary_key.is_empty() {
        let columns: Vec<_> = primary_key.iter().map(|column| quote(column)).collect();
        parts.push(format!("PRIMARY KEY ({})", columns.join(", ")));
    }
    format!("CREATE TABLE {} ({})", place.quoted(), parts.join(", "))
}

/// Notes that a table is ours.
pub(super) fn note(books: &str) -> String {
    format!(r#"INSERT INTO {}."_sluicegate_tables" VALUES ($1, $2) ON CONFLICT DO NOTHING"#, quote(books))
}

/// The columns that an insert or an update adds. A source that got a new column may update a row before it inserts one.
pub(super) fn additions(table: &Table, change: &Change<'_>, rules: &ApplyRules) -> Result<Vec<String>, StoreError> {
    let (Action::Insert { row, .. } | Action::Update { row, .. }) = &change.action else { return Ok(Vec::new()) };
    let missing = row.iter().filter(|cell| table.column(&cell.name).is_none());
    missing
        .map(|cell| {
            if !rules.create || table.other_case(&cell.name).is_some() {
                return Err(unknown_column(table, &cell.name));
            }
            let column = quote(&cell.name);
            Ok(format!("ALTER TABLE {} ADD COLUMN {column} {}", table.quoted(), declared(&cell.column_type)))
        })
        .collect()
}

/// The index that makes this key fast in a table of ours, when no index leads with one of its columns.
pub(super) fn missing_index(table: &Table, change: &Change<'_>) -> Option<String> {
    /// More columns tell rows apart hardly better and cost space.
    const COLUMNS_MAX: usize = 4;
    let (_, _, key) = parts(change);
    let key = key?;
    if key.cells.iter().any(|cell| table.leading.contains(&*cell.name)) {
        return None;
    }
    let columns = || key.cells.iter().filter_map(|cell| table.column(&cell.name));
    let short: Vec<_> = columns().filter(|column| is_short(column)).take(COLUMNS_MAX).collect();
    // A tree refuses rows whose text is longer than a third of a page; a hash takes any, but one column only.
    let (method, chosen) = match columns().find(|column| is_hashable(column)) {
        _ if !short.is_empty() => ("", short),
        Some(long) => (" USING hash", vec![long]),
        None => return None,
    };
    let names: Vec<_> = chosen.iter().map(|column| quote(&column.name)).collect();
    if !table.is_ours {
        tracing::warn!(
            table = table.quoted(),
            columns = names.join(", "),
            "Deletes and updates by these columns read the whole table: it has no index that leads with one of them."
        );
        return None;
    }
    let mut hasher = DefaultHasher::new();
    (&table.name, &names, method).hash(&mut hasher);
    let index = quote(&format!("_sluicegate_index_{:016x}", hasher.finish()));
    Some(format!("CREATE INDEX IF NOT EXISTS {index} ON {}{method} ({})", table.quoted(), names.join(", ")))
}

fn is_short(column: &Column) -> bool {
    let scalar = column.column_type.scalar();
    let is_long = matches!(scalar, Scalar::Text | Scalar::Varchar(_) | Scalar::Char(_))
        || matches!(column.column_type.family(), Family::Json | Family::Bytes | Family::Decimal | Family::Unknown);
    !column.column_type.is_array() && !is_long && column.has_equality
}

fn is_hashable(column: &Column) -> bool {
    let family = column.column_type.family();
    !column.column_type.is_array() && matches!(family, Family::Text | Family::Decimal) && column.has_equality
}
