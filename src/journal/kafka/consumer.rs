//! Reads a topic as a member of a consumer group.
//!
//! Each partition has a queue of its own, which librdkafka fills up to a limit and stops: a partition that is held is not
//! polled, and the others go on. Where reading begins is said by adding the partition at that offset, never by librdkafka's
//! seek or pause; what was fetched before is void from then on, since taking a partition away outdates its queue. Nothing
//! here waits in a thread: librdkafka's queues wake the reader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Notify;

use super::error::{failed, is_passing};
use super::headers;
use super::lookup::Lookup;
use super::member::Seat;
use super::rebalance::{Move, Rebalances};
use super::tail::Tail;
use super::url::Settings;
use crate::document::{Position, TopicName};
use crate::journal::{Batch, Consumer, Delivery, JournalError};
use crate::record::{Kept, Record};

/// A batch ends at so many bytes: larger ones cost latency and memory and gain little.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// How often the group's offsets are noted in Kafka: for lag tools, which look less often.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// How long leaving may keep anybody waiting. What is not done by then goes on behind.
const LEAVE_DEADLINE: Duration = Duration::from_secs(3);

/// How long the group may take to let a member go.
const REVOKE_DEADLINE: Duration = Duration::from_secs(1);

/// How many turns of librdkafka's thread it takes until the group is told.
const TURNS_TO_LEAVE: u32 = 10;

/// More events than this are served another time.
const EVENTS_MAX: u32 = 1000;

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
    ("queued.max.messages.kbytes", "4096"),
    ("queued.min.messages", "10000"),
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

type Client = BaseConsumer<Rebalances>;

pub(super) struct KafkaConsumer {
    /// None once it has left.
    reading: Option<Reading>,
    lookup: Arc<Lookup>,
    topic: TopicName,
    records_max: usize,
    ready: Arc<Notify>,
    held: BTreeSet<i32>,
    /// The partition that was read last: the others come first.
    last: i32,
    /// An error behind records that were to be delivered first.
    failed: Option<JournalError>,
    commits: BTreeMap<i32, i64>,
    committed: Instant,
}

/// What ends together when the member leaves.
struct Reading {
    /// Before the client, which the queues keep alive.
    partitions: BTreeMap<i32, Partition>,
    client: Arc<Client>,
    /// Free only when the client is gone.
    _seat: Seat,
}

/// An assigned partition.
#[derive(Default)]
struct Partition {
    /// What is fetched, once it was said from where.
    fetching: Option<Fetching>,
}

struct Fetching {
    queue: PartitionQueue<Rebalances>,
    next_offset: i64,
    tail: Tail,
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
        let id = seat.instance_id();
        let mut fixed = FIXED.to_vec();
        fixed.push(("group.id", group));
        if let Some(id) = &id {
            fixed.push(("group.instance.id", id));
        }
        let what = format!("the topic {topic} as {group}");
        let client = settings.client(DEFAULTS, &fixed).create_with_context(Rebalances::default());
        let mut client: Client = client.map_err(|error| failed(&what, &error))?;
        let ready = Arc::new(Notify::new());
        let wake = Arc::clone(&ready);
        client.set_nonempty_callback(move || wake.notify_one());
        client.subscribe(&[topic.as_str()]).map_err(|error| failed(&what, &error))?;
        let reading = Reading { partitions: BTreeMap::new(), client: Arc::new(client), _seat: seat };
        Ok(KafkaConsumer {
            reading: Some(reading),
            lookup: Arc::clone(lookup),
            topic: topic.clone(),
            records_max: records_max.max(1),
            ready,
            held: BTreeSet::new(),
            last: -1,
            failed: None,
            commits: BTreeMap::new(),
            committed: Instant::now(),
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
        match moved {
            Some(Move::Came(partition)) => {
                reading.partitions.insert(partition, Partition::default());
                return Ok(Some(Delivery::Assigned(partition)));
            }
            Some(Move::Went(partition)) => {
                reading.partitions.remove(&partition);
                self.held.remove(&partition);
                self.commits.remove(&partition);
                return Ok(Some(Delivery::Lost(partition)));
            }
            None => {}
        }
        self.commit_some();
        let Some(reading) = &mut self.reading else { return Ok(None) };
        // In turn, beginning behind the one that was read last.
        let after = self.last.saturating_add(1);
        let order: Vec<_> = reading
            .partitions
            .range(after..)
            .chain(reading.partitions.range(..after))
            .map(|(number, _)| *number)
            .collect();
        for number in order.into_iter().filter(|number| !self.held.contains(number)) {
            let Some(fetching) = reading.partitions.get_mut(&number).and_then(|found| found.fetching.as_mut()) else {
                continue;
            };
            let (batch, error) = fetching.read(&self.topic, number, self.records_max);
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
            Err(error) => tracing::debug!(%error, "The group's offset could not be noted in Kafka."),
        }
    }
}

impl Reading {
    /// Serves what is not records: rebalances, errors, lines of the log.
    fn serve(&mut self, topic: &TopicName) -> Result<(), JournalError> {
        for _ in 0..EVENTS_MAX {
            let served = self.client.context().told.served();
            match self.client.poll(Duration::ZERO) {
                None if self.client.context().told.served() == served => break,
                None => {}
                // Each partition has a queue of its own, so none comes here.
                Some(Ok(_record)) => {}
                Some(Err(error)) => judge(topic, &error)?,
            }
        }
        Ok(())
    }

