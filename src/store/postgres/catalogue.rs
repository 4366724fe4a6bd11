//! What tables there are, and what about them decides how they may be written.

use std::collections::HashSet;

use super::connection::{Connection, column};
use super::rights::{ColumnRights, Rights};
use crate::change::{ColumnType, Family, Scalar, TableName};
use crate::store::StoreError;
use crate::store::needs::{self, Indexing, Known};

/// A table, or what can be written like one.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) oid: u32,
    pub(super) schema: String,
    /// The name as it was created.
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// The columns of the primary key, in its order.
    pub(super) primary_key: Vec<String>,
    /// The first columns of all indexes.
    pub(super) leading: HashSet<String>,
    /// The columns of each index that no two rows are alike in.
    pub(super) unique_keys: Vec<Vec<String>>,
    /// Whether its rows have a place, `ctid`, by which one can be named.
    pub(super) has_ctid: bool,
    /// Whether it has partitions or children, or is one.
    pub(super) inherits: bool,
    /// All columns of indexes that tell rows apart.
    pub(super) unique: HashSet<String>,
    /// Whether Sluicegate made it.
    pub(super) is_ours: bool,
    /// Whether rows of many inserts may be copied in at once, and nobody can tell.
    pub(super) takes_copies: bool,
    /// Whether many updates or deletes may be made by one statement, and nobody can tell.
    pub(super) takes_joins: bool,
    /// Whether what happens to it concerns no other table.
    pub(super) is_alone: bool,
    /// Whether changes of rows with different primary keys may change places: nothing but the key must be unique.
    pub(super) has_one_key: bool,
    /// Whether TRUNCATE does what deleting every row does.
    pub(super) takes_truncate: bool,
    /// The constraints that are looked at as late as COMMIT, quoted.
    pub(super) deferred: Vec<String>,
    /// Whether a publication of updates and deletes could not tell which row was meant.
    pub(super) lacks_identity: bool,
    /// What the role may do to it.
    pub(super) rights: Rights,
}

/// The columns that each table has by itself (section 5.5 of the manual).
pub(super) const SYSTEM_COLUMNS: &[&str] = &["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) column_type: ColumnType,
    /// The type as a cast names it, without its length.
    pub(super) cast: String,
    /// Only the database may set it.
    pub(super) is_generated: bool,
    pub(super) has_equality: bool,
    /// Text that is equal when its bytes are.
    pub(super) is_bytewise: bool,
    pub(super) rights: ColumnRights,
}

impl Table {
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Schema and name, quoted.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }
}

/// Schema and name of a table in the database.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) schema: String,
    pub(super) name: String,
}

impl Place {
    /// A table without a schema goes to the one that the URL names.
    pub(super) fn of(table: &TableName<'_>, default: &str) -> Self {
        Place { schema: table.schema.as_deref().unwrap_or(default).to_owned(), name: table.name.to_string() }
    }

    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }
}

impl Known for Table {
    const RESERVED: &'static [&'static str] = SYSTEM_COLUMNS;
    const DATABASE: &'static str = "PostgreSQL";

    fn name(&self) -> &str {
        &self.name
    }

    fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| &*column.name)
    }

    fn column_type(&self, name: &str) -> Option<&ColumnType> {
        self.column(name).map(|column| &column.column_type)
    }

    fn has_reserved(&self) -> bool {
        self.has_ctid
    }

    fn is_generated(&self, column: &str) -> bool {
        self.column(column).is_some_and(|column| column.is_generated)
    }

    fn leading(&self) -> &HashSet<String> {
        &self.leading
    }

    fn index_of(&self, column: &str) -> Option<Indexing> {
        let Column { column_type, has_equality, .. } = self.column(column)?;
        let scalar = column_type.scalar();
        // A tree refuses rows whose text is longer than a third of a page; a hash takes any, but one column only.
        let is_long = matches!(scalar, Scalar::Text | Scalar::Varchar(_) | Scalar::Char(_))
            || matches!(column_type.family(), Family::Json | Family::Bytes | Family::Decimal | Family::Unknown);
        match column_type.family() {
            _ if column_type.is_array() || !has_equality => None,
            _ if !is_long => Some(Indexing::Ordered),
            Family::Text | Family::Decimal => Some(Indexing::Hashed),
            _ => None,
        }
    }

    fn is_ours(&self) -> bool {
        self.is_ours
    }
}

