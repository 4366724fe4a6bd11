//! The one thread that writes: it gathers what waits into a group, writes the group in one transaction, and answers
//! after the fsync.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::error::failed;
use super::file::File;
use super::group::{Append, Written, insert};
use crate::document::TopicName;
use crate::journal::{AppendError, JournalError, Outcome};
use crate::panics;
use crate::reason::{Reason, chain};
use crate::record::Record;
use crate::sqlite::Turn;

/// A group ends at so many bytes: large enough to make the fsync cheap, small enough that nobody waits long.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// While fewer than half as many appends wait as the group before had, the others are most likely on their way: their
/// senders were answered just now. So short a wait for them saves an fsync, and costs a lone sender nothing.
const GATHER_PAUSE: Duration = Duration::from_micros(50);
const GATHER_PAUSES: usize = 3;

/// Records that wait for their turn, in bytes; what comes beyond is refused. It bounds the memory of a slow disk.
const WAITING_BYTES_MAX: usize = 24 << 20;

/// What a waiting record takes in memory besides its bytes.
const RECORD_OVERHEAD: usize = 256;

/// A group that could not be written is tried with so many bytes at most, to find out whether the next one can be.
const PROBE_BYTES_MAX: usize = 1 << 20;

/// An append that has waited this long is answered as unknown.
const APPEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Talks to the thread. The thread ends when the last of these is dropped.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    file: Arc<File>,
    jobs: Sender<Job>,
    load: Arc<Load>,
}

/// How much waits, and how fast it goes.
#[derive(Debug, Default)]
struct Load {
    waiting_bytes: AtomicUsize,
    /// Bytes a second over the last groups.
    rate: AtomicU64,
    /// The most bytes each topic may hold.
    limits: Mutex<HashMap<TopicName, u64>>,
    /// Why the last group could not be written, and how large it was; none once one was written.
    failing: Mutex<Option<(JournalError, usize)>>,
}

impl Load {
    fn failing(&self) -> MutexGuard<'_, Option<(JournalError, usize)>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Job {
    Append {
        topic: TopicName,
        records: Vec<Record>,
        bytes: usize,
        reply: oneshot::Sender<Result<i64, AppendError>>,
    },
    /// Anything else, in a transaction of its own; whether it must survive a crash of the machine.
    Run(Work, Durable),
}

type Work = Box<dyn FnOnce(&mut Connection, &File) + Send>;

/// Whether a transaction ends with an fsync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durable {
    Yes,
    /// Leases, positions of readers and retention need not survive a crash of the machine: without the fsync they hold up
    /// no append.
    No,
}

impl Writer {
    pub(super) fn start(file: Arc<File>, connection: Connection) -> Result<Self, JournalError> {
        let (jobs, queue) = channel();
        let load = Arc::new(Load::default());
        let thread = Thread {
            file: Arc::clone(&file),
            connection,
            queue,
            load: Arc::clone(&load),
            carried: None,
            turn: Turn::new(),
            is_durable: false,
            last_group: 0,
            is_failing: false,
        };
        thread::Builder::new()
            .name("journal-writer".into())
            .spawn(move || thread.run())
            .map_err(|error| JournalError::stop(Reason::of("cannot start the journal's writer", error)))?;
        Ok(Writer { file, jobs, load })
    }

    /// Wakes who reads a topic, whose end this is now.
    pub(super) fn tell_end(&self, (topic, end): (TopicName, i64)) {
        self.file.ends.note(&topic, end);
    }

