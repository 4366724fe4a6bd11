//! The tables of a journal's file: its identity, its topics with where they begin and end, the groups that read them,
//! the movers that append what comes of them, the topics of which the last record of each key is kept, and the records of each
//! topic in a table of its own.

use rusqlite::{Connection, OptionalExtension};

use crate::document::TopicName;
use crate::journal::JournalError;

/// The version of the tables in the file. A newer one is refused.
const VERSION: i64 = 1;

/// Creates the tables if need be, and gives the journal's identity.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<Result<String, JournalError>> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS journal (identity TEXT NOT NULL, version INTEGER NOT NULL);
         CREATE TABLE IF NOT EXISTS topics (
             id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
             start_offset INTEGER NOT NULL DEFAULT 0, next_offset INTEGER NOT NULL DEFAULT 0,
             bytes INTEGER NOT NULL DEFAULT 0);
         CREATE TABLE IF NOT EXISTS groups (
             topic INTEGER NOT NULL, name TEXT NOT NULL, next_offset INTEGER,
             owner TEXT, leased_until_ms INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (topic, name)) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS movers (
             topic INTEGER NOT NULL, name TEXT NOT NULL, epoch INTEGER NOT NULL, next_offset INTEGER,
             note TEXT NOT NULL DEFAULT '', PRIMARY KEY (topic, name)) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS compacted (
             topic INTEGER PRIMARY KEY, until INTEGER NOT NULL DEFAULT 0, kept INTEGER NOT NULL DEFAULT 0);",
    )?;
    let known = transaction
        .query_row("SELECT identity, version FROM journal", [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    let identity = match known {
        Some((_, version)) if version > VERSION => {
            return Ok(Err(JournalError::stop(format!(
                "the journal file has format {version}; this sluicegate knows {VERSION}: use a newer one"
            ))));
        }
        Some((identity, _)) => identity,
        None => {
            let identity = uuid::Uuid::now_v7().to_string();
            transaction.execute("INSERT INTO journal VALUES (?1, ?2)", (&identity, VERSION))?;
            identity
        }
    };
    transaction.commit()?;
    Ok(Ok(identity))
}

/// The table that holds the records of a topic.
pub(super) fn table(id: i64) -> String {
    format!("records_{id}")
}

/// The id of a topic.
pub(super) fn topic_id(connection: &Connection, topic: &TopicName) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM topics WHERE name = ?1")?
        .query_row([topic.as_str()], |row| row.get(0))
        .optional()
}

/// The id of a topic, which is created if need be.
pub(super) fn create_topic(connection: &Connection, topic: &TopicName) -> rusqlite::Result<i64> {
    if let Some(id) = topic_id(connection, topic)? {
        return Ok(id);
    }
    connection.execute("INSERT INTO topics (name) VALUES (?1)", [topic.as_str()])?;
    let id = connection.last_insert_rowid();
    connection.execute_batch(&format!(
        "CREATE TABLE {} (offset INTEGER PRIMARY KEY, timestamp_ms INTEGER NOT NULL, key BLOB, \
         headers TEXT NOT NULL, value BLOB NOT NULL)",
        table(id)
    ))?;
    Ok(id)
}

/// The first offset of a topic and the one after its last. The first is noted, and not that of the first record there is:
/// a record that somebody took away is missing.
pub(super) fn extent_bounds(connection: &Connection, id: i64) -> rusqlite::Result<(i64, i64)> {
    connection
        .prepare_cached("SELECT start_offset, next_offset FROM topics WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
}
