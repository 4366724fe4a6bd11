//! The journal in Apache Kafka: an idempotent producer that waits for every replica in sync, and readers that are members
//! of consumer groups and begin where the store says.
//!
//! The value of a record is the document's own bytes, so that any other consumer can read the topic. Retention is the
//! broker's: nothing here removes a record, and no group holds one back.

mod amount;
mod assignment;
mod client;
mod consumer;
mod coverage;
mod crowd;
mod error;
mod headers;
mod lookup;
mod manners;
mod member;
mod mover;
mod producer;
mod queue;
mod reading;
mod rebalance;
mod reports;
mod sender;
mod tail;
mod ticket;
mod topics;
mod url;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use self::consumer::KafkaConsumer;
use self::lookup::Lookup;
use self::manners::Known;
use self::member::Members;
use self::mover::{KafkaMover, Readers};
use self::producer::Producer;
use self::url::Settings;
use super::{
    AppendError, Consumer, Extent, Follower, Journal, JournalError, Log, Mover, Outcome, Retention, Standing,
    Transactional,
};
use crate::document::{Position, TopicName};
use crate::record::Record;

/// What Kafka adds to a record in a batch of its own: the batch's head, lengths, and the headers that every record has.
const OVERHEAD_BYTES: usize = 512;

/// An answer about Kafka's health is as good as new for so long.
const FRESH: Duration = Duration::from_secs(1);

/// How long that answer may take.
const CHECK_DEADLINE: Duration = Duration::from_secs(2);

/// A journal in a Kafka cluster.
pub struct KafkaJournal {
    settings: Arc<Settings>,
    identity: String,
    lookup: Arc<Lookup>,
    producer: Producer,
    members: Arc<Members>,
    readers: Arc<Readers>,
    record_bytes_max: AtomicUsize,
    /// The topics that are known to exist.
    topics: Mutex<BTreeSet<TopicName>>,
    checked: Mutex<Option<(Instant, Result<(), JournalError>)>>,
    manners: Known,
}

impl KafkaJournal {
    /// Connects to the cluster that `rest`, what follows `kafka://`, names. Waits for a broker for a few seconds. What
    /// must be remembered over restarts is kept in `data`.
    pub fn open(rest: &str, data: &Path) -> Result<Self, JournalError> {
        let settings = Arc::new(Settings::parse(rest)?);
        let lookup = Arc::new(Lookup::open(&settings)?);
        let identity = lookup.cluster_id()?;
        let producer = Producer::start(&settings, &lookup)?;
        Ok(KafkaJournal {
            settings,
            identity,
            lookup,
            producer,
            members: Members::open(data),
            readers: Arc::default(),
            record_bytes_max: AtomicUsize::new(topics::MESSAGE_BYTES_MAX - OVERHEAD_BYTES),
            topics: Mutex::default(),
            checked: Mutex::default(),
            manners: Known::default(),
        })
    }

    fn topics(&self) -> MutexGuard<'_, BTreeSet<TopicName>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn knows(&self, topic: &TopicName) -> bool {
        self.topics().contains(topic)
    }

    /// Fails when there is no such topic: the broker shall not create one in passing.
    async fn must_exist(&self, topic: &TopicName) -> Result<(), JournalError> {
        if self.knows(topic) {
            return Ok(());
        }
        let name = topic.clone();
        match self.lookup.ask(move |lookup| lookup.partitions(&name, lookup::DEADLINE)).await? {
            Some(_) => {
                self.topics().insert(topic.clone());
                Ok(())
            }
            None => Err(error::meaning(
                &format!("the topic {topic}"),
                rdkafka::error::RDKafkaErrorCode::UnknownTopicOrPartition,
            )),
        }
    }

    async fn ask_whether_it_works(&self) -> Result<(), JournalError> {
        let known: Vec<_> = self.topics().iter().cloned().collect();
        let servers = self.settings.servers.clone();
        let asked = self.lookup.ask(move |lookup| {
            for topic in &known {
                match lookup.partitions(topic, CHECK_DEADLINE)? {
                    None => {
                        return Err(JournalError::stop(format!(
                            "the topic {topic} is gone; restart to create it anew"
                        )));
                    }
                    Some(partitions) if partitions.iter().all(|(_, has_leader)| *has_leader) => {}
                    Some(_) => {
                        let reason = format!("a partition of the topic {topic} has no leader: a broker is missing");
                        return Err(JournalError::later(reason));
                    }
                }
            }
            if known.is_empty() { lookup.reach(CHECK_DEADLINE) } else { Ok(()) }
        });
        match tokio::time::timeout(CHECK_DEADLINE * 2, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(self.lookup.unanswered(format!("Kafka at {servers} does not answer"))),
        }
    }
}

/// The version of librdkafka that this program carries.
pub fn library_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

#[async_trait]
impl Journal for KafkaJournal {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn record_bytes_max(&self) -> usize {
        self.record_bytes_max.load(Ordering::Relaxed)
    }

    async fn open_topic(&self, topic: &TopicName, _bytes_max: u64) -> Result<(), JournalError> {
        if self.knows(topic) {
            return Ok(());
        }
        let found = topics::open(&self.settings, &self.lookup, topic).await?;
        self.manners.note(topic, found.is_compacted);
        let bytes_max = found.bytes_max;
        self.record_bytes_max.fetch_min(bytes_max.saturating_sub(OVERHEAD_BYTES), Ordering::Relaxed);
        self.producer.limit(bytes_max);
        self.topics().insert(topic.clone());
        Ok(())
    }