const TABLE: &str = r#"
SELECT c.oid, c.relname::text,
    c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
        AND NOT EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal)
        AND NOT EXISTS (SELECT 1 FROM pg_rewrite w WHERE w.ev_class = c.oid) AS is_plain,
    c.relispartition OR EXISTS (SELECT 1 FROM pg_inherits i WHERE c.oid IN (i.inhparent, i.inhrelid)) AS inherits,
    EXISTS (SELECT 1 FROM pg_constraint f WHERE f.contype = 'f' AND f.conrelid = c.oid) AS refers,
    EXISTS (SELECT 1 FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid = c.oid) AS is_referred,
    EXISTS (SELECT 1 FROM pg_constraint f WHERE f.contype = 'f' AND f.conrelid = c.oid AND f.confrelid = c.oid) AS is_own,
    ARRAY(SELECT quote_ident(s.nspname) || '.' || quote_ident(k.conname) FROM pg_constraint k
        JOIN pg_namespace s ON s.oid = k.connamespace
        WHERE k.condeferred AND c.oid IN (k.conrelid, k.confrelid) ORDER BY 1) AS deferred,
    EXISTS (SELECT 1 FROM {books}."_sluicegate_tables" t WHERE t.schema = n.nspname AND t.name = c.relname) AS is_ours,
    c.relkind IN ('r', 'p') AS has_ctid,
    c.relkind::text,
    c.relkind = 'r' AND c.relreplident = 'd'
        AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) AS lacks_identity,
    quote_ident(current_user), quote_ident(pg_get_userbyid(c.relowner)), pg_has_role(c.relowner, 'USAGE'),
    has_schema_privilege(n.oid, 'USAGE'),
    c.relkind IN ('r', 'p', 'v', 'f') AND has_table_privilege(c.oid, 'DELETE'),
    c.relkind IN ('r', 'p', 'v', 'f') AND has_table_privilege(c.oid, 'TRUNCATE'),
    c.relkind IN ('r', 'p', 'v', 'f') AND has_table_privilege(c.oid, 'SELECT')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2"#;

const COLUMNS: &str = r#"
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), format_type(a.atttypid, -1),
    a.attidentity = 'a' OR a.attgenerated <> '',
    e.typnamespace = 'pg_catalog'::regnamespace AND e.typtype = 'b',
    e.typtype IN ('e', 'r', 'm') OR e.typname = 'varchar' OR EXISTS (SELECT 1 FROM pg_opclass o
        JOIN pg_am m ON m.oid = o.opcmethod
        WHERE o.opcdefault AND m.amname IN ('btree', 'hash')
            AND o.opcintype = CASE WHEN e.typbasetype = 0 THEN e.oid ELSE e.typbasetype END),
    coalesce(l.collisdeterministic, TRUE),
    has_column_privilege(a.attrelid, a.attnum, 'SELECT'), has_column_privilege(a.attrelid, a.attnum, 'INSERT'),
    has_column_privilege(a.attrelid, a.attnum, 'UPDATE')
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_type e ON e.oid = CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem ELSE t.oid END
LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"#;

const INDEXES: &str = r#"
SELECT i.indisprimary, i.indisunique OR i.indisexclusion, i.indimmediate, i.indpred IS NULL,
    ARRAY(SELECT coalesce(a.attname::text, '') FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, at)
        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
        WHERE k.at <= i.indnkeyatts ORDER BY k.at),
    i.indisunique AND i.indimmediate
FROM pg_index i WHERE i.indrelid = $1 AND i.indisvalid"#;

/// Reads a table's description from the database. `books` is the schema of the books.
pub(super) async fn load(connection: &Connection, books: &str, place: &Place) -> Result<Option<Table>, StoreError> {
    let sql = TABLE.replace("{books}", &quote(books));
    let Some(row) = connection.row(&sql, &[&place.schema, &place.name]).await? else { return Ok(None) };
    let flag = |at: usize| column::<bool>(&row, at);
    let kind: &str = column(&row, 10)?;
    if let Some(word) = in_the_way(kind) {
        return Err(taken(place, word));
    }
    let (is_plain, inherits) = (flag(2)?, flag(3)?);
    let (refers, is_referred, refers_to_itself) = (flag(4)?, flag(5)?, flag(6)?);
    let mut table = Table {
        oid: column(&row, 0)?,
        schema: place.schema.clone(),
        name: column(&row, 1)?,
        is_ours: flag(8)?,
        has_ctid: flag(9)?,
        inherits,
        // A row that refers to a later one of the same COPY would be let through.
        takes_copies: is_plain && !refers_to_itself,
        takes_joins: is_plain && !is_referred,
        is_alone: is_plain && !inherits && !refers && !is_referred,
        takes_truncate: is_plain && !is_referred,
        deferred: column(&row, 7)?,
        lacks_identity: flag(11)?,
        rights: Rights {
            role: column(&row, 12)?,
            owner: column(&row, 13)?,
            is_owner: flag(14)?,
            may_use: flag(15)?,
            may_delete: flag(16)?,
            may_truncate: flag(17)?,
            may_select: flag(18)?,
        },
        ..Table::default()
    };
    for row in connection.query(COLUMNS, &[&table.oid]).await? {
        let (declared, is_known): (&str, bool) = (column(&row, 1)?, column(&row, 4)?);
        let column_type = match is_known {
            true => ColumnType::parse(declared),
            // An extension's `citext` is no text of ours, though it may be called so.
            false => Scalar::Unknown(declared.into()).into(),
        };
        table.columns.push(Column {
            name: column(&row, 0)?,
            column_type,
            cast: column(&row, 2)?,
            is_generated: column(&row, 3)?,
            has_equality: column(&row, 5)?,
            is_bytewise: column(&row, 6)?,
            rights: ColumnRights {
                may_select: column(&row, 7)?,
                may_insert: column(&row, 8)?,
                may_update: column(&row, 9)?,
            },
        });
    }
    read_indexes(connection, &mut table).await?;
    Ok(Some(table))
}

