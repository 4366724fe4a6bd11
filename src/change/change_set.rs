//! A document that changes tables, after it was judged: ordered changes, applied all or none.

use std::borrow::Cow;
use std::fmt;

use super::{ColumnType, Value};
use crate::words::Operation;

/// The ordered changes of one document.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChangeSet<'a> {
    /// In the order in which they must be applied. Empty: the document changes nothing.
    pub changes: Vec<Change<'a>>,
}

/// One change of one table.
#[derive(Debug, Clone, PartialEq)]
pub struct Change<'a> {
    /// The table that changes.
    pub table: TableName<'a>,
    /// What happens to it.
    pub action: Action<'a>,
}

impl<'a> Change<'a> {
    /// What it does, the cells that it sets, and the key that it compares.
    pub fn parts(&self) -> (Operation, &[Cell<'a>], Option<&Key<'a>>) {
        match &self.action {
            Action::Insert { row, .. } => (Operation::Insert, row, None),
            Action::Upsert { row, .. } => (Operation::Upsert, row, None),
            Action::Update { row, key } => (Operation::Update, row, Some(key)),
            Action::Delete { key } => (Operation::Delete, &[], Some(key)),
            Action::Truncate => (Operation::Truncate, &[], None),
        }
    }

    /// Whether it leaves it to the table which columns tell its rows apart. What is to be made of it is known only where
    /// the table is.
    pub fn is_by_tables_key(&self) -> bool {
        match &self.action {
            Action::Upsert { key, .. } => *key == KeyColumns::OfTable,
            Action::Update { key, .. } | Action::Delete { key } => key.is_tables,
            Action::Insert { .. } | Action::Truncate => false,
        }
    }

    /// Its cells: those that it sets, then those of its key. Stores number parameters so.
    pub fn cells(&self) -> impl Iterator<Item = &Cell<'a>> {
        let (_, row, key) = self.parts();
        row.iter().chain(key.map_or(&[][..], |key| &key.cells))
    }
}

/// What a change does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action<'a> {
    /// A new row.
    Insert {
        /// The row's cells.
        row: Vec<Cell<'a>>,
        /// The table's primary key, when the document names it; used when the table is created.
        primary_key: Vec<Cow<'a, str>>,
    },
    /// A row by its key: new, or, where a row with the same key is there, new values for that one. Columns that are not
    /// named stay as they are.
    Upsert {
        /// The row's cells, those of the key among them.
        row: Vec<Cell<'a>>,
        /// The columns that tell rows apart: the table's primary key, when it is created for it.
        key: KeyColumns<'a>,
    },
    /// New values for the rows that match the key. Columns that are not named stay as they are.
    Update {
        /// The cells to set.
        row: Vec<Cell<'a>>,
        /// Which rows.
        key: Key<'a>,
    },
    /// The rows that match the key go.
    Delete {
        /// Which rows.
        key: Key<'a>,
    },
    /// All rows go.
    Truncate,
}

/// The columns that tell the rows of a table apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyColumns<'a> {
    /// These: the document names them. Never empty.
    Named(Vec<Cow<'a, str>>),
    /// Those that the stream names for the table, else those of its primary key. A source that sends rows without their
    /// key (a Debezium envelope over HTTP) means these.
    OfTable,
}

/// Which rows an update or a delete touches: those equal in every cell, where null means IS NULL.
#[derive(Debug, Clone, PartialEq)]
pub struct Key<'a> {
    /// The cells to compare; never empty.
    pub cells: Vec<Cell<'a>>,
    /// Of the cells only those are compared whose columns are the table's key, as [`KeyColumns::OfTable`] says it: the
    /// others are the rest of a row, and may be out of date or left out.
    pub is_tables: bool,
    /// wal2json v1 leaves NULLs out of `oldkeys`. When the named cells match several rows, they are no key of the
    /// source, so its identity was FULL, and the columns that are not named were NULL.
    pub omits_nulls: bool,
    /// The source speaks of one of its rows each time: of several that match, which then are the same to it, one is meant.
    /// Otherwise the key is a condition, and means all that match.
    pub is_one_row: bool,
}

/// A column with a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell<'a> {
    /// The column's name.
    pub name: Cow<'a, str>,
    /// The type the document declared for it.
    pub column_type: ColumnType,
    /// The value, read by that type.
    pub value: Value<'a>,
}

/// The name of a table as the document gave it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName<'a> {
    /// The schema, if one was named.
    pub schema: Option<Cow<'a, str>>,
    /// The table within it.
    pub name: Cow<'a, str>,
}

impl<'a> TableName<'a> {
    /// Reads `table` or `schema.table`, split at the first dot.
    pub fn parse(text: Cow<'a, str>) -> Self {
        match text.find('.') {
            None => TableName { schema: None, name: text },
            Some(dot) => {
                let (schema, name) = match text {
                    Cow::Borrowed(text) => (Cow::Borrowed(&text[..dot]), Cow::Borrowed(&text[dot + 1..])),
                    Cow::Owned(text) => (Cow::Owned(text[..dot].into()), Cow::Owned(text[dot + 1..].into())),
                };
                TableName { schema: Some(schema), name }
            }
        }
    }
}

impl Action<'_> {
    /// The columns that this change adds to a table that lacks them, and to a table that it makes: an insert's, an upsert's
    /// and an update's. A source that got a new column may update a row before it inserts one.
    pub fn additions(&self) -> &[Cell<'_>] {
        match self {
            Action::Insert { row, .. } | Action::Upsert { row, .. } | Action::Update { row, .. } => row,
            Action::Delete { .. } | Action::Truncate => &[],
        }
    }

    /// The row that makes a table that is missing, with the key that the document names for it.
    pub fn creation(&self) -> Option<(&[Cell<'_>], &[Cow<'_, str>])> {
        match self {
            Action::Insert { row, primary_key } => Some((row, primary_key)),
            Action::Upsert { row, key: KeyColumns::Named(key) } => Some((row, key)),
            Action::Upsert { row, key: KeyColumns::OfTable } => Some((row, &[])),
            _ => None,
        }
    }
}

impl Key<'_> {
    /// A column of the key that `is_there` does not find, though the key gives a value for it: adding the column would
    /// not bring a row with that value. One that must be NULL is so in a column that is added.
    pub fn missing(&self, is_there: impl Fn(&str) -> bool) -> Option<&Cell<'_>> {
        self.cells.iter().find(|cell| cell.value != Value::Null && !is_there(&cell.name))
    }
}

impl fmt::Display for TableName<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(out, "{schema}.{}", self.name),
            None => out.write_str(&self.name),
        }
    }
}
