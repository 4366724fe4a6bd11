//! Reads a topic as a member of a consumer group.
//!
//! Each partition has a queue of its own, which librdkafka fills up to a limit and stops: a partition that is paused is not
//! polled, and the others go on. Where reading begins is said by adding the partition at that offset, never by librdkafka's
//! seek or pause; what was fetched before is void from then on, since taking a partition away outdates its queue. Nothing
//! here waits in a thread: librdkafka's queues wake the reader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Notify;

use super::coverage::Coverage;
use super::error::failed;
use super::lookup::Lookup;
use super::member::Seat;
use super::mover::Readers;
use super::reading::{Client, Partition, Reading};
use super::rebalance::{Move, Rebalances};
use super::tail::Tail;
use super::url::Settings;
use crate::document::TopicName;
use crate::journal::{Batch, Consumer, Delivery, Follower, JournalError};
use crate::reason::chain;

/// How often the group's offsets are noted in Kafka: for lag tools, which look less often.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// How long leaving may keep anybody waiting. What is not done by then goes on behind.
const LEAVE_DEADLINE: Duration = Duration::from_secs(3);

/// However many partitions there are, a batch may have so many records: smaller ones cost too many transactions.
const BATCH_RECORDS_MIN: usize = 500;

/// Whoever follows a topic takes batches of so many records.
const FOLLOWED_RECORDS_MAX: usize = 500;

const DEFAULTS: &[(&str, &str)] = &[
    // A member that is gone is missed soon: brokers take no shorter session than 6 s unless told to.
    ("session.timeout.ms", "6000"),
    // How soon a member hears that another came or left.
    ("heartbeat.interval.ms", "500"),
    // How long a partition that is added waits for the fetch that is under way.
    ("fetch.wait.max.ms", "100"),
    ("fetch.error.backoff.ms", "100"),
    ("fetch.message.max.bytes", "1048576"),
    // What waits in memory, for each partition.
    ("queued.max.messages.kbytes", "2048"),
    ("queued.min.messages", "5000"),
    ("fetch.queue.backoff.ms", "2"),
    ("coordinator.query.interval.ms", "5000"),
];

const FIXED: &[(&str, &str)] = &[
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("auto.offset.reset", "error"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "true"),
    ("isolation.level", "read_committed"),
    ("allow.auto.create.topics", "false"),
];

pub(super) struct KafkaConsumer {
    /// None once it has left.
    reading: Option<Reading>,
    lookup: Arc<Lookup>,
    topic: TopicName,
    records_max: usize,
    ready: Arc<Notify>,
    paused: BTreeSet<i32>,
    /// The partition that was read last: the others come first.
    last: i32,
    /// An error behind records that were to be delivered first.
    failed: Option<JournalError>,
    commits: BTreeMap<i32, i64>,
    committed: Instant,
    /// Of the group; none of who is no member of one.
    coverage: Option<Coverage>,
}

impl KafkaConsumer {
    pub(super) fn subscribe(
        settings: &Settings,
        lookup: &Arc<Lookup>,
        seat: Seat,
        topic: &TopicName,
        group: &str,
        records_max: usize,
    ) -> Result<Self, JournalError> {
        let mut consumer = KafkaConsumer::new(settings, lookup, Some(seat), topic, group, records_max)?;
        consumer.coverage = Some(Coverage::of(group));
        if let Some(reading) = &consumer.reading {
            let subscribed = reading.client.subscribe(&[topic.as_str()]);
            subscribed.map_err(|error| failed(&format!("the topic {topic} as {group}"), error))?;
        }
        Ok(consumer)
    }

    /// Lets others ask as which member it reads.
    pub(super) fn note_in(&self, readers: &Readers, group: &str) {
        if let Some(reading) = &self.reading {
            readers.note(group, &reading.client);
        }
    }

    /// Reads partitions from the offsets beside them on, and is a member of nothing: a group that is not subscribed to
    /// and never committed to is not known to Kafka.
    pub(super) fn follow(
        settings: &Settings,
        lookup: &Arc<Lookup>,
        topic: &TopicName,
        from: &[(i32, i64)],
    ) -> Result<Self, JournalError> {
        let group = format!("sluicegate-follower-{}", uuid::Uuid::now_v7());
        let mut follower = KafkaConsumer::new(settings, lookup, None, topic, &group, FOLLOWED_RECORDS_MAX)?;
        if let Some(reading) = &mut follower.reading {
            for (partition, offset) in from {
                reading.partitions.insert(*partition, Partition::default());
                reading.fetch(topic, *partition, *offset, Tail::default(), &follower.ready)?;
            }
        }
        Ok(follower)
    }

