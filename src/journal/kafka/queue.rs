//! The appends that wait for Kafka and those under way: how much there may be, when those that wait leave, how fast they
//! are acknowledged.
//!
//! It sends nothing; `producer` does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::message::OwnedHeaders;

use super::amount::Amount;
use super::crowd::{Crowd, Pace};
use super::ticket::Ticket;
use crate::document::TopicName;

/// What may wait for Kafka in memory.
const WAITING_BYTES_MAX: usize = 32 << 20;

/// With so many full groups under way, the next waits after all: what has not left is certainly not in the topic.
const GROUPS_MAX: usize = 4;

/// How long acknowledgements are counted before they are taken for a speed.
const MEASURED: Duration = Duration::from_millis(100);

/// With nothing acknowledged for so long, a full queue is Kafka's fault and not the senders'.
const SILENCE: Duration = Duration::from_secs(1);

/// What waits and what is under way.
pub(super) struct Queue {
    appends: VecDeque<Waiting>,
    waiting: Amount,
    under_way: Amount,
    /// Of what is under way.
    pace: Pace,
    crowd: Crowd,
    /// When something was taken in last: the clock of acknowledgements, which are many.
    taken: Instant,
    /// When something was acknowledged last; not later than that.
    acknowledged: Option<Instant>,
    /// When the queue was empty last.
    quiet_since: Instant,
    /// How many bytes were acknowledged since then.
    counted: (usize, Instant),
    /// How many bytes a second were acknowledged lately.
    bytes_per_second: f64,
}

/// One append that has not left yet.
pub(super) struct Waiting {
    pub(super) ticket: Arc<Ticket>,
    pub(super) topic: TopicName,
    pub(super) records: Vec<Outgoing>,
}

pub(super) struct Outgoing {
    pub(super) key: Option<Bytes>,
    pub(super) value: Bytes,
    pub(super) headers: OwnedHeaders,
    pub(super) timestamp_ms: Option<i64>,
}

/// Why an append is not taken in.
pub(super) enum Full {
    /// More comes than Kafka acknowledges.
    Busy { bytes: usize, retry_after: Duration },
    /// Kafka acknowledges nothing.
    Silent { bytes: usize, since: Duration },
}

impl Default for Queue {
    fn default() -> Self {
        let now = Instant::now();
        Queue {
            appends: VecDeque::new(),
            waiting: Amount::default(),
            under_way: Amount::default(),
            pace: Pace::Prompt,
            crowd: Crowd::new(now),
            taken: now,
            acknowledged: None,
            quiet_since: now,
            counted: (0, now),
            bytes_per_second: 0.0,
        }
    }
}

impl Queue {
    /// Whether something was acknowledged within `age`.
    pub(super) fn is_fresh(&self, age: Duration) -> bool {
        self.acknowledged.is_some_and(|acknowledged| acknowledged.elapsed() < age)
    }

    /// Takes an append in, unless too much waits already.
    pub(super) fn take(&mut self, append: Waiting) -> Result<(), Full> {
        let (bytes, now) = (self.waiting.bytes + self.under_way.bytes, Instant::now());
        let amount = append.ticket.amount;
        self.taken = now;
        if bytes == 0 {
            self.quiet_since = now;
            self.counted = (0, now);
        } else if bytes + amount.bytes > WAITING_BYTES_MAX {
            let since =
                now.saturating_duration_since(self.quiet_since.max(self.acknowledged.unwrap_or(self.quiet_since)));
            if since > SILENCE {
                return Err(Full::Silent { bytes, since });
            }
            let seconds = if self.bytes_per_second > 0.0 { bytes as f64 / self.bytes_per_second } else { 1.0 };
            return Err(Full::Busy { bytes, retry_after: Duration::from_secs_f64(seconds.clamp(1.0, 60.0)) });
        }
        self.waiting += amount;
        self.crowd.note(self.waiting.records + self.under_way.records, now);
        self.appends.push_back(append);
        Ok(())
    }

    /// Takes back an append that has not left; false when it has.
    pub(super) fn withdraw(&mut self, ticket: &Arc<Ticket>) -> bool {
        let at = self.appends.iter().position(|append| Arc::ptr_eq(&append.ticket, ticket));
        if at.and_then(|at| self.appends.remove(at)).is_none() {
            return false;
        }
        self.waiting -= ticket.amount;
        true
    }

    /// Whether something leaves now, and at which pace. The pace changes when nothing is under way, so that nothing
    /// overtakes, and to gathering only when `may_gather` says so.
    pub(super) fn departure(&self, may_gather: impl FnOnce() -> bool) -> Option<Pace> {
        if self.appends.is_empty() {
            return None;
        }
        let wanted = match self.crowd.pace() {
            Pace::Gathering if may_gather() => Pace::Gathering,
            _ => Pace::Prompt,
        };
        if self.under_way.records == 0 {
            return Some(wanted);
        }
        let may_leave = match self.pace {
            Pace::Prompt => self.waiting.is_full(1),
            Pace::Gathering => wanted == Pace::Gathering,
        } && !self.under_way.is_full(GROUPS_MAX);
        may_leave.then_some(self.pace)
    }

