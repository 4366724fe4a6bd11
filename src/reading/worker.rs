//! Has the batches of some partitions handled.
//!
//! It takes orders from the reader and reports back; it never touches the journal's consumer itself. After every failure
//! the partition is claimed again, and begins where the handler says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::ahead::Ahead;
use super::progress::Progress;
use super::{Begin, Failure, Handler, Next, Title};
use crate::journal::JournalError;
use crate::reason::chain;
use crate::shutdown::Stop;

/// Pauses after failures that time can heal double from the first to the second, which bounds how late a server that is
/// back is noticed.
pub(super) const PAUSE_FIRST: Duration = Duration::from_millis(50);
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A partition that stands still for a person is looked at again this often: what was mended goes on by itself.
const HALT_PAUSE: Duration = Duration::from_secs(1);

/// How often an idle partition looks whether a person has moved it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often what is too old to be remembered is removed.
const PRUNE_EVERY: Duration = Duration::from_secs(15);

/// After so many failures in a row that time may heal, a partition is said to stand still.
const ATTEMPTS_QUIET: u32 = 3;

/// What the reader asks for.
pub(super) enum Order<Ready> {
    /// The partition is this process's: claim it.
    Assigned(i32),
    /// It is another's.
    Revoked(i32),
    /// The next batch of a partition, read since the seek of that number.
    Batch { partition: i32, seek: u64, ahead: Ahead<Ready> },
}

/// What a worker tells the reader.
pub(super) enum Report {
    /// Read the partition from `offset`, and say whether that can be.
    Seek { partition: i32, offset: i64, seek: u64, answer: oneshot::Sender<Result<(), JournalError>> },
    /// Deliver nothing more of the partition until the next seek.
    Suspend(i32),
    /// A batch is done with, and everything before `next_offset`, if it got there.
    Done { partition: i32, next_offset: Option<i64> },
}

pub(super) struct Worker<Ready, H> {
    title: Title,
    handler: H,
    progress: Arc<Progress>,
    orders: mpsc::UnboundedReceiver<Order<Ready>>,
    reports: mpsc::UnboundedSender<Report>,
    partitions: HashMap<i32, State>,
    /// Numbers the seeks, so that batches from before one are known.
    seeks: u64,
}

/// Where an assigned partition stands.
#[derive(Clone, Copy)]
enum State {
    /// To be claimed at this time; so many attempts failed before.
    Waiting { until: Instant, attempts: u32 },
    /// Claimed at this time; records are coming since the seek of that number. So many attempts failed before.
    Running { seek: u64, since: Instant, attempts: u32 },
}

