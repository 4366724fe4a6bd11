//! Sums up the batches of some partitions of a stream, and has what changed published.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::watch;

use super::plan::{Plan, state_path};
use super::recovery::Sources;
use super::summaries::{Prepared, Step, Summaries};
use super::trouble::{Trouble, blocking};
use crate::journal::{Extent, Mover, Transactional};
use crate::reading::{Begin, Failure, Handler, Next};
use crate::rollup::Publish;
use crate::shutdown::Stop;

/// With `publish: changes` summaries are published this often at most: each time costs an fsync, or a transaction of Kafka.
const PUBLISH_PAUSE: Duration = Duration::from_millis(100);

/// What was folded is in the file after this: so much is read again after a crash.
const SAVE_EVERY: Duration = Duration::from_millis(500);

/// What a rollup does, and where.
#[derive(Clone)]
pub struct Work {
    /// What it does.
    pub plan: Arc<Plan>,
    /// Where the documents are, and where the summaries go.
    pub journal: Arc<dyn Transactional>,
    /// The folder of the files with its state.
    pub folder: PathBuf,
    /// The positions that were committed, by partition.
    pub committed: watch::Sender<BTreeMap<i32, i64>>,
    /// In a run that ends: where the input's partitions ended when it began. What is read up to there is published at once.
    pub ends: Option<Arc<BTreeMap<i32, i64>>>,
}

/// Sums up partitions.
pub struct RollHandler {
    work: Work,
    partitions: HashMap<i32, Claimed>,
}

impl RollHandler {
    pub(super) fn new(work: Work) -> Self {
        RollHandler { work, partitions: HashMap::new() }
    }
}

/// A partition that is this process's.
struct Claimed {
    mover: Box<dyn Mover>,
    summaries: Summaries,
    published: Instant,
    saved: Instant,
}

#[async_trait]
impl Handler<Prepared> for RollHandler {
    async fn claim(&mut self, partition: i32) -> Result<Begin, Failure> {
        self.partitions.remove(&partition);
        let Work { plan, journal, folder, .. } = &self.work;
        // Only now nobody else moves the position.
        let mover = journal.mover(&plan.input, &plan.group(), partition).await?;
        let extents = journal.extents(&plan.input).await?;
        let extent = extents.iter().find(|extent| extent.partition == partition).copied();
        let extent = extent.unwrap_or(Extent { partition, start: 0, end: 0 });
        let partitions = i32::try_from(extents.len()).unwrap_or(i32::MAX).max(1);
        let path = state_path(folder, plan, partition);
        let standing = mover.standing();
        let sources = Sources { plan, journal, path: &path, partition, partitions, extent, standing };
        let summaries = sources.recover().await?;
        let offset = summaries.folded();
        if !(extent.start..=extent.end).contains(&offset) {
            let words = format!(
                "the journal's topic {} holds the offsets {} to {}, and the rollup is to go on at {offset}: what lies between \
                 is gone, or the journal is an older copy; {}",
                plan.input,
                extent.start,
                extent.end,
                plan.another_name()
            );
            return Err(Failure::new(Next::Halt, words));
        }
        tracing::debug!(rollup = %plan.name, partition, from = offset, "Claimed a partition.");
        let now = Instant::now();
        let mut claimed = Claimed { mover, summaries, published: now, saved: now };
        if claimed.summaries.is_publishing() {
            claimed = self.work.publish(partition, claimed).await?;
        }
        self.work.tell(partition, &claimed);
        let is_end = offset == extent.end;
        self.partitions.insert(partition, claimed);
        Ok(Begin { offset, is_end })
    }

    async fn handle(&mut self, partition: i32, ready: Prepared, _stop: &Stop) -> Result<i64, Failure> {
        let Some(mut claimed) = self.partitions.remove(&partition) else {
            return Err(Failure::new(Next::Retry, "the partition is not claimed"));
        };
        let Prepared { records, next_offset } = ready;
        let fold = move || {
            let stopped = claimed.summaries.fold(records, next_offset)?;
            Ok((claimed, stopped))
        };
        let (mut claimed, stopped) = blocking(fold).await?;
        claimed = self.work.go_on(partition, claimed).await?;
        if let Some((offset, skipped)) = stopped {
            // What is before it is summed up, and stays so.
            claimed = self.work.publish(partition, claimed).await?;
            claimed = save(claimed).await?;
            let reached = claimed.summaries.folded();
            let words = format!(
                "the document {}-{partition}-{offset} cannot be summed up, and the rollup says `on_failure: stop`: {}; write \
                 `on_failure: skip` to pass it over",
                self.work.plan.input, skipped.detail
            );
            return Err(Failure { reached: Some(reached), ..Failure::new(Next::Halt, words) });
        }
        if claimed.summaries.is_full() && self.work.plan.publish != Publish::Changes {
            claimed = save(claimed).await?;
        }
        let reached = claimed.summaries.folded();
        self.partitions.insert(partition, claimed);
        Ok(reached)
    }

