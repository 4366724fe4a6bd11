//! Tables, their columns and their rows.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::parameters::Parameters;
use super::postgrest::plan;
use super::{Unanswered, store};
use crate::near;
use crate::problem::ProblemType;
use crate::reason::Reason;
use crate::service::Service;
use crate::store::readable::Readable;
use crate::store::rows::{Column, Listed, Page, READ_TIMEOUT, RowQuery};
use crate::store::{Store, StoreError};

/// So many questions are put to the store at once; further ones wait.
const QUESTIONS_MAX: usize = 16;

static QUESTIONS: Semaphore = Semaphore::const_new(QUESTIONS_MAX);

/// The tables that are shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Tables {
    /// Their names, in order.
    pub tables: Vec<String>,
}

/// A table.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Table {
    /// Its name.
    pub table: String,
    /// Its columns, in their order.
    pub columns: Vec<About>,
}

/// A column of a table.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct About {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub column_type: String,
    /// Whether it belongs to the primary key.
    pub key: bool,
}

/// A page of rows. Each is the text of a JSON object, with every digit as it is kept.
#[derive(Debug, Clone, JsonSchema)]
pub struct Rows {
    /// The rows.
    #[schemars(with = "Vec<Map<String, Value>>")]
    pub rows: Vec<String>,
    /// Where the next page begins; over HTTP, its address. None when this is the last.
    pub next: Option<String>,
}

/// A question about rows that was checked, and the store that it is put to.
pub struct Question {
    pub(super) store: Arc<dyn Store>,
    pub(super) query: RowQuery,
}

/// The tables that are shown.
pub async fn list(service: &Service) -> Result<Tables, Unanswered> {
    let tables = store(service)?.rows().tables().await?;
    let shown = tables.into_iter().filter(|table| service.readable().shows(table));
    Ok(Tables { tables: shown.map(|table| table.name).collect() })
}

/// A table and its columns.
pub async fn show(service: &Service, table: &str) -> Result<Table, Unanswered> {
    let (listed, columns) = find(&**store(service)?, table, service.readable()).await?;
    let about =
        |column: Column| About { name: column.name, column_type: column.column_type.to_string(), key: column.is_key };
    Ok(Table { table: listed.name, columns: columns.into_iter().map(about).collect() })
}

/// A table that must exist, and be among those that are shown: of another one nothing is said, not even that it is there.
async fn find(store: &dyn Store, table: &str, readable: &Readable) -> Result<(Listed, Vec<Column>), StoreError> {
    if let Some(found) = store.rows().find(table).await?.filter(|(listed, _)| readable.shows(listed)) {
        return Ok(found);
    }
    let tables = store.rows().tables().await?;
    let shown = tables.iter().filter(|listed| readable.shows(listed)).map(|listed| listed.name.as_str());
    let detail = format!("there is no table {table:?}{}", near::hint(table, shown));
    Err(StoreError::document(ProblemType::UnknownTable, detail))
}

impl Question {
    /// Checks a question about the rows of a table. When `is_whole`, all of them are asked for unless `limit` says
    /// otherwise; else a page.
    pub async fn read(
        service: &Service,
        table: &str,
        parameters: &Parameters,
        is_whole: bool,
    ) -> Result<Self, Unanswered> {
        Question::of(Arc::clone(store(service)?), service.readable(), table, parameters, is_whole).await
    }

    /// Checks a question that is put to a store of which those tables are shown.
    pub async fn of(
        store: Arc<dyn Store>,
        readable: &Readable,
        table: &str,
        parameters: &Parameters,
        is_whole: bool,
    ) -> Result<Self, Unanswered> {
        let (listed, columns) = find(&*store, table, readable).await?;
        let query = plan(&listed.name, &columns, parameters, is_whole)?;
        Ok(Question { store, query })
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.query.table
    }

    /// The names under which a row's members are given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.query.select.iter().map(|selected| selected.name.as_str())
    }

    /// Asks for no more rows than this.
    pub fn at_most(&mut self, rows: usize) {
        self.query.limit = self.query.limit.min(rows);
    }

    /// Answers with one page.
    pub async fn page(self) -> Result<Rows, Unanswered> {
        let Page { rows, next } = ask(self.store, self.query).await?;
        Ok(Rows { rows, next })
    }
}

impl Rows {
    /// The answer as JSON. Each row is let go once it is written, so that they are not in memory twice.
    pub fn into_json(self) -> String {
        let next = Value::from(self.next);
        joined(r#"{"rows":["#, self.rows, &format!(r#"],"next":{next}}}"#))
    }

    /// The rows alone, as a JSON array.
    pub fn into_list(self) -> String {
        joined("[", self.rows, "]")
    }
}

fn joined(begin: &str, rows: Vec<String>, end: &str) -> String {
    let bytes: usize = rows.iter().map(|row| row.len() + 1).sum();
    let mut text = String::with_capacity(begin.len() + bytes + end.len());
    text.push_str(begin);
    for (index, row) in rows.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&row);
    }
    text.push_str(end);
    text
}

/// Puts one question to the store, when it is its turn. It goes on to its end though nobody waits for it any more, so
/// that those who come and leave cannot have more than [`QUESTIONS_MAX`] work at once.
pub(super) async fn ask(store: Arc<dyn Store>, query: RowQuery) -> Result<Page, Unanswered> {
    let turn = tokio::time::timeout(READ_TIMEOUT, QUESTIONS.acquire());
    let Ok(Ok(turn)) = turn.await else {
        let detail = format!("{QUESTIONS_MAX} questions are being answered, and more wait");
        return Err(Unanswered::new(ProblemType::StoreUnavailable, detail).retry_after(READ_TIMEOUT.as_secs()));
    };
    let asked = tokio::spawn(async move {
        let page = store.rows().page(&query).await;
        drop(turn);
        page
    });
    asked.await.map_err(|error| StoreError::later(Reason::of("a task failed", error)))?.map_err(Unanswered::from)
}
