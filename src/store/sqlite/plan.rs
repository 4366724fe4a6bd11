//! From a change to a statement: which tables, columns and indexes it needs, and the SQL that makes it.
//!
//! A plan is made once for every shape of change (table, operation, columns, types) and kept until the catalogue
//! changes.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use rusqlite::Connection;
use rustc_hash::FxHashMap;

use super::affinity::Affinity;
use super::catalogue::{Catalogue, Table, declared, digits, in_the_way, quote, sqlite_name};
use super::error::failed;
use crate::change::{Action, Cell, Change, ColumnType, Family, Key, KeyColumns};
use crate::store::keyed::{self, Keyed};
use crate::store::made::Made;
use crate::store::needs::{self, Needed};
use crate::store::shape::{PLANS_MAX, Shape, hasher};
use crate::store::{ApplyRules, StoreError};

/// The plans made so far, and the catalogue they are made from.
#[derive(Debug, Default)]
pub(super) struct Plans {
    pub(super) catalogue: Catalogue,
    plans: FxHashMap<u64, Plan>,
    /// How often a table or an index was made or changed. A transaction that is undone must forget what it saw since.
    pub(super) changes: u64,
    /// What the present document and the present run of them have made.
    pub(super) made: Made,
}

/// How a change of one shape is made.
#[derive(Debug)]
pub(super) struct Plan {
    shape: Shape,
    /// The statement. Its parameters are the cells of the row, then those of the key.
    pub(super) sql: String,
    /// For each parameter whose column has another type than the document declares: the column's.
    pub(super) admits: Vec<Option<ColumnType>>,
    /// For each parameter: what SQLite would make of the value, where that may be another one.
    pub(super) affinities: Vec<Option<Affinity>>,
}

impl Plans {
    /// Forgets everything if tables were changed since `changes` was the count: what was seen is undone.
    pub(super) fn forget_since(&mut self, changes: u64) {
        if self.changes != changes {
            self.clear();
        }
    }

    /// Forgets everything, because the tables may have changed.
    pub(super) fn clear(&mut self) {
        self.catalogue.clear();
        self.plans.clear();
    }

    /// `change` with its key, where it leaves that to the table.
    pub(super) fn keyed<'c, 'a>(
        &mut self,
        connection: &Connection,
        change: &'c Change<'a>,
        rules: &ApplyRules,
    ) -> Result<Keyed<'c, 'a>, StoreError> {
        if !change.is_by_tables_key() {
            return Ok(Keyed::AsItCame(change));
        }
        let table = self.catalogue.table(connection, &sqlite_name(&change.table)).map_err(failed)?;
        keyed::told(change, rules, table.map(|table| &*table.primary_key))
    }

    /// The plan for `change`. Creates the tables, columns and indexes that it needs; `ran` is told the SQL of those.
    pub(super) fn plan(
        &mut self,
        connection: &Connection,
        change: &Change<'_>,
        rules: &ApplyRules,
        ran: &mut dyn FnMut(&str),
    ) -> Result<&Plan, StoreError> {
        let hash = hasher(change).finish();
        if !self.plans.get(&hash).is_some_and(|plan| plan.shape.is_of(change)) {
            let plan = self.make(connection, change, rules, ran)?;
            if self.plans.len() >= PLANS_MAX {
                self.plans.clear();
            }
            self.plans.insert(hash, plan);
        }
        self.plans.get(&hash).ok_or_else(|| StoreError::later("the plan vanished"))
    }