    /// Bounds what `topic` may hold.
    pub(super) fn limit(&self, topic: &TopicName, bytes_max: u64) {
        self.load.limits.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.clone(), bytes_max);
    }

    /// The most bytes that `topic` may hold, if that is bounded.
    pub(super) fn limit_of(&self, topic: &TopicName) -> Option<u64> {
        self.load.limits.lock().unwrap_or_else(PoisonError::into_inner).get(topic).copied()
    }

    /// Fails when groups cannot be written. After one could not, it is not enough that something can: bytes are written
    /// that take as much room, and removed again.
    pub(super) async fn check(&self) -> Result<(), JournalError> {
        let failing = self.load.failing().clone();
        let Some((_, bytes)) = failing else {
            // A write that changes nothing takes the lock and finds a file that cannot be written.
            let touch = |transaction: &Transaction<'_>| transaction.execute("UPDATE journal SET version = version", []);
            return self.run(touch).await.map(drop);
        };
        let bytes = i64::try_from(bytes.clamp(1, PROBE_BYTES_MAX)).unwrap_or(1);
        let fill = move |transaction: &Transaction<'_>| {
            transaction.execute_batch("CREATE TABLE IF NOT EXISTS probe (bytes BLOB)")?;
            transaction.execute("INSERT INTO probe VALUES (zeroblob(?1))", [bytes]).map(drop)
        };
        self.run(fill).await?;
        self.run(|transaction| transaction.execute_batch("DROP TABLE IF EXISTS probe")).await?;
        *self.load.failing() = None;
        Ok(())
    }

    /// Appends records and gives the offset of the first.
    pub(super) async fn append(&self, topic: &TopicName, records: Vec<Record>) -> Result<i64, AppendError> {
        let bytes: usize = records.iter().map(|record| record.size() + RECORD_OVERHEAD).sum();
        let waiting = self.load.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        if waiting > 0 && waiting + bytes > WAITING_BYTES_MAX {
            self.load.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            let rate = self.load.rate.load(Ordering::Relaxed).max(1);
            let seconds = (waiting as u64 / rate).clamp(1, 60);
            return Err(AppendError::Overloaded {
                behind: format!("{waiting} bytes"),
                retry_after: Duration::from_secs(seconds),
            });
        }
        let (reply, answer) = oneshot::channel();
        let gone = |source| AppendError::Unavailable { kept: Outcome::Unknown, source };
        let ended = || JournalError::stop("the journal's writer has ended; restart");
        self.jobs
            .send(Job::Append { topic: topic.clone(), records, bytes, reply })
            .map_err(|_| AppendError::Unavailable { kept: Outcome::No, source: ended() })?;
        match tokio::time::timeout(APPEND_TIMEOUT, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(gone(dropped())),
            Err(_) => Err(gone(JournalError::later(format!("the disk took over {} s", APPEND_TIMEOUT.as_secs())))),
        }
    }

    /// Runs `work` in a transaction of its own, in the file that was opened; a crash of the machine may undo it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        self.send(work, Durable::No).await
    }

    /// Runs `work` in a transaction of its own, which survives a crash once this is `Ok`.
    pub(super) async fn run_durably<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        self.send(work, Durable::Yes).await
    }

    async fn send<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
        durable: Durable,
    ) -> Result<T, JournalError> {
        let (reply, answer) = oneshot::channel();
        let job = move |connection: &mut Connection, file: &File| {
            let run = || {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let value = work(&transaction)?;
                transaction.commit()?;
                Ok(value)
            };
            let ran = file.check().and_then(|()| run().map_err(|error| failed(file.open.path(), error)));
            // Nobody waits any more when this fails.
            let _ = reply.send(ran);
        };
        let ended = || JournalError::stop("the journal's writer has ended; restart");
        self.jobs.send(Job::Run(Box::new(job), durable)).map_err(|_| ended())?;
        match tokio::time::timeout(APPEND_TIMEOUT, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(dropped())),
            Err(_) => Err(JournalError::later("the journal's writer is busy")),
        }
    }
}

/// Whoever asked gets no answer: the job panicked.
fn dropped() -> JournalError {
    JournalError::later("the journal's writer gave no answer, by a fault of Sluicegate; the log says why")
}

struct Thread {
    file: Arc<File>,
    connection: Connection,
    queue: Receiver<Job>,
    load: Arc<Load>,
    /// A job that was taken from the queue, but did not fit the group.
    carried: Option<Job>,
    turn: Turn,
    /// Whether the connection is set to fsync every commit.
    is_durable: bool,
    /// How many appends the group before had.
    last_group: usize,
    /// Whether the last group could not be written.
    is_failing: bool,
}

impl Thread {
    /// Writes until nobody can ask for it any more.
    fn run(mut self) {
        loop {
            let job = match self.carried.take() {
                Some(job) => job,
                // The timeout only bounds how long a wait can be; the thread ends when its writers are gone.
                None => match self.queue.recv_timeout(Duration::from_secs(60)) {
                    Ok(job) => job,
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return,
                },
            };
            match job {
                Job::Run(work, durable) => self.run_job(work, durable),
                Job::Append { topic, records, bytes, reply } => {
                    self.write(Append { topic, records, reply }, bytes);
                }
            }
        }
    }

