//! The records of one topic, read through a connection of their own.
//!
//! Who may read, and how far somebody is, is not looked at.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::Connection;
use tokio::sync::watch;

use super::{File, connect, failed, table, topic_id};
use crate::document::{Position, TopicName};
use crate::journal::JournalError;
use crate::record::{Headers, Kept, Record};

/// A batch ends at so many bytes: larger ones cost latency and memory and gain little.
const BATCH_BYTES_MAX: usize = 4 << 20;

pub(super) struct Records {
    file: Arc<File>,
    connection: Connection,
    topic: TopicName,
    topic_id: i64,
}

impl Records {
    /// Opens a connection to read `topic`, which must be there.
    pub(super) fn open(file: Arc<File>, topic: &TopicName) -> Result<Self, JournalError> {
        let connection = connect(file.open.path())?;
        let id = topic_id(&connection, topic).map_err(|error| failed(file.open.path(), error))?;
        let id = id.ok_or_else(|| JournalError::Stop(format!("there is no topic {topic}")))?;
        Ok(Records { file, connection, topic: topic.clone(), topic_id: id })
    }

    /// Tells the end of the topic as this process knows it.
    pub(super) fn end(&self) -> watch::Receiver<i64> {
        self.file.end_of(&self.topic).subscribe()
    }

    /// Fails when the file is no longer the one that was opened.
    pub(super) fn check_file(&self) -> Result<(), JournalError> {
        self.file.check()
    }

    /// The records from the offset `from` on, at most `records_max`, and as many bytes as a batch holds.
    pub(super) fn read(&self, from: i64, records_max: usize) -> Result<Vec<Kept>, JournalError> {
        self.rows(from, i64::try_from(records_max).unwrap_or(i64::MAX))
            .map_err(|error| failed(self.file.open.path(), error))
    }

    fn rows(&self, from: i64, records_max: i64) -> rusqlite::Result<Vec<Kept>> {
        let sql = format!(
            "SELECT offset, timestamp_ms, key, headers, value FROM {} WHERE offset >= ?1 ORDER BY offset LIMIT ?2",
            table(self.topic_id)
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query((from, records_max))?;
        let mut records = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES_MAX {
            let Some(row) = rows.next()? else { break };
            let headers = row.get_ref(3)?.as_str().unwrap_or_default();
            let record = Record {
                key: row.get_ref(2)?.as_blob_or_null()?.map(Bytes::copy_from_slice),
                value: Bytes::copy_from_slice(row.get_ref(4)?.as_bytes_or_null()?.unwrap_or_default()),
                // Headers that somebody damaged say nothing; the document itself still does.
                headers: serde_json::from_str::<Headers>(headers).unwrap_or_default(),
                timestamp_ms: row.get(1)?,
            };
            bytes += record.size();
            let position = Position { topic: self.topic.clone(), partition: 0, offset: row.get(0)? };
            records.push(Kept { position, record });
        }
        Ok(records)
    }

    /// Fails when the offset `from` is not in the topic, and not its end either.
    pub(super) fn check_range(&self, from: i64) -> Result<(), JournalError> {
        let extent = super::extent_bounds(&self.connection, self.topic_id)
            .map_err(|error| failed(self.file.open.path(), error))?;
        if (extent.0..=extent.1).contains(&from) {
            return Ok(());
        }
        Err(JournalError::Stop(format!(
            "topic {} holds offsets {} to {}, and not {from}: `sluicegate positions` shows it",
            self.topic, extent.0, extent.1
        )))
    }
}
