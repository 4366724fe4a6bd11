//! How far apply is, for those who wait for it: requests with `Prefer: wait`, and /health/ready.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The progress of one stream in this process.
#[derive(Debug, Default)]
pub struct Progress {
    partitions: Mutex<BTreeMap<i32, Partition>>,
    /// Why the topic cannot be read, if it cannot.
    cut_off: Mutex<Option<String>>,
    /// Counts changes, to wake who waits.
    version: watch::Sender<u64>,
}

#[derive(Debug, Default, Clone)]
struct Partition {
    next_offset: i64,
    halted: Option<String>,
}

impl Progress {
    fn partitions(&self) -> MutexGuard<'_, BTreeMap<i32, Partition>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything before `next_offset` has its outcome.
    pub fn advance(&self, partition: i32, next_offset: i64) {
        *self.partitions().entry(partition).or_default() = Partition { next_offset, halted: None };
        self.changed();
    }

    /// The partition was claimed, and goes on at `next_offset`. Whether it gets further is yet to be seen.
    pub fn claimed(&self, partition: i32, next_offset: i64) {
        self.partitions().entry(partition).or_default().next_offset = next_offset;
        self.changed();
    }

    /// The partition stands still for `reason`, or goes again. True when that is news.
    pub fn halt(&self, partition: i32, reason: Option<String>) -> bool {
        let mut partitions = self.partitions();
        let entry = partitions.entry(partition).or_default();
        let is_news = entry.halted != reason;
        entry.halted = reason;
        is_news
    }

    /// Another process reads the partition.
    pub fn stand_by(&self, partition: i32) {
        self.partitions().remove(&partition);
        // Whoever waits asks the store from now on.
        self.changed();
    }

    /// Nothing is applied here for now.
    pub fn stand_by_all(&self) {
        self.partitions().clear();
        self.changed();
    }

    fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    /// The topic cannot be read for `reason`, or can again. True when that is news.
    pub fn cut_off(&self, reason: Option<String>) -> bool {
        let mut cut_off = self.cut_off.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = *cut_off != reason;
        *cut_off = reason;
        is_news
    }

    /// The first offset without an outcome, as far as this process applies the partition.
    pub fn next_offset(&self, partition: i32) -> Option<i64> {
        self.partitions().get(&partition).map(|partition| partition.next_offset)
    }

    /// Why a partition stands still, or all of them, if that is so.
    pub fn halted(&self) -> Option<String> {
        let cut_off = self.cut_off.lock().unwrap_or_else(PoisonError::into_inner).clone();
        cut_off.or_else(|| self.halted_partition())
    }

    fn halted_partition(&self) -> Option<String> {
        self.partitions().values().find_map(|partition| partition.halted.clone())
    }

    /// Is told of every change.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_is_told_of_every_change() {
        let progress = Progress::default();
        let mut waiting = progress.subscribe();
        let steps: [(&str, &dyn Fn()); 4] = [
            ("claimed", &|| progress.claimed(0, 5)),
            ("advanced", &|| progress.advance(0, 6)),
            ("another process reads the partition", &|| progress.stand_by(0)),
            ("nothing is applied here", &|| progress.stand_by_all()),
        ];
        for (name, step) in steps {
            waiting.mark_unchanged();
            step();
            assert!(waiting.has_changed().unwrap(), "{name}");
        }
    }
}
