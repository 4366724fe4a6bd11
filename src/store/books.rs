//! The books of a store: where each stream stands, its dead letters, its duplicates.

use async_trait::async_trait;

use super::moves::{Move, Moved};
use super::{Letter, Place, StoreError};
use crate::document::{Position, StreamName};
use crate::problem::Problem;

/// Reads and mends the books.
#[async_trait]
pub trait Books: Send + Sync {
    /// Where the streams stand; of one stream when it is named.
    async fn positions(&self, stream: Option<&StreamName>) -> Result<Vec<Standing>, StoreError>;

    /// What became of the document at `position`.
    async fn outcome(&self, stream: &StreamName, position: &Position) -> Result<Outcome, StoreError>;

    /// Dead letters in the order of their positions, without their documents: a list of those would fill the memory.
    async fn letters(&self, filter: &LetterFilter) -> Result<Vec<Listed>, StoreError>;

    /// One dead letter.
    async fn letter(&self, position: &Position) -> Result<Option<Letter>, StoreError>;

    /// Notes where each partition of a stream begins, unless the stream has begun: unless it has a position in any.
    async fn begin(&self, journal: &str, places: &[(Place, i64)]) -> Result<(), StoreError>;

    /// Moves a position because a person said so; not when that would do something else than what the person was shown.
    async fn move_position(&self, place: &Place, how: &Move) -> Result<Moved, StoreError>;

    /// Notes why a partition stands still, or that it goes again.
    async fn note_halt(&self, place: &Place, reason: Option<&str>) -> Result<(), StoreError>;

    /// Forgets idempotency keys older than `before_ms` (those of files last as long as their file), and duplicates older
    /// than that whose records the journal has let go (`journal_start`). Gives how many rows went.
    async fn prune(&self, place: &Place, before_ms: i64, journal_start: i64) -> Result<u64, StoreError>;

    /// Counts the rows behind the counters.
    async fn audit(&self, place: &Place) -> Result<Audit, StoreError>;
}

/// Where a partition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The partition.
    pub place: Place,
    /// The identity of the journal it counts in.
    pub journal: String,
    /// Where the counting began.
    pub first_offset: i64,
    /// The first offset that is not applied yet.
    pub next_offset: i64,
    /// The number of the claim.
    pub epoch: i64,
    /// Who claimed it last.
    pub owner: String,
    /// The counters.
    pub counters: Counters,
    /// Why it stands still, if it does.
    pub halted: Option<String>,
}

/// How many documents became what. `next_offset - first_offset + carried` is the sum of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Their changes are in the tables.
    pub applied: i64,
    /// The same as an earlier one.
    pub duplicates: i64,
    /// Among the dead letters now.
    pub dead_lettered: i64,
    /// Dead letters that a person gave up.
    pub dropped: i64,
    /// Offsets that a person gave up.
    pub lost: i64,
    /// Offsets that hold no record.
    pub gaps: i64,
    /// Dead letters from before `first_offset`, kept through a replay.
    pub carried: i64,
    /// Duplicates whose rows were pruned.
    pub duplicates_pruned: i64,
}

impl Counters {
    /// Everything that a document can have become.
    pub fn settled(&self) -> i64 {
        self.applied + self.duplicates + self.dead_lettered + self.dropped + self.lost + self.gaps
    }
}

/// The rows that stand behind the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Audit {
    /// Rows of dead letters.
    pub dead_lettered: i64,
    /// Rows of dropped letters.
    pub dropped: i64,
    /// Rows of duplicates.
    pub duplicates: i64,
    /// Offsets in the ranges that were given up.
    pub lost: i64,
}

/// What became of a document.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "product.md's words")]
pub enum Outcome {
    /// Not applied yet.
    Accepted,
    Applied,
    Duplicate {
        of: Position,
    },
    DeadLettered {
        problem: Problem,
    },
    Dropped,
}

/// A dead letter in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The stream it came by.
    pub stream: StreamName,
    /// Where the journal kept it; also its id and its receipt.
    pub position: Position,
    /// The reason, without the places.
    pub problem: Problem,
    /// When it was set aside, in milliseconds since 1970.
    pub set_aside_ms: i64,
    /// How often it was tried.
    pub attempts: i64,
    /// What its document takes.
    pub bytes: u64,
}

impl Listed {
    /// A letter as a list has it.
    pub fn of(letter: &Letter) -> Self {
        let Letter { stream, position, record, problem, set_aside_ms, attempts } = letter;
        Listed {
            stream: stream.clone(),
            position: position.clone(),
            problem: Problem { errors: Vec::new(), ..problem.clone() },
            set_aside_ms: *set_aside_ms,
            attempts: *attempts,
            bytes: record.value.len() as u64,
        }
    }
}

/// Which dead letters.
#[derive(Debug, Clone, Default)]
pub struct LetterFilter {
    /// Of this stream only.
    pub stream: Option<StreamName>,
    /// For this reason only: the name of a problem type.
    pub reason: Option<String>,
    /// After this position, for paging.
    pub after: Option<Position>,
    /// At most so many.
    pub limit: usize,
}
