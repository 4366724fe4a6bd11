//! How far apply is, for those who wait for it: requests with `Prefer: wait`, and /health/ready.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// A partition with something to do that gets no further for so long stands still, whether or not anything has failed.
pub const STILL: Duration = Duration::from_secs(5);

/// A topic that could not be read is readable again once nothing has failed for so long.
const SETTLED: Duration = Duration::from_secs(2);

/// The progress of one stream in this process.
#[derive(Debug, Default)]
pub struct Progress {
    partitions: Mutex<BTreeMap<i32, Partition>>,
    /// Why the topic cannot be read, if it cannot, and when that was said last.
    cut_off: Mutex<Option<(String, Instant)>>,
    /// Counts changes, to wake who waits.
    version: watch::Sender<u64>,
}

#[derive(Debug, Default, Clone)]
struct Partition {
    next_offset: i64,
    halted: Option<String>,
    /// What it has to do since when, if anything.
    pending: Option<(Pending, Instant)>,
    /// What failed last since it got further.
    failed: Option<String>,
}

/// What a partition has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// To be claimed.
    Claim,
    /// To apply a batch.
    Batch,
}

impl Progress {
    fn partitions(&self) -> MutexGuard<'_, BTreeMap<i32, Partition>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything before `next_offset` has its outcome.
    pub fn advance(&self, partition: i32, next_offset: i64) {
        *self.partitions().entry(partition).or_default() = Partition { next_offset, ..Partition::default() };
        self.changed();
    }

    /// The partition has something to do. It is measured from the first that it has not done.
    pub fn pending(&self, partition: i32, pending: Pending) {
        let mut partitions = self.partitions();
        let entry = match pending {
            Pending::Claim => partitions.entry(partition).or_default(),
            // One that is not here any more has nothing to do here.
            Pending::Batch => {
                let Some(entry) = partitions.get_mut(&partition) else { return };
                entry
            }
        };
        let since = entry.pending.map_or_else(Instant::now, |(_, since)| since);
        entry.pending = Some((pending, since));
    }

    /// Every batch that was given out is in the store: whatever was still awaited has been overtaken.
    pub fn idle(&self, partition: i32) {
        if let Some(entry) = self.partitions().get_mut(&partition) {
            entry.pending.take_if(|(pending, _)| *pending == Pending::Batch);
        }
    }

    /// An attempt has failed, and is made again.
    pub fn failed(&self, partition: i32, reason: String) {
        self.partitions().entry(partition).or_default().failed = Some(reason);
    }

    /// The partition was claimed, and goes on at `next_offset`. Whether it gets further is yet to be seen, if it has
    /// anything to do: nothing is, when that is the end.
    pub fn claimed(&self, partition: i32, next_offset: i64, is_end: bool) {
        {
            let mut partitions = self.partitions();
            let entry = partitions.entry(partition).or_default();
            entry.next_offset = next_offset;
            if is_end || entry.pending.is_some_and(|(pending, _)| pending == Pending::Claim) {
                entry.pending = None;
            }
        }
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

    fn locked_cut_off(&self) -> MutexGuard<'_, Option<(String, Instant)>> {
        self.cut_off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The topic cannot be read for `reason`. True when that is news.
    pub fn cut_off(&self, reason: String) -> bool {
        let mut cut_off = self.locked_cut_off();
        let is_news = cut_off.as_ref().is_none_or(|(said, _)| *said != reason);
        *cut_off = Some((reason, Instant::now()));
        is_news
    }

    /// The topic was read.
    pub fn readable(&self) {
        let mut cut_off = self.locked_cut_off();
        // One that fails again and again is read for a moment now and then.
        cut_off.take_if(|(_, at)| at.elapsed() >= SETTLED);
    }

    /// The first offset without an outcome, as far as this process applies the partition.
    pub fn next_offset(&self, partition: i32) -> Option<i64> {
        self.partitions().get(&partition).map(|partition| partition.next_offset)
    }

    /// Why a partition stands still, or all of them, if that is so.
    pub fn halted(&self) -> Option<String> {
        let cut_off = self.locked_cut_off().as_ref().map(|(reason, _)| reason.clone());
        cut_off.or_else(|| self.halted_partition())
    }

    /// Why documents of the stream `name` are not applied, if they are not: a halt, or a partition that has got no further
    /// for [`STILL`], with what failed there last.
    pub fn trouble(&self, name: &str) -> Option<String> {
        self.halted().or_else(|| {
            self.partitions().iter().find_map(|(partition, state)| {
                let (pending, since) = state.pending?;
                let elapsed = since.elapsed();
                let what = match pending {
                    Pending::Claim => "has waited to be claimed",
                    Pending::Batch => "has worked at a batch",
                };
                let failed = state.failed.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                let still = || format!("partition {partition} of {name} {what} for {} s{failed}", elapsed.as_secs());
                (elapsed > STILL).then(still)
            })
        })
    }

    fn halted_partition(&self) -> Option<String> {
        self.partitions().values().find_map(|partition| partition.halted.clone())
    }

    /// Waits until [`Progress::next_offset`] is as `is_it` says, and gives it.
    pub async fn when(&self, partition: i32, is_it: impl Fn(Option<i64>) -> bool) -> Option<i64> {
        let mut changes = self.version.subscribe();
        loop {
            changes.mark_unchanged();
            let next_offset = self.next_offset(partition);
            if is_it(next_offset) {
                return next_offset;
            }
            // Its other end is here.
            let _ = changes.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_is_told_of_every_change() {
        let progress = Progress::default();
        let mut waiting = progress.version.subscribe();
        let steps: [(&str, &dyn Fn()); 4] = [
            ("claimed", &|| progress.claimed(0, 5, false)),
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

    #[test]
    fn a_report_that_comes_late_leaves_nothing_to_be_done() {
        let is_pending = |progress: &Progress| progress.partitions().get(&0).is_some_and(|it| it.pending.is_some());
        // Of two batches both are in the store before the reader hears of the first.
        let progress = Progress::default();
        progress.pending(0, Pending::Claim);
        progress.claimed(0, 5, false);
        progress.pending(0, Pending::Batch);
        progress.advance(0, 9);
        progress.pending(0, Pending::Batch);
        assert!(is_pending(&progress));
        progress.idle(0);
        assert!(!is_pending(&progress));
        // And of a partition that another process reads by then.
        progress.stand_by(0);
        progress.pending(0, Pending::Batch);
        progress.idle(0);
        assert_eq!(progress.next_offset(0), None);
        // A claim is awaited until it is made.
        progress.pending(0, Pending::Claim);
        progress.idle(0);
        assert!(is_pending(&progress));
    }
}
