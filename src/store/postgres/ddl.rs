//! The SQL that makes schemas, tables, columns and indexes.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::catalogue::{Column, Place, Table, declared, quote};
use crate::change::{Action, Cell, Change, Family, Scalar};
use crate::store::{ApplyRules, StoreError};

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

/// See [`Action::additions`](crate::change::Action::additions).
pub(super) fn additions(table: &Table, change: &Change<'_>, rules: &ApplyRules) -> Result<Vec<String>, StoreError> {
    let missing = change.action.additions().iter().filter(|cell| table.column(&cell.name).is_none());
    let added = missing
        .map(|cell| {
            if !rules.create || table.other_case(&cell.name).is_some() || table.has_system_column(&cell.name) {
                return Err(table.unknown_column(&cell.name));
            }
            let column = quote(&cell.name);
            Ok(format!("ALTER TABLE {} ADD COLUMN {column} {}", table.quoted(), declared(&cell.column_type)))
        })
        .collect::<Result<_, _>>()?;
    let (_, _, key) = change.parts();
    if let Some(missing) = key.and_then(|key| key.missing(|name| table.column(name).is_some())) {
        return Err(table.unknown_column(&missing.name));
    }
    Ok(added)
}

/// The index that makes this key fast in a table of ours, when no index leads with one of its columns.
pub(super) fn missing_index(table: &Table, change: &Change<'_>) -> Option<String> {
    /// More columns tell rows apart hardly better and cost space.
    const COLUMNS_MAX: usize = 4;
    let (_, _, key) = change.parts();
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
