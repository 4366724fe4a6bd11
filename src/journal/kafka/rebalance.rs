//! What librdkafka is answered when partitions come and go, which happens inside its poll, on the thread that polls.
//!
//! A partition that comes is not given to librdkafka yet: its reader learns where to begin from the store, which takes a
//! while, and adds it then, with that offset. So nothing is ever fetched from anywhere else.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};

use super::client::Told;

/// A change of what this member reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    /// The group gave it the partition.
    Came(i32),
    /// The group took it.
    Went(i32),
}

/// The context of a consumer.
#[derive(Default)]
pub(super) struct Rebalances {
    pub(super) told: Told,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// What the reader is not told of yet.
    pub(super) moves: VecDeque<Move>,
    /// What librdkafka fetches.
    pub(super) fetched: BTreeSet<i32>,
    /// Offsets on their way to Kafka.
    pub(super) commits: u32,
}

impl Rebalances {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Rebalances {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.told.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.told.error(error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.told.stats_raw(statistics);
    }
}

impl ConsumerContext for Rebalances {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, kind: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        self.told.note_served();
        let numbers: Vec<_> = partitions.elements().iter().map(|element| element.partition()).collect();
        let answered = if matches!(kind, RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
            self.state().moves.extend(numbers.into_iter().map(Move::Came));
            // The group wants an answer, and nothing is to be fetched yet.
            consumer.incremental_assign(&TopicPartitionList::new())
        } else {
            let mut fetched = TopicPartitionList::new();
            let mut state = self.state();
            for element in partitions.elements() {
                // librdkafka refuses to give up what it does not have.
                if state.fetched.remove(&element.partition()) {
                    fetched.add_partition(element.topic(), element.partition());
                }
            }
            state.moves.extend(numbers.into_iter().map(Move::Went));
            drop(state);
            consumer.incremental_unassign(&fetched)
        };
        if let Err(error) = answered {
            tracing::warn!(%error, "Kafka's client did not take the answer to a rebalance.");
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        self.told.note_served();
        let mut state = self.state();
        state.commits = state.commits.saturating_sub(1);
        drop(state);
        if let Err(error) = result {
            // For lag tools only.
            tracing::debug!(%error, "The group's offset could not be noted in Kafka.");
        }
    }
}
