//! Reading rows from SQLite.

use async_trait::async_trait;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, Row};

use super::bind::{write_stored, write_text};
use super::catalogue::{Table, load, quote, sqlite_name};
use super::dialect::{Sqlite, is_ordered};
use super::functions::TOO_LARGE;
use super::{SqliteStore, cursor, failed};
use crate::change::{ColumnType, TableName, reserved};
use crate::store::StoreError;
use crate::store::rows::{
    Column, Comparison, Field, Filling, Listed, Operator, Page, ROW_BYTES_MAX, RowQuery, Rows, bad, no_table,
    not_a_place, of_a_question, row_too_large,
};
use crate::store::selecting::{Tie, fields, places, statement};

#[async_trait]
impl Rows for SqliteStore {
    async fn tables(&self) -> Result<Vec<Listed>, StoreError> {
        self.readers
            .answer(|connection| {
                let mut statement = connection
                    .prepare_cached(
                        "SELECT name, EXISTS (SELECT 1 FROM \"_sluicegate_tables\" AS made WHERE made.name = sqlite_schema.name)
                         FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                         AND name NOT LIKE '\\_sluicegate%' ESCAPE '\\' ORDER BY name",
                    )
                    .map_err(failed)?;
                let names = statement.query_map([], |row| Ok(listed(row.get(0)?, row.get(1)?))).map_err(failed)?;
                names.collect::<rusqlite::Result<_>>().map_err(failed)
            })
            .await
    }

    async fn find(&self, table: &str) -> Result<Option<(Listed, Vec<Column>)>, StoreError> {
        let name = table.to_owned();
        self.readers
            .answer(move |connection| {
                let table = visible(connection, &name)?;
                Ok(table.map(|table| {
                    let is_key = |column: &String| table.primary_key.contains(column);
                    let column = |column: &super::catalogue::Column| Column {
                        name: column.name.clone(),
                        column_type: column.column_type.clone(),
                        is_key: is_key(&column.name),
                    };
                    let columns = table.columns.iter().map(column).collect();
                    (listed(table.name, table.is_ours), columns)
                }))
            })
            .await
    }

    async fn page(&self, query: &RowQuery) -> Result<Page, StoreError> {
        let query = query.clone();
        self.readers.answer(move |connection| page(connection, &query)).await
    }
}

/// Finds a table that may be read: not one of the books.
fn visible(connection: &Connection, name: &str) -> Result<Option<Table>, StoreError> {
    // `public` is left out of the names of tables here, unless somebody else's bears it.
    let short = sqlite_name(&TableName::parse(name.into()));
    for name in [name, &short] {
        if reserved::is_of_books(name) {
            return Ok(None);
        }
        if let Some(table) = load(connection, name).map_err(failed)?.filter(|table| table.name == name) {
            return Ok(Some(table));
        }
    }
    Ok(None)
}

/// SQLite has no schemas: a name without one is in `public`, as documents write it.
fn listed(name: String, is_ours: bool) -> Listed {
    let full_name = if name.contains('.') { name.clone() } else { format!("public.{name}") };
    Listed { name, full_name, is_ours }
}