/// Reads what the table's indexes say about its keys.
async fn read_indexes(connection: &Connection, table: &mut Table) -> Result<(), StoreError> {
    let mut unique = 0;
    for row in connection.query(INDEXES, &[&table.oid]).await? {
        let [is_primary, is_unique, is_immediate, is_whole, is_only_unique] =
            [column(&row, 0)?, column::<bool>(&row, 1)?, column(&row, 2)?, column(&row, 3)?, column(&row, 5)?];
        let columns: Vec<String> = column(&row, 4)?;
        if is_unique {
            unique += 1;
            if is_whole && is_only_unique && !columns.contains(&String::new()) {
                table.unique_keys.push(columns.clone());
            }
            table.unique.extend(columns.iter().cloned());
            if !is_whole {
                // Its condition may be about any column, as may an expression.
                table.unique.insert(String::new());
            }
        }
        if is_whole {
            table.leading.extend(columns.first().cloned());
        }
        if is_primary {
            table.has_one_key = is_immediate && table.is_alone;
            table.primary_key = columns;
        }
    }
    table.has_one_key &= unique == 1;
    Ok(())
}

/// The word for a relation that holds no rows of its own, or none that may be written (`pg_class.relkind`).
fn in_the_way(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "r" | "p" | "v" | "f" => return None,
        "i" | "I" => "an index",
        "S" => "a sequence",
        "m" => "a materialized view",
        "c" => "a composite type",
        "t" => "a TOAST table",
        _ => "something that is no table",
    })
}

fn taken(place: &Place, word: &str) -> StoreError {
    needs::taken(&place.quoted(), word)
}

/// What making a table meets: the schema, and the role's right to make things there.
pub(super) struct Ground {
    pub(super) has_schema: bool,
    /// Whether the role may make the table there, or else the schema.
    pub(super) may_create: bool,
    pub(super) role: String,
    database: String,
}

impl Ground {
    /// What is granted where, and the statement for it.
    pub(super) fn grant(&self, schema: &str) -> (String, String) {
        let Ground { role, database, .. } = self;
        match self.has_schema {
            true => (
                format!("the role {role} may not create tables in the schema {}", quote(schema)),
                format!("GRANT USAGE, CREATE ON SCHEMA {} TO {role}", quote(schema)),
            ),
            false => (
                format!("the role {role} may not create the schema {}", quote(schema)),
                format!("GRANT CREATE ON DATABASE {database} TO {role}"),
            ),
        }
    }
}

/// Looks at the place where a table is about to be made. Each table is also a type: another type's name is taken. (That of
/// a relation is none of those: another session may have made the very table at this moment.)
pub(super) async fn ground(connection: &Connection, place: &Place) -> Result<Ground, StoreError> {
    let sql = "SELECT n.oid IS NOT NULL,
                   coalesce(has_schema_privilege(n.oid, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE'),
                       has_database_privilege(current_database(), 'CREATE')),
                   quote_ident(current_user), quote_ident(current_database()),
                   (SELECT t.typtype::text FROM pg_type t WHERE t.typnamespace = n.oid AND t.typname = $2
                       AND t.typrelid = 0 AND NOT EXISTS (SELECT 1 FROM pg_type e WHERE e.typarray = t.oid))
               FROM (SELECT 1) AS one LEFT JOIN pg_namespace n ON n.nspname = $1";
    let Some(row) = connection.row(sql, &[&place.schema, &place.name]).await? else {
        return Err(StoreError::later("the catalogue does not answer"));
    };
    match column::<Option<&str>>(&row, 4)? {
        None => {}
        Some("e") => return Err(taken(place, "an enum type")),
        Some("d") => return Err(taken(place, "a domain")),
        Some("r" | "m") => return Err(taken(place, "a range type")),
        Some(_) => return Err(taken(place, "a type")),
    }
    Ok(Ground {
        has_schema: column(&row, 0)?,
        may_create: column(&row, 1)?,
        role: column(&row, 2)?,
        database: column(&row, 3)?,
    })
}

/// A table of the schema whose name differs in letter case only.
pub(super) async fn other_case(connection: &Connection, place: &Place) -> Result<Option<String>, StoreError> {
    let sql = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = $1 AND lower(c.relname) = lower($2) AND c.relname <> $2
                   AND c.relkind IN ('r', 'p', 'v', 'f') LIMIT 1";
    connection.row(sql, &[&place.schema, &place.name]).await?.map(|row| column(&row, 0)).transpose()
}

/// How a column for values of `column_type` is declared. What nobody knows is text.
pub(super) fn declared(column_type: &ColumnType) -> String {
    match column_type.scalar() {
        Scalar::Unknown(_) => "TEXT".into(),
        _ => column_type.to_string(),
    }
}

/// Quotes an identifier.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
