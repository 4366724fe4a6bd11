//! From a change to a statement: which tables, columns and indexes it needs, and the SQL that makes it.
//!
//! A plan is made once for every shape of change (table, operation, columns, types) and kept until the catalogue
//! changes.

use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::Connection;
use rustc_hash::{FxHashMap, FxHasher};

use super::affinity::Affinity;
use super::catalogue::{Catalogue, Table, declared, digits, in_the_way, quote, sqlite_name};
use super::error::failed;
use crate::change::{Action, Cell, Change, ColumnType, Family, Key, KeyColumns, TableName};
use crate::problem::ProblemType;
use crate::store::keyed::{self, Keyed};
use crate::store::made::Made;
use crate::store::{ApplyRules, StoreError};
use crate::words::Operation;

/// So many shapes are kept. A sender that makes up new ones all the time costs time, not memory.
const PLANS_MAX: usize = 1_000;

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

/// What two changes have in common when one plan serves both.
#[derive(Debug, PartialEq)]
struct Shape {
    table: (Option<String>, String),
    operation: Operation,
    omits_nulls: bool,
    is_one_row: bool,
    columns: Vec<(String, ColumnType)>,
    row_length: usize,
}

impl Shape {
    fn of(change: &Change<'_>) -> Self {
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

    fn is_of(&self, change: &Change<'_>) -> bool {
        let (operation, row, key) = change.parts();
        self.operation == operation
            && self.row_length == row.len()
            && self.omits_nulls == key.is_some_and(|key| key.omits_nulls)
            && self.is_one_row == key.is_some_and(|key| key.is_one_row)
            && self.table.1 == change.table.name
            && self.table.0.as_deref() == change.table.schema.as_deref()
            && self.columns.len() == change.cells().count()
            && self
                .columns
                .iter()
                .zip(change.cells())
                .all(|(known, cell)| known.0 == cell.name && known.1 == cell.column_type)
    }
}

fn hash(change: &Change<'_>) -> u64 {
    let mut hasher = FxHasher::default();
    let (operation, row, _) = change.parts();
    (operation, row.len(), &change.table).hash(&mut hasher);
    for cell in change.cells() {
        (&cell.name, &cell.column_type).hash(&mut hasher);
    }
    hasher.finish()
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
        let hash = hash(change);
        if !self.plans.get(&hash).is_some_and(|plan| plan.shape.is_of(change)) {
            let plan = self.make(connection, change, rules, ran)?;
            if self.plans.len() >= PLANS_MAX {
                self.plans.clear();
            }
            self.plans.insert(hash, plan);
        }
        self.plans.get(&hash).ok_or_else(|| StoreError::Later("the plan vanished".into()))
    }

