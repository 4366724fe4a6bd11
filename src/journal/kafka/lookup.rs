//! Questions to the cluster: who it is, which partitions a topic has, where they begin and end. Each has a deadline.
//!
//! The client is shared; its calls block, so they run on threads that may.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::assignment;
use super::client::Told;
use super::error::{self, Trouble, Troubled, failed, meaning, troubled};
use super::url::Settings;
use crate::document::TopicName;
use crate::journal::{Extent, JournalError};
use crate::reason::Reason;

/// How long an answer may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// How long the brokers may take at the start, before that is an error.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// How long each attempt to hear the cluster's name lasts, so that an error meanwhile is seen.
const CONNECT_STEP: Duration = Duration::from_millis(250);

/// More events than this are served another time.
const DRAIN_MAX: u32 = 1000;

/// Groups of ours have names that begin so.
const GROUP_PREFIX: &str = "sluicegate.";

impl ConsumerContext for Told {}

/// The client that asks.
pub(super) struct Lookup {
    client: BaseConsumer<Told>,
    settings: Arc<Settings>,
}

/// A partition's leader cannot be asked now, or its topic cannot be read.
fn what(topic: &TopicName) -> String {
    format!("the topic {topic}")
}

impl Lookup {
    /// A client that connects by and by.
    pub(super) fn open(settings: &Arc<Settings>) -> Result<Self, JournalError> {
        // An end that readers of committed records reach.
        let fixed = [("isolation.level", "read_committed"), ("allow.auto.create.topics", "false")];
        let client = settings.client(&[], &fixed).create_with_context(Told::default());
        let client = client.map_err(|error| failed("Kafka", error))?;
        Ok(Lookup { client, settings: Arc::clone(settings) })
    }

    /// The cluster's id. Waits for a broker to answer, and not for long.
    pub(super) fn cluster_id(&self) -> Result<String, JournalError> {
        let begun = Instant::now();
        let servers = &self.settings.servers;
        let mut is_told = false;
        while begun.elapsed() < CONNECT_DEADLINE {
            if let Some(id) = self.client.client().fetch_cluster_id(CONNECT_STEP) {
                self.client.context().went_well();
                return Ok(id);
            }
            self.drain();
            match self.client.context().trouble() {
                Some((code @ (Code::Authentication | Code::SSL | Code::UnsupportedSASLMechanism), trouble)) => {
                    return Err(meaning(&format!("Kafka at {servers}"), code).because(trouble));
                }
                _ if !is_told && begun.elapsed() > Duration::from_secs(2) => {
                    is_told = true;
                    tracing::warn!(%servers, "Kafka does not answer yet; waiting.");
                }
                _ => {}
            }
        }
        Err(self.unanswered(format!("Kafka at {servers} does not answer within {CONNECT_DEADLINE:?}")))
    }