impl<Ready: Send + 'static, H: Handler<Ready>> Worker<Ready, H> {
    pub(super) fn new(
        title: Title,
        handler: H,
        progress: Arc<Progress>,
        orders: mpsc::UnboundedReceiver<Order<Ready>>,
        reports: mpsc::UnboundedSender<Report>,
    ) -> Self {
        Worker { title, handler, progress, orders, reports, partitions: HashMap::new(), seeks: 0 }
    }

    /// Runs until it is stopped, or the reader is gone. A batch that was begun is finished.
    pub(super) async fn run(mut self, stop: Stop) {
        let mut looked = Instant::now();
        let mut pruned: Option<Instant> = None;
        while !stop.is_set() {
            self.claim_due().await;
            match tokio::time::timeout(self.until_due(), self.orders.recv()).await {
                Ok(None) => break,
                Ok(Some(order)) => self.handle(order, &stop).await,
                Err(_) => {}
            }
            self.on_time().await;
            // Also while other partitions keep this worker busy.
            if looked.elapsed() >= LOOK_EVERY {
                looked = Instant::now();
                self.look_around().await;
            }
            if !self.partitions.is_empty() && pruned.is_none_or(|pruned| pruned.elapsed() >= PRUNE_EVERY) {
                pruned = Some(Instant::now());
                self.handler.prune().await;
            }
        }
        self.handler.leave().await;
    }

    async fn handle(&mut self, order: Order<Ready>, stop: &Stop) {
        match order {
            Order::Assigned(partition) => {
                self.partitions.insert(partition, State::Waiting { until: Instant::now(), attempts: 0 });
            }
            Order::Revoked(partition) => {
                tracing::info!(stream = self.title.stream, partition, "Another process reads the partition now.");
                self.partitions.remove(&partition);
                self.handler.revoked(partition);
                self.progress.stand_by(partition);
            }
            Order::Batch { partition, seek, ahead } => {
                let mut next_offset = None;
                if let Some(State::Running { seek: current, since, attempts }) =
                    self.partitions.get(&partition).copied()
                    && current == seek
                {
                    let end = ahead.end;
                    let state = match self.batch(partition, ahead, stop).await {
                        Ok(reached) => {
                            self.progress.advance(partition, reached);
                            next_offset = Some(reached);
                            if reached < end {
                                // The rest is read again.
                                self.report(Report::Suspend(partition));
                                State::Waiting { until: Instant::now(), attempts: 0 }
                            } else {
                                State::Running { seek, since, attempts: 0 }
                            }
                        }
                        Err(failure) => {
                            // What follows is read again after the next claim.
                            self.report(Report::Suspend(partition));
                            self.wait(partition, failure, attempts).await
                        }
                    };
                    self.partitions.insert(partition, state);
                }
                self.report(Report::Done { partition, next_offset });
            }
        }
    }

    async fn batch(&mut self, partition: i32, ahead: Ahead<Ready>, stop: &Stop) -> Result<i64, Failure> {
        let ready = ahead.ready().await;
        let ready = ready.ok_or_else(|| Failure::new(Next::Retry, "a batch could not be judged; the log says why"))?;
        self.handler.handle(partition, ready, stop).await
    }

    /// Has the handler do what is due, whatever else comes.
    async fn on_time(&mut self) {
        let Some((partition, _)) = self.handler.due().filter(|(_, due)| *due <= Instant::now()) else { return };
        let Some(State::Running { attempts, .. }) = self.partitions.get(&partition).copied() else { return };
        if let Err(failure) = self.handler.on_time(partition).await {
            self.report(Report::Suspend(partition));
            let state = self.wait(partition, failure, attempts).await;
            self.partitions.insert(partition, state);
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
        let handlers = self.handler.due().map(|(_, due)| due.saturating_duration_since(Instant::now()));
        due.chain(handlers).min().unwrap_or(LOOK_EVERY).min(LOOK_EVERY)
    }

    /// Claims the partitions whose pause is over, and goes to where they begin.
    async fn claim_due(&mut self) {
        let now = Instant::now();
        let due = |(partition, state): (&i32, &State)| match state {
            State::Waiting { until, attempts } if *until <= now => Some((*partition, *attempts)),
            _ => None,
        };
        let due: Vec<_> = self.partitions.iter().filter_map(due).collect();
        for (partition, attempts) in due {
            self.seeks += 1;
            let seek = self.seeks;
            let state = match self.try_claim(partition, seek).await {
                Ok(Begin { offset, is_end }) => {
                    self.progress.claimed(partition, offset, is_end);
                    State::Running { seek, since: Instant::now(), attempts }
                }
                Err(failure) => self.wait(partition, failure, attempts).await,
            };
            self.partitions.insert(partition, state);
        }
    }

    async fn try_claim(&mut self, partition: i32, seek: u64) -> Result<Begin, Failure> {
        let begin = self.handler.claim(partition).await?;
        let (answer, answered) = oneshot::channel();
        self.report(Report::Seek { partition, offset: begin.offset, seek, answer });
        match answered.await {
            Ok(sought) => sought.map_err(Failure::from)?,
            Err(_) => return Err(Failure::new(Next::Retry, "the reader of the topic has ended")),
        }
        Ok(begin)
    }

    /// Decides what follows a failure.
    async fn wait(&mut self, partition: i32, failure: Failure, attempts: u32) -> State {
        let Failure { next, reason, reached } = failure;
        let attempts = match reached {
            Some(reached) => {
                self.progress.claimed(partition, reached, false);
                0
            }
            None => attempts,
        };
        let words = reason.words();
        self.progress.failed(partition, words.to_owned());
        let Title { what, stream } = &self.title;
        let pause = match next {
            Next::Retry => {
                if attempts == ATTEMPTS_QUIET {
                    tracing::warn!(stream, partition, error = chain(&reason), "{what} waits and tries again.");
                }
                if attempts >= ATTEMPTS_QUIET {
                    self.progress.halt(partition, Some(words.to_owned()));
                }
                (PAUSE_FIRST * 2u32.saturating_pow(attempts.min(10))).min(PAUSE_MAX)
            }
            Next::Leave => HALT_PAUSE,
            Next::Halt => {
                // Said once.
                if self.progress.halt(partition, Some(words.to_owned())) {
                    tracing::error!(stream, partition, error = chain(&reason), "{what} stands still.");
                    self.handler.note_halt(partition, Some(words)).await;
                }
                HALT_PAUSE
            }
        };
        State::Waiting { until: Instant::now() + pause, attempts: attempts + 1 }
    }

    /// A partition that has been claimed for a while no longer stands still; and it sees when a person has moved it.
    async fn look_around(&mut self) {
        let moved = self.handler.moved().await;
        for (partition, state) in &mut self.partitions {
            let State::Running { since, .. } = state else { continue };
            if since.elapsed() >= LOOK_EVERY && self.progress.halt(*partition, None) {
                // Only for people; the next claim says it again.
                self.handler.note_halt(*partition, None).await;
            }
            if moved.contains(partition) {
                *state = State::Waiting { until: Instant::now(), attempts: 0 };
            }
        }
    }
}

/// What a failing journal means.
impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Later(reason) => Failure::new(Next::Retry, reason),
            JournalError::Stop(reason) => Failure::new(Next::Halt, reason),
        }
    }
}
