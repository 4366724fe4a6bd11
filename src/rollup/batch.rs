//! The records of one batch, folded: what changes in which summary, and what became of every record.

use std::collections::{BTreeMap, HashMap};

use super::reading::{One, Reading, Reason, Rollup, Skipped};
use super::{Key, Seen, State, Watermark};
use crate::document::Position;
use crate::record::Kept;

/// So many late documents are shown: the newest. All of them are counted.
pub const LATE_MAX: usize = 100;

/// What became of records; their sum is how many were read.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// They are in a summary.
    pub summed: u64,
    /// They are none of those that count.
    pub not_chosen: u64,
    /// They came after their window had closed.
    pub late: u64,
    /// They repeat an idempotency key.
    pub duplicates: u64,
    /// They could not be summed up, by reason.
    pub skipped: BTreeMap<Reason, u64>,
}

impl Counts {
    /// Takes in what became of further records.
    pub fn add(&mut self, more: &Counts) {
        self.summed += more.summed;
        self.not_chosen += more.not_chosen;
        self.late += more.late;
        self.duplicates += more.duplicates;
        for (reason, count) in &more.skipped {
            *self.skipped.entry(*reason).or_default() += count;
        }
    }

    /// How many records that is.
    pub fn read(&self) -> u64 {
        self.summed + self.not_chosen + self.late + self.duplicates + self.skipped.values().sum::<u64>()
    }
}

/// A document that came after its window had closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Late {
    /// Where it stands.
    pub position: Position,
    /// The summary that it would have changed.
    pub key: Key,
    /// When it was accepted, in milliseconds since 1970.
    pub accepted_ms: i64,
}

/// The fold of one batch. Its changes merge into the states that were there before.
#[derive(Debug, Default)]
pub struct Batch {
    changed: HashMap<Key, State>,
    counts: Counts,
    late: Vec<Late>,
}

impl Batch {
    /// Takes the next record of a partition, and what it comes to. With `stops`, a record that cannot be summed up leaves no
    /// trace, and the reason is given.
    pub fn take(
        &mut self,
        rollup: &Rollup,
        (kept, reading): (&Kept, Reading),
        watermark: &mut Watermark,
        seen: &mut Seen,
        stops: bool,
    ) -> Result<(), Skipped> {
        if let (Reading::Skipped(skipped), true) = (&reading, stops)
            && !seen.knows(kept)
        {
            return Err(skipped.clone());
        }
        // As apply does: a key is taken by its first document, whatever becomes of that.
        if seen.is_repeated(kept) {
            self.counts.duplicates += 1;
            return Ok(());
        }
        match reading {
            Reading::NotChosen => self.counts.not_chosen += 1,
            Reading::Skipped(skipped) => *self.counts.skipped.entry(skipped.reason).or_default() += 1,
            Reading::One(one) => self.add(rollup, kept, one, watermark),
        }
        Ok(())
    }

    fn add(&mut self, rollup: &Rollup, kept: &Kept, one: One, watermark: &mut Watermark) {
        if let (Some(window), Some((begin, at))) = (&rollup.definition().window, one.window) {
            let partition = kept.position.partition;
            let is_late = watermark.is_late(window, partition, begin);
            watermark.advance(partition, at, kept.record.timestamp_ms);
            if is_late {
                self.counts.late += 1;
                if self.late.len() == LATE_MAX {
                    self.late.remove(0);
                }
                let accepted_ms = kept.record.timestamp_ms;
                self.late.push(Late { position: kept.position.clone(), key: one.key, accepted_ms });
                return;
            }
        }
        self.counts.summed += 1;
        match self.changed.get_mut(&one.key) {
            Some(state) => state.merge(one.state),
            None => drop(self.changed.insert(one.key, one.state)),
        }
    }

    /// How many summaries change.
    pub fn changed(&self) -> usize {
        self.changed.len()
    }

    /// The changes by their keys, what became of the records, and the newest late ones.
    pub fn finish(self) -> (BTreeMap<Key, State>, Counts, Vec<Late>) {
        (self.changed.into_iter().collect(), self.counts, self.late)
    }
}
