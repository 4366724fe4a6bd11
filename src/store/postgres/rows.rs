//! Reading rows from PostgreSQL: each page in a transaction that only reads, by a cursor, so that large documents come no
//! further than the page holds.
//!
//! Rows without a primary key are told apart by where they lie. An update moves such a row, so who pages through a table
//! that changes may meet it twice, or not.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::catalogue::{Place, Table, load, quote};
use super::connection::{Connection, column, silent};
use super::dialect::Postgres;
use super::error::failed;
use super::text::write_json;
use super::{IDENTIFIER_BYTES_MAX, PostgresStore};
use crate::change::{ColumnType, TableName, reserved};
use crate::store::StoreError;
use crate::store::rows::{
    Column, Filling, Listed, Page, READ_TIMEOUT, ROW_BYTES_MAX, RowQuery, Rows, no_table, not_a_place, of_a_question,
    row_too_large, too_long,
};
use crate::store::selecting::{Statement, Tie, fields, places, statement};

/// So many rows are fetched first, to see how large they are; and so many at most at once.
const FIRST_ROWS: usize = 16;
const FETCH_ROWS_MAX: usize = 1_000;

const TABLES: &str = r#"SELECT name, full_name, is_ours FROM (
        SELECT CASE WHEN n.nspname = $1 THEN c.relname::text ELSE n.nspname || '.' || c.relname END AS name,
            n.nspname || '.' || c.relname AS full_name,
            EXISTS (SELECT 1 FROM {books}."_sluicegate_tables" t WHERE t.schema = n.nspname AND t.name = c.relname) AS is_ours
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
            AND c.relname NOT LIKE '\_sluicegate%'
            AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')) AS found
    ORDER BY name COLLATE "C""#;

#[async_trait]
impl Rows for PostgresStore {
    async fn tables(&self) -> Result<Vec<Listed>, StoreError> {
        let sql = TABLES.replace("{books}", &quote(&self.settings.schema));
        let rows = self.pool.lend().await?.query(&sql, &[&self.settings.schema]).await?;
        let listed =
            |row: &Row| Ok(Listed { name: column(row, 0)?, full_name: column(row, 1)?, is_ours: column(row, 2)? });
        rows.iter().map(listed).collect()
    }

    async fn find(&self, table: &str) -> Result<Option<(Listed, Vec<Column>)>, StoreError> {
        Ok(self.visible(table).await?.map(|table| {
            let column = |column: &super::catalogue::Column| Column {
                name: column.name.clone(),
                column_type: column.column_type.clone(),
                is_key: table.primary_key.contains(&column.name),
            };
            let full_name = format!("{}.{}", table.schema, table.name);
            let name = if table.schema == self.settings.schema { table.name.clone() } else { full_name.clone() };
            (Listed { name, full_name, is_ours: table.is_ours }, table.columns.iter().map(column).collect())
        }))
    }

    async fn page(&self, query: &RowQuery) -> Result<Page, StoreError> {
        let Some(table) = self.visible(&query.table).await? else {
            return Err(no_table(&query.table));
        };
        let ties = ties(&table);
        let places = places(query, &ties);
        let after = query.after.as_deref().map(|after| read_place(after, places)).transpose()?;
        let from = format!("{} AS t", table.quoted());
        let Statement { sql, values } = statement(&Postgres, query, &from, &ties, after);
        let values: Vec<_> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();

        let connection = self.pool.lend().await?;
        connection.note_transaction(true);
        let timeout = READ_TIMEOUT.as_millis();
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout =";
        connection.run(&format!("{begin} {timeout}")).await?;
        let declare = format!("DECLARE page NO SCROLL CURSOR FOR {}", weighed(&sql, places, fields(query).0.len()));
        ask(&connection, &declare, &values).await?;
        let page = fetch(&connection, query, places).await?;
        connection.run("COMMIT").await?;
        connection.note_transaction(false);
        Ok(page)
    }
}

/// The statement `sql`, with whether each row is too large behind its place: the fields of such a row stay where they are.
fn weighed(sql: &str, places: usize, fields: usize) -> String {
    let names = |prefix: &'static str, count: usize| (0..count).map(move |at| format!("{prefix}{at}"));
    let all: Vec<_> = names("p", places).chain(names("f", fields)).collect();
    let mut given: Vec<_> = names("p", places).collect();
    given.push("s.weight > $MAX".to_owned());
    given.extend(names("f", fields).map(|field| format!("CASE WHEN s.weight <= $MAX THEN {field} END")));
    let mut weight = String::from("0::bigint");
    for field in names("f", fields) {
        weight.push_str(&format!(" + coalesce(octet_length({field}), 0)"));
    }
    // OFFSET keeps the sum from being written out in place of each mention.
    format!(
        "SELECT {} FROM ({sql}) AS q({}), LATERAL (SELECT {weight} AS weight OFFSET 0) AS s",
        given.join(", "),
        all.join(", ")
    )
    .replace("$MAX", &ROW_BYTES_MAX.to_string())
}

/// A page that fills, and the row that it ends with.
struct Answer<'q> {
    query: &'q RowQuery,
    each: Vec<usize>,
    kinds: Vec<ColumnType>,
    places: usize,
    filling: Filling<'q>,
    last: Option<Row>,
}