    fn due(&self) -> Option<(i32, Instant)> {
        let due = self.partitions.iter().filter_map(|(partition, claimed)| Some((*partition, self.work.due(claimed)?)));
        due.min_by_key(|(_, due)| *due)
    }

    async fn on_time(&mut self, partition: i32) -> Result<(), Failure> {
        let Some(claimed) = self.partitions.remove(&partition) else { return Ok(()) };
        let mut claimed = self.work.go_on(partition, claimed).await?;
        let is_published = self.work.plan.publish != Publish::Changes || !claimed.summaries.is_behind();
        if claimed.summaries.is_unsaved() && is_published && claimed.saved.elapsed() >= SAVE_EVERY {
            claimed = save(claimed).await?;
        }
        self.partitions.insert(partition, claimed);
        Ok(())
    }

    fn revoked(&mut self, partition: i32) {
        self.partitions.remove(&partition);
        self.work.committed.send_if_modified(|known| known.remove(&partition).is_some());
    }

    async fn moved(&mut self) -> Vec<i32> {
        Vec::new()
    }

    async fn note_halt(&mut self, _partition: i32, _reason: Option<&str>) {}

    async fn prune(&mut self) {}

    async fn leave(&mut self) {
        for (partition, claimed) in std::mem::take(&mut self.partitions) {
            let publishes = self.work.plan.publish == Publish::Changes;
            let claimed = if publishes { self.work.publish(partition, claimed).await } else { Ok(claimed) };
            if let Ok(claimed) = claimed {
                // At worst it is read again.
                let _ = save(claimed).await;
            }
        }
    }
}

async fn save(mut claimed: Claimed) -> Result<Claimed, Trouble> {
    blocking(move || {
        claimed.summaries.save()?;
        claimed.saved = Instant::now();
        Ok(claimed)
    })
    .await
}

impl Work {
    /// When something is to be done for a partition though nothing comes.
    fn due(&self, claimed: &Claimed) -> Option<Instant> {
        let publish = self.publish_due(claimed);
        // With `publish: changes` nothing is written to the file that is not published.
        let save = claimed.summaries.is_unsaved().then(|| claimed.saved + SAVE_EVERY);
        publish.into_iter().chain(save).min()
    }

    /// When what changed is to be published, if it is.
    fn publish_due(&self, claimed: &Claimed) -> Option<Instant> {
        let Claimed { summaries, published, .. } = claimed;
        if !summaries.is_behind() {
            return None;
        }
        match self.plan.publish {
            Publish::Changes => Some(*published + PUBLISH_PAUSE),
            // Everything was read that this run is to read.
            _ if self.is_at_end(claimed) => Some(Instant::now()),
            Publish::Every(period) => Some(*published + period),
            Publish::End => None,
        }
    }

    /// Whether a run that ends has read what it is to read of the partition.
    fn is_at_end(&self, claimed: &Claimed) -> bool {
        let partition = claimed.summaries.partition();
        let end = self.ends.as_ref().map(|ends| ends.get(&partition).copied().unwrap_or(0));
        // Once: what comes later is another run's.
        end.is_some_and(|end| {
            claimed.summaries.folded() >= end && claimed.summaries.committed().is_none_or(|committed| committed < end)
        })
    }

    /// Publishes, if it is time; with `publish: changes` also when much has changed.
    async fn go_on(&self, partition: i32, claimed: Claimed) -> Result<Claimed, Trouble> {
        let is_due = self.publish_due(&claimed).is_some_and(|due| due <= Instant::now());
        let is_much = self.plan.publish == Publish::Changes && claimed.summaries.is_full();
        if is_due || is_much { self.publish(partition, claimed).await } else { Ok(claimed) }
    }

    /// Publishes what changed, step by step, and moves the position.
    async fn publish(&self, partition: i32, mut claimed: Claimed) -> Result<Claimed, Trouble> {
        while claimed.summaries.is_behind() {
            let make = move || {
                let step = claimed.summaries.next_step()?;
                Ok((claimed, step))
            };
            let (mut made, Step { records, next_offset, note, last }) = blocking(make).await?;
            made.mover.advance(&self.plan.output, records, next_offset, note.text()).await?;
            let note_it = move || {
                made.summaries.stepped(next_offset, note, last)?;
                Ok(made)
            };
            claimed = blocking(note_it).await?;
            self.tell(partition, &claimed);
        }
        claimed.published = Instant::now();
        // With `publish: changes` what is published is written to the file, and nothing else is.
        match self.plan.publish == Publish::Changes
            && (claimed.summaries.is_full() || claimed.saved.elapsed() >= SAVE_EVERY)
        {
            true => save(claimed).await,
            false => Ok(claimed),
        }
    }

    /// Lets others know how far the partition is.
    fn tell(&self, partition: i32, claimed: &Claimed) {
        if let Some(committed) = claimed.summaries.committed() {
            self.committed.send_if_modified(|known| known.insert(partition, committed) != Some(committed));
        }
    }
}
