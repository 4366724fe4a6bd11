//! The records of one topic, read through a connection of their own, on a thread of tokio's blocking pool while there is
//! something to read.
//!
//! Who may read, and how far somebody is, is not looked at.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::error::failed;
use super::file::{File, answered, connect};
use super::topics::{extent_bounds, table, topic_id};
use crate::document::{Position, TopicName};
use crate::journal::{Batch, JournalError};
use crate::record::{Headers, Kept, Record};

/// A batch ends at so many bytes: larger ones cost latency and memory and gain little.
const BATCH_BYTES_MAX: usize = 4 << 20;

pub(super) struct Records {
    topic: Arc<Topic>,
    records_max: usize,
    /// The end of the topic as this process knows it.
    end: watch::Receiver<i64>,
    reading: Option<Reading>,
    /// From which offset on there was nothing to read, and where the topic ended then: somebody took records away.
    nothing: Option<(i64, i64)>,
}

/// A read that is under way. When whoever waits for it is cut off, it is there for the next one who wants the same.
struct Reading {
    from: i64,
    /// Where the topic ended before.
    end: i64,
    task: JoinHandle<Result<Vec<Kept>, JournalError>>,
}

struct Topic {
    file: Arc<File>,
    connection: Mutex<Connection>,
    name: TopicName,
    id: i64,
}

impl Records {
    /// Opens a connection to read `topic`, which must be there, in batches of at most so many records.
    pub(super) async fn open(file: &Arc<File>, topic: &TopicName, records_max: usize) -> Result<Self, JournalError> {
        let end = file.ends.of(topic);
        let (file, name) = (Arc::clone(file), topic.clone());
        let open = move || Topic::open(file, name);
        let topic = Arc::new(answered(tokio::task::spawn_blocking(open).await)?);
        Ok(Records { topic, records_max, end, reading: None, nothing: None })
    }

    /// The records from the offset `from` on, as many as a batch holds, if any are known of. Cancelling it loses nothing.
    pub(super) async fn batch(&mut self, from: i64) -> Result<Option<Batch>, JournalError> {
        let reading = match self.reading.take() {
            Some(reading) if reading.from == from => reading,
            // One from before a seek is nobody's.
            _ if *self.end.borrow() <= self.known_to(from) => return Ok(None),
            _ => self.read(from),
        };
        let end = reading.end;
        let records = answered((&mut self.reading.insert(reading).task).await);
        self.reading = None;
        let records = records?;
        let Some(last) = records.last() else {
            self.nothing = Some((from, end));
            return Ok(None);
        };
        let next_offset = last.position.offset + 1;
        Ok(Some(Batch { partition: 0, records, next_offset }))
    }

    fn read(&self, from: i64) -> Reading {
        let (end, topic, records_max) = (*self.end.borrow(), Arc::clone(&self.topic), self.records_max);
        Reading { from, end, task: tokio::task::spawn_blocking(move || topic.read(from, records_max)) }
    }

    /// Where the topic must end behind for a read from `from` to be of use.
    fn known_to(&self, from: i64) -> i64 {
        self.nothing.filter(|(place, _)| *place == from).map_or(from, |(_, end)| end.max(from))
    }

