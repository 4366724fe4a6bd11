//! The durable journal between the gate and the store.
//!
//! A backend is one module here and one line in the registry. Intake appends, apply consumes; neither knows the other.

#[cfg(feature = "kafka")]
pub mod kafka;
pub mod memory;
pub mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::document::{Position, TopicName};
use crate::reason::Reason;
use crate::record::{Kept, Record};

/// Keeps documents, topic by topic, durably: what intake needs of one. What else a journal can do is asked of it once, at
/// start: whether it is a [`Log`], and whether [`Retention`] is its own.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Tells this journal from any other, also from one that was made anew at the same place.
    fn identity(&self) -> &str;

    /// The largest record it takes, in bytes, key and headers included.
    fn record_bytes_max(&self) -> usize;

    /// Creates a topic that is missing. `bytes_max` bounds what it may hold before appends are refused.
    async fn open_topic(&self, topic: &TopicName, bytes_max: u64) -> Result<(), JournalError>;

    /// Appends records to one topic. `Ok` means that every one of them survives a crash, each at its position. Calling
    /// it twice appends twice.
    async fn append(&self, topic: &TopicName, records: Vec<Record>) -> Result<Vec<Position>, AppendError>;

    /// Fails when documents cannot be appended now.
    async fn check(&self) -> Result<(), JournalError>;

    /// Fails when documents cannot be appended to a topic now, for a reason that is the topic's own. One that is yet to be
    /// made is well.
    async fn check_topic(&self, topic: &TopicName) -> Result<(), JournalError> {
        let _ = topic;
        Ok(())
    }

    /// This journal as a log; none for one whose records have no offsets.
    fn log(self: Arc<Self>) -> Option<Arc<dyn Log>>;

    /// What removes its old records; none where that is not ours to do, as with a server that does it by settings of its
    /// own.
    fn retention(self: Arc<Self>) -> Option<Arc<dyn Retention>>;

    /// This journal as one that appends and moves a position in one step; none for one that cannot.
    fn transactional(self: Arc<Self>) -> Option<Arc<dyn Transactional>> {
        None
    }
}

/// A journal whose records stand in partitions, one after the other, at offsets, and can be read from any of them again.
#[async_trait]
pub trait Log: Journal {
    /// Reads a topic as a member of `group`. Of all members at most one is assigned a partition at a time, as far as
    /// the journal can tell; the store's fence makes it certain. A batch has at most `records_max` records.
    async fn subscribe(
        &self,
        topic: &TopicName,
        group: &str,
        records_max: usize,
    ) -> Result<Box<dyn Consumer>, JournalError>;

    /// Reads a topic outside of any group: each of the partitions that `from` names, from the offset beside it on. It
    /// holds up no retention, and nobody else's reading. Fails when a partition does not hold its offset.
    async fn follow(&self, topic: &TopicName, from: &[(i32, i64)]) -> Result<Box<dyn Follower>, JournalError>;

    /// What the partitions of a topic hold. Empty when there is no such topic.
    async fn extents(&self, topic: &TopicName) -> Result<Vec<Extent>, JournalError>;

    /// The names of the groups that read a topic.
    async fn groups(&self, topic: &TopicName) -> Result<Vec<String>, JournalError>;

    /// Forgets a group, and keeps nothing for it any more. A member that still reads brings it back.
    async fn forget_group(&self, topic: &TopicName, group: &str) -> Result<(), JournalError>;
}

/// A log in which what comes of a topic's records is appended to another topic, and the position of who read them moves, in
/// one step: both or neither.
#[async_trait]
pub trait Transactional: Log {
    /// Makes sure that the topic `output` is there for what comes of the records of `input`: what comes of a partition goes
    /// to the one of the same number. Of the records of one key the last is kept for ever; those before it may go. Fails when
    /// the topic has fewer partitions than the other.
    async fn open_output(&self, output: &TopicName, input: &TopicName) -> Result<(), JournalError>;

    /// Becomes the one who moves the position of `group` in a partition of `topic`. What another one has begun there is
    /// undone, and what it tries from now on fails.
    async fn mover(&self, topic: &TopicName, group: &str, partition: i32) -> Result<Box<dyn Mover>, JournalError>;

    /// How far `group` is in the partitions of `topic`, where it has been moved.
    async fn standings(&self, topic: &TopicName, group: &str) -> Result<Vec<Standing>, JournalError>;
}

/// Moves the position of a group in one partition, together with what is appended.
#[async_trait]
pub trait Mover: Send {
    /// Where the group stood when this became its mover; none where it has never been moved.
    fn standing(&self) -> Option<&Standing>;

    /// Appends `records` to the partition of the same number of `output`, and moves the position to `next_offset`, with a
    /// note of at most [`NOTE_BYTES_MAX`] bytes. `Ok` means that both survive a crash. Otherwise neither is there, or nobody
    /// can tell; then this one is of no use any more, and the next mover knows.
    async fn advance(
        &mut self,
        output: &TopicName,
        records: Vec<Record>,
        next_offset: i64,
        note: String,
    ) -> Result<(), JournalError>;
}

/// A note beside a position is at most so long: Kafka takes 4,096 bytes where nothing else is set.
pub const NOTE_BYTES_MAX: usize = 4_000;

