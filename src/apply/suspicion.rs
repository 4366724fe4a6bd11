//! Connections that end while documents are applied: a server that restarts, a network that fails, or a document that ends
//! its own session, as a function that crashes does.
//!
//! The first end is nobody's. When it happens again in the same batch, the batch goes on in transactions of fewer
//! documents, down to one; so whoever is before the one in question is served. A document is suspected when it was alone
//! each time; it is blamed only if the server ran on meanwhile, and keeps another connection for as long as the one that
//! ended. A process that restarts begins anew.

use std::time::Duration;

/// A document is alone this often when its connection ends, before it is blamed: what cuts connections by chance does
/// not meet the same few milliseconds three times in a row.
const ENDS_ALONE_MAX: u32 = 3;

/// Each further end divides the transactions by this: 5,000 documents are single ones after five.
const SHARE: usize = 16;

/// What is suspected of a partition's batch.
#[derive(Debug)]
pub(super) struct Suspicion {
    /// The offset behind the batch: it is over there.
    until: i64,
    /// So many documents a transaction.
    records_max: usize,
    /// Where the last transaction began that lost its connection.
    at: i64,
    /// How often that was one document, the same.
    ends_alone: u32,
    /// The longest time that a connection lived with that document.
    held: Duration,
    /// The run of the server at the first of these ends.
    pub(super) run: Option<String>,
    /// What was said the last time.
    pub(super) words: String,
}

impl Suspicion {
    /// After the first end in a batch of `count` records up to `until`.
    pub(super) fn first(at: i64, until: i64, count: usize, words: String) -> Self {
        // The whole batch is tried once more.
        Suspicion { until, records_max: count.max(1), at, ends_alone: 0, held: Duration::ZERO, run: None, words }
    }

    /// After another end, of a connection that lived for `held`, in a transaction that began at `at`.
    pub(super) fn again(&mut self, at: i64, held: Duration, words: String) {
        let is_same = self.at == at && self.ends_alone > 0;
        if self.records_max == 1 {
            self.ends_alone = if is_same { self.ends_alone + 1 } else { 1 };
            self.held = if is_same { self.held.max(held) } else { held };
            if !is_same {
                self.run = None;
            }
        }
        self.records_max = (self.records_max / SHARE).max(1);
        (self.at, self.words) = (at, words);
    }

    /// Whether it is over, since the partition stands at `next_offset`.
    pub(super) fn is_over(&self, next_offset: i64) -> bool {
        next_offset >= self.until
    }

    /// So many documents a transaction.
    pub(super) fn records_max(&self) -> usize {
        self.records_max
    }

    /// Whether the document at `next_offset` was alone when its connection ended.
    pub(super) fn was_alone(&self, next_offset: i64) -> bool {
        self.ends_alone > 0 && self.at == next_offset
    }

    /// Whether it was so often enough. Gives how long a connection must live to speak against it.
    pub(super) fn blames(&self, next_offset: i64) -> Option<Duration> {
        (self.was_alone(next_offset) && self.ends_alone >= ENDS_ALONE_MAX).then_some(self.held)
    }

    /// The server has restarted meanwhile: the count begins anew.
    pub(super) fn acquit(&mut self, run: String) {
        (self.ends_alone, self.run) = (0, Some(run));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: Duration = Duration::from_millis(20);

    fn end(suspicion: &mut Suspicion, at: i64) {
        suspicion.again(at, HELD, "ended".into());
    }

    #[test]
    fn a_batch_is_tried_whole_again_and_then_in_ever_smaller_parts() {
        let mut suspicion = Suspicion::first(0, 500, 500, "ended".into());
        assert_eq!(suspicion.records_max(), 500);
        let sizes = [31, 1, 1].map(|expected| {
            end(&mut suspicion, 0);
            (suspicion.records_max(), expected)
        });
        assert!(sizes.iter().all(|(found, expected)| found == expected), "{sizes:?}");
    }

    #[test]
    fn only_one_document_that_was_alone_three_times_is_blamed() {
        let mut suspicion = Suspicion::first(7, 8, 1, "ended".into());
        assert_eq!((suspicion.records_max(), suspicion.was_alone(7)), (1, false));
        for (at, is_blamed) in [(7, false), (7, false), (6, false), (7, false), (7, false), (7, true)] {
            end(&mut suspicion, at);
            assert_eq!(suspicion.blames(at), is_blamed.then_some(HELD), "{suspicion:?}");
            assert_eq!(suspicion.blames(at + 1), None);
        }
        suspicion.acquit("another run".into());
        assert_eq!(suspicion.blames(7), None);
        assert!(suspicion.is_over(8) && !suspicion.is_over(7));
    }
}
