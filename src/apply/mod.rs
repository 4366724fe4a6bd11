//! Journal to store: one transaction holds rows, position, dead letters and deduplication.
//!
//! [`Applier::run`] reads a stream's topic as a member of its group and hands each partition's batches to a `worker`, which
//! claims the partition and applies them; partitions of different workers go on side by side. `settle` isolates a bad
//! document.

pub mod letters;
pub mod progress;
mod judged;
mod settle;
mod suspicion;
mod worker;
pub mod verify;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use self::judged::Ahead;
use self::progress::{Pending, Progress};
use self::worker::{Order, PAUSE_FIRST, PAUSE_MAX, Report, Worker};
use crate::journal::{Batch, Consumer, Delivery, Extent, JournalError, Log, Retention, RetentionLimits};
use crate::metrics::Applied;
use crate::panics;
use crate::shutdown::Stop;
use crate::store::{Place, Store};
use crate::stream::{Stream, Where};

/// How long a wait for records lasts at most: bounds how late a stop is seen.
const PATIENCE: Duration = Duration::from_millis(200);

/// How often old records are removed.
const TIDY_EVERY: Duration = Duration::from_secs(15);

/// One batch of a partition is applied while the next is judged: more of them would only take memory.
const BATCHES_MAX: usize = 2;

/// Applies the documents of one stream.
#[derive(Clone)]
pub struct Applier {
    /// The stream.
    pub stream: Arc<Stream>,
    /// Where its documents are kept.
    pub journal: Arc<dyn Log>,
    /// What removes their old records there, if that is ours to do.
    pub retention: Option<Arc<dyn Retention>>,
    /// Where they go.
    pub store: Arc<dyn Store>,
    /// Where others see how far it is.
    pub progress: Arc<Progress>,
    /// What counts them.
    pub counts: Arc<Applied>,
}

/// The name of the consumer group that reads a stream for a store. Two stores never share one.
pub fn group_of(stream: &Stream, store: &dyn Store) -> String {
    format!("sluicegate.{}.{}", stream.name, store.identity())
}

