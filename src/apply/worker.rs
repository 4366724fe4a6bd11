//! Applies the batches of some partitions of a stream, on a thread of its own, since a store may block it.
//!
//! It takes orders from the reader and reports back; it never touches the journal's consumer itself. After every failure
//! it begins again from the position in the store, which is the one truth.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::judged::Ahead;
use super::progress::Progress;
use super::settle::{self, Broken, Care, Settled};
use super::suspicion::Suspicion;
use crate::clock;
use crate::journal::{Extent, JournalError, Log};
use crate::metrics::Applied;
use crate::problem::{Problem, ProblemType};
use crate::shutdown::Stop;
use crate::store::{Claim, ClaimRequest, Next, Place, Store, StoreError};
use crate::stream::Stream;

/// Pauses after failures that time can heal double from the first to the second, which bounds how late a server that is
/// back is noticed.
pub(super) const PAUSE_FIRST: Duration = Duration::from_millis(50);
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A partition that stands still for a person is looked at again this often: what was mended goes on by itself.
const HALT_PAUSE: Duration = Duration::from_secs(1);

/// How often an idle partition looks whether a person has moved it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often old keys and duplicates are removed.
const PRUNE_EVERY: Duration = Duration::from_secs(15);

/// What the reader asks for.
pub(super) enum Order {
    /// The partition is this process's: claim it.
    Assigned(i32),
    /// It is another's.
    Lost(i32),
    /// The next batch of a partition, read since the seek of that number.
    Batch { seek: u64, ahead: Ahead },
}

/// What a worker tells the reader.
pub(super) enum Report {
    /// Read the partition from `offset`, and say whether that can be.
    Seek { partition: i32, offset: i64, seek: u64, answer: oneshot::Sender<Result<(), JournalError>> },
    /// Deliver nothing more of the partition until the next seek.
    Pause(i32),
    /// A batch is done with, and everything before `next_offset` is in the store, if it got there.
    Done { partition: i32, next_offset: Option<i64> },
    /// The worker has panicked, with these words.
    Panicked(String),
}

/// Applies the partitions that it is ordered to.
pub(super) struct Worker {
    pub(super) stream: Arc<Stream>,
    pub(super) journal: Arc<dyn Log>,
    pub(super) store: Arc<dyn Store>,
    pub(super) progress: Arc<Progress>,
    pub(super) counts: Arc<Applied>,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    pub(super) reports: mpsc::UnboundedSender<Report>,
    pub(super) partitions: HashMap<i32, State>,
    /// The partitions in whose batches connections ended.
    pub(super) suspicions: HashMap<i32, Suspicion>,
    /// Numbers the seeks, so that batches from before one are known.
    pub(super) seeks: u64,
}

/// Where an assigned partition stands.
pub(super) enum State {
    /// To be claimed at this time; so many attempts failed before.
    Waiting { until: Instant, attempts: u32 },
    /// Claimed at this time; records are coming since the seek of that number. So many attempts failed before.
    Running { claim: Claim, seek: u64, since: Instant, attempts: u32 },
}

impl Worker {
    /// Runs until it is stopped, or the reader is gone. A batch that was begun is finished.
    pub(super) async fn run(mut self, stop: Stop) {
        let mut looked = Instant::now();
        let mut pruned: Option<Instant> = None;
        while !stop.is_set() {
            self.claim_due().await;
            match tokio::time::timeout(self.until_due(), self.orders.recv()).await {
                Ok(None) => return,
                Ok(Some(order)) => self.obey(order, &stop).await,
                Err(_) => {}
            }
            // Also while other partitions keep this worker busy.
            if looked.elapsed() >= LOOK_EVERY {
                looked = Instant::now();
                self.look_around().await;
            }
            if pruned.is_none_or(|pruned| pruned.elapsed() >= PRUNE_EVERY) {
                pruned = Some(Instant::now());
                self.prune().await;
            }
        }
    }

