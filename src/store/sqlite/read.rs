//! Connections for reading: opened read-only as needed, kept for the next reader, and stopped when a question takes too
//! long.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::clock::Clock;
use super::{check, failed, functions, order};
use crate::sqlite::OpenFile;
use crate::store::StoreError;
use crate::store::rows::{READ_TIMEOUT, too_long};

/// The memory of a reading connection for pages, in KiB.
const CACHE_KIB: u32 = 2 << 10;

/// So many connections are kept open; more are closed after use.
const IDLE_MAX: usize = 4;

/// SQLite looks at the clock after so many steps of a statement: some microseconds of work.
const STEPS: i32 = 1_000;

#[derive(Debug)]
pub(super) struct Readers {
    file: OpenFile,
    idle: Mutex<Vec<Reader>>,
    /// How long a question may take.
    timeout: Mutex<Duration>,
}

/// A connection, and when the statement that runs on it is stopped.
#[derive(Debug)]
struct Reader {
    connection: Connection,
    clock: Clock,
}

impl Reader {
    /// Opens the file so that nothing can be written, and teaches SQLite what questions need.
    fn open(file: &OpenFile) -> Result<Self, StoreError> {
        let mut connection = crate::sqlite::connect_reading(file.path(), CACHE_KIB).map_err(failed)?;
        let clock = Clock::default();
        order::register(&connection, &clock).map_err(failed)?;
        functions::register(&connection, &clock).map_err(failed)?;
        let watch = clock.clone();
        connection.progress_handler(STEPS, Some(move || watch.is_late())).map_err(failed)?;
        Ok(Reader { connection, clock })
    }
}

impl Readers {
    pub(super) fn new(file: OpenFile) -> Self {
        Readers { file, idle: Mutex::default(), timeout: Mutex::new(READ_TIMEOUT) }
    }

    /// Bounds questions in another way, for tests of slow ones.
    pub(super) fn set_timeout(&self, timeout: Duration) {
        *self.timeout.lock().unwrap_or_else(PoisonError::into_inner) = timeout;
    }

    /// Answers somebody's question like [`Readers::read`]; its statements are stopped at the timeout.
    pub(super) async fn answer<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let timeout = *self.timeout.lock().unwrap_or_else(PoisonError::into_inner);
        self.run(Some(timeout), work).await
    }

    /// Runs `work` on a thread that may block, in one read transaction.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(None, work).await
    }

    async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        timeout: Option<Duration>,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(self);
        let run = move || {
            // What is at the path may be another file by now.
            check(&readers.file)?;
            let idle = readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let reader = idle.map_or_else(|| Reader::open(&readers.file), Ok)?;
            reader.clock.set(timeout.map(|timeout| Instant::now() + timeout));
            let transaction = reader.connection.unchecked_transaction().map_err(failed)?;
            let value = work(&transaction)?;
            drop(transaction);
            if reader.clock.has_given_up() {
                return Err(too_long());
            }
            let mut idle = readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE_MAX {
                idle.push(reader);
            }
            Ok(value)
        };
        tokio::task::spawn_blocking(run).await.map_err(|error| StoreError::Later(error.to_string()))?
    }
}
