//! A group of appends as rows, within the transaction that it is written in.

use std::collections::HashMap;

use rusqlite::Transaction;
use tokio::sync::oneshot;

use super::topics::{create_topic, table};
use crate::document::TopicName;
use crate::journal::AppendError;
use crate::record::Record;

/// An append that waits.
pub(super) struct Append {
    pub(super) topic: TopicName,
    pub(super) records: Vec<Record>,
    pub(super) reply: oneshot::Sender<Result<i64, AppendError>>,
}

/// What a group became.
pub(super) struct Written {
    /// The first offset of each append; or why its topic takes nothing more.
    pub(super) offsets: Vec<Result<i64, String>>,
    /// The new end of each topic.
    pub(super) ends: Vec<(TopicName, i64)>,
}

/// A topic while a group is written to it.
struct Open<'g> {
    name: &'g TopicName,
    id: i64,
    sql: String,
    next_offset: i64,
    bytes: u64,
    bytes_max: u64,
}

/// Writes a group within a transaction.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    group: &[Append],
    limits: &HashMap<TopicName, u64>,
) -> rusqlite::Result<Written> {
    let mut topics: Vec<Open<'_>> = Vec::new();
    let mut offsets = Vec::with_capacity(group.len());
    let mut headers = Vec::new();
    for append in group {
        let index = match topics.iter().position(|open| open.name == &append.topic) {
            Some(index) => index,
            None => {
                topics.push(open(transaction, &append.topic, limits)?);
                topics.len() - 1
            }
        };
        let topic = &mut topics[index];
        if topic.bytes >= topic.bytes_max {
            offsets.push(Err(format!(
                "full: topic {} holds {} bytes, as many as its `retention.size` allows, and its readers are",
                topic.name, topic.bytes
            )));
            continue;
        }
        offsets.push(Ok(topic.next_offset));
        topic.append(transaction, &append.records, &mut headers)?;
    }
    let ends = topics.into_iter().map(|topic| topic.close(transaction)).collect::<rusqlite::Result<_>>()?;
    Ok(Written { offsets, ends })
}

/// Appends records to one topic, whatever it holds already. Gives its new end.
pub(super) fn append(
    transaction: &Transaction<'_>,
    name: &TopicName,
    records: &[Record],
) -> rusqlite::Result<(TopicName, i64)> {
    let mut topic = open(transaction, name, &HashMap::new())?;
    topic.append(transaction, records, &mut Vec::new())?;
    topic.close(transaction)
}

impl Open<'_> {
    fn append(
        &mut self,
        transaction: &Transaction<'_>,
        records: &[Record],
        headers: &mut Vec<u8>,
    ) -> rusqlite::Result<()> {
        let mut statement = transaction.prepare_cached(&self.sql)?;
        for record in records {
            headers.clear();
            serde_json::to_writer(&mut *headers, &record.headers)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            let text = std::str::from_utf8(headers).unwrap_or_default();
            statement.execute((
                self.next_offset,
                record.timestamp_ms,
                record.key.as_deref(),
                text,
                &record.value[..],
            ))?;
            self.next_offset += 1;
            // What retention will subtract when the record goes.
            self.bytes += (record.value.len() + record.key.as_ref().map_or(0, |key| key.len()) + text.len()) as u64;
        }
        Ok(())
    }

    /// Notes the topic's new end.
    fn close(self, transaction: &Transaction<'_>) -> rusqlite::Result<(TopicName, i64)> {
        transaction.prepare_cached("UPDATE topics SET next_offset = ?1, bytes = ?2 WHERE id = ?3")?.execute((
            self.next_offset,
            self.bytes as i64,
            self.id,
        ))?;
        Ok((self.name.clone(), self.next_offset))
    }
}

fn open<'g>(
    transaction: &Transaction<'_>,
    name: &'g TopicName,
    limits: &HashMap<TopicName, u64>,
) -> rusqlite::Result<Open<'g>> {
    let id = create_topic(transaction, name)?;
    let (next_offset, bytes): (i64, i64) = transaction
        .prepare_cached("SELECT next_offset, bytes FROM topics WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let sql =
        format!("INSERT INTO {} (offset, timestamp_ms, key, headers, value) VALUES (?1, ?2, ?3, ?4, ?5)", table(id));
    let bytes_max = limits.get(name).copied().unwrap_or(u64::MAX);
    Ok(Open { name, id, sql, next_offset, bytes: bytes.max(0) as u64, bytes_max })
}