fn page(connection: &Connection, query: &RowQuery) -> Result<Page, StoreError> {
    let Some(table) = visible(connection, &query.table)? else {
        return Err(no_table(&query.table));
    };
    check(&table, query)?;
    let ties = ties(&table);
    if ties.is_empty() {
        let why = "it has no key, and its columns bear all the names by which SQLite knows a row: read it with SQL";
        return Err(bad(&table.name, why));
    }
    let places = places(query, &ties);
    let after = match &query.after {
        Some(after) => {
            let values = cursor::read(after, places);
            let values = values.ok_or_else(not_a_place)?;
            Some(values.into_iter().map(|value| Some(value).filter(|value| *value != Sql::Null)).collect())
        }
        None => None,
    };
    let asked = statement(&Sqlite, query, &quote(&table.name), &ties, after);
    let mut statement = connection.prepare_cached(&asked.sql).map_err(refused)?;
    let mut rows = statement.query(rusqlite::params_from_iter(asked.values)).map_err(refused)?;
    let (fields, each) = fields(query);
    let kinds: Vec<_> = fields.iter().map(|field| field.kind()).collect();
    let mut filling = Filling::of(query);
    let mut place = Vec::new();
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) if is_too_large(&error) => {
                filling.passes_over()?;
                filling.page.next = Some(cursor::write(&place));
                break;
            }
            Err(error) => return Err(refused(error)),
        };
        let text = if filling.is_full() { None } else { Some(object(row, query, &each, &kinds, places)?) };
        let is_taken = text.map(|text| filling.take(text)).transpose()?.unwrap_or(false);
        if !is_taken {
            filling.page.next = Some(cursor::write(&place));
            break;
        }
        place.clear();
        for index in 0..places {
            place.push(row.get::<_, Sql>(index).map_err(refused)?);
        }
    }
    Ok(filling.page)
}

/// A row as a JSON object; none when it is too large.
fn object(
    row: &Row<'_>,
    query: &RowQuery,
    each: &[usize],
    kinds: &[ColumnType],
    places: usize,
) -> Result<Option<String>, StoreError> {
    let mut text = String::from("{");
    for (index, (selected, field)) in query.select.iter().zip(each).enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_text(&mut text, &selected.name);
        text.push(':');
        let value = row.get_ref(places + field).map_err(refused)?;
        let bytes = value.as_bytes_or_null().ok().flatten().map_or(0, <[u8]>::len);
        if text.len() + bytes > ROW_BYTES_MAX {
            return Ok(None);
        }
        write_stored(&mut text, value, &kinds[*field]);
    }
    text.push('}');
    Ok(Some(text).filter(|text| text.len() <= ROW_BYTES_MAX))
}

/// Whether a statement was given up at a row that SQLite itself would not have had room for.
fn is_too_large(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(_, Some(message)) if message.contains(TOO_LARGE))
}

/// Looks once more, in the transaction that reads: to SQLite a name in quotes that is no column is a text.
fn check(table: &Table, query: &RowQuery) -> Result<(), StoreError> {
    let selected = query.select.iter().map(|selected| &selected.field);
    let filtered = query.filters.iter().map(|filter| &filter.field);
    let ordered = query.order.iter().map(|order| &order.field);
    for field in selected.chain(filtered).chain(ordered.clone()) {
        table.column(&field.column).ok_or_else(|| bad(&field.column, "there is no such column"))?;
    }
    let is_order = |comparison| !matches!(comparison, Comparison::Eq | Comparison::Neq);
    let compared = query
        .filters
        .iter()
        .filter(|filter| matches!(filter.operator, Operator::Compare(comparison, _) if is_order(comparison)));
    let is_unordered = |field: &&Field| !is_ordered(&field.kind());
    match compared.map(|filter| &filter.field).chain(ordered).find(is_unordered) {
        Some(field) => {
            let why = format!(
                "SQLite keeps {} as text, whose order is not theirs; it compares with eq, neq and in",
                field.kind()
            );
            Err(bad(&field.column, &why))
        }
        None => Ok(()),
    }
}

/// What tells rows apart: the rowid, or the primary key of a table that has none.
fn ties(table: &Table) -> Vec<Tie> {
    // A column may bear one of the names that SQLite gives to the rowid.
    let is_free = |name: &&str| !table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    let tie = |expression: String| Tie { expression, cast: String::new() };
    match ["rowid", "_rowid_", "oid"].iter().find(|name| is_free(name)) {
        Some(name) if table.has_rowid => vec![tie((*name).to_owned())],
        _ => table.primary_key.iter().map(|column| tie(quote(column))).collect(),
    }
}

/// What an error of SQLite says about a question.
fn refused(error: rusqlite::Error) -> StoreError {
    if is_too_large(&error) {
        return row_too_large();
    }
    of_a_question(failed(error))
}
