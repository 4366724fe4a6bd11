//! Appends what comes of a topic's records, and moves the position of who read them, in one transaction of the cluster.
//!
//! Each partition of a group has a transactional id of its own: who becomes its mover ends what an earlier one began, at
//! once, and fences it. The offsets are sent as those of the member of the group that reads here, so that one which is no
//! member any more is fenced by its generation as well.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::client::Told;
use super::error::failed;
use super::headers;
use super::lookup::DEADLINE;
use super::reading::Client;
use super::topics::MESSAGE_BYTES_MAX;
use super::url::Settings;
use crate::document::TopicName;
use crate::journal::{JournalError, Mover, Standing};
use crate::record::Record;

/// A transaction that its producer has left is ended by the broker after this; nobody who reads what is committed gets
/// further in the output's partition until then.
const TRANSACTION_TIMEOUT_MS: &str = "30000";

/// How long one call of librdkafka may take: a broker that is started again is back by then.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a full queue of librdkafka is waited for between two looks.
const QUEUE_PAUSE: Duration = Duration::from_millis(2);

const DEFAULTS: &[(&str, &str)] = &[
    ("linger.ms", "5"),
    ("batch.size", "1000000"),
    ("queue.buffering.max.messages", "0"),
    ("queue.buffering.max.kbytes", "65536"),
    ("retry.backoff.ms", "50"),
    ("topic.metadata.propagation.max.ms", "3000"),
];

/// The clients that read for groups in this process.
#[derive(Default)]
pub(super) struct Readers(Mutex<HashMap<String, Weak<Client>>>);

impl Readers {
    pub(super) fn note(&self, group: &str, client: &Arc<Client>) {
        let mut readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|_, client| client.strong_count() > 0);
        readers.insert(group.to_owned(), Arc::downgrade(client));
    }

    /// As which member this process reads for a group now.
    fn membership(&self, group: &str) -> Option<ConsumerGroupMetadata> {
        let client = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(group)?.upgrade()?;
        client.group_metadata()
    }
}

/// The context of a producer whose records nobody waits for one by one: the commit says what became of all.
#[derive(Default)]
struct Unwatched(Told);

impl ClientContext for Unwatched {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.0.stats_raw(statistics);
    }
}

impl ProducerContext for Unwatched {
    type DeliveryOpaque = ();

    fn delivery(&self, _result: &DeliveryResult<'_>, _sent: ()) {}
}

type Transactional = ThreadedProducer<Unwatched>;

pub(super) struct KafkaMover {
    shared: Arc<Shared>,
    standing: Option<Standing>,
}

struct Shared {
    /// None once it ends.
    producer: Option<Transactional>,
    readers: Arc<Readers>,
    /// Stands for a membership where nobody reads for the group here.
    outside: BaseConsumer<Told>,
    topic: TopicName,
    group: String,
    partition: i32,
}

impl KafkaMover {
    pub(super) async fn open(
        settings: &Arc<Settings>,
        readers: &Arc<Readers>,
        topic: &TopicName,
        group: &str,
        partition: i32,
    ) -> Result<Self, JournalError> {
        let (settings, readers) = (Arc::clone(settings), Arc::clone(readers));
        let (topic, group) = (topic.clone(), group.to_owned());
        let open = move || {
            let what = format!("the position of {group} in {topic}");
            let id = format!("{group}.{partition}");
            let largest = MESSAGE_BYTES_MAX.to_string();
            let fixed = [
                ("transactional.id", id.as_str()),
                ("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS),
                ("message.max.bytes", largest.as_str()),
            ];
            let client = settings.client(DEFAULTS, &fixed).create_with_context(Unwatched::default());
            let producer: Transactional = client.map_err(|error| failed(&what, error))?;
            // Ends what an earlier one has begun; only then its position is certain.
            producer.init_transactions(CALL_TIMEOUT).map_err(|error| failed(&what, error))?;
            let outside = outside(&settings, &group)?;
            let standing = committed(&outside, &topic, &[partition])?.pop();
            let shared = Shared { producer: Some(producer), readers, outside, topic, group, partition };
            Ok(KafkaMover { shared: Arc::new(shared), standing })
        };
        blocking(open).await
    }
}

/// How far a group is in partitions of a topic.
pub(super) async fn standings(
    settings: &Arc<Settings>,
    topic: &TopicName,
    group: &str,
    partitions: Vec<i32>,
) -> Result<Vec<Standing>, JournalError> {
    let (settings, topic, group) = (Arc::clone(settings), topic.clone(), group.to_owned());
    blocking(move || committed(&outside(&settings, &group)?, &topic, &partitions)).await
}

/// A client that asks about a group, and is no member of it.
fn outside(settings: &Settings, group: &str) -> Result<BaseConsumer<Told>, JournalError> {
    let fixed = [("group.id", group), ("enable.auto.commit", "false"), ("isolation.level", "read_committed")];
    settings.client(&[], &fixed).create_with_context(Told::default()).map_err(|error| failed("Kafka", error))
}

fn committed(
    client: &BaseConsumer<Told>,
    topic: &TopicName,
    partitions: &[i32],
) -> Result<Vec<Standing>, JournalError> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic.as_str(), *partition);
    }
    let what = format!("where the topic {topic} was read up to");
    let found = client.committed_offsets(list, DEADLINE).map_err(|error| failed(&what, error))?;
    let standing = |found: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match found.offset() {
        Offset::Offset(next_offset) => {
            Some(Standing { partition: found.partition(), next_offset, note: found.metadata().to_owned() })
        }
        _ => None,
    };
    Ok(found.elements().iter().filter_map(standing).collect())
}