    async fn obey(&mut self, order: Order, stop: &Stop) {
        match order {
            Order::Assigned(partition) => {
                self.partitions.insert(partition, State::Waiting { until: Instant::now(), attempts: 0 });
            }
            Order::Lost(partition) => {
                tracing::info!(stream = %self.stream.name, partition, "Another process reads the partition now.");
                self.partitions.remove(&partition);
                self.suspicions.remove(&partition);
                self.progress.stand_by(partition);
            }
            Order::Batch { seek, ahead } => {
                let partition = ahead.partition();
                let mut next_offset = None;
                if let Some(State::Running { claim, seek: current, since, attempts }) = self.partitions.get(&partition)
                    && *current == seek
                {
                    let (claim, since, attempts) = (claim.clone(), *since, *attempts);
                    let state = match self.apply(claim, since, attempts, ahead, stop).await {
                        Ok(claim) => State::Running { claim, seek, since, attempts: 0 },
                        Err(waiting) => waiting,
                    };
                    match &state {
                        State::Running { claim, .. } => next_offset = Some(claim.next_offset),
                        // What follows is read again after the next claim.
                        State::Waiting { .. } => self.report(Report::Pause(partition)),
                    }
                    self.partitions.insert(partition, state);
                }
                self.report(Report::Done { partition, next_offset });
            }
        }
    }

    /// A reader that is gone needs no report.
    fn report(&self, report: Report) {
        let _ = self.reports.send(report);
    }

    fn until_due(&self) -> Duration {
        let due = self.partitions.values().filter_map(|state| match state {
            State::Waiting { until, .. } => Some(until.saturating_duration_since(Instant::now())),
            State::Running { .. } => None,
        });
        due.min().unwrap_or(LOOK_EVERY).min(LOOK_EVERY)
    }

    fn place(&self, partition: i32) -> Place {
        Place { stream: self.stream.name.clone(), topic: self.stream.topic.clone(), partition }
    }

    /// Claims the partitions whose pause is over, and goes to where the store left off.
    async fn claim_due(&mut self) {
        let now = Instant::now();
        let is_due = |state: &State| matches!(state, State::Waiting { until, .. } if *until <= now);
        let due: Vec<_> = self.partitions.iter().filter(|(_, state)| is_due(state)).map(|(it, _)| *it).collect();
        for partition in due {
            let Some(State::Waiting { attempts, .. }) = self.partitions.get(&partition) else { continue };
            let attempts = *attempts;
            self.seeks += 1;
            let seek = self.seeks;
            let state = match self.try_claim(partition, seek).await {
                Ok((claim, is_end)) => {
                    tracing::debug!(stream = %self.stream.name, partition, epoch = claim.epoch,
                        from = claim.next_offset, "Claimed a partition.");
                    self.progress.claimed(partition, claim.next_offset, is_end);
                    State::Running { claim, seek, since: Instant::now(), attempts }
                }
                Err(error) => self.wait(partition, error, attempts).await,
            };
            self.partitions.insert(partition, state);
        }
    }

    /// What the journal holds of a partition.
    async fn extent(&self, place: &Place) -> Result<Extent, StoreError> {
        let extents = self.journal.extents(&place.topic).await.map_err(from_journal)?;
        let found = extents.into_iter().find(|extent| extent.partition == place.partition);
        Ok(found.unwrap_or(Extent { partition: place.partition, start: 0, end: 0 }))
    }

    /// Claims a partition; also gives whether nothing is left to be applied.
    async fn try_claim(&self, partition: i32, seek: u64) -> Result<(Claim, bool), StoreError> {
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
        if claim.next_offset > end || claim.next_offset < start {
            let next = claim.next_offset;
            // It says the same from claim to claim, whatever is appended meanwhile.
            let holds = if next < start { format!("begins at {start}") } else { format!("ends at {end}") };
            return Err(StoreError::Stop(format!(
                "the journal's topic {} {holds}, and {stream} is to go on at {next}: what lies between is gone; give it \
                 up with `sluicegate positions accept-loss {stream}`, or restore the journal",
                place.topic
            )));
        }
        let (answer, answered) = oneshot::channel();
        self.report(Report::Seek { partition, offset: claim.next_offset, seek, answer });
        match answered.await {
            Ok(sought) => sought.map_err(from_journal)?,
            Err(_) => return Err(StoreError::Later("the reader of the topic has ended".into())),
        }
        let is_end = claim.next_offset == end;
        Ok((claim, is_end))
    }