    /// A client that reads nothing yet.
    fn new(
        settings: &Settings,
        lookup: &Arc<Lookup>,
        seat: Option<Seat>,
        topic: &TopicName,
        group: &str,
        records_max: usize,
    ) -> Result<Self, JournalError> {
        let id = seat.as_ref().and_then(Seat::instance_id);
        let mut fixed = FIXED.to_vec();
        fixed.push(("group.id", group));
        if let Some(id) = &id {
            fixed.push(("group.instance.id", id));
        }
        let what = format!("the topic {topic} as {group}");
        let client = settings.client(DEFAULTS, &fixed).create_with_context(Rebalances::default());
        let mut client: Client = client.map_err(|error| failed(&what, error))?;
        let ready = Arc::new(Notify::new());
        let wake = Arc::clone(&ready);
        client.set_nonempty_callback(move || wake.notify_one());
        Ok(KafkaConsumer {
            reading: Some(Reading::new(client, seat)),
            lookup: Arc::clone(lookup),
            topic: topic.clone(),
            records_max: records_max.max(1),
            ready,
            paused: BTreeSet::new(),
            last: -1,
            failed: None,
            commits: BTreeMap::new(),
            committed: Instant::now(),
            coverage: None,
        })
    }

    /// What can be delivered without waiting.
    fn step(&mut self) -> Result<Option<Delivery>, JournalError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Some(reading) = &mut self.reading else { return Ok(None) };
        reading.serve(&self.topic)?;
        let moved = reading.client.context().state().moves.pop_front();
        if let (Some(_), Some(coverage)) = (moved, &mut self.coverage) {
            coverage.stir();
        }
        match moved {
            Some(Move::Came(partition)) => {
                reading.partitions.insert(partition, Partition::default());
                return Ok(Some(Delivery::Assigned(partition)));
            }
            Some(Move::Went(partition)) => {
                reading.partitions.remove(&partition);
                self.paused.remove(&partition);
                self.commits.remove(&partition);
                return Ok(Some(Delivery::Lost(partition)));
            }
            None => {}
        }
        if let Some(coverage) = &mut self.coverage {
            let is_troubled = || reading.client.context().told.trouble().is_some();
            if let Some(gap) = coverage.gap(&self.lookup, &self.topic, is_troubled) {
                let reason = format!("nobody in the group was given the partitions {gap:?}; this member joins anew");
                return Err(JournalError::later(format!("the topic {}: {reason}", self.topic)));
            }
        }
        self.commit_some();
        self.fetched()
    }

    /// The next batch of a partition, in turn, if one is there.
    fn fetched(&mut self) -> Result<Option<Delivery>, JournalError> {
        let Some(reading) = &mut self.reading else { return Ok(None) };
        // Many partitions share what one could have, so that their batches together take no more memory.
        let records_max =
            (self.records_max / reading.partitions.len().max(1)).max(BATCH_RECORDS_MIN.min(self.records_max));
        // In turn, beginning behind the one that was read last.
        let after = self.last.saturating_add(1);
        let order: Vec<_> = reading
            .partitions
            .range(after..)
            .chain(reading.partitions.range(..after))
            .map(|(number, _)| *number)
            .collect();
        for number in order.into_iter().filter(|number| !self.paused.contains(number)) {
            let Some(fetching) = reading.partitions.get_mut(&number).and_then(|found| found.fetching.as_mut()) else {
                continue;
            };
            let (batch, error) = fetching.read(&self.topic, number, records_max);
            if !batch.records.is_empty() {
                self.last = number;
                self.failed = error;
                return Ok(Some(Delivery::Records(batch)));
            }
            if let Some(error) = error {
                return Err(error);
            }
            if let Some(end) = fetching.tail.passed(fetching.next_offset) {
                // Behind the last record stands none, up to there.
                fetching.next_offset = end;
                self.last = number;
                let batch = Batch { partition: number, records: Vec::new(), next_offset: end };
                return Ok(Some(Delivery::Records(batch)));
            }
            if fetching.tail.is_to_be_read_again(&self.lookup, &self.topic, number, fetching.next_offset) {
                let from = fetching.next_offset;
                let tail = std::mem::take(&mut fetching.tail);
                reading.fetch(&self.topic, number, from, tail, &self.ready)?;
            }
        }
        Ok(None)
    }

    /// Notes in Kafka what was committed, now and then, without waiting for it.
    fn commit_some(&mut self) {
        if self.commits.is_empty() || self.committed.elapsed() < COMMIT_EVERY {
            return;
        }
        self.committed = Instant::now();
        self.commit_all();
    }

    fn commit_all(&mut self) {
        let Some(reading) = &self.reading else { return };
        let mut list = TopicPartitionList::new();
        for (partition, offset) in std::mem::take(&mut self.commits) {
            // Fails for an offset that cannot be one.
            let _ = list.add_partition_offset(self.topic.as_str(), partition, Offset::Offset(offset));
        }
        if list.count() == 0 {
            return;
        }
        match reading.client.commit(&list, CommitMode::Async) {
            Ok(()) => reading.client.context().state().commits += 1,
            Err(error) => tracing::debug!(error = chain(&error), "The group's offset could not be noted in Kafka."),
        }
    }
}