    fn run_job(&mut self, work: Work, durable: Durable) {
        if self.set(durable).is_err() {
            // Whoever asked is told by its silence.
            return;
        }
        // The transaction that it was in is undone, and whoever asked is told by its silence.
        let run = || work(&mut self.connection, &self.file);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            tracing::error!(
                what = panics::words(&*panic),
                "The journal's writer panicked, by a fault of Sluicegate; it goes on."
            );
        }
    }

    /// Has the next transaction end with an fsync, or not.
    fn set(&mut self, durable: Durable) -> rusqlite::Result<()> {
        if self.is_durable != (durable == Durable::Yes) {
            let level = if durable == Durable::Yes { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.is_durable = durable == Durable::Yes;
        }
        Ok(())
    }

    /// Takes what waits into the group.
    fn gather(&mut self, group: &mut Vec<Append>, group_bytes: &mut usize) {
        while *group_bytes < GROUP_BYTES_MAX && self.carried.is_none() {
            match self.queue.try_recv() {
                Ok(Job::Append { topic, records, bytes, reply }) => {
                    group.push(Append { topic, records, reply });
                    *group_bytes += bytes;
                }
                Ok(job) => self.carried = Some(job),
                Err(_) => return,
            }
        }
    }

    fn write(&mut self, first: Append, bytes: usize) {
        let mut group = vec![first];
        let mut group_bytes = bytes;
        self.gather(&mut group, &mut group_bytes);
        for _ in 0..GATHER_PAUSES {
            if group.len() * 2 >= self.last_group || self.carried.is_some() {
                break;
            }
            thread::sleep(GATHER_PAUSE);
            self.gather(&mut group, &mut group_bytes);
        }
        self.last_group = group.len();
        self.turn.begin();
        let begun = Instant::now();
        let written = catch_unwind(AssertUnwindSafe(|| self.write_group(&group))).unwrap_or_else(|panic| {
            let why = format!("its writer panicked, by a fault of Sluicegate: {}", panics::words(&*panic));
            Err((Outcome::Unknown, JournalError::later(why)))
        });
        self.turn.end();
        self.load.waiting_bytes.fetch_sub(group_bytes, Ordering::Relaxed);
        let rate = (group_bytes as f64 / begun.elapsed().as_secs_f64().max(1e-6)) as u64;
        let before = self.load.rate.load(Ordering::Relaxed);
        self.load.rate.store(if before == 0 { rate } else { (before * 7 + rate) / 8 }, Ordering::Relaxed);
        match written {
            Ok(Written { offsets, ends }) => {
                // Without a lock where nothing failed, which is always: only this thread notes a failure.
                if self.is_failing {
                    self.is_failing = false;
                    *self.load.failing() = None;
                }
                for (topic, end) in ends {
                    self.file.ends.note(&topic, end);
                }
                for (append, offset) in group.into_iter().zip(offsets) {
                    let answer = offset
                        .map_err(|held| AppendError::Overloaded { behind: held, retry_after: Duration::from_secs(30) });
                    // The request may be gone; the document is kept all the same.
                    let _ = append.reply.send(answer);
                }
            }
            Err((kept, source)) => {
                tracing::error!(
                    error = chain(&source),
                    documents = group.len(),
                    "The journal could not write a group."
                );
                self.is_failing = true;
                *self.load.failing() = Some((source.clone(), group_bytes));
                for append in group {
                    let answer = AppendError::Unavailable { kept, source: source.clone() };
                    let _ = append.reply.send(Err(answer));
                }
            }
        }
    }

    fn write_group(&mut self, group: &[Append]) -> Result<Written, (Outcome, JournalError)> {
        self.file.check().map_err(|error| (Outcome::No, error))?;
        let set = self.set(Durable::Yes);
        let path = self.file.open.path();
        let not_kept = |error| (Outcome::No, failed(path, error));
        set.map_err(not_kept)?;
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(not_kept)?;
        let limits = self.load.limits.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let written = insert(&transaction, group, &limits).map_err(not_kept)?;
        transaction.commit().map_err(|error| {
            // A busy or full file was not written. Any other failure of COMMIT may come after the frames.
            let kept = match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DiskFull) => Outcome::No,
                _ => Outcome::Unknown,
            };
            (kept, failed(path, error))
        })?;
        Ok(written)
    }
}

#[cfg(test)]
mod tests;