    /// Applies one batch, and gives the claim as it is afterwards, or what the partition waits for.
    async fn apply(
        &mut self,
        claim: Claim,
        since: Instant,
        attempts: u32,
        ahead: Ahead,
        stop: &Stop,
    ) -> Result<Claim, State> {
        let partition = ahead.partition();
        let Some(judged) = ahead.judged().await else {
            let error = StoreError::Later("a batch could not be judged; the log says why".into());
            return Err(self.wait(partition, error, attempts).await);
        };
        let care = match self.care(partition, claim.next_offset).await {
            Ok(care) => care,
            Err(error) => return Err(self.wait(partition, error, attempts).await),
        };
        match settle::apply(&*self.store, &self.counts, &claim, &judged, &care, stop).await {
            Ok(Settled { next_offset, held: None }) => {
                self.progress.advance(partition, next_offset);
                Ok(Claim { next_offset, ..claim })
            }
            Ok(Settled { next_offset, held: Some(problem) }) => {
                self.progress.claimed(partition, next_offset, false);
                self.halt(partition, &self.holding(next_offset, partition, &problem)).await;
                Err(State::Waiting { until: Instant::now() + HALT_PAUSE, attempts: 0 })
            }
            Err(Broken { error, at }) => {
                let attempts = if at > claim.next_offset { 0 } else { attempts };
                if let StoreError::Lost(words) = &error {
                    let known = self.suspicions.get_mut(&partition);
                    match known {
                        Some(suspicion) => suspicion.again(at, since.elapsed(), words.clone()),
                        None => {
                            let first = Suspicion::first(
                                at,
                                judged.next_offset,
                                judged.documents.records().len(),
                                words.clone(),
                            );
                            self.suspicions.insert(partition, first);
                        }
                    }
                }
                Err(self.wait(partition, error, attempts).await)
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

    /// Decides what follows a failure that is no document's.
    async fn wait(&self, partition: i32, error: StoreError, attempts: u32) -> State {
        self.progress.failed(partition, error.to_string());
        let pause = match error.next() {
            Next::Retry => {
                if attempts == 3 {
                    tracing::warn!(stream = %self.stream.name, partition, %error, "Apply waits and tries again.");
                }
                if attempts >= 3 {
                    self.progress.halt(partition, Some(error.to_string()));
                }
                (PAUSE_FIRST * 2u32.saturating_pow(attempts.min(10))).min(PAUSE_MAX)
            }
            Next::Leave => HALT_PAUSE,
            Next::Stop | Next::SetAside | Next::Alone => {
                self.halt(partition, &error.to_string()).await;
                HALT_PAUSE
            }
        };
        State::Waiting { until: Instant::now() + pause, attempts: attempts + 1 }
    }

    /// Says, once, that a partition stands still.
    async fn halt(&self, partition: i32, reason: &str) {
        if self.progress.halt(partition, Some(reason.into())) {
            tracing::error!(stream = %self.stream.name, partition, reason, "Apply stands still.");
            // Where the store itself fails, only the log and /health/ready can say it.
            let _ = self.store.books().note_halt(&self.place(partition), Some(reason)).await;
        }
    }

    /// A partition that has been claimed for a while no longer stands still; and it sees when a person has moved it.
    async fn look_around(&mut self) {
        // What cannot be read now is seen when the next document comes.
        let Ok(standings) = self.store.books().positions(Some(&self.stream.name)).await else { return };
        for (partition, state) in &mut self.partitions {
            let State::Running { claim, since, .. } = state else { continue };
            if since.elapsed() >= LOOK_EVERY && self.progress.halt(*partition, None) {
                // Only for people; the next claim says it again.
                let _ = self.store.books().note_halt(&claim.place, None).await;
            }
            if standings.iter().any(|standing| standing.place == claim.place && standing.epoch != claim.epoch) {
                *state = State::Waiting { until: Instant::now(), attempts: 0 };
            }
        }
    }

    /// Removes keys and duplicates that the limits let go.
    async fn prune(&self) {
        if self.partitions.is_empty() {
            return;
        }
        let kept_ms = i64::try_from(self.stream.duplicates_kept.as_millis()).unwrap_or(i64::MAX);
        let before_ms = clock::now_ms().saturating_sub(kept_ms);
        let Ok(extents) = self.journal.extents(&self.stream.topic).await else { return };
        for extent in extents {
            if let Some(State::Running { claim, .. }) = self.partitions.get(&extent.partition)
                && let Err(error) = self.store.books().prune(&claim.place, before_ms, extent.start).await
            {
                tracing::warn!(stream = %self.stream.name, %error, "Old idempotency keys could not be removed.");
            }
        }
    }
}

/// What a failing journal means for apply.
fn from_journal(error: JournalError) -> StoreError {
    match error {
        JournalError::Later(reason) => StoreError::Later(reason),
        JournalError::Stop(reason) => StoreError::Stop(reason),
    }
}