    /// Waits until there is something to read from `from` on, at most for `pause`.
    pub(super) async fn wait(&mut self, from: i64, pause: Duration) -> Result<(), JournalError> {
        let known_to = self.known_to(from);
        tokio::select! {
            biased;
            // Its other end is in the file.
            _ = self.end.wait_for(|end| *end > known_to) => Ok(()),
            error = self.topic.file.look() => Err(error),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    /// Fails when the offset `from` is not in the topic, and not its end either.
    pub(super) async fn check_range(&self, from: i64) -> Result<(), JournalError> {
        let topic = Arc::clone(&self.topic);
        answered(tokio::task::spawn_blocking(move || topic.check_range(from)).await)
    }
}

impl Topic {
    fn open(file: Arc<File>, name: TopicName) -> Result<Self, JournalError> {
        // Opening a file that is gone would make an empty one.
        file.check()?;
        let connection = connect(file.open.path())?;
        let id = topic_id(&connection, &name).map_err(|error| failed(file.open.path(), error))?;
        let id = id.ok_or_else(|| JournalError::stop(format!("there is no topic {name}")))?;
        let bounds = extent_bounds(&connection, id).map_err(|error| failed(file.open.path(), error))?;
        file.ends.note(&name, bounds.1);
        Ok(Topic { file, connection: Mutex::new(connection), name, id })
    }

    /// Asks something of the file, which must be the one that was opened.
    fn ask<T>(&self, question: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, JournalError> {
        self.file.check()?;
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        question(&connection).map_err(|error| failed(self.file.open.path(), error))
    }

    fn read(&self, from: i64, records_max: usize) -> Result<Vec<Kept>, JournalError> {
        let records_max = i64::try_from(records_max).unwrap_or(i64::MAX);
        self.ask(|connection| self.rows(connection, from, records_max))
    }

    fn rows(&self, connection: &Connection, from: i64, records_max: i64) -> rusqlite::Result<Vec<Kept>> {
        let sql = format!(
            "SELECT offset, timestamp_ms, key, headers, value FROM {} WHERE offset >= ?1 ORDER BY offset LIMIT ?2",
            table(self.id)
        );
        let mut statement = connection.prepare_cached(&sql)?;
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
            let position = Position { topic: self.name.clone(), partition: 0, offset: row.get(0)? };
            records.push(Kept { position, record });
        }
        Ok(records)
    }

    fn check_range(&self, from: i64) -> Result<(), JournalError> {
        let (start, end) = self.ask(|connection| extent_bounds(connection, self.id))?;
        self.file.ends.note(&self.name, end);
        if (start..=end).contains(&from) {
            return Ok(());
        }
        Err(JournalError::stop(format!(
            "topic {} holds offsets {start} to {end}, and not {from}: `sluicegate positions` shows it",
            self.name
        )))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::super::SqliteJournal;
    use super::*;
    use crate::journal::Journal;

    const PATIENCE: Duration = Duration::from_secs(30);

    struct Scene {
        journal: SqliteJournal,
        name: TopicName,
        records: Records,
        folder: tempfile::TempDir,
    }

    impl Scene {
        async fn open() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let journal = SqliteJournal::open(&folder.path().join("journal.db")).unwrap();
            let name = TopicName::parse("t").unwrap();
            journal.open_topic(&name, u64::MAX).await.unwrap();
            let records = Records::open(&journal.file, &name, 10).await.unwrap();
            Scene { journal, name, records, folder }
        }

        async fn append(&self, count: usize) {
            let record = |_| Record { key: None, value: "1".into(), headers: Headers::default(), timestamp_ms: 0 };
            self.journal.append(&self.name, (0..count).map(record).collect()).await.unwrap();
        }

        /// Begins to read, and leaves before there is an answer.
        fn leave(&mut self, from: i64) {
            let topic = Arc::clone(&self.records.topic);
            // Held, so that there is none at once.
            let held = topic.connection.lock().unwrap();
            let mut batch = Box::pin(self.records.batch(from));
            assert!((&mut batch).now_or_never().is_none());
            drop((batch, held));
        }

        async fn offsets(&mut self, from: i64) -> Vec<i64> {
            let batch = tokio::time::timeout(PATIENCE, self.records.batch(from)).await.unwrap().unwrap();
            batch.map_or(Vec::new(), |batch| batch.records.iter().map(|kept| kept.position.offset).collect())
        }
    }

    #[tokio::test]
    async fn who_is_cut_off_in_the_middle_of_a_read_loses_nothing() {
        let mut scene = Scene::open().await;
        scene.append(5).await;
        scene.leave(0);
        assert_eq!(scene.offsets(0).await, [0, 1, 2, 3, 4], "the same is asked for again");
        scene.leave(0);
        assert_eq!(scene.offsets(3).await, [3, 4], "it is asked for from elsewhere");
        assert_eq!(scene.offsets(5).await, [0; 0]);
    }

    #[tokio::test]
    async fn what_is_appended_after_a_read_began_is_told_to_whoever_waits_behind_it() {
        let mut scene = Scene::open().await;
        scene.append(1).await;
        scene.leave(0);
        while !scene.records.reading.as_ref().unwrap().task.is_finished() {
            tokio::task::yield_now().await;
        }
        scene.append(1).await;
        assert_eq!(scene.offsets(0).await, [0], "it was read before that");
        tokio::time::timeout(PATIENCE, scene.records.wait(1, PATIENCE * 2)).await.expect("it is told").unwrap();
        assert_eq!(scene.offsets(1).await, [1]);
    }

    #[tokio::test]
    async fn all_who_wait_are_told_what_another_process_appends() {
        let mut scene = Scene::open().await;
        let other = SqliteJournal::open(&scene.folder.path().join("journal.db")).unwrap();
        let mut others = Vec::new();
        for _ in 0..20 {
            others.push(Records::open(&other.file, &scene.name, 10).await.unwrap());
        }
        let waiting = others.iter_mut().map(|records| records.wait(0, PATIENCE * 2));
        let waiting = futures_util::future::join_all(waiting);
        let (told, ()) = tokio::time::timeout(PATIENCE, futures_util::future::join(waiting, scene.append(1)))
            .await
            .expect("all are told");
        assert!(told.iter().all(Result::is_ok), "{told:?}");
        for records in &mut others {
            assert_eq!(records.batch(0).await.unwrap().map(|batch| batch.next_offset), Some(1));
        }
        assert_eq!(scene.offsets(0).await, [0]);
    }

    #[tokio::test]
    async fn where_records_were_taken_away_a_reader_waits_for_new_ones() {
        let mut scene = Scene::open().await;
        scene.append(3).await;
        let id = scene.records.topic.id;
        let remove = move |transaction: &rusqlite::Transaction<'_>| {
            transaction.execute(&format!("DELETE FROM {}", table(id)), [])
        };
        scene.journal.writer.run(remove).await.unwrap();
        assert_eq!(scene.offsets(1).await, [0; 0]);
        assert!(scene.records.wait(1, PATIENCE).now_or_never().is_none(), "there is nothing to be read");
        scene.append(1).await;
        tokio::time::timeout(PATIENCE, scene.records.wait(1, PATIENCE * 2)).await.expect("it is told").unwrap();
        assert_eq!(scene.offsets(1).await, [3]);
    }

    #[tokio::test]
    async fn whoever_waits_is_told_that_the_file_is_gone() {
        let mut scene = Scene::open().await;
        std::fs::remove_file(scene.folder.path().join("journal.db")).unwrap();
        let told = tokio::time::timeout(PATIENCE, scene.records.wait(0, PATIENCE * 2)).await.expect("it is told");
        assert!(told.unwrap_err().to_string().contains("was deleted or replaced"));
    }
}
