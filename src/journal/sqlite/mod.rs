//! The journal in an SQLite file: WAL, `synchronous=FULL`, one writer thread with group commit.
//!
//! A topic is a table of its own and has one partition. Several processes may use the file at once: each write
//! transaction begins IMMEDIATE, and readers look for other processes' records every `consumer::POLL`.

mod consumer;
mod error;
mod follower;
mod group;
mod mover;
mod records;
mod retention;
mod writer;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::watch;
use tokio::task::JoinError;

use self::consumer::SqliteConsumer;
use self::error::failed;
use self::follower::SqliteFollower;
use self::mover::SqliteMover;
use self::records::Records;
use self::writer::Writer;
use super::{
    AppendError, Consumer, Extent, Follower, Journal, JournalError, Log, Mover, Outcome, Retention, RetentionLimits,
    Standing, Transactional,
};
use crate::document::{Position, TopicName};
use crate::record::Record;
use crate::sqlite::OpenFile;

/// The version of the tables in the file. A newer one is refused.
const VERSION: i64 = 1;

/// SQLite holds values up to 1 GB; a record of more than this would hold up every other in its group.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// Whoever follows a topic takes batches of so many records.
const FOLLOWED_RECORDS_MAX: usize = 500;

/// The memory of a connection for pages, in KiB.
const CACHE_KIB: u32 = 4096;

/// A journal in a file.
#[derive(Debug)]
pub struct SqliteJournal {
    file: Arc<File>,
    writer: Writer,
    /// The connection for questions, opened at the first.
    reader: Arc<Mutex<Option<Connection>>>,
}

/// The file and what is known about it.
#[derive(Debug)]
struct File {
    open: OpenFile,
    identity: String,
    /// The end of each topic this process has appended to or reads from, to wake readers.
    ends: Mutex<HashMap<TopicName, watch::Sender<i64>>>,
}

impl SqliteJournal {
    /// Opens the file at `path`, or creates it.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            crate::disk::private_folder(folder)
                .map_err(|error| JournalError::Stop(format!("cannot create {}: {error}", folder.display())))?;
        }
        let mut connection = connect(path)?;
        let identity = prepare(&mut connection).map_err(|error| failed(path, error))??;
        let open = OpenFile::remember(path)
            .ok_or_else(|| JournalError::Stop(format!("the journal file {} vanished", path.display())))?;
        let file = Arc::new(File { open, identity, ends: Mutex::default() });
        let writer = Writer::start(Arc::clone(&file), connection)?;
        Ok(SqliteJournal { file, writer, reader: Arc::default() })
    }

    /// Asks something of a topic, on a thread of tokio's blocking pool; none when there is no such topic.
    async fn read<T: Send + 'static>(
        &self,
        topic: &TopicName,
        ask: impl FnOnce(&Connection, i64) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<Option<T>, JournalError> {
        let (file, reader, topic) = (Arc::clone(&self.file), Arc::clone(&self.reader), topic.clone());
        let read = move || {
            file.check()?;
            let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            if reader.is_none() {
                *reader = Some(connect(file.open.path())?);
            }
            let Some(connection) = reader.as_ref() else { return Ok(None) };
            let read = || topic_id(connection, &topic)?.map(|id| ask(connection, id)).transpose();
            read().map_err(|error| failed(file.open.path(), error))
        };
        answered(tokio::task::spawn_blocking(read).await)
    }
}

/// What a question's thread has answered.
fn answered<T>(answer: Result<Result<T, JournalError>, JoinError>) -> Result<T, JournalError> {
    answer.map_err(|error| JournalError::Later(format!("the journal could not be read: {error}")))?
}

/// Opens a connection to the journal's file.
fn connect(path: &Path) -> Result<Connection, JournalError> {
    crate::sqlite::connect(path, CACHE_KIB).map_err(|error| failed(path, error))
}

