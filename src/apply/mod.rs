//! Journal to store: one transaction holds rows, position, dead letters and deduplication.
//!
//! [`Applier::run`] is the loop: it claims the partitions it is assigned, applies batch after batch, and after every
//! failure begins again from the position in the store, which is the one truth. `settle` isolates a bad document.

pub mod letters;
pub mod progress;
mod judged;
mod settle;
pub mod verify;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::judged::Ahead;
use self::progress::Progress;
use crate::clock;
use crate::journal::{Consumer, Delivery, Journal, JournalError, Retention};
use crate::shutdown::Stop;
use crate::store::{Claim, ClaimRequest, Next, Place, Store, StoreError};
use crate::stream::Stream;

/// How long a wait for records lasts at most: bounds how late a stop is seen.
const PATIENCE: Duration = Duration::from_millis(200);

/// Pauses after failures that time can heal double from the first to the second.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A partition that stands still for a person is looked at again this often: what was mended goes on by itself.
const HALT_PAUSE: Duration = Duration::from_secs(1);

/// How often an idle partition looks whether a person has moved it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often old records, keys and duplicates are removed.
const TIDY_EVERY: Duration = Duration::from_secs(15);

/// Applies the documents of one stream.
pub struct Applier {
    /// The stream.
    pub stream: Arc<Stream>,
    /// Where its documents are kept.
    pub journal: Arc<dyn Journal>,
    /// Where they go.
    pub store: Arc<dyn Store>,
    /// Where others see how far it is.
    pub progress: Arc<Progress>,
}

/// Where an assigned partition stands.
enum State {
    /// To be claimed at this time; so many attempts failed before.
    Waiting { until: Instant, attempts: u32 },
    /// Claimed; records are coming.
    Running(Claim),
}

/// The name of the consumer group that reads a stream for a store. Two stores never share one.
pub fn group_of(stream: &Stream, store: &dyn Store) -> String {
    format!("sluicegate.{}.{}", stream.name, store.identity())
}

