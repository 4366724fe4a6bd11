//! Windows: equal stretches of time, one after the other, of which a document belongs to one by a time that it says.
//!
//! A window closes by the time of events, never by the clock, so a replay gives the same at any speed.

use std::collections::BTreeMap;

use super::Place;
use crate::words::choice;

/// A tumbling window, counted from 1970 (UTC).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// How long it is.
    pub of_ms: i64,
    /// Where a document says its time: text, or a number since 1970.
    pub at: Place,
    /// What a number counts.
    pub unit: Unit,
    /// How long after its end a window still takes late documents; for ever, where nothing is said.
    pub keep_ms: Option<i64>,
}

choice! {
    /// What a number since 1970 counts.
    #[derive(Default)]
    pub enum Unit {
        /// Seconds.
        #[default]
        Seconds = "s",
        /// Milliseconds.
        Milliseconds = "ms",
        /// Microseconds.
        Microseconds = "us",
        /// Nanoseconds.
        Nanoseconds = "ns",
    }
}

impl Unit {
    /// A factor and a divisor that make milliseconds of it.
    pub(super) fn of_ms(self) -> (i128, i128) {
        match self {
            Unit::Seconds => (1000, 1),
            Unit::Milliseconds => (1, 1),
            Unit::Microseconds => (1, 1000),
            Unit::Nanoseconds => (1, 1_000_000),
        }
    }
}

/// The years 1 to 9999: a window's begin is written in RFC 3339, which has no others.
const MS_RANGE: std::ops::Range<i64> = -62_135_596_800_000..253_402_300_800_000;

/// A document may be this far ahead of the moment in which it was accepted and still move time on. One with a wrong clock
/// must not close the windows of all others.
const AHEAD_MS_MAX: i64 = 86_400_000;

impl Window {
    /// The begin of the window that a time falls into, in milliseconds; none for years that RFC 3339 cannot write.
    pub fn begin(&self, at_ms: i64) -> Option<i64> {
        let length = self.of_ms.max(1);
        let begin = at_ms.div_euclid(length).checked_mul(length)?;
        (MS_RANGE.contains(&begin) && MS_RANGE.contains(&at_ms)).then_some(begin)
    }
}

/// How far the time of events has come in each partition.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Watermark(BTreeMap<i32, i64>);

impl Watermark {
    /// Whether a window that begins there is past what it keeps, by the documents before this one.
    pub fn is_late(&self, window: &Window, partition: i32, begin_ms: i64) -> bool {
        let (Some(keep), Some(now)) = (window.keep_ms, self.0.get(&partition)) else { return false };
        begin_ms.saturating_add(window.of_ms).saturating_add(keep) <= *now
    }

    /// Takes note of the time of a document that was accepted at `accepted_ms`.
    pub fn advance(&mut self, partition: i32, at_ms: i64, accepted_ms: i64) {
        let at = at_ms.min(accepted_ms.saturating_add(AHEAD_MS_MAX));
        let now = self.0.entry(partition).or_insert(at);
        *now = (*now).max(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hourly(keep_ms: Option<i64>) -> Window {
        Window { of_ms: 3_600_000, at: Place::Pointer("/t".into()), unit: Unit::Seconds, keep_ms }
    }

    #[test]
    fn a_time_falls_into_one_window() {
        for (at, begin) in [
            (0, Some(0)),
            (3_599_999, Some(0)),
            (3_600_000, Some(3_600_000)),
            (-1, Some(-3_600_000)),
            (i64::MAX, None),
            (i64::MIN, None),
            (253_402_300_800_000, None),
        ] {
            assert_eq!(hourly(None).begin(at), begin, "{at}");
        }
    }

    #[test]
    fn a_window_closes_by_the_time_of_events() {
        let mut watermark = Watermark::default();
        let (window, hour) = (hourly(Some(60_000)), 3_600_000);
        assert!(!watermark.is_late(&window, 0, 0), "nothing was seen yet");
        for (at, is_late) in [(hour + 59_999, false), (hour + 60_000, true), (0, true)] {
            watermark.advance(0, at, at);
            assert_eq!(watermark.is_late(&window, 0, 0), is_late, "{at}");
        }
        assert!(!watermark.is_late(&window, 1, 0), "another partition has a time of its own");
        assert!(!watermark.is_late(&hourly(None), 0, 0), "kept for ever");
    }

    #[test]
    fn a_wrong_clock_closes_no_windows() {
        let mut watermark = Watermark::default();
        watermark.advance(0, 4_000_000_000_000, 1_000_000);
        let begin = 86_400_000;
        assert!(!watermark.is_late(&hourly(Some(0)), 0, begin));
    }
}