#[async_trait]
impl Consumer for KafkaConsumer {
    async fn next(&mut self, patience: Duration) -> Result<Delivery, JournalError> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            if let Some(delivery) = self.step()? {
                return Ok(delivery);
            }
            if tokio::time::timeout_at(deadline, self.ready.notified()).await.is_err() {
                return Ok(Delivery::Nothing);
            }
        }
    }

    async fn seek(&mut self, partition: i32, offset: i64) -> Result<(), JournalError> {
        let topic = self.topic.clone();
        let extent = self.lookup.ask(move |lookup| lookup.extent(&topic, partition)).await?;
        let (topic, start, end) = (&self.topic, extent.start, extent.end);
        if !(start..=end).contains(&offset) {
            let reason = format!("partition {partition} of topic {topic} holds {start} to {end}, and not {offset}");
            return Err(JournalError::stop(reason));
        }
        let Some(reading) = &mut self.reading else { return Ok(()) };
        // An answer that the group waits for comes first.
        reading.serve(topic)?;
        let is_gone = reading.client.context().state().moves.contains(&Move::Went(partition));
        if is_gone {
            // The next delivery says so.
            return Ok(());
        }
        reading.fetch(topic, partition, offset, Tail::default(), &self.ready)
    }

    fn suspend(&mut self, partition: i32) {
        if let Some(reading) = &mut self.reading
            && let Err(error) = reading.stop(&self.topic, partition)
        {
            tracing::warn!(partition, error = chain(&error), "Kafka's client could not stop reading a partition.");
        }
    }

    fn pause(&mut self, partition: i32) {
        self.paused.insert(partition);
    }

    fn resume(&mut self, partition: i32) {
        self.paused.remove(&partition);
        self.ready.notify_one();
    }

    async fn commit(&mut self, partition: i32, next_offset: i64) {
        self.commits.insert(partition, next_offset);
        self.commit_some();
    }

    async fn leave(mut self: Box<Self>) {
        self.commit_all();
        let Some(reading) = self.reading.take() else { return };
        let left = tokio::task::spawn_blocking(move || reading.leave());
        if tokio::time::timeout(LEAVE_DEADLINE, left).await.is_err() {
            tracing::info!(topic = %self.topic, "Kafka is slow to let go of a reader; it is not waited for.");
        }
    }
}

impl Drop for KafkaConsumer {
    fn drop(&mut self) {
        if let Some(reading) = self.reading.take() {
            // Leaving asks the broker; nobody is to wait for that here.
            let leave = std::thread::Builder::new().name("kafka-leave".into()).spawn(move || reading.leave());
            if let Err(error) = leave {
                tracing::debug!(%error, "A reader of Kafka was dropped where it stood.");
            }
        }
    }
}

#[async_trait]
impl Follower for KafkaConsumer {
    async fn next(&mut self, patience: Duration) -> Result<Option<Batch>, JournalError> {
        match Consumer::next(self, patience).await? {
            Delivery::Records(batch) => Ok(Some(batch)),
            // It is in no group that could give or take a partition.
            Delivery::Assigned(_) | Delivery::Lost(_) | Delivery::Nothing => Ok(None),
        }
    }
}