    fn make(
        &mut self,
        connection: &Connection,
        change: &Change<'_>,
        rules: &ApplyRules,
        ran: &mut dyn FnMut(&str),
    ) -> Result<Plan, StoreError> {
        let name = sqlite_name(&change.table);
        let creation = change.action.creation();
        let known = self.catalogue.table(connection, &name).map_err(failed)?;
        let ddl = match (known, creation) {
            (None, Some((row, key))) if rules.create => {
                if let Some(word) = in_the_way(connection, &name).map_err(failed)? {
                    let detail = format!("{name:?} is {word}, and so no table of this name can be made or written");
                    return Err(StoreError::document(ProblemType::NameConflict, detail));
                }
                vec![create(&change.table, row, &rules.primary_key(change, key))]
            }
            (None, _) => return Err(keyed::unknown_table(change)),
            (Some(table), _) if table.name != name => {
                return Err(StoreError::document(
                    ProblemType::NameConflict,
                    format!("table {name:?} differs from {:?} in letter case only", table.name),
                ));
            }
            (Some(table), _) => additions(table, change, rules)?,
        };
        if known_was_missing(&ddl) {
            let (_, row, _) = change.parts();
            self.made.note(1, row.len(), rules)?;
        } else {
            self.made.note(0, ddl.len(), rules)?;
        }
        for sql in &ddl {
            self.changes += 1;
            connection.execute_batch(sql).map_err(failed)?;
            ran(sql);
        }
        if known_was_missing(&ddl) {
            connection.execute(r#"INSERT OR IGNORE INTO "_sluicegate_tables" VALUES (?1)"#, [&name]).map_err(failed)?;
        }
        if !ddl.is_empty() {
            self.catalogue.forget(&name);
            self.plans.clear();
        }
        let table = self.catalogue.table(connection, &name).map_err(failed)?;
        let Some(table) = table else {
            return Err(StoreError::document(ProblemType::UnknownTable, format!("table {name} does not exist")));
        };
        let (mut admits, mut affinities) = (Vec::new(), Vec::new());
        for cell in change.cells() {
            let Some(column) = table.column(&cell.name) else {
                return Err(table.unknown_column(&cell.name));
            };
            if cell.column_type.conflicts_with(&column.column_type) {
                return Err(StoreError::document(
                    ProblemType::TypeConflict,
                    format!(
                        "column {:?} of table {name} is {}, and the document declares {}",
                        cell.name, column.column_type, cell.column_type
                    ),
                ));
            }
            admits.push((cell.column_type != column.column_type).then(|| column.column_type.clone()));
            affinities.push(column.affinity);
        }
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

/// Whether one of these statements creates a table.
fn known_was_missing(ddl: &[String]) -> bool {
    ddl.iter().any(|sql| sql.starts_with("CREATE TABLE"))
}

fn create(table: &TableName<'_>, row: &[Cell<'_>], primary_key: &[String]) -> String {
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
    format!("CREATE TABLE {} ({})", quote(&sqlite_name(table)), parts.join(", "))
}

/// See [`Action::additions`].
fn additions(table: &Table, change: &Change<'_>, rules: &ApplyRules) -> Result<Vec<String>, StoreError> {
    let missing = change.action.additions().iter().filter(|cell| table.column(&cell.name).is_none());
    let added = missing
        .map(|cell| {
            if !rules.create || table.other_case(&cell.name).is_some() {
                return Err(table.unknown_column(&cell.name));
            }
            let (table, column) = (quote(&table.name), quote(&cell.name));
            Ok(format!("ALTER TABLE {table} ADD COLUMN {column} {}", declared(&cell.column_type)))
        })
        .collect::<Result<_, _>>()?;
    let (_, _, key) = change.parts();
    if let Some(missing) = key.and_then(|key| key.missing(|name| table.column(name).is_some())) {
        return Err(table.unknown_column(&missing.name));
    }
    Ok(added)
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

/// The index that makes this key fast in a table of ours, when no index leads with one of its columns.
fn missing_index(table: &Table, change: &Change<'_>) -> Option<String> {
    /// More columns tell rows apart hardly better and cost space.
    const COLUMNS_MAX: usize = 4;
    let (_, _, key) = change.parts();
    let key = key?;
    if key.cells.iter().any(|cell| table.leading.contains(&*cell.name)) {
        return None;
    }
    let is_fit = |column_type: &ColumnType| {
        !column_type.is_array() && !matches!(column_type.family(), Family::Json | Family::Bytes)
    };
    let columns: Vec<_> = key
        .cells
        .iter()
        .filter_map(|cell| table.column(&cell.name))
        .filter(|column| is_fit(&column.column_type))
        .take(COLUMNS_MAX)
        .collect();
    if columns.is_empty() {
        return None;
    }
    if !table.is_ours {
        tracing::warn!(
            table = table.name,
            columns = ?columns.iter().map(|column| &column.name).collect::<Vec<_>>(),
            "Deletes and updates by these columns read the whole table: it has no index that leads with one of them."
        );
        return None;
    }
    let mut hasher = DefaultHasher::new();
    let parts: Vec<_> = columns
        .iter()
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
