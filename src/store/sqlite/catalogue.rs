//! What tables and columns there are, and how our types are written as SQLite's.
//!
//! SQLite has no types but affinities, told from the declared name. The names here are chosen for their affinity:
//! `DECIMAL_TEXT(30,12)` keeps digits that `NUMERIC(30,12)` would lose.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::affinity::Affinity;
use crate::change::{ColumnType, Family, Scalar, TableName};
use crate::store::needs::{Indexing, Known};

/// A table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// The name as it was created.
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// The columns of the primary key, in its order.
    pub(super) primary_key: Vec<String>,
    /// The columns of each index that no two rows are alike in, and of the primary key.
    pub(super) unique_keys: Vec<Vec<String>>,
    /// False for a table WITHOUT ROWID, which others may have made.
    pub(super) has_rowid: bool,
    /// The first columns of all indexes.
    pub(super) leading: HashSet<String>,
    /// Whether Sluicegate made it.
    pub(super) is_ours: bool,
}

/// A column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) column_type: ColumnType,
    /// What SQLite makes of values that are kept here, where that may change them.
    pub(super) affinity: Option<Affinity>,
}

impl Table {
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// What tells two rows apart that are alike in what a document names, as SQL lists it; none when columns have taken
    /// all names of the row's number.
    pub(super) fn row_name(&self) -> Option<String> {
        if !self.has_rowid {
            let key: Vec<_> = self.primary_key.iter().map(|column| quote(column)).collect();
            return Some(key.join(", "));
        }
        let is_free = |name: &&str| !self.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
        ["rowid", "_rowid_", "oid"].into_iter().find(is_free).map(str::to_owned)
    }
}

impl Known for Table {
    /// A column may bear a name of the rowid's: then that name is the column's.
    const RESERVED: &'static [&'static str] = &[];
    const DATABASE: &'static str = "SQLite";

    fn name(&self) -> &str {
        &self.name
    }

    fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| &*column.name)
    }

    fn column_type(&self, name: &str) -> Option<&ColumnType> {
        self.column(name).map(|column| &column.column_type)
    }

    fn leading(&self) -> &HashSet<String> {
        &self.leading
    }

    fn index_of(&self, column: &str) -> Option<Indexing> {
        let column_type = self.column_type(column)?;
        let is_fit = !column_type.is_array() && !matches!(column_type.family(), Family::Json | Family::Bytes);
        is_fit.then_some(Indexing::Ordered)
    }

    fn is_ours(&self) -> bool {
        self.is_ours
    }
}

/// The tables looked at so far, by name in lower case.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    tables: HashMap<String, Option<Table>>,
}

impl Catalogue {
    /// Looks a table up; in the database if it was not looked up before.
    pub(super) fn table(&mut self, connection: &Connection, name: &str) -> rusqlite::Result<Option<&Table>> {
        let folded = name.to_ascii_lowercase();
        if !self.tables.contains_key(&folded) {
            let table = load(connection, name)?;
            self.tables.insert(folded.clone(), table);
        }
        Ok(self.tables.get(&folded).and_then(Option::as_ref))
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.tables.remove(&name.to_ascii_lowercase());
    }

    pub(super) fn clear(&mut self) {
        self.tables.clear();
    }
}

/// The name of a table in SQLite, which has no schemas: `public` is left out, another schema stays in the name.
pub(super) fn sqlite_name(table: &TableName<'_>) -> String {
    match table.schema.as_deref() {
        None | Some("public") => table.name.to_string(),
        Some(schema) => format!("{schema}.{}", table.name),
    }
}

