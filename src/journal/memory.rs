//! A journal in memory, for tests and measurements: the promises of the others but for surviving.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::{
    AppendError, Batch, Consumer, Delivery, Extent, Follower, Journal, JournalError, Log, Mover, Retention,
    RetentionLimits, Standing, Transactional, another_moves,
};
use crate::clock;
use crate::document::{Position, TopicName};
use crate::record::{Kept, Record};

/// Whoever follows a topic takes batches of so many records.
const FOLLOWED_RECORDS_MAX: usize = 500;

/// A journal that is gone with its process.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    identity: String,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    topics: Mutex<HashMap<TopicName, Topic>>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Topic {
    records: Vec<Record>,
    /// The offset of the first record that is still there.
    start: usize,
    /// What each group has read, and which member holds the partition.
    groups: HashMap<String, Group>,
}

#[derive(Debug, Default)]
struct Group {
    next_offset: usize,
    owner: Option<u64>,
    /// Where a mover left it, and how many there have been.
    standing: Option<Standing>,
    movers: u64,
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new() -> Self {
        MemoryJournal { identity: uuid::Uuid::now_v7().to_string(), shared: Arc::default() }
    }
}

impl Topic {
    /// The records from `from` on, at most `records_max`; none when there is none.
    fn batch(&self, topic: &TopicName, from: usize, records_max: usize) -> Option<Batch> {
        let rest = self.records.get(from.checked_sub(self.start)?..)?;
        let kept = |(index, record): (usize, &Record)| Kept {
            position: Position { topic: topic.clone(), partition: 0, offset: offset(from + index) },
            record: record.clone(),
        };
        let records: Vec<_> = rest.iter().take(records_max).enumerate().map(kept).collect();
        let next_offset = offset(from + records.len());
        (!records.is_empty()).then_some(Batch { partition: 0, records, next_offset })
    }
}

impl Shared {
    fn topics(&self) -> MutexGuard<'_, HashMap<TopicName, Topic>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The offset `at`, if the topic holds it or ends there.
    fn find(&self, topic: &TopicName, at: i64) -> Result<usize, JournalError> {
        let (start, end) = self.topics().get(topic).map_or((0, 0), |log| (log.start, log.start + log.records.len()));
        let found = usize::try_from(at).ok().filter(|at| (start..=end).contains(at));
        found.ok_or_else(|| JournalError::stop(format!("topic {topic} holds {start} to {end}, and not {at}")))
    }
}

