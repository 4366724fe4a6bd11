//! Reading rows from PostgreSQL: each page in a transaction that only reads.
//!
//! A page is ordered by where rows lie. An update moves a row to the end, so who pages through a table that changes may
//! meet it twice.

use async_trait::async_trait;

use super::PostgresStore;
use super::catalogue::{Place, Table, load, quote};
use super::connection::column;
use super::text::write_json;
use crate::change::{ColumnType, Family, TableName};
use crate::json::Json;
use crate::problem::ProblemType;
use crate::store::StoreError;
use crate::store::rows::{Column, Filter, Operator, Page, RowQuery, Rows};

const TABLES: &str = r#"SELECT name FROM (
        SELECT CASE WHEN n.nspname = $1 THEN c.relname::text ELSE n.nspname || '.' || c.relname END AS name
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
            AND c.relname NOT LIKE '\_sluicegate%'
            AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')) AS found
    ORDER BY name COLLATE "C""#;

#[async_trait]
impl Rows for PostgresStore {
    async fn tables(&self) -> Result<Vec<String>, StoreError> {
        let rows = self.pool.lend().await?.query(TABLES, &[&self.settings.schema]).await?;
        rows.iter().map(|row| column(row, 0)).collect()
    }

    async fn columns(&self, table: &str) -> Result<Option<Vec<Column>>, StoreError> {
        Ok(self.visible(table).await?.map(|table| {
            let column = |column: &super::catalogue::Column| Column {
                name: column.name.clone(),
                column_type: column.column_type.clone(),
                is_key: table.primary_key.contains(&column.name),
            };
            table.columns.iter().map(column).collect()
        }))
    }

    async fn page(&self, query: &RowQuery) -> Result<Page, StoreError> {
        let Some(table) = self.visible(&query.table).await? else {
            let detail = format!("there is no table {:?}", query.table);
            return Err(StoreError::document(ProblemType::UnknownTable, detail));
        };
        let (sql, values, columns) = statement(&table, query)?;
        let values: Vec<_> = values.iter().map(|value| value as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
        let rows = self.with_books(false, async |books| books.rows(&sql, &values).await).await?;
        let mut page = Page::default();
        for (index, row) in rows.iter().enumerate() {
            if index == query.limit {
                page.next = rows.get(index - 1).map(|last| column(last, 0)).transpose()?;
                break;
            }
            let mut text = String::from("{");
            for (index, (name, column_type)) in columns.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&serde_json::Value::from(*name).to_string());
                text.push(':');
                write_json(&mut text, column(row, index + 1)?, column_type);
            }
            text.push('}');
            page.rows.push(text);
        }
        Ok(page)
    }
}

impl PostgresStore {
    /// Finds a table that may be read: not one of the books.
    async fn visible(&self, name: &str) -> Result<Option<Table>, StoreError> {
        let place = Place::of(&TableName::parse(name.into()), &self.settings.schema);
        if place.name.get(..11).is_some_and(|start| start.eq_ignore_ascii_case("_sluicegate")) {
            return Ok(None);
        }
        if place.schema.starts_with("pg_") || place.schema == "information_schema" {
            return Ok(None);
        }
        let connection = self.pool.lend().await?;
        load(&connection, &self.settings.schema, &place).await
    }
}

/// A statement, its values as text, and the columns that it gives behind the place of each row.
type Statement<'t> = (String, Vec<Option<String>>, Vec<(&'t str, &'t ColumnType)>);

fn statement<'t>(table: &'t Table, query: &RowQuery) -> Result<Statement<'t>, StoreError> {
    let find = |name: &str| table.column(name).ok_or_else(|| bad(name, "there is no such column"));
    let mut conditions = Vec::new();
    let mut values = Vec::new();
    for filter in &query.filters {
        conditions.push(condition(filter, find(&filter.column)?, &mut values)?);
    }
    if let Some(after) = &query.after {
        let (part, place) = after
            .split_once(':')
            .filter(|_| is_place(after))
            .ok_or_else(|| bad("after", "it is not a place this server gave"))?;
        values.extend([Some(part.to_owned()), Some(place.to_owned())]);
        let number = values.len();
        conditions.push(format!("(t.tableoid, t.ctid) > (${}::text::oid, ${number}::text::tid)", number - 1));
    }
    let mut columns = Vec::new();
    let mut selected = vec!["t.tableoid::text || ':' || t.ctid::text".to_owned()];
    for name in &query.select {
        let column = find(name)?;
        columns.push((&*column.name, &column.column_type));
        selected.push(format!("t.{}::text", quote(&column.name)));
    }
    let place = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    // One more row than asked for tells whether there is a next page.
    let sql = format!(
        "SELECT {} FROM {} AS t{place} ORDER BY t.tableoid, t.ctid LIMIT {}",
        selected.join(", "),
        table.quoted(),
        query.limit + 1
    );
    Ok((sql, values, columns))
}

/// `16384:(0,1)`.
fn is_place(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'(' | b',' | b')'))
}

fn bad(name: &str, why: &str) -> StoreError {
    StoreError::document(ProblemType::BadQuery, format!("{name}: {why}"))
}

fn condition(
    filter: &Filter,
    column: &super::catalogue::Column,
    values: &mut Vec<Option<String>>,
) -> Result<String, StoreError> {
    let name = format!("t.{}", quote(&filter.column));
    match filter.operator {
        Operator::IsNull => Ok(format!("{name} IS NULL")),
        Operator::Eq => {
            values.push(parameter(&filter.column, &column.column_type, &filter.value)?);
            let value = format!("${}::text::{}", values.len(), column.cast);
            Ok(match column.has_equality {
                true => format!("{name} = {value}"),
                false => format!("{name}::text = {value}::text"),
            })
        }
    }
}

/// A filter's text as the column's type reads it.
fn parameter(column: &str, column_type: &ColumnType, text: &str) -> Result<Option<String>, StoreError> {
    if column_type.is_array() || matches!(column_type.family(), Family::Json | Family::Unknown) {
        return Ok(Some(text.to_owned()));
    }
    let value = column_type.read(Json::Text(text.into())).map_err(|misfit| bad(column, &misfit.to_string()))?;
    Ok(match value {
        crate::change::Value::Null => None,
        value => Some(value.text().into_owned()),
    })
}
