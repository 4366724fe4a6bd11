//! The books of a store: where each stream stands, its dead letters, its duplicates.

use async_trait::async_trait;

use super::moves::{Move, Moved};
use super::{Letter, Place, StoreError};
use crate::document::{Position, StreamName};
use crate::problem::{Problem, ProblemType};

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

/// What the books know of one document, seen at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// The letter's problem as it is kept, and whether a person gave it up.
    pub(super) letter: Option<(String, bool)>,
    /// Where its partition stands; none when apply has not begun with it.
    pub(super) next_offset: Option<i64>,
    /// The document that it is a duplicate of: its partition and offset.
    pub(super) duplicate_of: Option<(i32, i64)>,
    /// Whether a person gave its offset up.
    pub(super) is_lost: bool,
}

impl Found {
    /// What became of the document at `position`.
    pub(super) fn outcome(self, position: &Position) -> Outcome {
        match self {
            // A letter may lie before or behind the position: what became of it stands in its row.
            Found { letter: Some((_, true)), .. } => Outcome::Dropped,
            Found { letter: Some((problem, false)), .. } => Outcome::DeadLettered { problem: read_problem(&problem) },
            Found { next_offset, .. } if next_offset.is_none_or(|next| position.offset >= next) => Outcome::Accepted,
            Found { duplicate_of: Some((partition, offset)), .. } => {
                Outcome::Duplicate { of: Position { topic: position.topic.clone(), partition, offset } }
            }
            Found { is_lost: true, .. } => Outcome::Dropped,
            _ => Outcome::Applied,
        }
    }
}

/// A letter's problem as its row has it.
pub(super) fn read_problem(text: &str) -> Problem {
    serde_json::from_str(text)
        .unwrap_or_else(|_| Problem::new(ProblemType::UnreadableRecord, "the reason cannot be read"))
}

/// The version of the books' tables. A newer one is refused; of an older one the idempotency keys are taken over, which
/// version 1 kept in a table of their texts.
pub(super) const VERSION: i64 = 2;

/// Fails when a newer sluicegate has made the books.
pub(super) fn check_version(version: i64) -> Result<(), StoreError> {
    if version <= VERSION {
        return Ok(());
    }
    Err(StoreError::stop(format!(
        "the store's books have format {version}; this sluicegate knows {VERSION}: use a newer one"
    )))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::TopicName;

    #[test]
    fn what_became_of_a_document_is_told_by_its_letter_the_position_and_then_the_rest() {
        let at = |offset| Position { topic: TopicName::parse("t").unwrap(), partition: 0, offset };
        let problem = Problem::new(ProblemType::ValueOutOfRange, "too large");
        let kept = serde_json::to_string(&problem).unwrap();
        let unreadable = Problem::new(ProblemType::UnreadableRecord, "the reason cannot be read");
        let letter = |text: &str, is_dropped| Some((text.to_owned(), is_dropped));
        let duplicate = Outcome::Duplicate { of: at(2) };
        for (letter, next_offset, duplicate_of, is_lost, expected) in [
            (None, None, None, false, Outcome::Accepted),
            (None, Some(7), None, false, Outcome::Accepted),
            (None, Some(8), None, false, Outcome::Applied),
            (None, Some(8), Some((0, 2)), false, duplicate.clone()),
            (None, Some(8), Some((0, 2)), true, duplicate),
            (None, Some(8), None, true, Outcome::Dropped),
            // Set back: what it became before counts no more.
            (None, Some(7), Some((0, 2)), true, Outcome::Accepted),
            (letter(&kept, false), Some(8), None, false, Outcome::DeadLettered { problem: problem.clone() }),
            // A letter is kept through a replay.
            (letter(&kept, false), Some(3), None, false, Outcome::DeadLettered { problem }),
            (letter(&kept, true), Some(3), Some((0, 2)), false, Outcome::Dropped),
            (letter("{", false), Some(8), None, false, Outcome::DeadLettered { problem: unreadable }),
        ] {
            let found = Found { letter, next_offset, duplicate_of, is_lost };
            assert_eq!(found.clone().outcome(&at(7)), expected, "{found:?}");
        }
    }

    #[test]
    fn books_of_a_newer_version_are_refused() {
        for (version, is_fine) in [(1, true), (VERSION, true), (VERSION + 1, false)] {
            assert_eq!(check_version(version).is_ok(), is_fine, "{version}");
        }
    }
}