    /// The appends of the next group.
    pub(super) fn leave(&mut self, pace: Pace) -> Vec<Waiting> {
        let (mut appends, mut group) = (Vec::new(), Amount::default());
        while !group.is_full(1) {
            let Some(append) = self.appends.pop_front() else { break };
            group += append.ticket.amount;
            appends.push(append);
        }
        self.waiting -= group;
        self.under_way += group;
        self.pace = pace;
        appends
    }

    /// Everything that waits, which nobody sends.
    pub(super) fn give_up(&mut self) -> VecDeque<Waiting> {
        self.waiting = Amount::default();
        std::mem::take(&mut self.appends)
    }

    /// An append is no more under way.
    pub(super) fn done(&mut self, amount: Amount, is_delivered: bool) {
        self.under_way -= amount;
        if !is_delivered {
            return;
        }
        self.acknowledged = Some(self.taken);
        self.counted.0 += amount.bytes;
        let time = self.taken.saturating_duration_since(self.counted.1);
        if time >= MEASURED {
            let rate = self.counted.0 as f64 / time.as_secs_f64();
            let is_first = self.bytes_per_second == 0.0;
            // The last moments weigh most.
            self.bytes_per_second = if is_first { rate } else { self.bytes_per_second * 0.8 + rate * 0.2 };
            self.counted = (0, self.taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::amount::{GROUP_BYTES, GROUP_RECORDS};
    use super::*;

    fn append(queue: &mut Queue, records: usize, bytes: usize) -> Amount {
        let topic = TopicName::parse("t").unwrap();
        let amount = Amount { bytes, records };
        let (ticket, _answered) = Ticket::new(&topic, amount);
        assert!(queue.take(Waiting { ticket, topic, records: Vec::new() }).is_ok());
        amount
    }

    fn leave(queue: &mut Queue) -> Option<(Pace, usize)> {
        let pace = queue.departure(|| true)?;
        Some((pace, queue.leave(pace).len()))
    }

    #[test]
    fn a_group_leaves_behind_the_one_before_or_when_it_is_full() {
        let mut queue = Queue::default();
        let first = append(&mut queue, 1, 10);
        assert_eq!(leave(&mut queue), Some((Pace::Prompt, 1)));
        for _ in 0..3 {
            append(&mut queue, 1, 10);
            assert_eq!(leave(&mut queue), None);
        }
        queue.done(first, true);
        assert_eq!(leave(&mut queue), Some((Pace::Prompt, 3)), "those that waited leave together");
        append(&mut queue, 1, GROUP_BYTES);
        assert_eq!(leave(&mut queue), Some((Pace::Prompt, 1)), "a full group waits for nobody");
        append(&mut queue, GROUPS_MAX * GROUP_RECORDS, 10);
        assert_eq!(leave(&mut queue), Some((Pace::Prompt, 1)));
        append(&mut queue, 1, GROUP_BYTES);
        assert_eq!(leave(&mut queue), None, "there is an end to what is under way");
    }

    #[test]
    fn the_pace_changes_when_nothing_is_under_way() {
        let mut queue = Queue::default();
        let begun = Instant::now();
        let crowd = |queue: &mut Queue, records, seconds| {
            queue.crowd.note(records, begun + Duration::from_secs(seconds));
        };
        let first = append(&mut queue, 1, 10);
        assert_eq!(leave(&mut queue), Some((Pace::Prompt, 1)));
        crowd(&mut queue, 1000, 1);
        assert_eq!(queue.departure(|| false), None);
        let second = append(&mut queue, 1, 10);
        assert_eq!(leave(&mut queue), None, "nothing overtakes");
        queue.done(first, true);
        assert_eq!(queue.departure(|| false), Some(Pace::Prompt), "who would gather is not ready");
        assert_eq!(leave(&mut queue), Some((Pace::Gathering, 1)));
        let third = append(&mut queue, 1, 10);
        assert_eq!(leave(&mut queue), Some((Pace::Gathering, 1)), "librdkafka gathers");
        crowd(&mut queue, 0, 2);
        append(&mut queue, 1, 10);
        assert_eq!(leave(&mut queue), None, "nothing overtakes");
        queue.done(second, true);
        assert_eq!(leave(&mut queue), None);
        queue.done(third, false);
        assert_eq!(leave(&mut queue), Some((Pace::Prompt, 1)));
    }

    #[test]
    fn a_full_queue_refuses_and_says_whose_fault_it_is() {
        let mut queue = Queue::default();
        let first = append(&mut queue, 1, WAITING_BYTES_MAX - 10);
        leave(&mut queue);
        let topic = TopicName::parse("t").unwrap();
        let (ticket, _answered) = Ticket::new(&topic, Amount { bytes: 100, records: 1 });
        let refused = |queue: &mut Queue| {
            let (ticket, topic) = (Arc::clone(&ticket), topic.clone());
            queue.take(Waiting { ticket, topic, records: Vec::new() })
        };
        assert!(matches!(refused(&mut queue), Err(Full::Busy { .. })));
        queue.quiet_since -= SILENCE * 2;
        assert!(matches!(refused(&mut queue), Err(Full::Silent { .. })));
        queue.done(first, true);
        assert!(refused(&mut queue).is_ok());
    }
}
