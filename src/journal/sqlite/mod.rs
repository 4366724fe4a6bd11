//! The journal in an SQLite file: WAL, `synchronous=FULL`, one writer thread with group commit.
//!
//! A topic is a table of its own and has one partition. Several processes may use the file at once: each write
//! transaction begins IMMEDIATE, and readers look for other processes' records (`ends`).

mod consumer;
mod ends;
mod error;
mod file;
mod follower;
mod group;
mod mover;
mod records;
mod retention;
mod topics;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::Connection;

use self::consumer::SqliteConsumer;
use self::ends::Ends;
use self::error::failed;
use self::file::{File, answered, connect};
use self::follower::SqliteFollower;
use self::mover::SqliteMover;
use self::records::Records;
use self::topics::{create_topic, extent_bounds, prepare, table, topic_id};
use self::writer::Writer;
use super::{
    AppendError, Consumer, Extent, Follower, Journal, JournalError, Log, Mover, Retention, RetentionLimits, Standing,
    Transactional,
};
use crate::document::{Position, TopicName};
use crate::reason::Reason;
use crate::record::Record;
use crate::sqlite::OpenFile;

/// SQLite holds values up to 1 GB; a record of more than this would hold up every other in its group.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// Whoever follows a topic takes batches of so many records.
const FOLLOWED_RECORDS_MAX: usize = 500;

/// A journal in a file.
#[derive(Debug)]
pub struct SqliteJournal {
    file: Arc<File>,
    writer: Writer,
    /// The connection for questions, opened at the first.
    reader: Arc<Mutex<Option<Connection>>>,
}

impl SqliteJournal {
    /// Opens the file at `path`, or creates it.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            crate::disk::private_folder(folder).map_err(|error| {
                JournalError::stop(Reason::of(format!("cannot create {}", folder.display()), error))
            })?;
        }
        let mut connection = connect(path)?;
        let identity = prepare(&mut connection).map_err(|error| failed(path, error))??;
        let open = OpenFile::remember(path)
            .ok_or_else(|| JournalError::stop(format!("the journal file {} vanished", path.display())))?;
        let file = Arc::new(File { open, identity, ends: Ends::default() });
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
        Err(JournalError::later(format!(
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
            return Err(JournalError::stop(format!("topic {topic} has one partition, which is 0")));
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
        Err(JournalError::stop("a process reads for it at this moment: end that process first"))
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
