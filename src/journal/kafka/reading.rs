//! One member's client of librdkafka and the partitions that it fetches: begin at an offset, stop, take what has come,
//! leave.
//!
//! It does not decide what is read when; `consumer` does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Notify;

use super::error::{failed, is_passing};
use super::headers;
use super::member::Seat;
use super::rebalance::Rebalances;
use super::tail::Tail;
use crate::document::{Position, TopicName};
use crate::journal::{Batch, JournalError};
use crate::record::{Kept, Record};

/// A batch ends at so many bytes: larger ones cost latency and memory and gain little.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// How long the group may take to let a member go.
const REVOKE_DEADLINE: Duration = Duration::from_secs(1);

/// How many turns of librdkafka's thread it takes until the group is told.
const TURNS_TO_LEAVE: u32 = 10;

/// More events than this are served another time.
const EVENTS_MAX: u32 = 1000;

pub(super) type Client = BaseConsumer<Rebalances>;

/// What ends together when the member leaves.
pub(super) struct Reading {
    /// Before the client, which the queues keep alive.
    pub(super) partitions: BTreeMap<i32, Partition>,
    pub(super) client: Arc<Client>,
    /// Free only when the client is gone; none of who is no member of a group.
    _seat: Option<Seat>,
}

/// An assigned partition.
#[derive(Default)]
pub(super) struct Partition {
    /// What is fetched, once it was said from where.
    pub(super) fetching: Option<Fetching>,
}

pub(super) struct Fetching {
    queue: PartitionQueue<Rebalances>,
    pub(super) next_offset: i64,
    pub(super) tail: Tail,
}

impl Reading {
    pub(super) fn new(client: Client, seat: Option<Seat>) -> Self {
        Reading { partitions: BTreeMap::new(), client: Arc::new(client), _seat: seat }
    }

    /// Serves what is not records: rebalances, errors, lines of the log.
    pub(super) fn serve(&mut self, topic: &TopicName) -> Result<(), JournalError> {
        for _ in 0..EVENTS_MAX {
            let served = self.client.context().told.served();
            match self.client.poll(Duration::ZERO) {
                None if self.client.context().told.served() == served => break,
                None => {}
                // Each partition has a queue of its own, so none comes here.
                Some(Ok(_record)) => {}
                Some(Err(error)) => judge(topic, error, self.client.context().told.trouble().is_some())?,
            }
        }
        Ok(())
    }

    /// Stops fetching a partition; what was fetched is void.
    pub(super) fn stop(&mut self, topic: &TopicName, partition: i32) -> Result<(), JournalError> {
        let was_fetched = self.client.context().state().fetched.remove(&partition);
        if was_fetched {
            let stopped = self.client.incremental_unassign(&list(topic, partition, Offset::Invalid)?);
            stopped.map_err(|error| failed(&format!("the topic {topic}"), error))?;
        }
        if let Some(found) = self.partitions.get_mut(&partition) {
            found.fetching = None;
        }
        Ok(())
    }

    /// Fetches a partition from an offset on.
    pub(super) fn fetch(
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
            queue.ok_or_else(|| JournalError::later(format!("partition {partition} of {} is gone", what())))?;
        let wake = Arc::clone(ready);
        queue.set_nonempty_callback(move || wake.notify_one());
        let begun = self.client.incremental_assign(&list(topic, partition, Offset::Offset(from))?);
        begun.map_err(|error| failed(&what(), error))?;
        self.client.context().state().fetched.insert(partition);
        found.fetching = Some(Fetching { queue, next_offset: from, tail });
        Ok(())
    }

    /// Leaves the group, also as a member with a name, which would otherwise keep its partitions until its session has
    /// run out.
    pub(super) fn leave(self) {
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

fn list(topic: &TopicName, partition: i32, offset: Offset) -> Result<TopicPartitionList, JournalError> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic.as_str(), partition, offset)
        .map_err(|error| failed(&format!("the topic {topic}"), error))?;
    Ok(list)
}

/// Whether an error stops the reader; librdkafka goes on after most by itself. `had_trouble`: with the broker, lately.
fn judge(topic: &TopicName, error: KafkaError, had_trouble: bool) -> Result<(), JournalError> {
    let is_fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
    match error.rdkafka_error_code() {
        Some(code) if !is_fatal && is_passing(code) => Ok(()),
        // The answer to its joining was lost, it joined again, and what it was before is fenced by what it is now.
        Some(Code::FencedInstanceId) if had_trouble => Err(JournalError::later(format!(
            "the topic {topic}: since Kafka was out of reach it takes this member for another one, which must join anew"
        ))),
        _ => Err(failed(&format!("the topic {topic}"), error)),
    }
}

impl Fetching {
    /// What has come, up to the limits, and an error behind it.
    pub(super) fn read(
        &mut self,
        topic: &TopicName,
        partition: i32,
        records_max: usize,
    ) -> (Batch, Option<JournalError>) {
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
                    error = judge(topic, other, false).err();
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
    let sent_ms = message.timestamp().to_millis();
    let (headers, accepted_ms) = headers::read(message.headers(), sent_ms);
    let timestamp_ms = accepted_ms.or(sent_ms).unwrap_or(0);
    let record = Record {
        key: message.key().map(Bytes::copy_from_slice),
        // A record without a value is no document, and neither is an empty one.
        value: message.payload().map(Bytes::copy_from_slice).unwrap_or_default(),
        headers,
        timestamp_ms,
    };
    Kept { position: Position { topic: topic.clone(), partition, offset: message.offset() }, record }
}
