//! The tables in which the store keeps its books, in the schema that the URL names.

use super::catalogue::quote;
use super::connection::{Connection, column};
use crate::store::StoreError;
use crate::store::books::{VERSION, check_version};

/// Who makes the books holds this advisory lock, as does who makes a table; the second half is the schema's.
pub(super) const LOCK: i32 = 0x51_1c_e9_a7;

/// `{s}` stands for the schema.
const TABLES: &str = r#"
CREATE TABLE IF NOT EXISTS {s}."_sluicegate_store" (identity TEXT NOT NULL, version BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS {s}."_sluicegate_positions" (
    stream TEXT NOT NULL, topic TEXT NOT NULL, "partition" INTEGER NOT NULL,
    journal TEXT NOT NULL, first_offset BIGINT NOT NULL, next_offset BIGINT NOT NULL,
    epoch BIGINT NOT NULL, owner TEXT NOT NULL, backend_pid INTEGER, backend_start TIMESTAMPTZ, halted TEXT,
    applied BIGINT NOT NULL DEFAULT 0, duplicates BIGINT NOT NULL DEFAULT 0,
    dead_lettered BIGINT NOT NULL DEFAULT 0, dropped BIGINT NOT NULL DEFAULT 0,
    lost BIGINT NOT NULL DEFAULT 0, gaps BIGINT NOT NULL DEFAULT 0,
    carried BIGINT NOT NULL DEFAULT 0, duplicates_pruned BIGINT NOT NULL DEFAULT 0,
    applied_before BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (stream, topic, "partition")) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS {s}."_sluicegate_dead_letters" (
    topic TEXT NOT NULL, "partition" INTEGER NOT NULL, "offset" BIGINT NOT NULL, stream TEXT NOT NULL,
    key BYTEA, value BYTEA NOT NULL, headers TEXT NOT NULL, timestamp_ms BIGINT NOT NULL,
    reason TEXT NOT NULL, problem TEXT NOT NULL, set_aside_ms BIGINT NOT NULL, attempts BIGINT NOT NULL DEFAULT 1,
    is_dropped BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (topic, "partition", "offset"));
CREATE TABLE IF NOT EXISTS {s}."_sluicegate_duplicates" (
    topic TEXT NOT NULL, "partition" INTEGER NOT NULL, "offset" BIGINT NOT NULL,
    of_partition INTEGER NOT NULL, of_offset BIGINT NOT NULL, at_ms BIGINT NOT NULL,
    PRIMARY KEY (topic, "partition", "offset"));
CREATE TABLE IF NOT EXISTS {s}."_sluicegate_lost" (
    stream TEXT NOT NULL, topic TEXT NOT NULL, "partition" INTEGER NOT NULL,
    from_offset BIGINT NOT NULL, to_offset BIGINT NOT NULL, at_ms BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS {s}."_sluicegate_tables" (schema TEXT NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (schema, name));
"#;

/// Idempotency keys: by their fingerprints, and by their age in a way that costs an insert nothing.
const KEYS: &str = r#"
CREATE TABLE {s}."_sluicegate_key_rows" (
    key UUID NOT NULL, digest UUID NOT NULL, stream BIGINT NOT NULL,
    "partition" INTEGER NOT NULL, "offset" BIGINT NOT NULL, noted_ms BIGINT NOT NULL);
{rows}
ALTER TABLE {s}."_sluicegate_key_rows" ADD PRIMARY KEY (key);
CREATE INDEX "_sluicegate_key_rows_by_age" ON {s}."_sluicegate_key_rows"
    USING brin (noted_ms) WITH (autosummarize = on, pages_per_range = 32);
"#;

/// Takes over the keys of version 1, which were kept by their text. Those that begin with a control character have no age.
/// Locked first: a process of that version must not note a key between the look at them and their end.
const KEYS_OF_1: &str = r#"
LOCK TABLE {s}."_sluicegate_keys" IN ACCESS EXCLUSIVE MODE;
INSERT INTO {s}."_sluicegate_key_rows"
    SELECT encode(substr(sha256(convert_to(stream, 'UTF8') || '\x00'::bytea || key), 1, 16), 'hex')::uuid,
        encode(substr(digest, 1, 16), 'hex')::uuid,
        ('x' || encode(substr(sha256(convert_to(stream, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint,
        "partition", "offset", CASE WHEN substr(key, 1, 1) = '\x01'::bytea THEN 9223372036854775807 ELSE at_ms END
    FROM {s}."_sluicegate_keys";
DROP TABLE {s}."_sluicegate_keys";
UPDATE {s}."_sluicegate_store" SET version = 2;
"#;

/// The tables above that have no key. Where a publication is `for all tables`, PostgreSQL takes no update and no delete of
/// such a table unless it may name a row by all of its columns.
const KEYLESS: [&str; 2] = ["_sluicegate_store", "_sluicegate_lost"];

/// Lets the tables without a key be published; those of before, too. A role that does not own them leaves them as they are.
async fn let_be_published(connection: &Connection, schema: &str) -> Result<(), StoreError> {
    let sql = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = $1 AND c.relname = ANY($2) AND c.relreplident = 'd'
                   AND pg_has_role(c.relowner, 'USAGE')";
    for row in connection.query(sql, &[&schema, &&KEYLESS[..]]).await? {
        let name: &str = column(&row, 0)?;
        connection.run(&format!("ALTER TABLE {}.{} REPLICA IDENTITY FULL", quote(schema), quote(name))).await?;
    }
    Ok(())
}

/// The second half of the advisory locks of a schema.
pub(super) fn lock_of(schema: &str) -> i32 {
    let digest = crate::digest(schema.as_bytes());
    i32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// Creates the tables if need be, and gives the store's identity. Two processes that begin at once agree on one.
pub(super) async fn prepare(connection: &Connection, schema: &str) -> Result<String, StoreError> {
    if let Some((identity, VERSION)) = known(connection, schema).await? {
        complete(connection, schema).await?;
        let_be_published(connection, schema).await?;
        return Ok(identity);
    }
    let quoted = quote(schema);
    connection.note_transaction(true);
    // What was committed while the lock was waited for is seen, whatever the role's default is.
    connection.run("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    connection.execute("SELECT pg_advisory_xact_lock($1, $2)", &[&LOCK, &lock_of(schema)]).await?;
    let known_version = known(connection, schema).await?.map(|(_, version)| version);
    if known_version.is_some_and(|version| version < VERSION) {
        complete(connection, schema).await?;
        let_be_published(connection, schema).await?;
        let keys = connection.run_long(&KEYS.replace("{rows}", KEYS_OF_1).replace("{s}", &quoted)).await;
        keys.map_err(StoreError::of_the_books)?;
    }
    if known_version.is_none() {
        let is_there = connection.row("SELECT 1 FROM pg_namespace WHERE nspname = $1", &[&schema]).await?;
        // Where it is there already, the right to make one is not needed.
        if is_there.is_none() {
            connection.run(&format!("CREATE SCHEMA {quoted}")).await?;
        }
        connection.run(&TABLES.replace("{s}", &quoted)).await?;
        connection.run(&KEYS.replace("{rows}", "").replace("{s}", &quoted)).await?;
        let new = uuid::Uuid::now_v7().to_string();
        let sql = format!(r#"INSERT INTO {quoted}."_sluicegate_store" VALUES ($1, $2)"#);
        connection.execute(&sql, &[&new, &VERSION]).await?;
        let_be_published(connection, schema).await?;
    }
    connection.run("COMMIT").await?;
    connection.note_transaction(false);
    known(connection, schema)
        .await?
        .map(|(identity, _)| identity)
        .ok_or_else(|| StoreError::stop(format!("the books in schema {quoted} have lost their first row; restore it")))
}

/// Adds what books of an earlier version lack.
async fn complete(connection: &Connection, schema: &str) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = $1 AND c.relname = '_sluicegate_positions' AND a.attname = 'applied_before'";
    if connection.row(sql, &[&schema]).await?.is_some() {
        return Ok(());
    }
    let table = format!(r#"{}."_sluicegate_positions""#, quote(schema));
    connection
        .run(&format!("ALTER TABLE {table} ADD COLUMN IF NOT EXISTS applied_before BIGINT NOT NULL DEFAULT 0"))
        .await
}

/// The identity and the version, when the books are there.
async fn known(connection: &Connection, schema: &str) -> Result<Option<(String, i64)>, StoreError> {
    let sql = "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = $1 AND c.relname = '_sluicegate_store'";
    if connection.row(sql, &[&schema]).await?.is_none() {
        return Ok(None);
    }
    let sql = format!(r#"SELECT identity, version FROM {}."_sluicegate_store""#, quote(schema));
    let Some(row) = connection.row(&sql, &[]).await? else { return Ok(None) };
    let version: i64 = column(&row, 1)?;
    check_version(version)?;
    Ok(Some((column(&row, 0)?, version)))
}
