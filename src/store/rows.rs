//! Reading the rows of a store: the question, checked and typed, and the answer.
//!
//! It knows neither HTTP nor SQL: `query` reads questions as people write them, and each store puts them in its own words
//! (see `selecting.rs` for what those have in common).

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::change::{ColumnType, Value};
use crate::problem::ProblemType;

/// The most rows one page holds.
pub const PAGE_ROWS_MAX: usize = 1_000;

/// A page ends early at so many bytes of rows, so that large documents do not fill the memory.
pub const PAGE_BYTES_MAX: usize = 4 << 20;

/// A larger row is not given: what is asked of it must be less.
pub const ROW_BYTES_MAX: usize = 8 << 20;

/// A statement that reads rows is stopped after this time: a question must not keep the database from its work.
pub const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads tables. Nothing here writes, and no question takes longer than [`READ_TIMEOUT`]: one that would is answered with
/// a problem of the type `query-timeout`.
#[async_trait]
pub trait Rows: Send + Sync {
    /// The tables in the order of their names, without the store's own.
    async fn tables(&self) -> Result<Vec<Listed>, StoreError>;

    /// A table and its columns; none when there is no such table. The store's usual schema may be left out of the name, or
    /// stand in it.
    async fn find(&self, table: &str) -> Result<Option<(Listed, Vec<Column>)>, StoreError>;

    /// The columns of a table; none when there is no such table.
    async fn columns(&self, table: &str) -> Result<Option<Vec<Column>>, StoreError> {
        Ok(self.find(table).await?.map(|(_, columns)| columns))
    }

    /// One page of a table's rows, which holds no lock and no snapshot once it is there. It may end before
    /// [`RowQuery::limit`], at [`RowQuery::bytes_max`]; then [`Page::next`] says where to go on. A first row that cannot be
    /// given is a problem of the type `row-too-large`; before a later one the page ends.
    async fn page(&self, query: &RowQuery) -> Result<Page, StoreError>;
}

/// A table by its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name that it is asked for by, without the store's usual schema.
    pub name: String,
    /// The name with its schema, `public` where the store has none.
    pub full_name: String,
    /// Whether Sluicegate made it.
    pub is_ours: bool,
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

/// Which rows, and what of them. Names and values were checked against [`Rows::columns`].
#[derive(Debug, Clone, Default)]
pub struct RowQuery {
    /// The table.
    pub table: String,
    /// What to give of each row.
    pub select: Vec<Selected>,
    /// All must hold.
    pub filters: Vec<Filter>,
    /// What rows are ordered by. Ties, and rows that nothing is said about, stand in the order of the primary key, or of
    /// the place where the store keeps them.
    pub order: Vec<Order>,
    /// How many rows at most.
    pub limit: usize,
    /// The page ends early at so many bytes of rows; at least one row it holds.
    pub bytes_max: usize,
    /// Where the page before ended.
    pub after: Option<String>,
}

impl RowQuery {
    /// Asks for all columns of a table.
    pub fn of(table: &str, columns: &[Column]) -> Self {
        let select = columns.iter().map(Selected::column).collect();
        RowQuery { table: table.into(), select, limit: PAGE_ROWS_MAX, bytes_max: PAGE_BYTES_MAX, ..RowQuery::default() }
    }
}

/// A column, or what stands in a JSON column at a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// The column.
    pub column: String,
    /// The column's type.
    pub column_type: ColumnType,
    /// The way into the column's JSON; empty for the column itself.
    pub path: Vec<Step>,
    /// What is found at the path is taken as text, a string without its quotes; else as JSON.
    pub as_text: bool,
}

impl Field {
    /// The column itself.
    pub fn column(column: &Column) -> Self {
        let (name, column_type) = (column.name.clone(), column.column_type.clone());
        Field { column: name, column_type, path: Vec::new(), as_text: false }
    }

    /// The type of what is found.
    pub fn kind(&self) -> ColumnType {
        match (self.path.is_empty(), self.as_text) {
            (true, _) => self.column_type.clone(),
            (false, true) => ColumnType::parse("text"),
            (false, false) => ColumnType::parse("jsonb"),
        }
    }
}

/// A step on the way into JSON, as PostgreSQL's `->` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// The member of an object.
    Member(String),
    /// The element of an array, counted from 0; below zero from the end.
    Element(i32),
}

/// What is given of a row, and under which name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// The name of the member.
    pub name: String,
    /// What it holds.
    pub field: Field,
}

impl Selected {
    /// A column under its own name.
    pub fn column(column: &Column) -> Self {
        Selected { name: column.name.clone(), field: Field::column(column) }
    }
}

/// A condition. As in SQL, a NULL fulfils neither a comparison nor its negation.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// What is compared.
    pub field: Field,
    /// Whether it must not hold.
    pub is_negated: bool,
    /// How it compares, and with what.
    pub operator: Operator,
}