    async fn append(&self, topic: &TopicName, records: Vec<Record>) -> Result<Vec<Position>, AppendError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let exists = self.must_exist(topic).await;
        exists.map_err(|source| AppendError::Unavailable { kept: Outcome::No, source })?;
        let appended = self.producer.append(topic, records).await;
        self.manners.appended(topic, &appended);
        appended
    }

    async fn check(&self) -> Result<(), JournalError> {
        if self.producer.is_fresh(FRESH) {
            return Ok(());
        }
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, answer)) = checked
            && at.elapsed() < FRESH
        {
            return answer;
        }
        let answer = self.ask_whether_it_works().await;
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), answer.clone()));
        answer
    }

    async fn check_topic(&self, topic: &TopicName) -> Result<(), JournalError> {
        let is_compacted = match self.manners.is_compacted(topic) {
            Some(known) => known,
            None => {
                let name = topic.clone();
                if self.lookup.ask(move |lookup| lookup.partitions(&name, CHECK_DEADLINE)).await?.is_none() {
                    return Ok(());
                }
                let found = topics::manners(&self.settings, topic).await?;
                self.manners.note(topic, found.is_compacted);
                found.is_compacted
            }
        };
        match is_compacted {
            true => Err(JournalError::stop(format!("the topic {topic}: {}", error::COMPACTED))),
            false => self.manners.trouble(topic).map_or(Ok(()), Err),
        }
    }

    fn log(self: Arc<Self>) -> Option<Arc<dyn Log>> {
        Some(self)
    }

    /// The broker retains as the topic's settings say.
    fn retention(self: Arc<Self>) -> Option<Arc<dyn Retention>> {
        None
    }

    fn transactional(self: Arc<Self>) -> Option<Arc<dyn Transactional>> {
        Some(self)
    }
}

#[async_trait]
impl Transactional for KafkaJournal {
    async fn open_output(&self, output: &TopicName, input: &TopicName) -> Result<(), JournalError> {
        topics::open_output(&self.settings, &self.lookup, output, input).await?;
        self.topics().insert(output.clone());
        Ok(())
    }

    async fn mover(&self, topic: &TopicName, group: &str, partition: i32) -> Result<Box<dyn Mover>, JournalError> {
        Ok(Box::new(KafkaMover::open(&self.settings, &self.readers, topic, group, partition).await?))
    }

    async fn standings(&self, topic: &TopicName, group: &str) -> Result<Vec<Standing>, JournalError> {
        let extents = self.extents(topic).await?;
        let partitions = extents.iter().map(|extent| extent.partition).collect();
        mover::standings(&self.settings, topic, group, partitions).await
    }
}

#[async_trait]
impl Log for KafkaJournal {
    async fn subscribe(
        &self,
        topic: &TopicName,
        group: &str,
        records_max: usize,
    ) -> Result<Box<dyn Consumer>, JournalError> {
        self.must_exist(topic).await?;
        let (settings, lookup, members) =
            (Arc::clone(&self.settings), Arc::clone(&self.lookup), Arc::clone(&self.members));
        let (topic, group, name) = (topic.clone(), group.to_owned(), group.to_owned());
        // Who this process is to the group stands in a file, and so do certificates.
        let subscribe = move |_: &Lookup| {
            let seat = members.seat(&group);
            KafkaConsumer::subscribe(&settings, &lookup, seat, &topic, &group, records_max)
        };
        let consumer = self.lookup.ask(subscribe).await?;
        consumer.note_in(&self.readers, &name);
        Ok(Box::new(consumer))
    }

    async fn follow(&self, topic: &TopicName, from: &[(i32, i64)]) -> Result<Box<dyn Follower>, JournalError> {
        self.must_exist(topic).await?;
        let extents = self.extents(topic).await?;
        for (partition, offset) in from {
            let holds =
                |extent: &&Extent| extent.partition == *partition && (extent.start..=extent.end).contains(offset);
            if !extents.iter().any(|extent| holds(&extent)) {
                let reason = format!("partition {partition} of topic {topic} does not hold offset {offset}");
                return Err(JournalError::stop(reason));
            }
        }
        let (settings, lookup) = (Arc::clone(&self.settings), Arc::clone(&self.lookup));
        let (topic, from) = (topic.clone(), from.to_owned());
        let follow = move |_: &Lookup| KafkaConsumer::follow(&settings, &lookup, &topic, &from);
        Ok(Box::new(self.lookup.ask(follow).await?))
    }

    async fn extents(&self, topic: &TopicName) -> Result<Vec<Extent>, JournalError> {
        let topic = topic.clone();
        self.lookup.ask(move |lookup| lookup.extents(&topic)).await
    }

    async fn groups(&self, topic: &TopicName) -> Result<Vec<String>, JournalError> {
        let topic = topic.clone();
        self.lookup.ask(move |lookup| lookup.groups(&topic)).await
    }

    async fn forget_group(&self, _topic: &TopicName, group: &str) -> Result<(), JournalError> {
        topics::forget_group(&self.settings, group).await
    }
}