impl Applier {
    /// Runs until it is stopped. Blocks its thread in the store's transactions.
    pub async fn run(self, stop: Stop) {
        let mut pause = PAUSE_FIRST;
        while !stop.is_set() {
            let group = group_of(&self.stream, &*self.store);
            match self.journal.subscribe(&self.stream.topic, &group, self.store.limits().batch_records_max).await {
                Ok(consumer) => {
                    pause = PAUSE_FIRST;
                    self.consume(consumer, &stop).await;
                }
                Err(error) => {
                    self.progress.halt(0, Some(error.to_string()));
                    tracing::error!(stream = %self.stream.name, %error, "The topic cannot be read; trying again.");
                }
            }
            stop.wait_for(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Reads as a member of the group until it is stopped or the journal fails.
    async fn consume(&self, mut consumer: Box<dyn Consumer>, stop: &Stop) {
        let mut partitions: HashMap<i32, State> = HashMap::new();
        let mut tidied: Option<Instant> = None;
        let mut looked = Instant::now();
        let mut ahead: Option<Ahead> = None;
        while !stop.is_set() {
            for (partition, state) in &mut partitions {
                if let State::Waiting { until, attempts } = *state
                    && until <= Instant::now()
                {
                    *state = self.claim(&mut *consumer, *partition, attempts).await;
                }
            }
            // The batch that comes now is judged while the one before is applied.
            let patience = if ahead.is_some() { Duration::ZERO } else { PATIENCE };
            let mut coming = None;
            match consumer.next(patience).await {
                Ok(Delivery::Assigned(partition)) => {
                    partitions.insert(partition, State::Waiting { until: Instant::now(), attempts: 0 });
                }
                Ok(Delivery::Lost(partition)) => {
                    tracing::info!(stream = %self.stream.name, partition, "Another process reads the partition now.");
                    partitions.remove(&partition);
                    self.progress.stand_by(partition);
                }
                Ok(Delivery::Records(batch)) => {
                    if let Some(State::Running(_)) = partitions.get(&batch.partition) {
                        coming = Some(Ahead::begin(&self.stream, batch));
                    }
                }
                Ok(Delivery::Nothing) if looked.elapsed() >= LOOK_EVERY => {
                    looked = Instant::now();
                    self.note_idle(&mut partitions).await;
                }
                Ok(Delivery::Nothing) => {}
                Err(error) => {
                    self.halt(0, &error.to_string()).await;
                    break;
                }
            }
            if let Some(before) = ahead.take() {
                let partition = before.partition();
                if let Some(State::Running(claim)) = partitions.get(&partition) {
                    let state = self.apply(&mut *consumer, claim.clone(), before).await;
                    if matches!(state, State::Waiting { .. }) {
                        // What follows is read again after the next claim.
                        consumer.pause(partition);
                        coming = coming.filter(|coming| coming.partition() != partition);
                    }
                    partitions.insert(partition, state);
                }
            }
            ahead = coming;
            if tidied.is_none_or(|tidied| tidied.elapsed() >= TIDY_EVERY) {
                tidied = Some(Instant::now());
                self.tidy(&partitions).await;
            }
        }
        consumer.leave().await;
    }

    fn place(&self, partition: i32) -> Place {
        Place { stream: self.stream.name.clone(), topic: self.stream.topic.clone(), partition }
    }

    /// Claims a partition and goes to where the store left off.
    async fn claim(&self, consumer: &mut dyn Consumer, partition: i32, attempts: u32) -> State {
        match self.try_claim(consumer, partition).await {
            Ok(claim) => {
                tracing::debug!(stream = %self.stream.name, partition, epoch = claim.epoch, from = claim.next_offset,
                    "Claimed a partition.");
                self.progress.claimed(partition, claim.next_offset);
                State::Running(claim)
            }
            Err(error) => self.wait(partition, error, attempts).await,
        }
    }

    async fn try_claim(&self, consumer: &mut dyn Consumer, partition: i32) -> Result<Claim, StoreError> {
        let place = self.place(partition);
        let extents = self.journal.extents(&place.topic).await.map_err(from_journal)?;
        let extent = extents.iter().find(|extent| extent.partition == partition);
        let (start, end) = extent.map_or((0, 0), |extent| (extent.start, extent.end));
        let owner = format!("process {}", std::process::id());
        let request = ClaimRequest { place: &place, journal: self.journal.identity(), start, owner: &owner };
        let claim = self.store.claim(request).await?;
        let stream = &self.stream.name;
        if claim.next_offset > end || claim.next_offset < start {
            let next = claim.next_offset;
            return Err(StoreError::Stop(format!(
                "the journal holds offsets {start} to {end} of topic {}, and {stream} is to go on at {next}: what lies \
                 between is gone; give it up with `sluicegate positions accept-loss {stream}`, or restore the journal",
                place.topic
            )));
        }
        consumer.seek(partition, claim.next_offset).await.map_err(from_journal)?;
        Ok(claim)
    }

    /// Applies one batch and says how the partition stands afterwards.
    async fn apply(&self, consumer: &mut dyn Consumer, claim: Claim, ahead: Ahead) -> State {
        let partition = ahead.partition();
        let Some(judged) = ahead.judged().await else {
            let error = StoreError::Later("a batch could not be judged; the log says why".into());
            return self.wait(partition, error, 0).await;
        };
        match settle::apply(&*self.store, &claim, &judged).await {
            Ok(settled) => {
                match settled.held {
                    None => self.progress.advance(partition, settled.next_offset),
                    Some(_) => self.progress.claimed(partition, settled.next_offset),
                }
                consumer.commit(partition, settled.next_offset).await;
                for (receipt, problem) in &settled.set_aside {
                    tracing::warn!(stream = %self.stream.name, %receipt, reason = problem.kind.name(),
                        "A document could not be applied and was set aside.");
                }
                match settled.held {
                    None => State::Running(Claim { next_offset: settled.next_offset, ..claim }),
                    Some(problem) => {
                        let reason = format!(
                            "the document {}-{partition}-{} cannot be applied, and the stream says `on_failure: stop`: \
                             {problem}; mend what is wrong, or skip it with `sluicegate positions set {} --to {}`",
                            self.stream.topic,
                            settled.next_offset,
                            self.stream.name,
                            settled.next_offset + 1
                        );
                        self.halt(partition, &reason).await;
                        State::Waiting { until: Instant::now() + HALT_PAUSE, attempts: 0 }
                    }
                }
            }
            Err(error) => self.wait(partition, error, 0).await,
        }
    }

    /// Decides what follows a failure that is no document's.
    async fn wait(&self, partition: i32, error: StoreError, attempts: u32) -> State {
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
            Next::Stop | Next::SetAside => {
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

    /// A claimed partition with nothing left to apply no longer stands still; and it sees when a person has moved it.
    async fn note_idle(&self, partitions: &mut HashMap<i32, State>) {
        for (partition, state) in partitions {
            let State::Running(claim) = state else { continue };
            if self.progress.halt(*partition, None) {
                // Only for people; the next claim says it again.
                let _ = self.store.books().note_halt(&claim.place, None).await;
            }
            // What cannot be read now is seen when the next document comes.
            let Ok(standings) = self.store.books().positions(Some(&self.stream.name)).await else { continue };
            if standings.iter().any(|standing| standing.place == claim.place && standing.epoch != claim.epoch) {
                *state = State::Waiting { until: Instant::now(), attempts: 0 };
            }
        }
    }

    /// Removes what the limits let go.
    async fn tidy(&self, partitions: &HashMap<i32, State>) {
        let now_ms = clock::now_ms();
        let kept_ms = i64::try_from(self.stream.duplicates_kept.as_millis()).unwrap_or(i64::MAX);
        let Ok(extents) = self.journal.extents(&self.stream.topic).await else { return };
        for extent in extents {
            if let Some(State::Running(_)) = partitions.get(&extent.partition) {
                let place = self.place(extent.partition);
                let before_ms = now_ms.saturating_sub(kept_ms);
                if let Err(error) = self.store.books().prune(&place, before_ms, extent.start).await {
                    tracing::warn!(stream = %self.stream.name, %error, "Old idempotency keys could not be removed.");
                }
            }
        }
        let limits = Retention { age: self.stream.retention_age, bytes_max: self.stream.retention_bytes };
        if let Err(error) = self.journal.retain(&self.stream.topic, limits, true).await {
            tracing::warn!(stream = %self.stream.name, %error, "Old records could not be removed.");
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