/// How a field compares. Values were read by [`Field::kind`].
#[derive(Debug, Clone, PartialEq)]
pub enum Operator {
    /// With one value.
    Compare(Comparison, Value<'static>),
    /// With several, of which one must be equal.
    In(Vec<Value<'static>>),
    /// Text with a pattern of SQL: `%` stands for any text, `_` for any character, a backslash takes both by their word.
    Like {
        /// The pattern. It does not end with a backslash that escapes nothing.
        pattern: String,
        /// Whether letter case does not matter.
        in_any_case: bool,
    },
    /// With what is no value, or a truth.
    Is(Being),
}

/// The comparisons of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "PostgREST's words")]
pub enum Comparison {
    Eq,
    Neq,
    Gt,
    Gte,
    Lt,
    Lte,
}

/// What a field can be besides equal. The last three are for booleans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "SQL's words")]
pub enum Being {
    Null,
    NotNull,
    True,
    False,
    Unknown,
}

/// What rows are ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What is compared.
    pub field: Field,
    /// Whether the greatest comes first.
    pub is_descending: bool,
    /// Whether NULLs come before all values, or behind them.
    pub nulls_first: bool,
}

/// Some rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Each row as the text of a JSON object, its members in the order of [`RowQuery::select`].
    pub rows: Vec<String>,
    /// Where the next page begins; none when there is none.
    pub next: Option<String>,
}

/// A page that fills: whole rows until it is full, and never one that takes too much.
pub(super) struct Filling<'q> {
    query: &'q RowQuery,
    /// What it holds so far.
    pub(super) page: Page,
    bytes: usize,
}

impl<'q> Filling<'q> {
    /// An empty one.
    pub(super) fn of(query: &'q RowQuery) -> Self {
        Filling { query, page: Page::default(), bytes: 0 }
    }

    /// Whether the page ends before whatever row comes next.
    pub(super) fn is_full(&self) -> bool {
        self.page.rows.len() == self.query.limit || self.bytes >= self.query.bytes_max
    }

    /// Takes a row; none when it is too large. False when the page ends before it.
    pub(super) fn take(&mut self, row: Option<String>) -> Result<bool, StoreError> {
        let Some(row) = row else { return self.passes_over() };
        if self.is_full() || self.bytes > 0 && self.bytes + row.len() > self.query.bytes_max {
            return Ok(false);
        }
        self.bytes += row.len();
        self.page.rows.push(row);
        Ok(true)
    }

    /// The next row cannot be given: the page ends before it, and who asks for it alone is told.
    pub(super) fn passes_over(&self) -> Result<bool, StoreError> {
        if self.bytes == 0 { Err(row_too_large()) } else { Ok(false) }
    }
}

/// A question that cannot be answered for a reason of its own.
pub(super) fn bad(name: &str, why: &str) -> StoreError {
    StoreError::document(ProblemType::BadQuery, format!("{name}: {why}"))
}

/// A question about a table that is not there, or is not shown.
pub(super) fn no_table(name: &str) -> StoreError {
    StoreError::document(ProblemType::UnknownTable, format!("there is no table {name:?}"))
}

/// A question that goes on after a row, by a place that this server did not give for it.
pub(super) fn not_a_place() -> StoreError {
    bad("after", "it is not a place this server gave for this order")
}

/// A question was stopped.
pub(super) fn too_long() -> StoreError {
    let detail = "the question takes too long, and was stopped; ask for less, by conditions on a key, or without order";
    StoreError::document(ProblemType::QueryTimeout, detail)
}

/// What a failure means for who asked: what would be a document's fault is the question's.
pub(super) fn of_a_question(error: StoreError) -> StoreError {
    match error {
        StoreError::Document(problem) if problem.kind != ProblemType::QueryTimeout => {
            StoreError::document(ProblemType::BadQuery, problem.detail)
        }
        other => other,
    }
}

/// A row that takes too much, alone.
pub fn row_too_large() -> StoreError {
    let detail = format!(
        "the next row takes more than {} MiB as it is asked for; name fewer columns by `select`, or go into them by `->`",
        ROW_BYTES_MAX >> 20
    );
    StoreError::document(ProblemType::RowTooLarge, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_before_a_row_that_it_has_no_room_for_and_says_so_where_it_is_alone() {
        let mut query = RowQuery::of("t", &[]);
        (query.limit, query.bytes_max) = (3, 10);
        // The lengths of rows, where 0 is one that is too large; and how many the page takes, or none when it is refused.
        for (rows, taken) in [
            (&[4, 4, 2, 1][..], Some(3)),
            (&[1, 1, 1, 1], Some(3)),
            (&[4, 4, 3], Some(2)),
            (&[4, 7, 1], Some(1)),
            (&[12, 1], Some(1)),
            (&[4, 0, 1], Some(1)),
            (&[0, 1], None),
        ] {
            let mut filling = Filling::of(&query);
            let fill = |filling: &mut Filling<'_>| -> Result<(), StoreError> {
                for length in rows {
                    if !filling.take((*length > 0).then(|| "x".repeat(*length)))? {
                        break;
                    }
                }
                Ok(())
            };
            let found = fill(&mut filling).is_ok().then_some(filling.page.rows.len());
            assert_eq!(found, taken, "{rows:?}");
        }
    }

    #[test]
    fn what_a_question_fails_by_is_its_own_fault_or_nobodys() {
        let kind = |error| match of_a_question(error) {
            StoreError::Document(problem) => Some(problem.kind),
            _ => None,
        };
        assert_eq!(kind(StoreError::document(ProblemType::InvalidValue, "x")), Some(ProblemType::BadQuery));
        assert_eq!(kind(too_long()), Some(ProblemType::QueryTimeout));
        assert_eq!(kind(StoreError::stop("x")), None);
    }
}