/// Creates the tables if need be, and gives the journal's identity.
fn prepare(connection: &mut Connection) -> rusqlite::Result<Result<String, JournalError>> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS journal (identity TEXT NOT NULL, version INTEGER NOT NULL);
         CREATE TABLE IF NOT EXISTS topics (
             id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
             start_offset INTEGER NOT NULL DEFAULT 0, next_offset INTEGER NOT NULL DEFAULT 0,
             bytes INTEGER NOT NULL DEFAULT 0);
         CREATE TABLE IF NOT EXISTS groups (
             topic INTEGER NOT NULL, name TEXT NOT NULL, next_offset INTEGER,
             owner TEXT, leased_until_ms INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (topic, name)) WITHOUT ROWID;",
    )?;
    transaction.execute_batch(mover::TABLES)?;
    let known = transaction
        .query_row("SELECT identity, version FROM journal", [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    let identity = match known {
        Some((_, version)) if version > VERSION => {
            return Ok(Err(JournalError::Stop(format!(
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

impl File {
    /// Fails when the file is no longer the one that was opened: then what is written would be lost.
    fn check(&self) -> Result<(), JournalError> {
        if self.open.is_there() {
            return Ok(());
        }
        Err(JournalError::Stop(format!(
            "the journal file {} was deleted or replaced while it was in use; put it back and restart",
            self.open.path().display()
        )))
    }

    /// The channel that tells the end of `topic` as this process knows it.
    fn end_of(&self, topic: &TopicName) -> watch::Sender<i64> {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.entry(topic.clone()).or_insert_with(|| watch::channel(0).0).clone()
    }
}

/// The table that holds the records of a topic.
fn table(id: i64) -> String {
    format!("records_{id}")
}

/// The id of a topic.
fn topic_id(connection: &Connection, topic: &TopicName) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM topics WHERE name = ?1")?
        .query_row([topic.as_str()], |row| row.get(0))
        .optional()
}

/// The id of a topic, which is created if need be.
fn create_topic(connection: &Connection, topic: &TopicName) -> rusqlite::Result<i64> {
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
fn extent_bounds(connection: &Connection, id: i64) -> rusqlite::Result<(i64, i64)> {
    connection
        .prepare_cached("SELECT start_offset, next_offset FROM topics WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
}

#[async_trait]
impl Journal for SqliteJournal {
    fn identity(&self) -> &str {
        &self.file.identity
    }

    fn record_bytes_max(&self) -> usize {
        RECORD_BYTES_MAX
    }

    async fn open_topic(&self, topic: &TopicName, bytes_max: u64) -> Result<(), JournalError> {
        let name = topic.clone();
        self.writer.limit(topic, bytes_max);
        self.writer.run(move |transaction| create_topic(transaction, &name).map(drop)).await
    }

    async fn append(&self, topic: &TopicName, records: Vec<Record>) -> Result<Vec<Position>, AppendError> {
        let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
        let first = self.writer.append(topic, records).await?;
        let position = |offset| Position { topic: topic.clone(), partition: 0, offset };
        Ok((first..first + count).map(position).collect())
    }

    async fn check(&self) -> Result<(), JournalError> {
        self.writer.check().await
    }

    async fn check_topic(&self, topic: &TopicName) -> Result<(), JournalError> {
        let Some(bytes_max) = self.writer.limit_of(topic) else { return Ok(()) };
        let bytes = |connection: &Connection, id| {
            connection.query_row("SELECT bytes FROM topics WHERE id = ?1", [id], |row| row.get::<_, i64>(0))
        };
        let bytes = self.read(topic, bytes).await?.unwrap_or_default();
        if u64::try_from(bytes).unwrap_or_default() < bytes_max {
            return Ok(());
        }
        Err(JournalError::Later(format!(
            "documents are refused: topic {topic} holds {bytes} bytes, as many as its `retention.size` allows, and its \
             readers are behind"
        )))
    }

    fn log(self: Arc<Self>) -> Option<Arc<dyn Log>> {
        Some(self)
    }

    fn retention(self: Arc<Self>) -> Option<Arc<dyn Retention>> {
        Some(self)
    }

    fn transactional(self: Arc<Self>) -> Option<Arc<dyn Transactional>> {
        Some(self)
    }
}

#[async_trait]
impl Transactional for SqliteJournal {
    async fn open_output(&self, output: &TopicName, _input: &TopicName) -> Result<(), JournalError> {
        let output = output.clone();
        self.writer.run(move |transaction| mover::open_output(transaction, &output)).await
    }

    async fn mover(&self, topic: &TopicName, group: &str, _partition: i32) -> Result<Box<dyn Mover>, JournalError> {
        // Opening a file that is gone would make an empty one.
        self.file.check()?;
        Ok(Box::new(SqliteMover::open(&self.writer, topic, group).await?))
    }

    async fn standings(&self, topic: &TopicName, group: &str) -> Result<Vec<Standing>, JournalError> {
        let group = group.to_owned();
        let standing = self.read(topic, move |connection, id| mover::standing(connection, id, &group)).await?;
        Ok(standing.flatten().into_iter().collect())
    }
}

#[async_trait]
impl Log for SqliteJournal {
    async fn subscribe(
        &self,
        topic: &TopicName,
        group: &str,
        records_max: usize,
    ) -> Result<Box<dyn Consumer>, JournalError> {
        let (name, group_name) = (topic.clone(), group.to_owned());
        let topic_id = self
            .writer
            .run(move |transaction| {
                let id = create_topic(transaction, &name)?;
                transaction.execute("INSERT OR IGNORE INTO groups (topic, name) VALUES (?1, ?2)", (id, group_name))?;
                Ok(id)
            })
            .await?;
        let records = Records::open(&self.file, topic, records_max).await?;
        Ok(Box::new(SqliteConsumer::new(records, self.writer.clone(), topic_id, group)))
    }

    async fn follow(&self, topic: &TopicName, from: &[(i32, i64)]) -> Result<Box<dyn Follower>, JournalError> {
        let [(0, at)] = from else {
            return Err(JournalError::Stop(format!("topic {topic} has one partition, which is 0")));
        };
        let records = Records::open(&self.file, topic, FOLLOWED_RECORDS_MAX).await?;
        records.check_range(*at).await?;
        Ok(Box::new(SqliteFollower::new(records, *at)))
    }

    async fn extents(&self, topic: &TopicName) -> Result<Vec<Extent>, JournalError> {
        let bounds = self.read(topic, extent_bounds).await?;
        Ok(bounds.map(|(start, end)| Extent { partition: 0, start, end }).into_iter().collect())
    }

    async fn groups(&self, topic: &TopicName) -> Result<Vec<String>, JournalError> {
        let names = |connection: &Connection, id| {
            let mut statement = connection.prepare_cached("SELECT name FROM groups WHERE topic = ?1 ORDER BY name")?;
            statement.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()
        };
        Ok(self.read(topic, names).await?.unwrap_or_default())
    }

    async fn forget_group(&self, topic: &TopicName, group: &str) -> Result<(), JournalError> {
        let (topic, group) = (topic.clone(), group.to_owned());
        let forget = move |transaction: &rusqlite::Transaction<'_>| {
            let Some(id) = topic_id(transaction, &topic)? else { return Ok(true) };
            let is_read = consumer::is_read(transaction, id, &group)?;
            if !is_read {
                transaction.execute("DELETE FROM groups WHERE topic = ?1 AND name = ?2", (id, &group))?;
            }
            Ok(!is_read)
        };
        if self.writer.run(forget).await? {
            return Ok(());
        }
        Err(JournalError::Stop("a process reads for it at this moment: end that process first".into()))
    }
}

#[async_trait]
impl Retention for SqliteJournal {
    async fn retain(&self, topic: &TopicName, limits: RetentionLimits, is_read: bool) -> Result<u64, JournalError> {
        let mut removed = 0;
        loop {
            let topic = topic.clone();
            let now_ms = crate::clock::now_ms();
            let some = self
                .writer
                .run(move |transaction| retention::remove_some(transaction, &topic, limits, is_read, now_ms));
            let some = some.await?;
            removed += some;
            // In steps, so that appends get their turn.
            if some < retention::STEP {
                return Ok(removed);
            }
        }
    }

    async fn compact(&self, topic: &TopicName) -> Result<u64, JournalError> {
        let name = topic.clone();
        let due = move |transaction: &rusqlite::Transaction<'_>| retention::compaction_due(transaction, &name);
        let Some(end) = self.writer.run(due).await? else { return Ok(0) };
        let (mut from, mut removed, mut kept) = (0, 0, 0);
        loop {
            let name = topic.clone();
            let step =
                self.writer.run(move |transaction| retention::compact_some(transaction, &name, from, end)).await?;
            removed += step.removed;
            kept += step.kept;
            // In steps, so that appends get their turn.
            match step.next {
                Some(next) => from = next,
                None => break,
            }
        }
        let name = topic.clone();
        self.writer.run(move |transaction| retention::note_compaction(transaction, &name, end, kept)).await?;
        Ok(removed)
    }

    async fn count(&self, topic: &TopicName, _partition: i32) -> Result<Option<i64>, JournalError> {
        let count = |connection: &Connection, id| {
            connection.query_row(&format!("SELECT count(*) FROM {}", table(id)), [], |row| row.get(0))
        };
        self.read(topic, count).await
    }
}
