//! Reading rows from SQLite.

use async_trait::async_trait;
use rusqlite::Connection;
use rusqlite::types::Value as Sql;

use super::bind::{write_stored, write_text};
use super::catalogue::{Table, load, quote};
use super::cursor;
use super::{SqliteStore, failed};
use crate::change::{ColumnType, Family, Value};
use crate::json::Json;
use crate::problem::ProblemType;
use crate::store::StoreError;
use crate::store::rows::{Column, Filter, Operator, Page, RowQuery, Rows};

#[async_trait]
impl Rows for SqliteStore {
    async fn tables(&self) -> Result<Vec<String>, StoreError> {
        self.readers
            .read(|connection| {
                let mut statement = connection
                    .prepare_cached(
                        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                         AND name NOT LIKE '\\_sluicegate%' ESCAPE '\\' ORDER BY name",
                    )
                    .map_err(failed)?;
                let names = statement.query_map([], |row| row.get(0)).map_err(failed)?;
                names.collect::<rusqlite::Result<_>>().map_err(failed)
            })
            .await
    }

    async fn columns(&self, table: &str) -> Result<Option<Vec<Column>>, StoreError> {
        let name = table.to_owned();
        self.readers
            .read(move |connection| {
                let table = visible(connection, &name)?;
                Ok(table.map(|table| {
                    let is_key = |column: &String| table.primary_key.contains(column);
                    let column = |column: &super::catalogue::Column| Column {
                        name: column.name.clone(),
                        column_type: column.column_type.clone(),
                        is_key: is_key(&column.name),
                    };
                    table.columns.iter().map(column).collect()
                }))
            })
            .await
    }

    async fn page(&self, query: &RowQuery) -> Result<Page, StoreError> {
        let query = query.clone();
        self.readers.read(move |connection| page(connection, &query)).await
    }
}

/// Finds a table that may be read: not one of the books.
fn visible(connection: &Connection, name: &str) -> Result<Option<Table>, StoreError> {
    if name.get(..11).is_some_and(|start| start.eq_ignore_ascii_case("_sluicegate")) {
        return Ok(None);
    }
    Ok(load(connection, name).map_err(failed)?.filter(|table| table.name == name))
}

fn page(connection: &Connection, query: &RowQuery) -> Result<Page, StoreError> {
    let Some(table) = visible(connection, &query.table)? else {
        let detail = format!("there is no table {:?}", query.table);
        return Err(StoreError::document(ProblemType::UnknownTable, detail));
    };
    let mut conditions = Vec::new();
    let mut parameters = Vec::new();
    for filter in &query.filters {
        let column = table.column(&filter.column).ok_or_else(|| bad(&filter.column, "there is no such column"))?;
        conditions.push(condition(filter, &column.column_type, &mut parameters)?);
    }
    let order = order(&table);
    if order.is_empty() {
        let why = "it has no key, and its columns bear all the names by which SQLite knows a row: read it with SQL";
        return Err(bad(&table.name, why));
    }
    if let Some(after) = &query.after {
        let values =
            cursor::read(after, order.len()).ok_or_else(|| bad("after", "it is not a place this server gave"))?;
        let numbers: Vec<_> = (1..=values.len()).map(|number| format!("?{}", parameters.len() + number)).collect();
        parameters.extend(values);
        conditions.push(format!("({}) > ({})", order.join(", "), numbers.join(", ")));
    }
    let mut columns = Vec::new();
    for name in &query.select {
        columns.push(table.column(name).ok_or_else(|| bad(name, "there is no such column"))?);
    }
    let mut selected = order.clone();
    selected.extend(columns.iter().map(|column| quote(&column.name)));
    let place = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    // One more row than asked for tells whether there is a next page.
    let sql = format!(
        "SELECT {} FROM {}{place} ORDER BY {} LIMIT {}",
        selected.join(", "),
        quote(&table.name),
        order.join(", "),
        query.limit + 1
    );
    let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
    let mut rows = statement.query(rusqlite::params_from_iter(parameters)).map_err(failed)?;
    let mut page = Page::default();
    let mut last = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        if page.rows.len() == query.limit {
            page.next = Some(cursor::write(&last));
            break;
        }
        last.clear();
        for index in 0..order.len() {
            last.push(row.get::<_, Sql>(index).map_err(failed)?);
        }
        let mut text = String::from("{");
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            write_text(&mut text, &column.name);
            text.push(':');
            write_stored(&mut text, row.get_ref(order.len() + index).map_err(failed)?, &column.column_type);
        }
        text.push('}');
        page.rows.push(text);
    }
    Ok(page)
}

/// What rows are ordered by, and what tells them apart: the rowid, or the primary key of a table that has none.
fn order(table: &Table) -> Vec<String> {
    // A column may bear one of the names that SQLite gives to the rowid.
    let is_free = |name: &&str| !table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    match ["rowid", "_rowid_", "oid"].iter().find(|name| is_free(name)) {
        Some(name) if table.has_rowid => vec![(*name).to_owned()],
        _ => table.primary_key.iter().map(|column| quote(column)).collect(),
    }
}

fn bad(name: &str, why: &str) -> StoreError {
    StoreError::document(ProblemType::BadQuery, format!("{name}: {why}"))
}

fn condition(filter: &Filter, column_type: &ColumnType, parameters: &mut Vec<Sql>) -> Result<String, StoreError> {
    let column = quote(&filter.column);
    match filter.operator {
        Operator::IsNull => Ok(format!("{column} IS NULL")),
        Operator::Eq => {
            parameters.push(parameter(&filter.column, column_type, &filter.value)?);
            let collate = if column_type.family() == Family::Decimal { " COLLATE decimal" } else { "" };
            Ok(format!("{column} = ?{}{collate}", parameters.len()))
        }
    }
}

/// Reads a filter's text as a value of the column's type.
fn parameter(column: &str, column_type: &ColumnType, text: &str) -> Result<Sql, StoreError> {
    // JSON and arrays are compared as the text they are kept as.
    if column_type.is_array() || column_type.family() == Family::Json {
        return Ok(Sql::Text(text.into()));
    }
    let value = column_type.read(Json::Text(text.into())).map_err(|misfit| bad(column, &misfit.to_string()))?;
    Ok(match value {
        Value::Null => Sql::Null,
        Value::Boolean(value) => Sql::Integer(i64::from(value)),
        Value::Whole(value) => Sql::Integer(value),
        Value::Float(value) => Sql::Real(value),
        Value::Decimal(text) | Value::Text(text) | Value::Json(text) => Sql::Text(text.into_owned()),
        Value::Bytes(bytes) => Sql::Blob(bytes),
        Value::Array(_) => Sql::Text(text.into()),
    })
}