fn offset(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

#[async_trait]
impl Journal for MemoryJournal {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn record_bytes_max(&self) -> usize {
        64 << 20
    }

    async fn open_topic(&self, topic: &TopicName, _bytes_max: u64) -> Result<(), JournalError> {
        self.shared.topics().entry(topic.clone()).or_default();
        Ok(())
    }

    async fn append(&self, topic: &TopicName, records: Vec<Record>) -> Result<Vec<Position>, AppendError> {
        let mut topics = self.shared.topics();
        let log = topics.entry(topic.clone()).or_default();
        let first = log.start + log.records.len();
        let count = records.len();
        log.records.extend(records);
        drop(topics);
        self.shared.changed.send_modify(|version| *version += 1);
        let position = |index| Position { topic: topic.clone(), partition: 0, offset: offset(index) };
        Ok((first..first + count).map(position).collect())
    }

    async fn check(&self) -> Result<(), JournalError> {
        Ok(())
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
impl Transactional for MemoryJournal {
    async fn open_output(&self, output: &TopicName, _input: &TopicName) -> Result<(), JournalError> {
        self.shared.topics().entry(output.clone()).or_default();
        Ok(())
    }

    async fn mover(&self, topic: &TopicName, group: &str, _partition: i32) -> Result<Box<dyn Mover>, JournalError> {
        let mut topics = self.shared.topics();
        let found = topics.entry(topic.clone()).or_default().groups.entry(group.into()).or_default();
        found.movers += 1;
        let (shared, standing) = (Arc::clone(&self.shared), found.standing.clone());
        Ok(Box::new(MemoryMover { shared, topic: topic.clone(), group: group.into(), number: found.movers, standing }))
    }

    async fn standings(&self, topic: &TopicName, group: &str) -> Result<Vec<Standing>, JournalError> {
        let topics = self.shared.topics();
        let found = topics.get(topic).and_then(|log| log.groups.get(group)?.standing.clone());
        Ok(found.into_iter().collect())
    }
}

struct MemoryMover {
    shared: Arc<Shared>,
    topic: TopicName,
    group: String,
    number: u64,
    standing: Option<Standing>,
}

#[async_trait]
impl Mover for MemoryMover {
    fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    async fn advance(
        &mut self,
        output: &TopicName,
        records: Vec<Record>,
        next_offset: i64,
        note: String,
    ) -> Result<(), JournalError> {
        {
            let mut topics = self.shared.topics();
            let group = topics.get_mut(&self.topic).and_then(|log| log.groups.get_mut(&self.group));
            let group = group.filter(|group| group.movers == self.number).ok_or_else(another_moves)?;
            group.standing = Some(Standing { partition: 0, next_offset, note });
            group.next_offset = usize::try_from(next_offset).unwrap_or(0);
            topics.entry(output.clone()).or_default().records.extend(records);
        }
        self.shared.changed.send_modify(|version| *version += 1);
        Ok(())
    }
}

#[async_trait]
impl Log for MemoryJournal {
    async fn subscribe(
        &self,
        topic: &TopicName,
        group: &str,
        records_max: usize,
    ) -> Result<Box<dyn Consumer>, JournalError> {
        let mut topics = self.shared.topics();
        topics.entry(topic.clone()).or_default().groups.entry(group.into()).or_default();
        drop(topics);
        let member = rand_id();
        Ok(Box::new(MemoryConsumer {
            shared: Arc::clone(&self.shared),
            changed: self.shared.changed.subscribe(),
            topic: topic.clone(),
            group: group.into(),
            member,
            records_max,
            is_assigned: false,
            is_paused: false,
            next_offset: None,
        }))
    }

    async fn follow(&self, topic: &TopicName, from: &[(i32, i64)]) -> Result<Box<dyn Follower>, JournalError> {
        let [(0, at)] = from else {
            return Err(JournalError::stop(format!("topic {topic} has one partition, which is 0")));
        };
        let next_offset = self.shared.find(topic, *at)?;
        let shared = Arc::clone(&self.shared);
        Ok(Box::new(MemoryFollower { changed: shared.changed.subscribe(), shared, topic: topic.clone(), next_offset }))
    }

    async fn extents(&self, topic: &TopicName) -> Result<Vec<Extent>, JournalError> {
        let topics = self.shared.topics();
        let extent =
            |log: &Topic| Extent { partition: 0, start: offset(log.start), end: offset(log.start + log.records.len()) };
        Ok(topics.get(topic).map(extent).into_iter().collect())
    }

    async fn groups(&self, topic: &TopicName) -> Result<Vec<String>, JournalError> {
        let topics = self.shared.topics();
        let mut names: Vec<_> = topics.get(topic).into_iter().flat_map(|log| log.groups.keys().cloned()).collect();
        names.sort();
        Ok(names)
    }

    async fn forget_group(&self, topic: &TopicName, group: &str) -> Result<(), JournalError> {
        if let Some(log) = self.shared.topics().get_mut(topic) {
            log.groups.remove(group);
        }
        Ok(())
    }
}

#[async_trait]
impl Retention for MemoryJournal {
    async fn retain(&self, topic: &TopicName, limits: RetentionLimits, is_read: bool) -> Result<u64, JournalError> {
        let mut topics = self.shared.topics();
        let Some(log) = topics.get_mut(topic) else { return Ok(0) };
        let needed = log.groups.values().map(|group| group.next_offset).min();
        let needed = needed.unwrap_or(if is_read { 0 } else { usize::MAX });
        let oldest_ms = clock::now_ms().saturating_sub(i64::try_from(limits.age.as_millis()).unwrap_or(i64::MAX));
        let mut bytes: u64 = log.records.iter().map(|record| record.size() as u64).sum();
        let mut removed = 0;
        for (index, record) in log.records.iter().enumerate() {
            let may_go = record.timestamp_ms < oldest_ms || bytes > limits.bytes_max;
            if !may_go || log.start + index >= needed {
                break;
            }
            bytes -= record.size() as u64;
            removed += 1;
        }
        log.records.drain(..removed);
        log.start += removed;
        Ok(removed as u64)
    }

    /// Offsets are places in memory here: nothing is taken out of the middle.
    async fn compact(&self, _topic: &TopicName) -> Result<u64, JournalError> {
        Ok(0)
    }

    async fn count(&self, topic: &TopicName, _partition: i32) -> Result<Option<i64>, JournalError> {
        Ok(self.shared.topics().get(topic).map(|log| offset(log.records.len())))
    }
}

fn rand_id() -> u64 {
    uuid::Uuid::now_v7().as_u64_pair().1
}

struct MemoryFollower {
    shared: Arc<Shared>,
    changed: watch::Receiver<u64>,
    topic: TopicName,
    next_offset: usize,
}

#[async_trait]
impl Follower for MemoryFollower {
    async fn next(&mut self, patience: Duration) -> Result<Option<Batch>, JournalError> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            self.changed.mark_unchanged();
            let batch = self.shared.topics().get(&self.topic).and_then(|log| {
                // What retention took meanwhile is passed over.
                log.batch(&self.topic, self.next_offset.max(log.start), FOLLOWED_RECORDS_MAX)
            });
            if let Some(batch) = batch {
                self.next_offset = usize::try_from(batch.next_offset).unwrap_or(usize::MAX);
                return Ok(Some(batch));
            }
            if tokio::time::timeout_at(deadline, self.changed.changed()).await.is_err() {
                return Ok(None);
            }
        }
    }
}

struct MemoryConsumer {
    shared: Arc<Shared>,
    changed: watch::Receiver<u64>,
    topic: TopicName,
    group: String,
    member: u64,
    records_max: usize,
    is_assigned: bool,
    is_paused: bool,
    next_offset: Option<usize>,
}

impl MemoryConsumer {
    fn step(&mut self) -> Option<Delivery> {
        let mut topics = self.shared.topics();
        let log = topics.entry(self.topic.clone()).or_default();
        let group = log.groups.entry(self.group.clone()).or_default();
        if !self.is_assigned {
            if group.owner.is_some_and(|owner| owner != self.member) {
                return None;
            }
            group.owner = Some(self.member);
            self.is_assigned = true;
            return Some(Delivery::Assigned(0));
        }
        let from = self.next_offset.filter(|_| !self.is_paused)?;
        let batch = log.batch(&self.topic, from, self.records_max)?;
        self.next_offset = Some(from + batch.records.len());
        Some(Delivery::Records(batch))
    }

    fn give_up(&self) {
        if let Some(group) = self.shared.topics().get_mut(&self.topic).and_then(|log| log.groups.get_mut(&self.group))
            && group.owner == Some(self.member)
        {
            group.owner = None;
        }
        self.shared.changed.send_modify(|version| *version += 1);
    }
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn next(&mut self, patience: Duration) -> Result<Delivery, JournalError> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            self.changed.mark_unchanged();
            if let Some(delivery) = self.step() {
                return Ok(delivery);
            }
            if tokio::time::timeout_at(deadline, self.changed.changed()).await.is_err() {
                return Ok(Delivery::Nothing);
            }
        }
    }

    async fn seek(&mut self, _partition: i32, at: i64) -> Result<(), JournalError> {
        self.next_offset = Some(self.shared.find(&self.topic, at)?);
        Ok(())
    }

    fn suspend(&mut self, _partition: i32) {
        self.next_offset = None;
    }

    fn pause(&mut self, _partition: i32) {
        self.is_paused = true;
    }

    fn resume(&mut self, _partition: i32) {
        self.is_paused = false;
    }

    async fn commit(&mut self, _partition: i32, next_offset: i64) {
        let mut topics = self.shared.topics();
        if let Some(group) = topics.get_mut(&self.topic).and_then(|log| log.groups.get_mut(&self.group)) {
            group.next_offset = usize::try_from(next_offset).unwrap_or(0);
        }
    }

    async fn leave(self: Box<Self>) {}
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        self.give_up();
    }
}