/// Runs what waits for the cluster, on a thread of tokio's blocking pool.
async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    tokio::task::spawn_blocking(ask).await.map_err(|error| JournalError::later(error.to_string()))?
}

impl Shared {
    fn advance(&self, output: &TopicName, records: &[Record], next_offset: i64, note: &str) -> Result<(), KafkaError> {
        let producer = self.producer.as_ref().ok_or(KafkaError::Canceled)?;
        producer.begin_transaction()?;
        let step = self.step(producer, output, records, next_offset, note);
        if step.is_err() {
            // It is of no use any more; the next mover ends what this leaves.
            let _ = producer.abort_transaction(CALL_TIMEOUT);
        }
        step
    }

    fn step(
        &self,
        producer: &Transactional,
        output: &TopicName,
        records: &[Record],
        next_offset: i64,
        note: &str,
    ) -> Result<(), KafkaError> {
        for record in records {
            self.send(producer, output, record)?;
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(self.topic.as_str(), self.partition);
        if let Some(mut element) = list.find_partition(self.topic.as_str(), self.partition) {
            element.set_offset(Offset::Offset(next_offset))?;
            element.set_metadata(note);
        }
        let membership = self.readers.membership(&self.group).or_else(|| self.outside.group_metadata());
        let membership = membership.ok_or(KafkaError::Canceled)?;
        producer.send_offsets_to_transaction(&list, &membership, CALL_TIMEOUT)?;
        // It fails when a record was not taken.
        producer.commit_transaction(CALL_TIMEOUT)
    }

    fn send(&self, producer: &Transactional, output: &TopicName, record: &Record) -> Result<(), KafkaError> {
        let (headers, timestamp_ms) = headers::of(record);
        let key = record.key.as_deref().unwrap_or_default();
        let mut message = BaseRecord::to(output.as_str())
            .partition(self.partition)
            .key(key)
            .payload(&record.value[..])
            .headers(headers);
        if let Some(timestamp_ms) = timestamp_ms {
            message = message.timestamp(timestamp_ms);
        }
        loop {
            match producer.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                    message = back;
                    std::thread::sleep(QUEUE_PAUSE);
                }
                Err((error, _)) => return Err(error),
            }
        }
    }
}

#[async_trait]
impl Mover for KafkaMover {
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
        let (shared, output) = (Arc::clone(&self.shared), output.clone());
        blocking(move || {
            let advanced = shared.advance(&output, &records, next_offset, &note);
            // Whatever it is, another mover finds out how far it got.
            advanced.map_err(|error| JournalError::later(format!("the transaction into the topic {output}: {error}")))
        })
        .await
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // librdkafka waits for its threads as a client ends: not on a thread of the runtime.
        let producer = self.producer.take();
        let _ = std::thread::Builder::new().name("kafka-leave".into()).spawn(move || drop(producer));
    }
}