/// How far a group is in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The partition.
    pub partition: i32,
    /// The first offset whose outcome is not appended.
    pub next_offset: i64,
    /// What was noted beside it.
    pub note: String,
}

/// What a journal does whose records are in files of its own.
#[async_trait]
pub trait Retention: Send + Sync {
    /// Removes what the limits let go, but nothing that a group has not read; of a topic that nobody is to read
    /// (`is_read` false) the limits alone decide. Gives how many records went.
    async fn retain(&self, topic: &TopicName, limits: RetentionLimits, is_read: bool) -> Result<u64, JournalError>;

    /// Removes records of an output topic that others of the same key follow, but nothing that a group has not read. It may
    /// leave some for the next time. Gives how many went.
    async fn compact(&self, topic: &TopicName) -> Result<u64, JournalError>;

    /// Counts the records of a partition, one by one; none when there is no such topic.
    async fn count(&self, topic: &TopicName, partition: i32) -> Result<Option<i64>, JournalError>;
}

/// One member of a group that reads a topic.
#[async_trait]
pub trait Consumer: Send {
    /// What happens next. Gives [`Delivery::Nothing`] after at most `patience`. Cancelling it loses nothing.
    async fn next(&mut self, patience: Duration) -> Result<Delivery, JournalError>;

    /// Says where to read an assigned partition from. Must follow [`Delivery::Assigned`] before records are delivered.
    async fn seek(&mut self, partition: i32, offset: i64) -> Result<(), JournalError>;

    /// Delivers nothing more of a partition until the next seek.
    fn suspend(&mut self, partition: i32);

    /// Delivers nothing more of a partition until it is resumed, and then goes on where it was: whoever handles it has
    /// enough to do. Other partitions go on. A seek does not resume it.
    fn pause(&mut self, partition: i32);

    /// Ends a pause.
    fn resume(&mut self, partition: i32);

    /// Notes that the group has everything before `next_offset`. A hint for retention and lag; the truth is in the store.
    async fn commit(&mut self, partition: i32, next_offset: i64);

    /// Leaves the group, so that another member takes over at once.
    async fn leave(self: Box<Self>);
}

/// Reads a topic without being a member of anything.
#[async_trait]
pub trait Follower: Send {
    /// The next records of one of the partitions; none when nothing came within `patience`. A batch without records says
    /// by its `next_offset` only that nothing stands before it. Cancelling it loses nothing.
    async fn next(&mut self, patience: Duration) -> Result<Option<Batch>, JournalError>;
}

/// What a consumer is given.
#[derive(Debug)]
pub enum Delivery {
    /// The partition is this member's until it is lost.
    Assigned(i32),
    /// The partition is another member's now.
    Lost(i32),
    /// Records of an assigned partition, in order.
    Records(Batch),
    /// Nothing came in time.
    Nothing,
}

/// Consecutive records of one partition.
#[derive(Debug)]
pub struct Batch {
    /// The partition.
    pub partition: i32,
    /// The records. Offsets between them that are missing hold no record.
    pub records: Vec<Kept>,
    /// The offset after the last one.
    pub next_offset: i64,
}

/// What one partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The partition.
    pub partition: i32,
    /// The first offset that is still there.
    pub start: i64,
    /// The offset that the next record will get.
    pub end: i64,
}

/// How much of a topic is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionLimits {
    /// Older records may go.
    pub age: Duration,
    /// The oldest records may go while the topic is larger.
    pub bytes_max: u64,
}

/// Whether a document that could not be appended may be in the journal all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is not there: `kept: "no"`.
    No,
    /// Nobody can tell: `kept: "unknown"`.
    Unknown,
}

/// Why records were not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// More arrives than can be written; nothing was kept.
    #[error("the journal is {behind} behind")]
    Overloaded {
        /// How far behind, in words.
        behind: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The journal fails.
    #[error("the journal cannot take documents: {source}")]
    Unavailable {
        /// Whether the records may have been kept.
        kept: Outcome,
        /// Why.
        source: JournalError,
    },
}

/// What goes wrong with a journal.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// Time may heal it: busy, unreachable.
    #[error(transparent)]
    Later(Reason),
    /// A person must act: disk full, file unwritable, file replaced.
    #[error(transparent)]
    Stop(Reason),
}

impl JournalError {
    /// Time may heal it.
    pub fn later(reason: impl Into<Reason>) -> Self {
        JournalError::Later(reason.into())
    }

    /// A person must act.
    pub fn stop(reason: impl Into<Reason>) -> Self {
        JournalError::Stop(reason.into())
    }

    /// The same, caused by that.
    pub fn because(self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        match self {
            JournalError::Later(reason) => JournalError::Later(reason.because(cause)),
            JournalError::Stop(reason) => JournalError::Stop(reason.because(cause)),
        }
    }

    /// Why, with what caused it.
    pub fn reason(self) -> Reason {
        let (JournalError::Later(reason) | JournalError::Stop(reason)) = self;
        reason
    }
}

/// What a mover says that is none any more.
fn another_moves() -> JournalError {
    JournalError::Later("another process moves the group's position now".into())
}
