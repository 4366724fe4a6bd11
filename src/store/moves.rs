//! How a person moves a position, and what that means where the position stands by now.
//!
//! Whoever asks a person for a decision shows where the partition stands, and the answer may take its time while apply goes
//! on. A move therefore says what was shown, and is made in one step with a look at the position: what was not shown does
//! not happen.

use super::StoreError;
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

/// What a store writes for a move, in this order and in one transaction. The letters, duplicates, lost ranges and keys are
/// those of the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Notes the partition at an offset, without a claim. If somebody was faster the move is stale.
    Begin { at: i64 },
    /// Notes that the offsets from one to before another are given up.
    Lose { from: i64, to: i64 },
    /// Removes the letters from an offset on, and all duplicates and lost ranges.
    Remove { from: i64 },
    /// Frees the idempotency keys from an offset on.
    FreeKeys { from: i64 },
    /// Lets the idempotency keys from an offset on point nowhere (to offset -1); they still count.
    DisownKeys { from: i64 },
    /// Moves the position forwards, with so many more lost; claims are void, and what halted it is over.
    Forward { to: i64, lost: i64 },
    /// Moves the position, and begins its counters anew: the letters that are left are carried. Claims are void, and what
    /// halted it is over.
    Anew { at: i64, applied_before: i64 },
}

/// What the books hold besides where a partition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Behind {
    /// The documents before this offset were applied once already.
    pub(super) applied_before: i64,
    /// How many letters wait at the new position and behind it.
    pub(super) letters: i64,
}

/// What is to be done for a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
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
    /// What to write, given what the books hold in the transaction that moves the position, and what has become of the
    /// move when it is written.
    pub(super) fn deeds(&self, standing: Option<&Standing>, behind: Behind) -> Result<(Vec<Deed>, Moved), StoreError> {
        let to = self.to;
        let skip = |from: i64, mut deeds: Vec<Deed>| {
            if to > from {
                deeds.push(Deed::Lose { from, to });
            }
            deeds.push(Deed::Forward { to, lost: to - from });
            Ok((deeds, Moved::Done { to, lost: to - from }))
        };
        let is_same_journal = standing.is_some_and(|standing| standing.journal == self.journal);
        let (keys, applied_before) = match self.step(standing) {
            Step::Stale => return Ok((Vec::new(), Moved::Stale)),
            Step::Passed { at } => return Ok((Vec::new(), Moved::Done { to: at, lost: 0 })),
            Step::Skip { from } => return skip(from, Vec::new()),
            Step::Begin => return skip(self.start, vec![Deed::Begin { at: self.start }]),
            // What will be applied again is no longer a letter or a duplicate, and its idempotency keys are free.
            Step::Again => {
                let next_offset = standing.map_or(0, |standing| standing.next_offset);
                (Deed::FreeKeys { from: to }, behind.applied_before.max(next_offset))
            }
            // The offsets from here on will be other documents' than those the books know. Idempotency keys still count,
            // but point nowhere; a dead letter must not give its receipt to another document.
            Step::Anew if behind.letters > 0 => {
                let (letters, stream) = (behind.letters, standing.map(|standing| standing.place.stream.as_str()));
                return Err(StoreError::stop(format!(
                    "{letters} dead letters of {} would share their receipts with new documents; retry or drop them first",
                    stream.unwrap_or_default()
                )));
            }
            Step::Anew if is_same_journal => (Deed::DisownKeys { from: to }, behind.applied_before.min(to)),
            // Other documents stand behind the new position than those that were applied.
            Step::Anew => (Deed::DisownKeys { from: to }, 0),
        };
        let deeds = vec![Deed::Remove { from: to }, keys, Deed::Anew { at: to, applied_before }];
        Ok((deeds, Moved::Done { to, lost: 0 }))
    }

    /// What to do, given where the partition stands in the transaction that moves it.
    fn step(&self, standing: Option<&Standing>) -> Step {
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
    fn what_is_given_up_is_lost_and_what_is_applied_again_is_forgotten() {
        use Deed::{Anew, Begin, DisownKeys, Forward, FreeKeys, Lose, Remove};
        use Why::{AcceptLoss, Set};
        let done = |to, lost| Moved::Done { to, lost };
        let ours = || Some(("ours", 5));
        for (why, now, to, expected) in [
            (Set, None, 9, (vec![Begin { at: 2 }, Lose { from: 2, to: 9 }, Forward { to: 9, lost: 7 }], done(9, 7))),
            (Set, None, 2, (vec![Begin { at: 2 }, Forward { to: 2, lost: 0 }], done(2, 0))),
            (Set, ours(), 9, (vec![Lose { from: 5, to: 9 }, Forward { to: 9, lost: 4 }], done(9, 4))),
            (Set, ours(), 5, (vec![Forward { to: 5, lost: 0 }], done(5, 0))),
            // What was applied once is remembered as far as it ever came.
            (
                Set,
                ours(),
                3,
                (vec![Remove { from: 3 }, FreeKeys { from: 3 }, Anew { at: 3, applied_before: 5 }], done(3, 0)),
            ),
            (
                AcceptLoss,
                ours(),
                3,
                (vec![Remove { from: 3 }, DisownKeys { from: 3 }, Anew { at: 3, applied_before: 3 }], done(3, 0)),
            ),
            (
                AcceptLoss,
                Some(("other", 5)),
                7,
                (vec![Remove { from: 7 }, DisownKeys { from: 7 }, Anew { at: 7, applied_before: 0 }], done(7, 0)),
            ),
        ] {
            let seen = now.map(|(journal, next_offset)| Seen { journal: journal.into(), next_offset });
            let how = Move { seen, start: 2, to, journal: "ours".into(), why };
            let standing = now.map(|(journal, next_offset)| standing(journal, next_offset));
            let behind = Behind { applied_before: 4, letters: 0 };
            assert_eq!(how.deeds(standing.as_ref(), behind).unwrap(), expected, "{how:?}");
        }
    }

    #[test]
    fn a_letter_keeps_its_receipt_from_other_documents() {
        for (why, is_refused) in [(Why::AcceptLoss, true), (Why::Set, false)] {
            let seen = Some(Seen { journal: "ours".into(), next_offset: 5 });
            let how = Move { seen, start: 0, to: 3, journal: "ours".into(), why };
            let moved = how.deeds(Some(&standing("ours", 5)), Behind { applied_before: 0, letters: 2 });
            assert_eq!(matches!(moved, Err(StoreError::Stop(_))), is_refused, "{why:?}: {moved:?}");
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
