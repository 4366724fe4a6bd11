//! The appends that wait for Kafka, and the groups in which they leave: how much may wait, when a group leaves, how fast
//! groups are acknowledged.
//!
//! It sends nothing; `producer` does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::message::OwnedHeaders;

use super::crowd::{Crowd, Pace};
use super::ticket::Ticket;
use crate::document::TopicName;

/// What may wait for Kafka in memory.
const WAITING_BYTES_MAX: usize = 32 << 20;

/// A group that has so much leaves without waiting for the one before: several requests are under way at once.
const GROUP_BYTES: usize = 256 << 10;
const GROUP_RECORDS: usize = 1000;

/// librdkafka keeps the order of idempotent records over at most five requests.
const GROUPS_MAX: usize = 5;

/// With nothing acknowledged for so long, a full queue is Kafka's fault and not the senders'.
const SILENCE: Duration = Duration::from_secs(1);

/// What waits and what is under way.
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    waiting_records: usize,
    /// Waiting and under way.
    bytes: usize,
    records: usize,
    groups: usize,
    /// Of the groups under way.
    pace: Pace,
    crowd: Crowd,
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
    records: usize,
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
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            waiting_records: 0,
            bytes: 0,
            records: 0,
            groups: 0,
            pace: Pace::Prompt,
            crowd: Crowd::new(Instant::now()),
            acknowledged: Instant::now(),
            quiet_since: Instant::now(),
            bytes_per_second: 0.0,
        }
    }
}

impl Queue {
    /// Whether something was acknowledged within `age`.
    pub(super) fn is_fresh(&self, age: Duration) -> bool {
        self.bytes_per_second > 0.0 && self.acknowledged.elapsed() < age
    }

    /// Takes an append in, unless too much waits already.
    pub(super) fn take(&mut self, waiting: Waiting) -> Result<(), Full> {
        let (bytes, now) = (self.bytes, Instant::now());
        if bytes == 0 {
            self.quiet_since = now;
        } else if bytes + waiting.bytes > WAITING_BYTES_MAX {
            let since = self.acknowledged.max(self.quiet_since).elapsed();
            if since > SILENCE {
                return Err(Full::Silent { bytes, since });
            }
            let seconds = bytes as f64 / self.bytes_per_second.max(1.0);
            return Err(Full::Busy { bytes, retry_after: Duration::from_secs_f64(seconds.clamp(1.0, 60.0)) });
        }
        self.records += waiting.records.len();
        self.crowd.note(self.records, now);
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
        self.records -= waiting.records.len();
        true
    }

    /// Whether a group leaves now, and at which pace. The pace changes when nothing is under way, so that nothing overtakes.
    pub(super) fn departure(&self) -> Option<Pace> {
        if self.waiting.is_empty() {
            return None;
        }
        let wanted = self.crowd.pace();
        let is_full = self.waiting_bytes >= GROUP_BYTES || self.waiting_records >= GROUP_RECORDS;
        let may_leave = match self.pace {
            _ if self.groups == 0 => return Some(wanted),
            Pace::Prompt => is_full && self.groups < GROUPS_MAX,
            Pace::Gathering => wanted == Pace::Gathering,
        };
        may_leave.then_some(self.pace)
    }

    /// The appends of the next group. It counts one more than its records, so that it is not done before all are sent.
    pub(super) fn leave(&mut self, pace: Pace) -> (Vec<Waiting>, Arc<Group>) {
        let (mut appends, mut bytes, mut records) = (Vec::new(), 0, 0);
        while bytes < GROUP_BYTES && records < GROUP_RECORDS {
            let Some(waiting) = self.waiting.pop_front() else { break };
            bytes += waiting.bytes;
            records += waiting.records.len();
            appends.push(waiting);
        }
        self.waiting_bytes -= bytes;
        self.waiting_records -= records;
        self.groups += 1;
        self.pace = pace;
        (appends, Arc::new(Group { left: AtomicUsize::new(records + 1), records, bytes, begun: Instant::now() }))
    }

    /// Everything that waits, which nobody sends.
    pub(super) fn give_up(&mut self) -> VecDeque<Waiting> {
        self.bytes -= self.waiting_bytes;
        self.records -= self.waiting_records;
        self.waiting_bytes = 0;
        self.waiting_records = 0;
        std::mem::take(&mut self.waiting)
    }

    /// A group has left and come back.
    pub(super) fn done(&mut self, group: &Group, is_delivered: bool) {
        self.groups -= 1;
        self.bytes -= group.bytes;
        self.records -= group.records;
        if is_delivered {
            self.acknowledged = Instant::now();
            let rate = group.bytes as f64 / group.begun.elapsed().as_secs_f64().max(1e-4);
            let is_first = self.bytes_per_second == 0.0;
            // The last few groups weigh most.
            self.bytes_per_second = if is_first { rate } else { self.bytes_per_second * 0.8 + rate * 0.2 };
        }
    }
}