    fn make(
        &mut self,
        connection: &Connection,
        change: &Change<'_>,
        rules: &ApplyRules,
        ran: &mut dyn FnMut(&str),
    ) -> Result<Plan, StoreError> {
        let name = sqlite_name(&change.table);
        let known = self.catalogue.table(connection, &name).map_err(failed)?;
        needs::same_case(&name, known.map(|table| &*table.name))?;
        let needed = needs::needed(known, change, rules)?;
        let is_new = matches!(needed, Needed::Table { .. });
        if is_new && let Some(word) = in_the_way(connection, &name).map_err(failed)? {
            return Err(needs::taken(&format!("{name:?}"), word));
        }
        let ddl = statements_for(&name, &needed);
        self.made.note_statements(is_new, change, ddl.len(), rules)?;
        for sql in &ddl {
            self.changes += 1;
            connection.execute_batch(sql).map_err(failed)?;
            ran(sql);
        }
        if is_new {
            connection.execute(r#"INSERT OR IGNORE INTO "_sluicegate_tables" VALUES (?1)"#, [&name]).map_err(failed)?;
        }
        if !ddl.is_empty() {
            self.catalogue.forget(&name);
            self.plans.clear();
        }
        let table = self.catalogue.table(connection, &name).map_err(failed)?;
        let Some(table) = table else { return Err(keyed::unknown_table(change)) };
        let admits = needs::admits(table, change, |_| true)?;
        let affinity = |cell: &Cell<'_>| table.column(&cell.name).and_then(|column| column.affinity);
        let affinities = change.cells().map(affinity).collect();
        keyed::check_unique(change, &table.unique_keys)?;
        let sql = statement(table, change);
        if let Some(sql) = missing_index(table, change) {
            self.made.note(0, 1, rules)?;
            self.changes += 1;
            connection.execute_batch(&sql).map_err(failed)?;
            ran(&sql);
            self.catalogue.forget(&name);
        }
        Ok(Plan { shape: Shape::of(change), sql, admits, affinities })
    }
}

/// The statements that make what is needed of the table with this name.
fn statements_for(name: &str, needed: &Needed<'_>) -> Vec<String> {
    match needed {
        Needed::Table { row, primary_key } => vec![create(name, row, primary_key)],
        Needed::Columns(missing) => {
            let add = |cell: &&Cell<'_>| {
                let (table, column) = (quote(name), quote(&cell.name));
                format!("ALTER TABLE {table} ADD COLUMN {column} {}", declared(&cell.column_type))
            };
            missing.iter().map(add).collect()
        }
    }
}