impl Applier {
    /// Runs until it is stopped.
    pub async fn run(self, stop: Stop) {
        let mut pause = PAUSE_FIRST;
        let group = group_of(&self.stream, &*self.store);
        while !stop.is_set() {
            let begun = Instant::now();
            match self.read(&group, &stop).await {
                Ok(()) => break,
                Err(error) => self.say_unreadable(&error),
            }
            if begun.elapsed() > PAUSE_MAX {
                // It went well for a while.
                pause = PAUSE_FIRST;
            }
            stop.wait_for(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn read(&self, group: &str, stop: &Stop) -> Result<(), JournalError> {
        self.begin().await?;
        let records_max = self.store.limits().batch_records_max;
        let consumer = self.journal.subscribe(&self.stream.topic, group, records_max).await?;
        self.consume(consumer, stop).await
    }

    /// Notes where the stream begins, if that is where its topic ends now.
    async fn begin(&self) -> Result<(), JournalError> {
        let Stream { name, topic, from: Where::End, .. } = &*self.stream else { return Ok(()) };
        let mut extents = self.journal.extents(topic).await?;
        if extents.is_empty() {
            // There is no such topic yet, and everything in it will be new. It has a partition with this number.
            extents.push(Extent { partition: 0, start: 0, end: 0 });
        }
        let place = |partition| Place { stream: name.clone(), topic: topic.clone(), partition };
        let places: Vec<_> = extents.iter().map(|extent| (place(extent.partition), extent.end)).collect();
        let noted = self.store.books().begin(self.journal.identity(), &places).await;
        noted.map_err(|error| JournalError::Later(format!("where the stream begins cannot be noted: {error}")))
    }

    fn say_unreadable(&self, error: &JournalError) {
        if self.progress.cut_off(error.to_string()) {
            tracing::error!(stream = %self.stream.name, %error, "The topic cannot be read: apply stands still, and tries again.");
        }
    }

    /// Reads as a member of the group until it is stopped or the journal fails.
    async fn consume(&self, mut consumer: Box<dyn Consumer>, stop: &Stop) -> Result<(), JournalError> {
        let (mut crew, mut reports) = match self.hire(stop) {
            Ok(hired) => hired,
            Err(error) => return Err(JournalError::Later(format!("no thread can be started: {error}"))),
        };
        let mut tidied: Option<Instant> = None;
        let mut read = Ok(());
        while !stop.is_set() && read.is_ok() {
            tokio::select! {
                biased;
                Some(report) = reports.recv() => read = crew.heed(report, &mut *consumer).await,
                delivery = consumer.next(PATIENCE) => match delivery {
                    Ok(delivery) => {
                        self.progress.readable();
                        read = crew.give(delivery, &self.stream, &mut *consumer);
                    }
                    Err(error) => read = Err(error),
                },
            }
            if tidied.is_none_or(|tidied| tidied.elapsed() >= TIDY_EVERY) {
                tidied = Some(Instant::now());
                self.tidy().await;
            }
        }
        // Answers what the workers still ask for, until they have finished their batches.
        drop(crew.orders);
        while let Some(report) = reports.recv().await {
            match report {
                Report::Done { partition, next_offset: Some(next_offset) } => {
                    consumer.commit(partition, next_offset).await;
                }
                Report::Panicked(words) if read.is_ok() => read = Err(panicked(&words)),
                _ => {}
            }
        }
        for thread in crew.threads {
            // Each catches its own panic, and has reported it.
            let _ = thread.join();
        }
        consumer.leave().await;
        self.progress.stand_by_all();
        read
    }

    /// Starts the workers.
    fn hire(&self, stop: &Stop) -> std::io::Result<(Crew, mpsc::UnboundedReceiver<Report>)> {
        let (reports, reported) = mpsc::unbounded_channel();
        let progress = Arc::clone(&self.progress);
        let mut crew = Crew { orders: Vec::new(), threads: Vec::new(), partitions: HashMap::new(), progress };
        for number in 0..self.store.limits().writers_max.max(1) {
            let (orders, ordered) = mpsc::unbounded_channel();
            let worker = Worker {
                stream: Arc::clone(&self.stream),
                journal: Arc::clone(&self.journal),
                store: Arc::clone(&self.store),
                progress: Arc::clone(&self.progress),
                counts: Arc::clone(&self.counts),
                orders: ordered,
                reports: reports.clone(),
                partitions: HashMap::new(),
                suspicions: HashMap::new(),
                seeks: 0,
            };
            let (runtime, stop, reports) = (tokio::runtime::Handle::current(), stop.clone(), reports.clone());
            let work = move || {
                let worked = catch_unwind(AssertUnwindSafe(|| runtime.block_on(worker.run(stop))));
                if let Err(panic) = worked {
                    // A reader that is gone ends by itself.
                    let _ = reports.send(Report::Panicked(panics::words(&*panic)));
                }
            };
            let thread = std::thread::Builder::new().name(format!("apply-{}-{number}", self.stream.name));
            crew.threads.push(thread.spawn(work)?);
            crew.orders.push(orders);
        }
        Ok((crew, reported))
    }

    /// Removes what the limits let go.
    async fn tidy(&self) {
        let Some(retention) = self.retention.as_ref().filter(|_| !self.stream.is_foreign) else { return };
        let limits = RetentionLimits { age: self.stream.retention_age, bytes_max: self.stream.retention_bytes };
        if let Err(error) = retention.retain(&self.stream.topic, limits, true).await {
            tracing::warn!(stream = %self.stream.name, %error, "Old records could not be removed.");
        }
    }
}

/// The workers of a stream, and what the reader knows about their partitions.
struct Crew {
    orders: Vec<mpsc::UnboundedSender<Order>>,
    threads: Vec<JoinHandle<()>>,
    partitions: HashMap<i32, Flow>,
    progress: Arc<Progress>,
}

/// What a worker's panic means for the reader: it begins again, from where the store is.
fn panicked(words: &str) -> JournalError {
    JournalError::Later(format!("apply panicked, by a fault of Sluicegate: {words}"))
}

/// How the batches of a partition flow.
#[derive(Default)]
struct Flow {
    /// The number of the last seek.
    seek: u64,
    /// How many batches are with the worker.
    batches: usize,
}

impl Crew {
    /// Hands a delivery to the partition's worker.
    fn give(
        &mut self,
        delivery: Delivery,
        stream: &Arc<Stream>,
        consumer: &mut dyn Consumer,
    ) -> Result<(), JournalError> {
        let (partition, order) = match delivery {
            Delivery::Assigned(partition) => {
                self.progress.pending(partition, Pending::Claim);
                (partition, Order::Assigned(partition))
            }
            Delivery::Lost(partition) => (partition, Order::Lost(partition)),
            Delivery::Records(batch) => (batch.partition, self.admit(batch, stream, consumer)),
            Delivery::Nothing => return Ok(()),
        };
        // Each partition stays with one worker. The modulus fits: there are few workers.
        let worker = partition.unsigned_abs() as usize % self.orders.len();
        let gone = |_| panicked("its worker is gone");
        self.orders[worker].send(order).map_err(gone)
    }

    /// Begins to judge a batch, and holds the partition when that is enough for now.
    fn admit(&mut self, batch: Batch, stream: &Arc<Stream>, consumer: &mut dyn Consumer) -> Order {
        let flow = self.partitions.entry(batch.partition).or_default();
        flow.batches += 1;
        self.progress.pending(batch.partition, Pending::Batch);
        if flow.batches >= BATCHES_MAX {
            consumer.hold(batch.partition);
        }
        Order::Batch { seek: flow.seek, ahead: Ahead::begin(stream, batch) }
    }

    /// Does with the consumer what a worker asks for.
    async fn heed(&mut self, report: Report, consumer: &mut dyn Consumer) -> Result<(), JournalError> {
        match report {
            Report::Seek { partition, offset, seek, answer } => {
                let sought = consumer.seek(partition, offset).await;
                self.partitions.entry(partition).or_default().seek = seek;
                // A worker that no longer waits has ended.
                let _ = answer.send(sought);
            }
            Report::Pause(partition) => consumer.pause(partition),
            Report::Done { partition, next_offset } => {
                let flow = self.partitions.entry(partition).or_default();
                flow.batches = flow.batches.saturating_sub(1);
                consumer.release(partition);
                if let Some(next_offset) = next_offset {
                    match flow.batches {
                        // The worker may have been faster than its report.
                        0 => self.progress.idle(partition),
                        _ => self.progress.pending(partition, Pending::Batch),
                    }
                    consumer.commit(partition, next_offset).await;
                }
            }
            Report::Panicked(words) => return Err(panicked(&words)),
        }
        Ok(())
    }
}
