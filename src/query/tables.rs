//! `GET /v1/tables`, `GET /v1/tables/{table}`, `GET /v1/tables/{table}/rows`

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use serde_json::json;
use tokio::sync::Semaphore;

use super::export::{self, Form};
use super::parameters::{self, bad};
use super::postgrest::plan;
use super::store;
use crate::http::answer::{Answer, Failure, json as json_answer, respond};
use crate::http::room;
use crate::near;
use crate::problem::ProblemType;
use crate::query_string::encode;
use crate::service::Service;
use crate::store::readable::Readable;
use crate::store::rows::{Column, Listed, Page, READ_TIMEOUT, ROW_BYTES_MAX, RowQuery, Rows};
use crate::store::{Store, StoreError};

/// So many questions are put to the store at once; further ones wait.
const QUESTIONS_MAX: usize = 16;

/// The longest `next` link: the headers of a request must hold it.
const LINK_BYTES_MAX: usize = 32 << 10;

static QUESTIONS: Semaphore = Semaphore::const_new(QUESTIONS_MAX);

/// The names of the tables.
pub async fn list(State(service): State<Arc<Service>>) -> Response<Body> {
    let list = async {
        let tables = store(&service)?.rows().tables().await?;
        let shown = tables.into_iter().filter(|table| service.readable().shows(table));
        let tables: Vec<_> = shown.map(|table| table.name).collect();
        Ok(json_answer(StatusCode::OK, json!({"tables": tables}).to_string()))
    };
    respond(list.await)
}

/// The columns of a table.
pub async fn show(State(service): State<Arc<Service>>, Path(table): Path<String>) -> Response<Body> {
    let show = async {
        let (listed, columns) = find(store(&service)?.rows(), &table, service.readable()).await?;
        let columns: Vec<_> = columns
            .iter()
            .map(|column| json!({"name": column.name, "type": column.column_type.to_string(), "key": column.is_key}))
            .collect();
        Ok(json_answer(StatusCode::OK, json!({"table": listed.name, "columns": columns}).to_string()))
    };
    respond(show.await)
}

/// The rows of a table: a page of them as JSON, or all of them as CSV or one JSON object a line.
pub async fn rows(
    State(service): State<Arc<Service>>,
    Path(table): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let answer = async {
        let store = super::shared_store(&service)?;
        let parameters = parameters::read(uri.query())?;
        let (listed, columns) = find(store.rows(), &table, service.readable()).await?;
        let form = Form::asked(&headers);
        let query = plan(&listed.name, &columns, &parameters, form != Form::Page)?;
        match form {
            Form::Page => page(store, query, &parameters).await,
            form => export::answer(Arc::clone(&service), store, query, form).await,
        }
    };
    respond(answer.await)
}

async fn page(store: Arc<dyn Store>, query: RowQuery, parameters: &[(String, String)]) -> Answer {
    let table = query.table.clone();
    let mut room = room::room(ROW_BYTES_MAX).await?;
    let Page { rows, next } = ask(store, query).await?;
    let next = next.map(|after| link(&table, parameters, &after)).transpose()?;
    let next = serde_json::Value::from(next);
    let text = joined(r#"{"rows":["#, rows, &format!(r#"],"next":{next}}}"#));
    room.shrink(text.len());
    Ok(room::keep(json_answer(StatusCode::OK, text), room))
}

/// Rows behind one another. Each is let go once it is written, so that they are not in memory twice.
pub(super) fn joined(begin: &str, rows: Vec<String>, end: &str) -> String {
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
pub(super) async fn ask(store: Arc<dyn Store>, query: RowQuery) -> Result<Page, Failure> {
    let turn = tokio::time::timeout(READ_TIMEOUT, QUESTIONS.acquire());
    let Ok(Ok(turn)) = turn.await else {
        let detail = format!("{QUESTIONS_MAX} questions are being answered, and more wait");
        return Err(Failure::new(ProblemType::StoreUnavailable, detail).retry_after(READ_TIMEOUT.as_secs()));
    };
    let asked = tokio::spawn(async move {
        let page = store.rows().page(&query).await;
        drop(turn);
        page
    });
    asked.await.map_err(|error| StoreError::Later(format!("a task failed: {error}")))?.map_err(Failure::from)
}

/// The address of the page that begins behind `after`.
pub(super) fn link(table: &str, parameters: &[(String, String)], after: &str) -> Result<String, Failure> {
    let mut link = format!("/v1/tables/{}/rows?", encode(table));
    for (name, value) in parameters.iter().filter(|(name, _)| name != "after") {
        link.push_str(&format!("{}={}&", encode(name), encode(value)));
    }
    link.push_str(&format!("after={}", encode(after)));
    if link.len() > LINK_BYTES_MAX {
        let why = "the values that rows are ordered by are too long for a link to the next page; order by something \
                   shorter, or accept text/csv or application/x-ndjson";
        return Err(bad("order", why));
    }
    Ok(link)
}

/// A table that must exist, and be among those that are shown: of another one nothing is said, not even that it is there.
pub async fn find(rows: &dyn Rows, table: &str, readable: &Readable) -> Result<(Listed, Vec<Column>), StoreError> {
    if let Some(found) = rows.find(table).await?.filter(|(listed, _)| readable.shows(listed)) {
        return Ok(found);
    }
    let tables = rows.tables().await?;
    let shown = tables.iter().filter(|listed| readable.shows(listed)).map(|listed| listed.name.as_str());
    let detail = format!("there is no table {table:?}{}", near::hint(table, shown));
    Err(StoreError::document(ProblemType::UnknownTable, detail))
}