fn create(name: &str, row: &[Cell<'_>], primary_key: &[String]) -> String {
    let mut parts: Vec<_> = row
        .iter()
        .map(|cell| {
            let not_null = if primary_key.iter().any(|column| *column == cell.name) { " NOT NULL" } else { "" };
            format!("{} {}{not_null}", quote(&cell.name), declared(&cell.column_type))
        })
        .collect();
    if !primary_key.is_empty() {
        let columns: Vec<_> = primary_key.iter().map(|column| quote(column)).collect();
        parts.push(format!("PRIMARY KEY ({})", columns.join(", ")));
    }
    format!("CREATE TABLE {} ({})", quote(name), parts.join(", "))
}

fn statement(table: &Table, change: &Change<'_>) -> String {
    let name = quote(&table.name);
    let insert = |row: &[Cell<'_>]| {
        let columns: Vec<_> = row.iter().map(|cell| quote(&cell.name)).collect();
        let values: Vec<_> = (1..=row.len()).map(|number| format!("?{number}")).collect();
        format!("INSERT INTO {name} ({}) VALUES ({})", columns.join(", "), values.join(", "))
    };
    match &change.action {
        Action::Insert { row, .. } => insert(row),
        Action::Upsert { row, key } => {
            let KeyColumns::Named(key) = key else { return insert(row) };
            let columns: Vec<_> = key.iter().map(|column| quote(column)).collect();
            let others = row.iter().filter(|cell| !key.contains(&cell.name)).map(|cell| quote(&cell.name));
            let set: Vec<_> = others.map(|column| format!("{column} = excluded.{column}")).collect();
            let action = if set.is_empty() { "NOTHING".into() } else { format!("UPDATE SET {}", set.join(", ")) };
            format!("{} ON CONFLICT ({}) DO {action}", insert(row), columns.join(", "))
        }
        Action::Update { row, key } => {
            let set = row.iter().enumerate().map(|(at, cell)| format!("{} = ?{}", quote(&cell.name), at + 1));
            let set: Vec<_> = set.collect();
            format!("UPDATE {name} SET {} WHERE {}", set.join(", "), rows(table, key, row.len() + 1))
        }
        Action::Delete { key } => format!("DELETE FROM {name} WHERE {}", rows(table, key, 1)),
        Action::Truncate => format!("DELETE FROM {name}"),
    }
}

/// The condition that finds what a key means: all rows that match, or one of them where they are the same to the source.
fn rows(table: &Table, key: &Key<'_>, first: usize) -> String {
    let condition = condition(table, key, first);
    let named = |column: &str| key.cells.iter().any(|cell| cell.name == column);
    let has_key = !table.primary_key.is_empty() && table.primary_key.iter().all(|column| named(column));
    let is_whole = table.columns.iter().all(|column| named(&column.name));
    if has_key || !(key.is_one_row || is_whole) {
        return condition;
    }
    let Some(row) = table.row_name() else { return condition };
    format!("({row}) = (SELECT {row} FROM {} WHERE {condition} LIMIT 1)", quote(&table.name))
}

/// The condition that finds the rows of a key whose first parameter has the number `first`.
fn condition(table: &Table, key: &Key<'_>, first: usize) -> String {
    let equal: Vec<_> = key
        .cells
        .iter()
        .enumerate()
        .map(|(at, cell)| {
            let decimal = table.column(&cell.name).is_some_and(|column| is_decimal(&column.column_type));
            let (column, value) = (quote(&cell.name), format!("?{}", at + first));
            // IS finds NULL too. 1.50 and 1.5 are one number, but not one text.
            match (decimal, table.is_ours) {
                (false, _) => format!("{column} IS {value}"),
                (true, false) => format!("{column} IS {value} COLLATE decimal"),
                (true, true) => {
                    format!("{} IS {} AND {column} IS {value} COLLATE decimal", digits(&column), digits(&value))
                }
            }
        })
        .collect();
    let equal = equal.join(" AND ");
    let named = |column: &String| key.cells.iter().any(|cell| cell.name == *column);
    let has_key = !table.primary_key.is_empty() && table.primary_key.iter().all(named);
    let unnamed: Vec<_> = table
        .columns
        .iter()
        .filter(|column| !named(&column.name))
        .map(|column| format!("{} IS NULL", quote(&column.name)))
        .collect();
    if !key.omits_nulls || has_key || unnamed.is_empty() {
        return equal;
    }
    // See `Key::omits_nulls`: several rows that match are no proof of a key.
    format!(
        "{equal} AND ((SELECT count(*) FROM (SELECT 1 FROM {} WHERE {equal} LIMIT 2)) = 1 OR {})",
        quote(&table.name),
        unnamed.join(" AND ")
    )
}

fn is_decimal(column_type: &ColumnType) -> bool {
    column_type.family() == Family::Decimal && !column_type.is_array()
}

/// The index that makes this key fast, where one is missing.
fn missing_index(table: &Table, change: &Change<'_>) -> Option<String> {
    let (_, columns) = needs::missing_index(table, change)?;
    let columns = columns.into_iter().filter_map(|name| table.column(name));
    let mut hasher = DefaultHasher::new();
    let parts: Vec<_> = columns
        .map(|column| {
            column.name.hash(&mut hasher);
            let name = quote(&column.name);
            if is_decimal(&column.column_type) { digits(&name) } else { name }
        })
        .collect();
    table.name.hash(&mut hasher);
    let index = quote(&format!("_sluicegate_index_{:016x}", hasher.finish()));
    Some(format!("CREATE INDEX IF NOT EXISTS {index} ON {} ({})", quote(&table.name), parts.join(", ")))
}