    /// What went wrong lately.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.client.context().trouble().map(|(_, trouble)| trouble)
    }

    /// That there was no answer, caused by what went wrong lately.
    pub(super) fn unanswered(&self, words: String) -> JournalError {
        error::caused(JournalError::later(words), self.trouble())
    }

    /// Serves what waits, such as lines of librdkafka's log.
    pub(super) fn drain(&self) {
        for _ in 0..DRAIN_MAX {
            let served = self.client.context().served();
            // Whatever is given is an error, which the context has been told of.
            let _ = self.client.poll(Duration::ZERO);
            if self.client.context().served() == served {
                break;
            }
        }
    }

    /// Runs a question on a thread of tokio's blocking pool.
    pub(super) async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Lookup) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let lookup = Arc::clone(self);
        let answer = tokio::task::spawn_blocking(move || {
            let answer = question(&lookup);
            lookup.drain();
            answer
        });
        answer.await.map_err(|error| JournalError::later(Reason::of("a question to Kafka broke off", error)))?
    }

    /// Fails when no broker answers.
    pub(super) fn reach(&self, deadline: Duration) -> Result<(), JournalError> {
        let servers = &self.settings.servers;
        // Of a topic with a name that none has, so that a large cluster does not tell of all.
        let asked = self.client.fetch_metadata(Some("sluicegate.is.there"), deadline);
        let silent = || JournalError::later(format!("Kafka at {servers} does not answer"));
        asked.map(drop).map_err(|error| silent().because(Troubled { error, trouble: self.trouble() }))
    }

    /// The partitions of a topic, each with whether it has a leader; none when there is no such topic.
    pub(super) fn partitions(
        &self,
        topic: &TopicName,
        deadline: Duration,
    ) -> Result<Option<Vec<(i32, bool)>>, JournalError> {
        let metadata =
            self.client.fetch_metadata(Some(topic.as_str()), deadline).map_err(|error| self.why(topic, error))?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic.as_str()) else {
            return Ok(None);
        };
        match found.error().map(Code::from) {
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => Ok(None),
            Some(Code::LeaderNotAvailable) | None => {
                let state =
                    |partition: &rdkafka::metadata::MetadataPartition| (partition.id(), partition.leader() >= 0);
                Ok(Some(found.partitions().iter().map(state).collect()))
            }
            Some(code) => Err(meaning(&what(topic), code)),
        }
    }

    /// Where one partition begins and ends.
    pub(super) fn extent(&self, topic: &TopicName, partition: i32) -> Result<Extent, JournalError> {
        let bounds = self.client.fetch_watermarks(topic.as_str(), partition, DEADLINE);
        let (start, end) = bounds.map_err(|error| self.why(topic, error))?;
        Ok(Extent { partition, start, end })
    }

    /// Where the partitions of a topic begin and end.
    pub(super) fn extents(&self, topic: &TopicName) -> Result<Vec<Extent>, JournalError> {
        let mut partitions = self.partitions(topic, DEADLINE)?.unwrap_or_default();
        partitions.sort_unstable();
        partitions.into_iter().map(|(partition, _)| self.extent(topic, partition)).collect()
    }

    fn why(&self, topic: &TopicName, error: KafkaError) -> JournalError {
        troubled(&what(topic), error, self.trouble())
    }

    /// The groups of ours that have read a topic.
    pub(super) fn groups(&self, topic: &TopicName) -> Result<Vec<String>, JournalError> {
        let list = self.client.fetch_group_list(None, DEADLINE).map_err(|error| self.why(topic, error))?;
        let partitions = self.partitions(topic, DEADLINE)?.unwrap_or_default();
        let mut names: Vec<_> = list.groups().iter().map(|group| group.name().to_owned()).collect();
        names.retain(|name| name.starts_with(GROUP_PREFIX));
        names.sort();
        let mut found = Vec::new();
        for name in names {
            if self.has_read(&name, topic, &partitions)? {
                found.push(name);
            }
        }
        Ok(found)
    }

    /// The partitions of a topic that no member of a group is given. None of them while the group changes, or when it
    /// cannot be told.
    pub(super) fn unread(&self, group: &str, topic: &TopicName) -> Result<Vec<i32>, JournalError> {
        let list = self.client.fetch_group_list(Some(group), DEADLINE).map_err(|error| self.why(topic, error))?;
        let Some(found) = list.groups().iter().find(|found| found.name() == group && found.state() == "Stable") else {
            return Ok(Vec::new());
        };
        let mut partitions = self.partitions(topic, DEADLINE)?.unwrap_or_default();
        for member in found.members() {
            let Some(given) = member.assignment().and_then(|given| assignment::given(given, topic.as_str())) else {
                return Ok(Vec::new());
            };
            partitions.retain(|(partition, _)| !given.contains(partition));
        }
        Ok(partitions.into_iter().map(|(partition, _)| partition).collect())
    }

    fn has_read(&self, group: &str, topic: &TopicName, partitions: &[(i32, bool)]) -> Result<bool, JournalError> {
        let asker: BaseConsumer =
            self.settings.client(&[], &[("group.id", group)]).create().map_err(|error| failed("Kafka", error))?;
        let mut asked = TopicPartitionList::new();
        for (partition, _) in partitions {
            asked.add_partition(topic.as_str(), *partition);
        }
        let offsets = asker.committed_offsets(asked, DEADLINE).map_err(|error| self.why(topic, error))?;
        Ok(offsets.elements().iter().any(|element| matches!(element.offset(), Offset::Offset(_))))
    }
}
