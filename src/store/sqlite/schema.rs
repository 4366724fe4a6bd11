//! The tables in which the store keeps its books.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::catalogue::quote;
use super::error::failed;
use super::keys;
use crate::store::StoreError;
use crate::store::books::{VERSION, check_version};

const TABLES: &str = r#"
CREATE TABLE IF NOT EXISTS "_sluicegate_store" (identity TEXT NOT NULL, version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS "_sluicegate_positions" (
    stream TEXT NOT NULL, topic TEXT NOT NULL, "partition" INTEGER NOT NULL,
    journal TEXT NOT NULL, first_offset INTEGER NOT NULL, next_offset INTEGER NOT NULL,
    epoch INTEGER NOT NULL, owner TEXT NOT NULL, halted TEXT,
    applied INTEGER NOT NULL DEFAULT 0, duplicates INTEGER NOT NULL DEFAULT 0,
    dead_lettered INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0, gaps INTEGER NOT NULL DEFAULT 0,
    carried INTEGER NOT NULL DEFAULT 0, duplicates_pruned INTEGER NOT NULL DEFAULT 0,
    applied_before INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (stream, topic, "partition")) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS "_sluicegate_dead_letters" (
    topic TEXT NOT NULL, "partition" INTEGER NOT NULL, "offset" INTEGER NOT NULL, stream TEXT NOT NULL,
    key BLOB, value BLOB, headers TEXT NOT NULL, timestamp_ms INTEGER NOT NULL,
    reason TEXT NOT NULL, problem TEXT NOT NULL, set_aside_ms INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 1,
    is_dropped INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, "partition", "offset"));
CREATE TABLE IF NOT EXISTS "_sluicegate_duplicates" (
    topic TEXT NOT NULL, "partition" INTEGER NOT NULL, "offset" INTEGER NOT NULL,
    of_partition INTEGER NOT NULL, of_offset INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (topic, "partition", "offset")) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS "_sluicegate_lost" (
    stream TEXT NOT NULL, topic TEXT NOT NULL, "partition" INTEGER NOT NULL,
    from_offset INTEGER NOT NULL, to_offset INTEGER NOT NULL, at_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS "_sluicegate_tables" (name TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID;
"#;

/// Drops the indexes of versions before that order decimals by a collation of ours: no other program could write to their
/// tables, or check the file. The next change that needs one makes it anew.
fn drop_indexes_of_before(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        r"SELECT name FROM sqlite_schema
          WHERE type = 'index' AND name LIKE '\_sluicegate\_index\_%' ESCAPE '\' AND sql LIKE '% COLLATE decimal%'",
    )?;
    let names: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    names.iter().try_for_each(|name| connection.execute_batch(&format!("DROP INDEX {}", quote(name))))
}

/// Creates the tables if need be, and gives the store's identity.
pub(super) fn prepare(connection: &mut Connection) -> Result<String, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    transaction.execute_batch(TABLES).map_err(failed)?;
    // Books of an earlier version lack what was added since.
    let lacks: bool = transaction
        .query_row(
            "SELECT count(*) = 0 FROM pragma_table_info('_sluicegate_positions') WHERE name = 'applied_before'",
            [],
            |row| row.get(0),
        )
        .map_err(failed)?;
    if lacks {
        let sql = r#"ALTER TABLE "_sluicegate_positions" ADD COLUMN applied_before INTEGER NOT NULL DEFAULT 0"#;
        transaction.execute_batch(sql).map_err(failed)?;
    }
    transaction.execute_batch(keys::TABLES).map_err(failed)?;
    drop_indexes_of_before(&transaction).map_err(failed)?;
    let known: Option<(String, i64)> = transaction
        .query_row(r#"SELECT identity, version FROM "_sluicegate_store""#, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map_err(failed)?;
    if let Some((_, version)) = known {
        check_version(version)?;
    }
    let identity = match known {
        Some((identity, VERSION)) => identity,
        Some((identity, _)) => {
            keys::migrate(&transaction)?;
            let sql = r#"UPDATE "_sluicegate_store" SET version = ?1"#;
            transaction.execute(sql, [VERSION]).map_err(failed)?;
            identity
        }
        None => {
            let identity = uuid::Uuid::now_v7().to_string();
            let sql = r#"INSERT INTO "_sluicegate_store" VALUES (?1, ?2)"#;
            transaction.execute(sql, (&identity, VERSION)).map_err(failed)?;
            identity
        }
    };
    transaction.commit().map_err(failed)?;
    Ok(identity)
}
