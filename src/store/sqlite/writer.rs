//! The connection that writes, and the thread that owns it.
//!
//! What is sent to the thread runs there one after the other, in the order in which it was sent: whoever waits longest is
//! next, and nobody who waits blocks a thread. What waits needs no bound of its own: each piece belongs to a caller who waits
//! for it, and what belongs to nobody any more is not begun.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::error::failed;
use super::keys::{self, Keys};
use super::plan::Plans;
use crate::reason::Reason;
use crate::sqlite::{OpenFile, Turn};
use crate::store::StoreError;

/// The connection that writes, and what it knows about the tables.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) plans: Plans,
    pub(super) keys: Keys,
    /// SQLite's counter of schema changes when the plans were made.
    made_at: i64,
    file: OpenFile,
    pub(super) turn: Turn,
}

impl Writer {
    pub(super) fn new(connection: Connection, file: OpenFile) -> Self {
        let (plans, keys) = (Plans::default(), Keys::new(keys::RECENT_MAX));
        Writer { connection, plans, keys, made_at: -1, file, turn: Turn::new() }
    }

    pub(super) fn check_file(&self) -> Result<(), StoreError> {
        super::check(&self.file)
    }

    /// Forgets the plans when somebody changed a table.
    pub(super) fn refresh_catalogue(&mut self) -> Result<(), StoreError> {
        let version = self.connection.pragma_query_value(None, "schema_version", |row| row.get(0)).map_err(failed)?;
        if version != self.made_at {
            self.plans.clear();
            self.made_at = version;
        }
        Ok(())
    }

    /// Runs `work` in a transaction of the books' own.
    fn write<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.check_file()?;
        // It may be about keys.
        self.keys.suspect();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let value = work(&transaction)?;
        transaction.commit().map_err(failed)?;
        Ok(value)
    }

    /// After a panic nothing is believed of what was at hand: the file is the truth.
    fn recover(&mut self) {
        if !self.connection.is_autocommit() {
            // What cannot be undone here fails the next transaction's BEGIN, which says so.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        self.connection.flush_prepared_statement_cache();
        self.plans = Plans::default();
        self.keys = Keys::new(keys::RECENT_MAX);
        self.made_at = -1;
    }
}

type Job = Box<dyn FnOnce(&mut Writer) + Send>;

/// Talks to the thread that writes, which ends with this.
#[derive(Debug)]
pub(super) struct WriterThread {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl WriterThread {
    pub(super) fn start(writer: Writer) -> Result<Self, StoreError> {
        let (jobs, queue) = channel();
        let thread = thread::Builder::new().name("store-writer".into()).spawn(move || run(writer, &queue));
        let thread =
            thread.map_err(|error| StoreError::stop(Reason::of("the store's writer cannot be started", error)))?;
        Ok(WriterThread { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs `job` on the thread when its turn comes. It answers by what it was given, or by dropping that.
    pub(super) fn send(&self, job: impl FnOnce(&mut Writer) + Send + 'static) {
        if let Some(jobs) = &self.jobs {
            // The thread ends with this only; were it gone, dropping the job would say so.
            let _ = jobs.send(Box::new(job));
        }
    }

    /// Runs `work` on the thread when its turn comes, and waits for what it gives.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(move |writer| {
            if !answer.is_closed() {
                let _ = answer.send(work(writer));
            }
        });
        answered.await.unwrap_or_else(|_| Err(panicked()))
    }

    /// Runs `work` in a transaction of the books' own.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(move |writer| writer.write(work)).await
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // The file is closed once this returns. A panic was caught there, and logged.
            let _ = thread.join();
        }
    }
}

fn run(mut writer: Writer, queue: &Receiver<Job>) {
    while let Ok(job) = queue.recv() {
        if catch_unwind(AssertUnwindSafe(|| job(&mut writer))).is_err() {
            writer.recover();
        }
    }
}

/// What is answered when a job panicked: it did nothing, or nobody knows what it did.
pub(super) fn panicked() -> StoreError {
    StoreError::later("the store's writer panicked, by a fault of Sluicegate; the log says where")
}
