//! Reading the rows of a store.

use async_trait::async_trait;

use super::StoreError;
use crate::change::ColumnType;

/// The most rows one page holds.
pub const PAGE_ROWS_MAX: usize = 1_000;

/// Reads tables. Nothing here writes.
#[async_trait]
pub trait Rows: Send + Sync {
    /// The names of the tables, without the store's own.
    async fn tables(&self) -> Result<Vec<String>, StoreError>;

    /// The columns of a table; none when there is no such table.
    async fn columns(&self, table: &str) -> Result<Option<Vec<Column>>, StoreError>;

    /// One page of a table's rows.
    async fn page(&self, query: &RowQuery) -> Result<Page, StoreError>;
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
    /// Whether it belongs to the primary key.
    pub is_key: bool,
}

/// Which rows, and what of them. Names were checked against [`Rows::columns`].
#[derive(Debug, Clone, Default)]
pub struct RowQuery {
    /// The table.
    pub table: String,
    /// The columns to give.
    pub select: Vec<String>,
    /// All must hold.
    pub filters: Vec<Filter>,
    /// How many rows at most.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<String>,
}

/// A condition on a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The column.
    pub column: String,
    /// How it compares.
    pub operator: Operator,
    /// With what, as it was written.
    pub value: String,
}

/// How a column compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Equal.
    Eq,
    /// `is.null`
    IsNull,
}

/// Some rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Each row as the text of a JSON object, its members in the order of the columns.
    pub rows: Vec<String>,
    /// Where the next page begins; none when there is none.
    pub next: Option<String>,
}
