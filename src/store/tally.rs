//! What a transaction did, as units moved between the counters of a partition.

use super::Fate;

/// Units moved between the counters of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "product.md's words")]
pub struct Tally {
    pub applied: i64,
    pub duplicates: i64,
    pub dead_lettered: i64,
    pub gaps: i64,
}

impl Tally {
    /// The tally of documents by their fates.
    pub fn of(fates: &[Fate]) -> Self {
        let mut tally = Tally::default();
        tally.count(fates);
        tally
    }

    /// Counts documents by their fates.
    pub fn count(&mut self, fates: &[Fate]) {
        for fate in fates {
            match fate {
                Fate::Applied => self.applied += 1,
                Fate::Duplicate { .. } => self.duplicates += 1,
            }
        }
    }

    /// The same, when the position moves from one offset to another: what is not counted held no record.
    #[must_use]
    pub fn between(self, from: i64, to: i64) -> Self {
        Tally { gaps: to - from - self.applied - self.duplicates - self.dead_lettered, ..self }
    }
}
