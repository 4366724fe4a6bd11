//! The workers of a reader, and what the reader knows about their partitions.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use super::ahead::Ahead;
use super::progress::{Pending, Progress};
use super::worker::{Order, Report, Worker};
use super::{Handling, Title};
use crate::journal::{Batch, Consumer, Delivery, JournalError};
use crate::panics;
use crate::shutdown::Stop;

/// One batch of a partition is handled while the next is made ready: more of them would only take memory.
const BATCHES_MAX: usize = 2;

pub(super) struct Pool<H: Handling> {
    title: Title,
    handling: Arc<H>,
    orders: Vec<mpsc::UnboundedSender<Order<H::Ready>>>,
    workers: JoinSet<()>,
    partitions: HashMap<i32, Flow>,
    progress: Arc<Progress>,
}

/// How the batches of a partition flow.
#[derive(Default)]
struct Flow {
    /// The number of the last seek.
    seek: u64,
    /// How many batches are with the worker.
    batches: usize,
}

impl<H: Handling> Pool<H> {
    /// Starts so many workers, each a task.
    pub(super) fn start(
        title: &Title,
        handling: &Arc<H>,
        workers: usize,
        progress: &Arc<Progress>,
        stop: &Stop,
    ) -> (Self, mpsc::UnboundedReceiver<Report>) {
        let (reports, reported) = mpsc::unbounded_channel();
        let mut pool = Pool {
            title: title.clone(),
            handling: Arc::clone(handling),
            orders: Vec::new(),
            workers: JoinSet::new(),
            partitions: HashMap::new(),
            progress: Arc::clone(progress),
        };
        for _ in 0..workers.max(1) {
            let (orders, ordered) = mpsc::unbounded_channel();
            let progress = Arc::clone(progress);
            let (title, reports) = (title.clone(), reports.clone());
            let worker = Worker::new(title, handling.handler(), progress, ordered, reports);
            pool.workers.spawn(worker.run(stop.clone()));
            pool.orders.push(orders);
        }
        (pool, reported)
    }

    /// Waits until a worker has ended before its time.
    pub(super) async fn ended(&mut self) -> Option<Result<(), JournalError>> {
        let ended = self.workers.join_next().await?;
        Some(self.judge(ended))
    }

    /// What a worker's end means for the reader: after a panic it begins again, from where the outside says.
    fn judge(&self, ended: Result<(), JoinError>) -> Result<(), JournalError> {
        let Err(error) = ended else { return Ok(()) };
        let what = self.title.what.to_lowercase();
        let words = match error.try_into_panic() {
            Ok(panic) => panics::words(&*panic),
            Err(error) => error.to_string(),
        };
        Err(JournalError::later(format!("{what} panicked, by a fault of Sluicegate: {words}")))
    }

    /// Hands a delivery to the partition's worker.
    pub(super) fn dispatch(&mut self, delivery: Delivery, consumer: &mut dyn Consumer) -> Result<(), JournalError> {
        let (partition, order) = match delivery {
            Delivery::Assigned(partition) => {
                self.progress.pending(partition, Pending::Claim);
                (partition, Order::Assigned(partition))
            }
            Delivery::Lost(partition) => (partition, Order::Revoked(partition)),
            Delivery::Records(batch) => (batch.partition, self.prepare(batch, consumer)),
            Delivery::Nothing => return Ok(()),
        };
        // Each partition stays with one worker. The modulus fits: there are few workers.
        let worker = partition.unsigned_abs() as usize % self.orders.len();
        let gone = |_| JournalError::later("a worker has ended, by a fault of Sluicegate");
        self.orders[worker].send(order).map_err(gone)
    }

    /// Begins to make a batch ready, and pauses the partition when that is enough for now.
    fn prepare(&mut self, batch: Batch, consumer: &mut dyn Consumer) -> Order<H::Ready> {
        let partition = batch.partition;
        let flow = self.partitions.entry(partition).or_default();
        flow.batches += 1;
        self.progress.pending(partition, Pending::Batch);
        if flow.batches >= BATCHES_MAX {
            consumer.pause(partition);
        }
        Order::Batch { partition, seek: flow.seek, ahead: Ahead::begin(&self.handling, batch) }
    }

    /// Does with the consumer what a worker asks for.
    pub(super) async fn answer(&mut self, report: Report, consumer: &mut dyn Consumer) {
        match report {
            Report::Seek { partition, offset, seek, answer } => {
                let sought = consumer.seek(partition, offset).await;
                self.partitions.entry(partition).or_default().seek = seek;
                // A worker that no longer waits has ended.
                let _ = answer.send(sought);
            }
            Report::Suspend(partition) => consumer.suspend(partition),
            Report::Done { partition, next_offset } => {
                let flow = self.partitions.entry(partition).or_default();
                flow.batches = flow.batches.saturating_sub(1);
                consumer.resume(partition);
                if let Some(next_offset) = next_offset {
                    match flow.batches {
                        // The worker may have been faster than its report.
                        0 => self.progress.idle(partition),
                        _ => self.progress.pending(partition, Pending::Batch),
                    }
                    if self.handling.is_noted() {
                        consumer.commit(partition, next_offset).await;
                    }
                }
            }
        }
    }

    /// Answers what the workers still ask for, until they have finished their batches.
    pub(super) async fn finish(
        &mut self,
        reports: &mut mpsc::UnboundedReceiver<Report>,
        consumer: &mut dyn Consumer,
    ) -> Result<(), JournalError> {
        self.orders.clear();
        while let Some(report) = reports.recv().await {
            if let Report::Done { partition, next_offset: Some(next_offset) } = report
                && self.handling.is_noted()
            {
                consumer.commit(partition, next_offset).await;
            }
        }
        let mut finished = Ok(());
        while let Some(ended) = self.workers.join_next().await {
            finished = finished.and(self.judge(ended));
        }
        finished
    }
}
