//! `GET /v1/tables`, `GET /v1/tables/{table}`, `GET /v1/tables/{table}/rows`

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode, Uri};
use serde_json::json;

use super::parameters::{self, bad, encode};
use super::store;
use crate::http::answer::{Answer, Failure, json as json_answer, respond};
use crate::problem::ProblemType;
use crate::service::Service;
use crate::store::StoreError;
use crate::store::rows::{Column, Filter, Operator, PAGE_ROWS_MAX, Page, RowQuery, Rows};

/// How many rows a page holds when nothing is said.
pub const PAGE_ROWS: usize = 100;

/// The names of the tables.
pub async fn list(State(service): State<Arc<Service>>) -> Response<Body> {
    let list = async {
        let tables = store(&service)?.rows().tables().await?;
        Ok(json_answer(StatusCode::OK, json!({"tables": tables}).to_string()))
    };
    respond(list.await)
}

/// The columns of a table.
pub async fn show(State(service): State<Arc<Service>>, Path(table): Path<String>) -> Response<Body> {
    let show = async {
        let columns = columns(store(&service)?.rows(), &table).await?;
        let columns: Vec<_> = columns
            .iter()
            .map(|column| json!({"name": column.name, "type": column.column_type.to_string(), "key": column.is_key}))
            .collect();
        Ok(json_answer(StatusCode::OK, json!({"table": table, "columns": columns}).to_string()))
    };
    respond(show.await)
}

/// The rows of a table.
pub async fn rows(State(service): State<Arc<Service>>, Path(table): Path<String>, uri: Uri) -> Response<Body> {
    respond(page(&service, &table, uri.query()).await)
}

async fn page(service: &Service, table: &str, query: Option<&str>) -> Answer {
    let rows = store(service)?.rows();
    let columns = columns(rows, table).await?;
    let parameters = parameters::read(query)?;
    let query = plan(table, &columns, &parameters)?;
    let Page { rows, next } = rows.page(&query).await?;
    let mut body = format!(r#"{{"rows":[{}],"next":"#, rows.join(","));
    match next {
        None => body.push_str("null}"),
        Some(after) => {
            let mut link = format!("/v1/tables/{}/rows?", encode(table));
            for (name, value) in parameters.iter().filter(|(name, _)| name != "after") {
                link.push_str(&format!("{}={}&", encode(name), encode(value)));
            }
            link.push_str(&format!("after={}", encode(&after)));
            body.push_str(&serde_json::Value::from(link).to_string());
            body.push('}');
        }
    }
    Ok(json_answer(StatusCode::OK, body))
}

/// The columns of a table that must exist.
pub async fn columns(rows: &dyn Rows, table: &str) -> Result<Vec<Column>, StoreError> {
    if let Some(columns) = rows.columns(table).await? {
        return Ok(columns);
    }
    let tables = rows.tables().await?;
    let detail = format!("there is no table {table:?}{}", near(table, tables.iter().map(String::as_str)));
    Err(StoreError::document(ProblemType::UnknownTable, detail))
}

/// A hint at the names that are near to one that does not exist.
fn near<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    // Another letter case is the nearest of all mistakes.
    let folded = name.to_lowercase();
    let mut near: Vec<_> =
        known.map(|known| (strsim::damerau_levenshtein(&folded, &known.to_lowercase()), known)).collect();
    near.sort_unstable();
    near.retain(|(distance, known)| *distance <= known.len().max(name.len()) / 2);
    match near.first() {
        Some((_, known)) => format!("; did you mean {known:?}?"),
        None => String::new(),
    }
}

/// Turns parameters, as PostgREST writes them, into a query.
pub fn plan(table: &str, columns: &[Column], parameters: &[(String, String)]) -> Result<RowQuery, Failure> {
    let known = |name: &str| columns.iter().any(|column| column.name == name);
    let check = |name: &str| match known(name) {
        true => Ok(name.to_owned()),
        false => Err(bad(
            name,
            &format!("table {table:?} has no such column{}", near(name, columns.iter().map(|column| &*column.name))),
        )),
    };
    let mut query = RowQuery { table: table.into(), limit: PAGE_ROWS, ..RowQuery::default() };
    for (name, value) in parameters {
        match name.as_str() {
            "select" if !known("select") || !value.contains('.') => {
                query.select = match value.as_str() {
                    "*" => Vec::new(),
                    list => list.split(',').map(|name| check(name.trim())).collect::<Result<_, _>>()?,
                };
                let select = &query.select;
                if let Some(twice) = (1..select.len()).find(|at| select[..*at].contains(&select[*at])) {
                    return Err(bad(name, &format!("{:?} is named twice", select[twice])));
                }
            }
            "limit" => query.limit = parameters::limit(name, value, PAGE_ROWS_MAX)?,
            "after" => query.after = Some(value.clone()),
            "order" => {
                return Err(bad(
                    name,
                    "ordering is not built yet in this version; rows come in the order in which they were added",
                ));
            }
            _ => query.filters.push(filter(&check(name)?, value)?),
        }
    }
    if query.select.is_empty() {
        query.select = columns.iter().map(|column| column.name.clone()).collect();
    }
    Ok(query)
}

fn filter(column: &str, condition: &str) -> Result<Filter, Failure> {
    let (operator, value) = condition.split_once('.').unwrap_or((condition, ""));
    let operator = match (operator, value) {
        ("eq", _) => Operator::Eq,
        ("is", "null") => Operator::IsNull,
        _ => {
            let why = format!("{condition:?} is no condition this version has; write eq.VALUE or is.null");
            return Err(bad(column, &why));
        }
    };
    Ok(Filter { column: column.into(), operator, value: value.into() })
}
