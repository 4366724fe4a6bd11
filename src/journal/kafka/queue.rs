//! The appends that wait for Kafka, and the groups in which they leave: how much may wait, when a group is full, how fast
//! they are acknowledged.
//!
//! It sends nothing; `producer` does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::message::OwnedHeaders;

use super::producer::Client;
use super::ticket::Ticket;
use crate::document::TopicName;

/// What may wait for Kafka in memory.
const WAITING_BYTES_MAX: usize = 32 << 20;

/// A group that has so much leaves without waiting for the one before: several requests are under way at once.
const GROUP_BYTES: usize = 256 << 10;
const GROUP_RECORDS: usize = 1000;

/// librdkafka keeps the order of idempotent records over at most five requests.
const GROUPS_MAX: usize = 5;

/// librdkafka's own batches; no larger than the smallest topic takes.
const BATCH_BYTES: usize = 1_000_000;

/// With nothing acknowledged for so long, a full queue is Kafka's fault and not the senders'.
const SILENCE: Duration = Duration::from_secs(1);

/// What waits and what is under way.
pub(super) struct Queue {
    /// Made at the first append, and anew after an error that librdkafka cannot go on after.
    pub(super) client: Option<Arc<Client>>,
    /// Clients to be ended outside of the lock: their last acknowledgements need it.
    pub(super) retired: Vec<Arc<Client>>,
    pub(super) batch_bytes: usize,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    waiting_records: usize,
    /// Waiting and under way.
    bytes: usize,
    groups: usize,
    /// When something was acknowledged last.
    acknowledged: Instant,
    /// When the queue was empty last.
    quiet_since: Instant,
    /// How many bytes a second were acknowledged lately.
    bytes_per_second: f64,
}

/// One append that has not left yet.
pub(super) struct Waiting {
    pub(super) ticket: Arc<Ticket>,
    pub(super) topic: TopicName,
    pub(super) records: Vec<Outgoing>,
    pub(super) bytes: usize,
}

pub(super) struct Outgoing {
    pub(super) key: Option<Bytes>,
    pub(super) value: Bytes,
    pub(super) headers: OwnedHeaders,
    pub(super) timestamp_ms: Option<i64>,
}

/// Records that were handed over together.
pub(super) struct Group {
    left: AtomicUsize,
    bytes: usize,
    begun: Instant,
}

/// Why an append is not taken in.
pub(super) enum Full {
    /// More comes than Kafka acknowledges.
    Busy { bytes: usize, retry_after: Duration },
    /// Kafka acknowledges nothing.
    Silent { bytes: usize, since: Duration },
}

impl Group {
    /// Notes that a record was acknowledged or failed; true for the last.
    pub(super) fn is_last(&self) -> bool {
        self.left.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

impl Default for Queue {
    fn default() -> Self {
        Queue {
            client: None,
            retired: Vec::new(),
            batch_bytes: BATCH_BYTES,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            waiting_records: 0,
            bytes: 0,
            groups: 0,
            acknowledged: Instant::now(),
            quiet_since: Instant::now(),
            bytes_per_second: 0.0,
        }
    }
}

impl Queue {
    /// Has the next append make a client anew.
    pub(super) fn retire(&mut self) {
        self.retired.extend(self.client.take());
    }

    /// Whether something was acknowledged within `age`.
    pub(super) fn is_fresh(&self, age: Duration) -> bool {
        self.client.is_some() && self.bytes_per_second > 0.0 && self.acknowledged.elapsed() < age
    }

    /// Takes an append in, unless too much waits already.
    pub(super) fn take(&mut self, waiting: Waiting) -> Result<(), Full> {
        let bytes = self.bytes;
        if bytes == 0 {
            self.quiet_since = Instant::now();
        } else if bytes + waiting.bytes > WAITING_BYTES_MAX {
            let since = self.acknowledged.max(self.quiet_since).elapsed();
            if since > SILENCE {
                return Err(Full::Silent { bytes, since });
            }
            let seconds = bytes as f64 / self.bytes_per_second.max(1.0);
            return Err(Full::Busy { bytes, retry_after: Duration::from_secs_f64(seconds.clamp(1.0, 60.0)) });
        }
        self.bytes += waiting.bytes;
        self.waiting_bytes += waiting.bytes;
        self.waiting_records += waiting.records.len();
        self.waiting.push_back(waiting);
        Ok(())
    }

    /// Takes back an append that has not left; false when it has.
    pub(super) fn withdraw(&mut self, ticket: &Arc<Ticket>) -> bool {
        let at = self.waiting.iter().position(|waiting| Arc::ptr_eq(&waiting.ticket, ticket));
        let Some(waiting) = at.and_then(|at| self.waiting.remove(at)) else { return false };
        self.waiting_bytes -= waiting.bytes;
        self.waiting_records -= waiting.records.len();
        self.bytes -= waiting.bytes;
        true
    }

    /// Whether a group leaves now: the one before is acknowledged, or this one is full.
    pub(super) fn may_leave(&self) -> bool {
        let is_full = self.waiting_bytes >= GROUP_BYTES || self.waiting_records >= GROUP_RECORDS;
        !self.waiting.is_empty() && (self.groups == 0 || is_full && self.groups < GROUPS_MAX)
    }

    /// The appends of the next group. It counts one more than its records, so that it is not done before all are sent.
    pub(super) fn leave(&mut self) -> (Vec<Waiting>, Arc<Group>) {
        let (mut appends, mut bytes, mut count) = (Vec::new(), 0, 0);
        while bytes < GROUP_BYTES && count < GROUP_RECORDS {
            let Some(waiting) = self.waiting.pop_front() else { break };
            bytes += waiting.bytes;
            count += waiting.records.len();
            appends.push(waiting);
        }
        self.waiting_bytes -= bytes;
        self.waiting_records -= count;
        self.groups += 1;
        (appends, Arc::new(Group { left: AtomicUsize::new(count + 1), bytes, begun: Instant::now() }))
    }

    /// Everything that waits, which nobody sends.
    pub(super) fn give_up(&mut self) -> VecDeque<Waiting> {
        self.bytes -= self.waiting_bytes;
        self.waiting_bytes = 0;
        self.waiting_records = 0;
        std::mem::take(&mut self.waiting)
    }

    /// A group has left and come back.
    pub(super) fn done(&mut self, group: &Group, is_delivered: bool) {
        self.groups -= 1;
        self.bytes -= group.bytes;
        if is_delivered {
            self.acknowledged = Instant::now();
            let rate = group.bytes as f64 / group.begun.elapsed().as_secs_f64().max(1e-4);
            let is_first = self.bytes_per_second == 0.0;
            // The last few groups weigh most.
            self.bytes_per_second = if is_first { rate } else { self.bytes_per_second * 0.8 + rate * 0.2 };
        }
    }
}
