//! The SQL of a change: one statement a change, or one for many that have the same shape.

use super::catalogue::{Column, Table, quote};
use crate::change::{Action, Cell, Change, Family, Key, KeyColumns, Scalar, Value};
use tokio_postgres::types::Type;

/// A change as a statement sees it: its cells in the order of the row, then of the key, and which of them it binds.
pub(super) struct Shaped<'c, 'a> {
    pub(super) change: &'c Change<'a>,
    /// Whether the columns of the key keep their values, and need not be set.
    pub(super) keeps_key: bool,
}

/// One of [`Change::cells`].
pub(super) fn cell<'c, 'a>(change: &'c Change<'a>, at: usize) -> Option<&'c Cell<'a>> {
    let (_, row, key) = change.parts();
    row.get(at).or_else(|| key?.cells.get(at.checked_sub(row.len())?))
}

/// Whether an update sets its key to what it is, and something else besides.
pub(super) fn keeps_key(change: &Change<'_>) -> bool {
    let Action::Update { row, key } = &change.action else { return false };
    let mut sets_more = false;
    row.iter().all(|cell| match key.cells.iter().find(|known| known.name == cell.name) {
        Some(known) => known.value == cell.value && known.column_type == cell.column_type,
        None => {
            sets_more = true;
            true
        }
    }) && sets_more
}

impl<'c, 'a> Shaped<'c, 'a> {
    /// The indexes, among [`Change::cells`], of the cells that are set.
    pub(super) fn set(&self) -> Vec<usize> {
        let (_, row, key) = self.change.parts();
        let is_key = |cell: &Cell<'_>| key.is_some_and(|key| key.cells.iter().any(|known| known.name == cell.name));
        (0..row.len()).filter(|at| !(self.keeps_key && is_key(&row[*at]))).collect()
    }

    /// The indexes, among [`Change::cells`], of the cells of the key that are not NULL.
    pub(super) fn compared(&self) -> Vec<usize> {
        let (_, row, key) = self.change.parts();
        let key = key.map_or(&[][..], |key| &key.cells);
        (0..key.len()).filter(|at| key[*at].value != Value::Null).map(|at| row.len() + at).collect()
    }