impl Answer<'_> {
    /// Takes a row. False when the page ends before it.
    fn take(&mut self, row: Row) -> Result<bool, StoreError> {
        if self.filling.is_full() {
            return Ok(false);
        }
        let is_large = column::<Option<bool>>(&row, self.places)?.unwrap_or(false);
        let text = if is_large { None } else { self.object(&row)? };
        let is_taken = self.filling.take(text)?;
        if is_taken {
            self.last = Some(row);
        }
        Ok(is_taken)
    }

    /// A row as a JSON object; none when it is too large.
    fn object(&self, row: &Row) -> Result<Option<String>, StoreError> {
        let mut text = String::from("{");
        for (index, (selected, field)) in self.query.select.iter().zip(&self.each).enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(&serde_json::Value::from(selected.name.as_str()).to_string());
            text.push(':');
            let value: Option<&str> = column(row, self.places + 1 + field)?;
            if text.len() + value.map_or(0, str::len) > ROW_BYTES_MAX {
                return Ok(None);
            }
            write_json(&mut text, value, &self.kinds[*field]);
        }
        text.push('}');
        Ok(Some(text).filter(|text| text.len() <= ROW_BYTES_MAX))
    }

    fn end(mut self, has_more: bool) -> Result<Page, StoreError> {
        if has_more {
            self.filling.page.next = self.last.map(|last| write_place(&last, self.places)).transpose()?;
        }
        Ok(self.filling.page)
    }
}

/// Fetches the rows of the cursor until the page is full. They come one by one, and no more at once than twice as many as
/// there were before: what is fetched and not needed costs time only.
async fn fetch(connection: &Connection, query: &RowQuery, places: usize) -> Result<Page, StoreError> {
    let (fields, each) = fields(query);
    let kinds = fields.iter().map(|field| field.kind()).collect();
    let mut answer = Answer { query, each, kinds, places, filling: Filling::of(query), last: None };
    let mut wanted = FIRST_ROWS;
    loop {
        let fetch = format!("FETCH FORWARD {wanted} FROM page");
        let none: [&(dyn ToSql + Sync); 0] = [];
        let rows = connection.patient(connection.client().query_raw(&fetch, none)).await.map_err(said)?;
        let mut rows = std::pin::pin!(rows);
        let mut count = 0;
        loop {
            let row = match connection.patient(rows.try_next()).await {
                Ok(Some(row)) => row,
                Ok(None) => break,
                Err(Some(error)) if is_out_of_room(&error) => {
                    answer.filling.passes_over()?;
                    return answer.end(true);
                }
                Err(error) => return Err(said(error)),
            };
            count += 1;
            if !answer.take(row)? {
                return answer.end(true);
            }
        }
        if count < wanted {
            return answer.end(false);
        }
        wanted = (2 * wanted).min(FETCH_ROWS_MAX);
    }
}

/// Whether PostgreSQL has no room for a value that is asked for: a text of it holds 1 GB at most.
fn is_out_of_room(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|said| match said.code().code() {
        "53200" | "54000" => true,
        "XX000" => said.message().contains("memory alloc"),
        _ => false,
    })
}

/// Runs a statement of a question, and says what its failure means for who asked. It is not kept prepared: few questions
/// are asked twice, and a cursor's rows look different each time.
async fn ask(connection: &Connection, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
    connection.patient(connection.client().query(sql, values)).await.map_err(said)
}

/// What a failure means for who asked.
fn said(error: Option<tokio_postgres::Error>) -> StoreError {
    match error {
        None => silent(),
        Some(error) if is_out_of_room(&error) => row_too_large(),
        Some(error) => match error.code().map(|code| code.code().to_owned()).as_deref() {
            Some("57014") => too_long(),
            _ => of_a_question(failed(error)),
        },
    }
}

/// What tells rows apart: the primary key, or where they lie.
fn ties(table: &Table) -> Vec<Tie> {
    let of_key = |name: &String| {
        let column = table.column(name)?;
        Some(Tie { expression: format!("t.{}", quote(name)), cast: format!("::{}", column.cast) })
    };
    let key: Option<Vec<_>> = table.primary_key.iter().map(of_key).collect();
    let lie = |name: &str, cast: &str| Tie { expression: format!("t.{name}"), cast: format!("::{cast}") };
    match key {
        Some(key) if !key.is_empty() => key,
        // A partition or an heir has places of its own.
        _ => vec![lie("tableoid", "oid"), lie("ctid", "tid")],
    }
}

/// The place of a row, opaque to clients.
fn write_place(row: &Row, places: usize) -> Result<String, StoreError> {
    let values = (0..places).map(|at| column::<Option<String>>(row, at)).collect::<Result<Vec<_>, _>>()?;
    Ok(serde_json::Value::from(values).to_string())
}

fn read_place(text: &str, places: usize) -> Result<Vec<Option<String>>, StoreError> {
    let values: Option<Vec<Option<String>>> = serde_json::from_str(text).ok();
    values.filter(|values| values.len() == places).ok_or_else(not_a_place)
}

impl PostgresStore {
    /// Finds a table that may be read: not one of the books.
    async fn visible(&self, name: &str) -> Result<Option<Table>, StoreError> {
        let place = Place::of(&TableName::parse(name.into()), &self.settings.schema);
        // What cannot be a name is none, and PostgreSQL would say so in other words.
        let is_name = |name: &str| name.len() <= IDENTIFIER_BYTES_MAX && !name.contains('\0');
        if !is_name(&place.name) || !is_name(&place.schema) {
            return Ok(None);
        }
        if reserved::is_of_books(&place.name) || reserved::is_schema_of_postgres(&place.schema) {
            return Ok(None);
        }
        let connection = self.pool.lend().await?;
        match load(&connection, &self.settings.schema, &place).await {
            // An index or a type has no rows to be read.
            Err(StoreError::Document(_)) => Ok(None),
            loaded => loaded,
        }
    }
}