/// Reads a table's description from the database. `name` in any letter case.
pub(super) fn load(connection: &Connection, name: &str) -> rusqlite::Result<Option<Table>> {
    let mut statement = connection.prepare_cached(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let mut found = statement.query_map([name], |row| row.get::<_, String>(0))?;
    let Some(name) = found.next().transpose()? else { return Ok(None) };
    let mut columns = Vec::new();
    let mut primary_key = Vec::new();
    let mut statement =
        connection.prepare_cached("SELECT name, type, pk FROM pragma_table_xinfo(?1) WHERE hidden <> 1")?;
    let mut rows = statement.query([&name])?;
    while let Some(row) = rows.next()? {
        let (column, declared, place): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if place > 0 {
            primary_key.push((place, column.clone()));
        }
        let column_type = from_declared(&declared);
        let affinity = Affinity::of(&declared, column_type.family());
        columns.push(Column { name: column, column_type, affinity });
    }
    primary_key.sort();
    let primary_key: Vec<_> = primary_key.into_iter().map(|(_, column)| column).collect();
    let mut statement = connection.prepare_cached(
        "SELECT info.name FROM pragma_index_list(?1) AS list, pragma_index_info(list.name) AS info
         WHERE info.seqno = 0 AND info.name IS NOT NULL AND list.partial = 0",
    )?;
    let leading = statement.query_map([&name], |row| row.get(0))?;
    let mut leading: HashSet<String> = leading.collect::<rusqlite::Result<_>>()?;
    leading.extend(primary_key.first().cloned());
    let mut statement = connection.prepare_cached(
        "SELECT sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?1 AND sql LIKE '%(trim(%'",
    )?;
    let by_digits: Vec<String> = statement.query_map([&name], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let is_led =
        |column: &&Column| by_digits.iter().any(|sql| sql.contains(&format!("({}", digits(&quote(&column.name)))));
    leading.extend(columns.iter().filter(is_led).map(|column| column.name.clone()));
    let mut unique_keys = unique_indexes(connection, &name)?;
    if !primary_key.is_empty() {
        unique_keys.push(primary_key.clone());
    }
    let is_ours = connection
        .prepare_cached(r#"SELECT count(*) FROM "_sluicegate_tables" WHERE name = ?1"#)?
        .query_row([&name], |row| row.get::<_, i64>(0))?
        > 0;
    let has_rowid = connection
        .prepare_cached("SELECT wr = 0 FROM pragma_table_list WHERE schema = 'main' AND name = ?1")?
        .query_row([&name], |row| row.get(0))?;
    Ok(Some(Table { name, columns, primary_key, unique_keys, has_rowid, leading, is_ours }))
}

/// The columns of each whole unique index of a table; those of expressions are left out.
fn unique_indexes(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Vec<String>>> {
    let mut statement = connection.prepare_cached(
        "SELECT list.seq, info.name FROM pragma_index_list(?1) AS list, pragma_index_info(list.name) AS info
         WHERE list.\"unique\" = 1 AND list.partial = 0 ORDER BY list.seq, info.seqno",
    )?;
    let rows = statement.query_map([table], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?)))?;
    let mut indexes: Vec<(i64, Vec<Option<String>>)> = Vec::new();
    for row in rows {
        let (index, column) = row?;
        match indexes.last_mut() {
            Some((last, columns)) if *last == index => columns.push(column),
            _ => indexes.push((index, vec![column])),
        }
    }
    Ok(indexes.into_iter().filter_map(|(_, columns)| columns.into_iter().collect()).collect())
}

/// What a name belongs to, if that is no table that documents may write.
pub(super) fn in_the_way(connection: &Connection, name: &str) -> rusqlite::Result<Option<&'static str>> {
    let mut statement = connection
        .prepare_cached("SELECT type FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type <> 'trigger'")?;
    let mut found = statement.query_map([name], |row| row.get::<_, String>(0))?;
    Ok(found.next().transpose()?.map(|word| match word.as_str() {
        "index" => "an index",
        "view" => "a view",
        _ => "something that is no table",
    }))
}

/// The declared type of a column for values of `column_type`.
pub(super) fn declared(column_type: &ColumnType) -> String {
    if let Some(element) = column_type.element() {
        // An array is kept as the text of a JSON array, which no affinity turns into a number.
        return format!("{}_ARRAY", element_word(&element));
    }
    match column_type.scalar() {
        Scalar::Numeric { precision: Some(precision), scale } => format!("DECIMAL_TEXT({precision},{scale})"),
        Scalar::Numeric { precision: None, .. } => "DECIMAL_TEXT".into(),
        Scalar::Date => "DATE_TEXT".into(),
        Scalar::Time { zone: false } => "TIME_TEXT".into(),
        Scalar::Time { zone: true } => "TIMETZ_TEXT".into(),
        Scalar::Timestamp { zone: false } => "TIMESTAMP_TEXT".into(),
        Scalar::Timestamp { zone: true } => "TIMESTAMPTZ_TEXT".into(),
        // "INTERVAL" holds "INT", and would have integer affinity.
        Scalar::Interval => "DURATION_TEXT".into(),
        Scalar::Bytea => "BLOB".into(),
        Scalar::Json => "JSON_TEXT".into(),
        Scalar::Jsonb => "JSONB_TEXT".into(),
        Scalar::Uuid => "UUID_TEXT".into(),
        Scalar::Unknown(_) => "TEXT".into(),
        _ => column_type.to_string(),
    }
}

fn element_word(element: &ColumnType) -> String {
    match element.scalar() {
        Scalar::Unknown(_) => "TEXT".into(),
        _ => element.to_string().split('(').next().unwrap_or("TEXT").trim().replace(' ', "_"),
    }
}

/// The type that a declared type stands for; ours, or that of a table made by others.
pub(super) fn from_declared(declared: &str) -> ColumnType {
    let upper = declared.trim().to_ascii_uppercase();
    if let Some(element) = upper.strip_suffix("_ARRAY") {
        return ColumnType::parse(&format!("{}[]", element.replace('_', " ")));
    }
    let (word, arguments) = match upper.split_once('(') {
        Some((word, rest)) => (word.trim(), format!("({rest}")),
        None => (upper.as_str(), String::new()),
    };
    match word {
        "" => ColumnType::parse("bytea"),
        "DURATION_TEXT" => ColumnType::parse("interval"),
        "BLOB" => ColumnType::parse("bytea"),
        _ => match word.strip_suffix("_TEXT") {
            Some(name) => ColumnType::parse(&format!("{name}{arguments}")),
            None => {
                let known = ColumnType::parse(declared);
                if known.family() != crate::change::Family::Unknown {
                    return known;
                }
                // SQLite's own rules for a declared type (datatype3.html, section 3.1).
                let contains = |part: &str| upper.contains(part);
                ColumnType::parse(if contains("INT") {
                    "bigint"
                } else if contains("CHAR") || contains("CLOB") || contains("TEXT") {
                    "text"
                } else if contains("BLOB") {
                    "bytea"
                } else if contains("REAL") || contains("FLOA") || contains("DOUB") {
                    "double precision"
                } else {
                    declared
                })
            }
        },
    }
}

/// The digits that count of the decimal that an expression gives: the same for every way of writing one number, such as 1.5
/// and 1.50, and for few others. An index of them finds decimals, and any program can write and check it, which it could
/// not with a collation of ours. Whoever uses it compares the numbers as well.
pub(super) fn digits(expression: &str) -> String {
    let plain = format!("substr(lower({expression}), 1, instr(lower({expression}) || 'e', 'e') - 1)");
    format!("trim(replace(replace({plain}, '.', ''), '-', ''), '+0')")
}

/// Quotes an identifier.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
