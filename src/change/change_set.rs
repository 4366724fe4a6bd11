//! A document that changes tables, after it was judged: ordered changes, applied all or none.

use std::borrow::Cow;
use std::fmt;

use super::{ColumnType, Value};

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
    /// A number for what it does, the cells that it sets, and the key that it compares.
    pub fn parts(&self) -> (u8, &[Cell<'a>], Option<&Key<'a>>) {
        match &self.action {
            Action::Insert { row, .. } => (0, row, None),
            Action::Update { row, key } => (1, row, Some(key)),
            Action::Delete { key } => (2, &[], Some(key)),
            Action::Truncate => (3, &[], None),
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

/// Which rows an update or a delete touches: those equal in every cell, where null means IS NULL.
#[derive(Debug, Clone, PartialEq)]
pub struct Key<'a> {
    /// The cells to compare; never empty.
    pub cells: Vec<Cell<'a>>,
    /// wal2json v1 leaves NULLs out of `oldkeys`. When the named cells match several rows, they are no key of the
    /// source, so its identity was FULL, and the columns that are not named were NULL.
    pub omits_nulls: bool,
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

impl fmt::Display for TableName<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(out, "{schema}.{}", self.name),
            None => out.write_str(&self.name),
        }
    }
}