    /// Stops fetching a partition; what was fetched is void.
    fn stop(&mut self, topic: &TopicName, partition: i32) -> Result<(), JournalError> {
        let was_fetched = self.client.context().state().fetched.remove(&partition);
        if was_fetched {
            let stopped = self.client.incremental_unassign(&list(topic, partition, Offset::Invalid)?);
            stopped.map_err(|error| failed(&format!("the topic {topic}"), &error))?;
        }
        if let Some(found) = self.partitions.get_mut(&partition) {
            found.fetching = None;
        }
        Ok(())
    }

    /// Fetches a partition from an offset on.
    fn fetch(
        &mut self,
        topic: &TopicName,
        partition: i32,
        from: i64,
        tail: Tail,
        ready: &Arc<Notify>,
    ) -> Result<(), JournalError> {
        self.stop(topic, partition)?;
        let Some(found) = self.partitions.get_mut(&partition) else { return Ok(()) };
        let what = || format!("the topic {topic}");
        let queue = self.client.split_partition_queue(topic.as_str(), partition);
        let mut queue =
            queue.ok_or_else(|| JournalError::Later(format!("partition {partition} of {} is gone", what())))?;
        let wake = Arc::clone(ready);
        queue.set_nonempty_callback(move || wake.notify_one());
        let begun = self.client.incremental_assign(&list(topic, partition, Offset::Offset(from))?);
        begun.map_err(|error| failed(&what(), &error))?;
        self.client.context().state().fetched.insert(partition);
        found.fetching = Some(Fetching { queue, next_offset: from, tail });
        Ok(())
    }
}

fn list(topic: &TopicName, partition: i32, offset: Offset) -> Result<TopicPartitionList, JournalError> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic.as_str(), partition, offset)
        .map_err(|error| failed(&format!("the topic {topic}"), &error))?;
    Ok(list)
}

/// Whether an error stops the reader; librdkafka goes on after most by itself.
fn judge(topic: &TopicName, error: &KafkaError) -> Result<(), JournalError> {
    let is_fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
    match error.rdkafka_error_code() {
        Some(code) if !is_fatal && is_passing(code) => Ok(()),
        _ => Err(failed(&format!("the topic {topic}"), error)),
    }
}

impl Fetching {
    /// What has come, up to the limits, and an error behind it.
    fn read(&mut self, topic: &TopicName, partition: i32, records_max: usize) -> (Batch, Option<JournalError>) {
        let (mut records, mut bytes) = (Vec::new(), 0);
        let mut error = None;
        while records.len() < records_max && bytes < BATCH_BYTES_MAX {
            match self.queue.poll(Duration::ZERO) {
                None => break,
                Some(Ok(message)) if message.offset() < self.next_offset => {}
                Some(Ok(message)) => {
                    if records.is_empty() {
                        records.reserve(records_max.min(64));
                    }
                    self.next_offset = message.offset() + 1;
                    let kept = kept(topic, partition, &message);
                    bytes += kept.record.size();
                    records.push(kept);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => self.tail.reached(),
                Some(Err(other)) => {
                    error = judge(topic, &other).err();
                    if error.is_some() {
                        break;
                    }
                }
            }
        }
        if !records.is_empty() {
            self.tail.moved();
        }
        (Batch { partition, records, next_offset: self.next_offset }, error)
    }
}

fn kept(topic: &TopicName, partition: i32, message: &BorrowedMessage<'_>) -> Kept {
    let (headers, accepted_ms) = headers::read(message.headers());
    let timestamp_ms = accepted_ms.or_else(|| message.timestamp().to_millis()).unwrap_or(0);
    let record = Record {
        key: message.key().map(Bytes::copy_from_slice),
        // A record without a value is no document, and neither is an empty one.
        value: message.payload().map(Bytes::copy_from_slice).unwrap_or_default(),
        headers,
        timestamp_ms,
    };
    Kept { position: Position { topic: topic.clone(), partition, offset: message.offset() }, record }
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
            return Err(JournalError::Stop(reason));
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

    fn pause(&mut self, partition: i32) {
        if let Some(reading) = &mut self.reading
            && let Err(error) = reading.stop(&self.topic, partition)
        {
            tracing::warn!(partition, %error, "Kafka's client could not stop reading a partition.");
        }
    }

    fn hold(&mut self, partition: i32) {
        self.held.insert(partition);
    }

    fn release(&mut self, partition: i32) {
        self.held.remove(&partition);
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

impl Reading {
    /// Leaves the group, also as a member with a name, which would otherwise keep its partitions until its session has
    /// run out.
    fn leave(self) {
        // A client that is closed while an offset is on its way leaves without a word.
        self.poll_until(|client| client.context().state().commits == 0);
        self.client.unsubscribe();
        self.poll_until(|client| !client.assignment().is_ok_and(|list| list.count() > 0));
        // The word goes out once the fetchers have stopped, on librdkafka's own thread: each question is a turn of it.
        for _ in 0..TURNS_TO_LEAVE {
            self.poll_until(|client| client.assignment().is_ok());
        }
    }

    /// Serves events until a condition holds, and not for long.
    fn poll_until(&self, is_so: impl Fn(&Client) -> bool) {
        let begun = Instant::now();
        loop {
            // What comes is of no use any more.
            let _ = self.client.poll(Duration::from_millis(2));
            if is_so(&self.client) || begun.elapsed() > REVOKE_DEADLINE {
                return;
            }
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
