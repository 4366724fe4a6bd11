//! Reading a topic as a member of a group, whatever its records are read for.
//!
//! A [`Reader`] takes what the journal delivers and dispatches it to a pool of workers, each with the partitions that are its
//! own. What is done with them is a [`Handler`]'s, of which each worker has one: it claims a partition and says where to begin,
//! takes its batches and says how far it got. Seeks, pauses, another try after a failure, standing still, and a worker that
//! panics are the same for all of them. It knows no store and no document.

mod ahead;
mod pool;
pub mod progress;
mod reader;
mod worker;

use std::time::Instant;

use async_trait::async_trait;

pub use self::reader::Reader;
use crate::journal::{Batch, JournalError};
use crate::reason::Reason;
use crate::shutdown::Stop;

/// What a topic is read for: makes the handlers, and makes batches ready for them.
#[async_trait]
pub trait Handling: Send + Sync + 'static {
    /// What a batch is made into before its turn comes.
    type Ready: Send + 'static;

    /// Handles the partitions of one worker.
    type Handler: Handler<Self::Ready> + 'static;

    /// Before the group is joined, and again before it is joined anew.
    async fn begin(&self) -> Result<(), JournalError> {
        Ok(())
    }

    /// Whether the reader notes in the journal how far the group is, for lag tools and retention. Not where the handlers
    /// move the group's position themselves.
    fn is_noted(&self) -> bool {
        true
    }

    /// A handler for one worker.
    fn handler(&self) -> Self::Handler;

    /// Makes a batch ready. It may run on another thread, while the batch before it is handled, and asks nobody.
    fn prepare(&self, batch: Batch) -> Self::Ready;
}

/// Does with the records of some partitions what they are read for.
#[async_trait]
pub trait Handler<Ready>: Send {
    /// Makes a partition this process's, and says where to begin. Called again after every failure: what the outside says
    /// then is the truth.
    async fn claim(&mut self, partition: i32) -> Result<Begin, Failure>;

    /// Handles a batch of a claimed partition. `Ok` is the offset before which everything is done with. When that is before
    /// the batch's end, as it may be once it is to stop, the rest is read again after another claim.
    async fn handle(&mut self, partition: i32, ready: Ready, stop: &Stop) -> Result<i64, Failure>;

    /// When a claimed partition has something to do though no batch comes for it.
    fn due(&self) -> Option<(i32, Instant)> {
        None
    }

    /// Does what is due, which is nothing by then at times.
    async fn on_time(&mut self, partition: i32) -> Result<(), Failure> {
        let _ = partition;
        Ok(())
    }

    /// The partition is another member's.
    fn revoked(&mut self, partition: i32);

    /// The claimed partitions that somebody has moved meanwhile: they are claimed again. Asked once a second.
    async fn moved(&mut self) -> Vec<i32>;

    /// Notes why a partition stands still, for people who look elsewhere than in the log; or that it no longer does, though
    /// it has had nothing to do since.
    async fn note_halt(&mut self, partition: i32, reason: Option<&str>);

    /// Removes what is too old to be remembered. Asked every 15 s.
    async fn prune(&mut self);

    /// The reading ends, in good order.
    async fn leave(&mut self) {}
}

/// Where a claimed partition is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// The first offset that is not done with.
    pub offset: i64,
    /// Whether nothing is left to be done.
    pub is_end: bool,
}

/// Why a partition gets no further.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What to do about it.
    pub next: Next,
    /// Why.
    pub reason: Reason,
    /// Where the partition stands all the same, if it got further before that.
    pub reached: Option<i64>,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Time may heal it: again, after pauses that double.
    Retry,
    /// Somebody must act: the partition stands still, and is looked at again every second.
    Halt,
    /// Another process has taken the partition over.
    Leave,
}

impl Failure {
    /// A failure before anything was done.
    pub fn new(next: Next, reason: impl Into<Reason>) -> Self {
        Failure { next, reason: reason.into(), reached: None }
    }
}

/// How a reader is called in the log.
#[derive(Debug, Clone)]
pub struct Title {
    /// What reads, at the beginning of a sentence: `Apply`.
    pub what: &'static str,
    /// The stream that is read.
    pub stream: String,
}
