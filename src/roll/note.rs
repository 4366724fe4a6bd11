//! What stands beside a rollup's position in the journal: what became of the records before it, and how far time has come.

use crate::journal::NOTE_BYTES_MAX;
use crate::rollup::{Counts, Watermark};

/// Moves with the position, in one step.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Note {
    /// Of which definition it is.
    pub definition: String,
    /// How many partitions the input had.
    pub partitions: i32,
    /// Where the rollup began.
    pub first_offset: i64,
    /// What became of the records since.
    pub counts: Counts,
    /// Offsets since that held no record.
    pub gaps: i64,
    /// How many summaries were published.
    pub published: u64,
    /// How far the time of events has come.
    pub(super) watermark: Watermark,
    /// Summaries are being published in several steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) publishing: Option<Publishing>,
}

/// An emission that takes several steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Publishing {
    /// The summaries contain the records before this offset.
    pub(super) at: i64,
    /// So many were published, in the order of their keys.
    pub(super) count: u64,
}

impl Note {
    /// Reads a note; none for one that somebody else wrote.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn text(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        // Numbers only, by a handful of names.
        debug_assert!(text.len() <= NOTE_BYTES_MAX, "{}", text.len());
        text
    }

    /// Whether every offset before `next_offset` is accounted for.
    pub fn is_balanced(&self, next_offset: i64) -> bool {
        let read = i64::try_from(self.counts.read()).unwrap_or(i64::MAX);
        self.first_offset + read + self.gaps == next_offset
    }
}
