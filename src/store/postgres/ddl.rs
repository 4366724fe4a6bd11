//! The SQL that makes schemas, tables, columns and indexes.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::catalogue::{Place, Table, declared, quote};
use crate::change::{Action, Cell, Change, Scalar};
use crate::store::ApplyRules;
use crate::store::needs::{self, Indexing};

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

pub(super) fn add(table: &Table, cell: &Cell<'_>) -> String {
    format!("ALTER TABLE {} ADD COLUMN {} {}", table.quoted(), quote(&cell.name), declared(&cell.column_type))
}

/// The index that makes this key fast, where one is missing.
pub(super) fn missing_index(table: &Table, change: &Change<'_>) -> Option<String> {
    let (how, columns) = needs::missing_index(table, change)?;
    let method = if how == Indexing::Hashed { " USING hash" } else { "" };
    let names: Vec<_> = columns.into_iter().map(quote).collect();
    let mut hasher = DefaultHasher::new();
    (&table.name, &names, method).hash(&mut hasher);
    let index = quote(&format!("_sluicegate_index_{:016x}", hasher.finish()));
    Some(format!("CREATE INDEX IF NOT EXISTS {index} ON {}{method} ({})", table.quoted(), names.join(", ")))
}

/// What a table of ours without a key needs before its rows are updated or deleted: where it is published, as `for all
/// tables` does, PostgreSQL refuses that unless it may name a row by all of its columns. A key would be better, but only
/// the sender knows one.
pub(super) fn missing_identity(table: &Table, change: &Change<'_>) -> Option<String> {
    let needs_one = match &change.action {
        Action::Insert { .. } => false,
        Action::Upsert { .. } | Action::Update { .. } | Action::Delete { .. } => true,
        Action::Truncate => !table.takes_truncate,
    };
    let is_missing = table.is_ours && table.lacks_identity && needs_one;
    is_missing.then(|| format!("ALTER TABLE {} REPLICA IDENTITY FULL", table.quoted()))
}

/// The index for searches within the documents of a table that is ours, or about to be, where the stream wants one.
pub(super) fn json_index(
    table: Option<&Table>,
    place: &Place,
    change: &Change<'_>,
    rules: &ApplyRules,
) -> Option<String> {
    let (row, _) = change.action.creation()?;
    let column = rules.json_indexes.get(&change.table.to_string())?;
    let is_there = match table {
        Some(table) => {
            let known = table.column(column).is_some_and(|column| *column.column_type.scalar() == Scalar::Jsonb);
            known && table.is_ours && !table.leading.contains(column)
        }
        None => row.iter().any(|cell| cell.name == *column && *cell.column_type.scalar() == Scalar::Jsonb),
    };
    let mut hasher = DefaultHasher::new();
    (&place.name, column, "gin").hash(&mut hasher);
    let index = quote(&format!("_sluicegate_index_{:016x}", hasher.finish()));
    let sql = || format!("CREATE INDEX IF NOT EXISTS {index} ON {} USING gin ({})", place.quoted(), quote(column));
    is_there.then(sql)
}
