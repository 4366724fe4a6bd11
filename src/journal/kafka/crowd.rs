//! How many records are on their way at once lately, and so at which pace they leave.

use std::time::{Duration, Instant};

/// How appends become requests to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// A group leaves as soon as the one before is acknowledged: nobody waits for company.
    Prompt,
    /// Each leaves at once, and librdkafka lets it linger for others. A broker's work is by the request: what a crowd
    /// waits for company it gets back from a broker that has less to do.
    Gathering,
}

/// So many records on their way at once make a crowd,
const GATHERS: usize = 128;

/// and a crowd that was never as large as this for a while is none any more.
const DISPERSES: usize = 64;

/// How long a crowd is watched before it is judged.
const WATCHED: Duration = Duration::from_millis(100);

/// What was seen of the crowd.
#[derive(Debug)]
pub(super) struct Crowd {
    is_crowd: bool,
    largest: usize,
    since: Instant,
}

impl Crowd {
    pub(super) fn new(now: Instant) -> Self {
        Crowd { is_crowd: false, largest: 0, since: now }
    }

    /// Notes how many records are on their way now.
    pub(super) fn note(&mut self, records: usize, now: Instant) {
        self.largest = self.largest.max(records);
        if now.saturating_duration_since(self.since) < WATCHED {
            return;
        }
        self.is_crowd = self.largest >= if self.is_crowd { DISPERSES } else { GATHERS };
        self.largest = 0;
        self.since = now;
    }

    /// The pace that suits it.
    pub(super) fn pace(&self) -> Pace {
        if self.is_crowd { Pace::Gathering } else { Pace::Prompt }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_judged_by_its_largest_moment() {
        let begin = Instant::now();
        let mut crowd = Crowd::new(begin);
        let steps = [
            (0, 1000, Pace::Prompt),
            (99, 1, Pace::Prompt),
            (100, 1, Pace::Gathering),
            (150, 64, Pace::Gathering),
            (200, 0, Pace::Gathering),
            (250, 63, Pace::Gathering),
            (300, 63, Pace::Prompt),
            (350, 127, Pace::Prompt),
            (400, 127, Pace::Prompt),
            (500, 128, Pace::Gathering),
        ];
        for (ms, records, pace) in steps {
            crowd.note(records, begin + Duration::from_millis(ms));
            assert_eq!(crowd.pace(), pace, "after {ms} ms");
        }
    }
}