    fn name(&self, at: usize) -> &'c str {
        cell(self.change, at).map_or("", |cell| &cell.name)
    }

    /// The statement for this change alone.
    pub(super) fn single(&self, table: &Table) -> String {
        let name = table.quoted();
        let set = self.set();
        let columns = || set.iter().map(|at| quote(self.name(*at))).collect::<Vec<_>>().join(", ");
        let values = || (1..=set.len()).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ");
        match &self.change.action {
            Action::Insert { .. } => format!("INSERT INTO {name} ({}) VALUES ({})", columns(), values()),
            Action::Upsert { key, .. } => {
                format!("INSERT INTO {name} ({}) VALUES ({}) {}", columns(), values(), self.on_conflict(key))
            }
            Action::Update { key, .. } => {
                let pairs = set.iter().enumerate();
                let pairs: Vec<_> =
                    pairs.map(|(number, at)| format!("{} = ${}", quote(self.name(*at)), number + 1)).collect();
                let rows = self.rows(table, key, set.len() + 1);
                format!("UPDATE {name} AS t SET {} WHERE {rows}", pairs.join(", "))
            }
            Action::Delete { key } => format!("DELETE FROM {name} AS t WHERE {}", self.rows(table, key, 1)),
            Action::Truncate if table.takes_truncate => format!("TRUNCATE {name}"),
            Action::Truncate => format!("DELETE FROM {name}"),
        }
    }

    /// What an upsert does where a row with its key is there.
    fn on_conflict(&self, key: &KeyColumns<'_>) -> String {
        let KeyColumns::Named(key) = key else { return String::new() };
        let columns: Vec<_> = key.iter().map(|column| quote(column)).collect();
        let set = self.set();
        let others = set.iter().map(|at| self.name(*at)).filter(|name| !key.iter().any(|column| column == name));
        let pairs: Vec<_> = others.map(quote).map(|column| format!("{column} = EXCLUDED.{column}")).collect();
        let action = if pairs.is_empty() { "NOTHING".into() } else { format!("UPDATE SET {}", pairs.join(", ")) };
        format!("ON CONFLICT ({}) DO {action}", columns.join(", "))
    }

    /// Whether the key means one row of several that may match: the source speaks of one, or they are alike in every
    /// column. Where something unique is made of columns that it names, no more than one matches.
    pub(super) fn is_one(&self, table: &Table) -> bool {
        let (_, _, Some(key)) = self.change.parts() else { return false };
        let named = |column: &String| key.cells.iter().any(|cell| cell.name == *column);
        let is_given = |column: &String| key.cells.iter().any(|cell| cell.name == *column && cell.value != Value::Null);
        let is_whole = || table.columns.iter().all(|column| named(&column.name));
        let is_unique = table.unique_keys.iter().any(|columns| columns.iter().all(is_given));
        table.has_ctid && !is_unique && (key.is_one_row || is_whole())
    }

    /// The condition that finds what a key means, whose first parameter has the number `first`.
    fn rows(&self, table: &Table, key: &Key<'_>, first: usize) -> String {
        let condition = self.condition(table, key, first);
        if !self.is_one(table) {
            return condition;
        }
        // A place within a table is one only together with the partition's.
        let (row, name) = (if table.inherits { "t.tableoid, t.ctid" } else { "t.ctid" }, table.quoted());
        format!("({row}) = (SELECT {row} FROM {name} AS t WHERE {condition} LIMIT 1)")
    }

    /// The statement that copies rows in.
    pub(super) fn copy(&self, table: &Table) -> String {
        let columns: Vec<_> = self.set().into_iter().map(|at| quote(self.name(at))).collect();
        format!("COPY {} ({}) FROM STDIN", table.quoted(), columns.join(", "))
    }

    /// The statement for many changes whose values come as columns, and the type in which each column comes.
    pub(super) fn join(&self, table: &Table) -> Option<(String, Vec<Type>)> {
        let (set, compared) = (self.set(), self.compared());
        let bound = || set.iter().chain(&compared).copied();
        let columns = bound().map(|at| table.column(self.name(at))).collect::<Option<Vec<_>>>()?;
        let types: Vec<_> = columns.iter().map(|column| element(column)).collect();
        let arrays = types.iter().enumerate().map(|(number, element)| format!("${}::{element}[]", number + 1));
        let names: Vec<_> = (0..types.len()).map(|number| format!("c{number}")).collect();
        let source = format!("unnest({}) AS u ({})", arrays.collect::<Vec<_>>().join(", "), names.join(", "));
        let value = |number: usize| match types[number] {
            Type::TEXT => format!("u.c{number}::{}", columns[number].cast),
            _ => format!("u.c{number}"),
        };
        if let Action::Upsert { key, .. } = &self.change.action {
            let columns: Vec<_> = set.iter().map(|at| quote(self.name(*at))).collect();
            let values: Vec<_> = (0..set.len()).map(value).collect();
            let (name, columns, values) = (table.quoted(), columns.join(", "), values.join(", "));
            let sql = format!("INSERT INTO {name} ({columns}) SELECT {values} FROM {source} {}", self.on_conflict(key));
            return Some((sql, types));
        }
        let (_, row, key) = self.change.parts();
        let mut conditions: Vec<_> = compared
            .iter()
            .enumerate()
            .map(|(number, at)| format!("t.{} = {}", quote(self.name(*at)), value(set.len() + number)))
            .collect();
        let is_null = |at: &usize| cell(self.change, *at).is_some_and(|cell| cell.value == Value::Null);
        let nulls = (row.len()..row.len() + key?.cells.len()).filter(is_null);
        conditions.extend(nulls.map(|at| format!("t.{} IS NULL", quote(self.name(at)))));
        let (name, conditions) = (table.quoted(), conditions.join(" AND "));
        let sql = match &self.change.action {
            Action::Update { .. } => {
                let pairs = set.iter().enumerate();
                let pairs: Vec<_> =
                    pairs.map(|(number, at)| format!("{} = {}", quote(self.name(*at)), value(number))).collect();
                format!("UPDATE {name} AS t SET {} FROM {source} WHERE {conditions}", pairs.join(", "))
            }
            _ => format!("DELETE FROM {name} AS t USING {source} WHERE {conditions}"),
        };
        Some((sql, types))
    }

    /// The condition that finds the rows of a key whose first parameter has the number `first`.
    fn condition(&self, table: &Table, key: &Key<'_>, first: usize) -> String {
        let equal = |alias: &str| {
            let mut number = first;
            let each = key.cells.iter().map(|cell| {
                let name = format!("{alias}.{}", quote(&cell.name));
                if cell.value == Value::Null {
                    return format!("{name} IS NULL");
                }
                number += 1;
                let column = table.column(&cell.name);
                let parameter = format!("${}", number - 1);
                match column {
                    Some(column) if !column.has_equality => not_comparable(column, &name, &parameter),
                    _ => format!("{name} = {parameter}"),
                }
            });
            each.collect::<Vec<_>>().join(" AND ")
        };
        let named = |column: &String| key.cells.iter().any(|cell| cell.name == *column);
        let has_key = !table.primary_key.is_empty() && table.primary_key.iter().all(named);
        let unnamed = table.columns.iter().filter(|column| !named(&column.name));
        let unnamed: Vec<_> = unnamed.map(|column| format!("t.{} IS NULL", quote(&column.name))).collect();
        if !key.omits_nulls || has_key || unnamed.is_empty() {
            return equal("t");
        }
        // See `Key::omits_nulls`: several rows that match are no proof of a key.
        format!(
            "{} AND ((SELECT count(*) FROM (SELECT 1 FROM {} AS o WHERE {} LIMIT 2) AS found) = 1 OR {})",
            equal("t"),
            table.quoted(),
            equal("o"),
            unnamed.join(" AND ")
        )
    }
}

/// How values of a type are compared that PostgreSQL cannot compare.
fn not_comparable(column: &Column, name: &str, parameter: &str) -> String {
    match column.column_type.family() {
        Family::Json if !column.column_type.is_array() => format!("{name}::jsonb = {parameter}::jsonb"),
        _ => format!("{name}::text = ({parameter}::{})::text", column.cast),
    }
}

/// The type in which a column's values travel by the thousand.
fn element(column: &Column) -> Type {
    match column.column_type.scalar() {
        _ if column.column_type.is_array() => Type::TEXT,
        Scalar::SmallInt => Type::INT2,
        Scalar::Integer => Type::INT4,
        Scalar::BigInt => Type::INT8,
        _ => Type::TEXT,
    }
}
