//! Applies the batches of some partitions of a stream: claims a partition in the store, settles its batches there, and finds
//! who is to blame when connections end.
//!
//! After every failure it begins again from the position in the store, which is the one truth.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::judged::Judged;
use super::settle::{self, Broken, Care, Settled};
use super::suspicion::Suspicion;
use crate::clock;
use crate::journal::{Extent, Log};
use crate::metrics::Applied;
use crate::problem::{Problem, ProblemType};
use crate::reading::{Begin, Failure, Handler, Next};
use crate::reason::chain;
use crate::shutdown::Stop;
use crate::store::{self, Claim, ClaimRequest, Place, Store, StoreError};
use crate::stream::Stream;

/// Applies partitions.
pub struct PartitionHandler {
    pub(super) stream: Arc<Stream>,
    pub(super) journal: Arc<dyn Log>,
    pub(super) store: Arc<dyn Store>,
    pub(super) counts: Arc<Applied>,
    pub(super) claims: HashMap<i32, Claimed>,
    /// The partitions in whose batches connections ended.
    pub(super) suspicions: HashMap<i32, Suspicion>,
}

/// A partition that is this process's.
pub(super) struct Claimed {
    claim: Claim,
    since: Instant,
}

#[async_trait]
impl Handler<Judged> for PartitionHandler {
    async fn claim(&mut self, partition: i32) -> Result<Begin, Failure> {
        self.claims.remove(&partition);
        let place = self.place(partition);
        // A stream that begins at the end has a position in every partition that was there then; what comes later is read
        // from its beginning.
        let begin = self.extent(&place).await?.start;
        let owner = format!("process {}", std::process::id());
        let request = ClaimRequest { place: &place, journal: self.journal.identity(), start: begin, owner: &owner };
        let claim = self.store.claim(request).await?;
        // Only now nobody else moves the position: the journal holds what it says, unless something is lost.
        let Extent { start, end, .. } = self.extent(&place).await?;
        let stream = &self.stream.name;
        let (offset, epoch) = (claim.next_offset, claim.epoch);
        if offset > end || offset < start {
            // It says the same from claim to claim, whatever is appended meanwhile.
            let holds = if offset < start { format!("begins at {start}") } else { format!("ends at {end}") };
            let words = format!(
                "the journal's topic {} {holds}, and {stream} is to go on at {offset}: what lies between is gone; give it \
                 up with `sluicegate positions accept-loss {stream}`, or restore the journal",
                place.topic
            );
            return Err(Failure::new(Next::Halt, words));
        }
        tracing::debug!(%stream, partition, epoch, from = offset, "Claimed a partition.");
        self.claims.insert(partition, Claimed { claim, since: Instant::now() });
        Ok(Begin { offset, is_end: offset == end })
    }

    async fn handle(&mut self, partition: i32, judged: Judged, stop: &Stop) -> Result<i64, Failure> {
        let Some(Claimed { claim, since }) = self.claims.remove(&partition) else {
            return Err(Failure::new(Next::Retry, "the partition is not claimed"));
        };
        let care = self.care(partition, claim.next_offset).await?;
        match settle::apply(&*self.store, &self.counts, &claim, &judged, &care, stop).await {
            Ok(Settled { next_offset, held: None }) => {
                let claim = Claim { next_offset, ..claim };
                self.claims.insert(partition, Claimed { claim, since });
                Ok(next_offset)
            }
            Ok(Settled { next_offset, held: Some(problem) }) => {
                let words = self.holding(next_offset, partition, &problem);
                Err(Failure { reached: Some(next_offset), ..Failure::new(Next::Halt, words) })
            }
            Err(Broken { error, at }) => {
                if let StoreError::Lost(reason) = &error {
                    self.suspect(partition, at, since.elapsed(), &judged, &chain(reason));
                }
                let reached = (at > claim.next_offset).then_some(at);
                Err(Failure { reached, ..Failure::from(error) })
            }
        }
    }

    fn revoked(&mut self, partition: i32) {
        self.claims.remove(&partition);
        self.suspicions.remove(&partition);
    }

