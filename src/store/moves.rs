//! How a person moves a position, and what that means where the position stands by now.
//!
//! Whoever asks a person for a decision shows where the partition stands, and the answer may take its time while apply goes
//! on. A move therefore says what was shown, and is made in one step with a look at the position: what was not shown does
//! not happen.

use super::books::Standing;

/// A position to be moved, as a person has agreed to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Where the partition stood when the person was asked; none when apply had not begun with it.
    pub seen: Option<Seen>,
    /// The first offset that the journal holds: there a partition begins that apply has not begun with.
    pub start: i64,
    /// The new position.
    pub to: i64,
    /// The identity of the journal that the position is about from then on.
    pub journal: String,
    /// What happens to what lies behind the new position.
    pub why: Why,
}

/// Where a partition stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The identity of the journal that the books counted in.
    pub journal: String,
    /// The first offset that was not applied.
    pub next_offset: i64,
}

/// Why a position moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Backwards, what is behind the new position is applied again; forwards, what is skipped counts as lost.
    Set,
    /// What the books count on is gone, and other documents stand in its place, or will.
    AcceptLoss,
}

/// What became of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// The partition goes on at `to`, and so many documents that were not applied are given up.
    Done {
        /// The position now.
        to: i64,
        /// How many documents count as lost that did not before.
        lost: i64,
    },
    /// Nothing was changed: the partition no longer stands where it was seen, and the move would do something else than
    /// what was shown.
    Stale,
}

/// What a store does for a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Begins the partition at [`Move::start`], and gives up what lies before the new position.
    Begin,
    /// Gives up what lies between here and the new position.
    Skip { from: i64 },
    /// Nothing is to be done: apply has passed the new position.
    Passed { at: i64 },
    /// Goes back in the same journal: what is applied again is no letter and no duplicate any more.
    Again,
    /// Counts anew among documents that the books do not know.
    Anew,
    /// What the person was shown is no longer so.
    Stale,
}

impl Move {
    /// What to do, given where the partition stands in the transaction that moves it.
    pub(super) fn step(&self, standing: Option<&Standing>) -> Step {
        let (standing, seen) = match (standing, &self.seen) {
            (None, None) => return Step::Begin,
            (Some(standing), Some(seen)) if standing.journal == seen.journal => (standing, seen),
            _ => return Step::Stale,
        };
        let is_same_journal = standing.journal == self.journal;
        let (now, before) = (standing.next_offset, seen.next_offset);
        if self.why == Why::Set && is_same_journal && self.to >= before {
            // A part of what was to be given up may have been applied meanwhile, and then is not lost.
            return match now {
                _ if now < before => Step::Stale,
                _ if now > self.to => Step::Passed { at: now },
                _ => Step::Skip { from: now },
            };
        }
        if now != before {
            return Step::Stale;
        }
        match self.why {
            _ if is_same_journal && self.to >= now => Step::Skip { from: now },
            Why::Set if is_same_journal => Step::Again,
            _ => Step::Anew,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{StreamName, TopicName};
    use crate::store::Place;
    use crate::store::books::Counters;

    fn standing(journal: &str, next_offset: i64) -> Standing {
        let (stream, topic) = (StreamName::parse("s").unwrap(), TopicName::parse("t").unwrap());
        Standing {
            place: Place { stream, topic, partition: 0 },
            journal: journal.into(),
            first_offset: 0,
            next_offset,
            epoch: 1,
            owner: String::new(),
            counters: Counters::default(),
            halted: None,
        }
    }

    #[test]
    fn only_what_was_shown_happens() {
        use Why::{AcceptLoss, Set};
        let seen = |journal: &str, next_offset| Some((journal.to_owned(), next_offset));
        for (why, shown, to, now, step) in [
            // Forwards: never more than was shown, and less where apply was faster.
            (Set, seen("ours", 5), 9, Some(("ours", 5)), Step::Skip { from: 5 }),
            (Set, seen("ours", 5), 9, Some(("ours", 7)), Step::Skip { from: 7 }),
            (Set, seen("ours", 5), 9, Some(("ours", 9)), Step::Skip { from: 9 }),
            (Set, seen("ours", 5), 9, Some(("ours", 30)), Step::Passed { at: 30 }),
            (Set, seen("ours", 5), 5, Some(("ours", 6)), Step::Passed { at: 6 }),
            (Set, seen("ours", 5), 9, Some(("ours", 4)), Step::Stale),
            (Set, seen("ours", 5), 9, None, Step::Stale),
            // Backwards: what was applied since was not shown.
            (Set, seen("ours", 5), 2, Some(("ours", 5)), Step::Again),
            (Set, seen("ours", 5), 2, Some(("ours", 6)), Step::Stale),
            (Set, seen("ours", 5), 2, Some(("ours", 4)), Step::Stale),
            // Another journal than the books count in, or than they did.
            (Set, seen("other", 5), 9, Some(("other", 5)), Step::Anew),
            (Set, seen("other", 5), 9, Some(("ours", 5)), Step::Stale),
            (Set, seen("ours", 5), 9, Some(("other", 5)), Step::Stale),
            // Not begun.
            (Set, None, 9, None, Step::Begin),
            (Set, None, 9, Some(("ours", 0)), Step::Stale),
            (AcceptLoss, seen("ours", 5), 9, Some(("ours", 5)), Step::Skip { from: 5 }),
            (AcceptLoss, seen("ours", 5), 9, Some(("ours", 6)), Step::Stale),
            (AcceptLoss, seen("ours", 5), 2, Some(("ours", 5)), Step::Anew),
            (AcceptLoss, seen("ours", 5), 2, Some(("ours", 6)), Step::Stale),
            (AcceptLoss, seen("other", 5), 0, Some(("other", 5)), Step::Anew),
            (AcceptLoss, seen("other", 5), 0, Some(("ours", 0)), Step::Stale),
        ] {
            let seen = shown.map(|(journal, next_offset)| Seen { journal, next_offset });
            let how = Move { seen, start: 0, to, journal: "ours".into(), why };
            let standing = now.map(|(journal, next_offset)| standing(journal, next_offset));
            assert_eq!(how.step(standing.as_ref()), step, "{how:?}, now {now:?}");
        }
    }
}