    async fn moved(&mut self) -> Vec<i32> {
        // What cannot be read now is seen when the next document comes.
        let Ok(standings) = self.store.books().positions(Some(&self.stream.name)).await else { return Vec::new() };
        let is_moved = |claim: &Claim| {
            standings.iter().any(|standing| standing.place == claim.place && standing.epoch != claim.epoch)
        };
        self.claims.iter().filter(|(_, claimed)| is_moved(&claimed.claim)).map(|(partition, _)| *partition).collect()
    }

    async fn note_halt(&mut self, partition: i32, reason: Option<&str>) {
        // Where the store itself fails, only the log and /health/ready can say it.
        let _ = self.store.books().note_halt(&self.place(partition), reason).await;
    }

    /// Removes keys and duplicates that the limits let go.
    async fn prune(&mut self) {
        let kept_ms = i64::try_from(self.stream.apply.settings.duplicates_kept.as_millis()).unwrap_or(i64::MAX);
        let before_ms = clock::now_ms().saturating_sub(kept_ms);
        let Ok(extents) = self.journal.extents(&self.stream.topic).await else { return };
        for extent in extents {
            if let Some(Claimed { claim, .. }) = self.claims.get(&extent.partition)
                && let Err(error) = self.store.books().prune(&claim.place, before_ms, extent.start).await
            {
                tracing::warn!(stream = %self.stream.name, error = chain(&error), "Old idempotency keys could not be removed.");
            }
        }
    }
}

impl PartitionHandler {
    fn place(&self, partition: i32) -> Place {
        Place { stream: self.stream.name.clone(), topic: self.stream.topic.clone(), partition }
    }

    /// What the journal holds of a partition.
    async fn extent(&self, place: &Place) -> Result<Extent, Failure> {
        let extents = self.journal.extents(&place.topic).await?;
        let found = extents.into_iter().find(|extent| extent.partition == place.partition);
        Ok(found.unwrap_or(Extent { partition: place.partition, start: 0, end: 0 }))
    }

    /// Notes that a connection ended that had lived for `held`, in a transaction that began at `at`.
    fn suspect(&mut self, partition: i32, at: i64, held: Duration, judged: &Judged, words: &str) {
        match self.suspicions.get_mut(&partition) {
            Some(suspicion) => suspicion.again(at, held, words.to_owned()),
            None => {
                let count = judged.documents.records().len();
                let first = Suspicion::first(at, judged.next_offset, count, words.to_owned());
                self.suspicions.insert(partition, first);
            }
        }
    }

    /// Why the stream holds.
    fn holding(&self, offset: i64, partition: i32, problem: &Problem) -> String {
        let (topic, stream) = (&self.stream.topic, &self.stream.name);
        format!(
            "the document {topic}-{partition}-{offset} cannot be applied, and the stream says `on_failure: stop`: \
             {problem}; mend what is wrong, or skip it with `sluicegate positions set {stream} --to {}`",
            offset + 1
        )
    }

    /// How carefully the batch at `next_offset` is to be applied. Who is blamed for lost connections is decided here.
    async fn care(&mut self, partition: i32, next_offset: i64) -> Result<Care, StoreError> {
        if self.suspicions.get(&partition).is_some_and(|suspicion| suspicion.is_over(next_offset)) {
            self.suspicions.remove(&partition);
        }
        let Some(suspicion) = self.suspicions.get_mut(&partition) else { return Ok(Care::default()) };
        let mut care = Care { records_max: Some(suspicion.records_max()), blamed: None };
        if !suspicion.was_alone(next_offset) {
            return Ok(care);
        }
        if suspicion.run.is_none() {
            suspicion.run = Some(self.store.vouch(Duration::ZERO).await?);
        }
        if let Some(held) = suspicion.blames(next_offset) {
            let run = self.store.vouch(held).await?;
            if suspicion.run.as_ref() == Some(&run) {
                let detail = format!("each time that the document was applied by itself, {}", suspicion.words);
                care.blamed = Some((next_offset, Problem::new(ProblemType::DatabaseRefused, detail)));
            } else {
                suspicion.acquit(run);
            }
        }
        Ok(care)
    }
}

/// What a failing store means for the reading.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let next = match error.next() {
            store::Next::Retry => Next::Retry,
            store::Next::Leave => Next::Leave,
            store::Next::Stop | store::Next::SetAside | store::Next::Alone => Next::Halt,
        };
        Failure::new(next, error.reason())
    }
}
