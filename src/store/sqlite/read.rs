//! Connections for reading: opened read-only as needed, never more than a few, kept for the next reader, and stopped when a
//! question takes too long. Each works on a thread of tokio's blocking pool while it is asked something.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::clock::Clock;
use super::{check, failed, functions, order};
use crate::reason::Reason;
use crate::sqlite::OpenFile;
use crate::store::StoreError;
use crate::store::rows::{READ_TIMEOUT, too_long};

/// The memory of a reading connection for pages, in KiB.
const CACHE_KIB: u32 = 2 << 10;

/// So many questions about rows are answered at once, which may take long. More would share the same processor and disk.
const QUESTIONS_MAX: usize = 8;

/// And so many about the books, which are short: they do not wait behind slow questions.
const BOOKS_MAX: usize = 4;

/// Whoever waits longer for a connection is told to come back.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// So many connections are kept open; more are closed after use.
const IDLE_MAX: usize = 4;

/// SQLite looks at the clock after so many steps of a statement: some microseconds of work.
const STEPS: i32 = 1_000;

#[derive(Debug)]
pub(super) struct Readers {
    file: OpenFile,
    idle: Mutex<Vec<Reader>>,
    questions: Arc<Semaphore>,
    books: Arc<Semaphore>,
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
        let places = |count| Arc::new(Semaphore::new(count));
        let (questions, books) = (places(QUESTIONS_MAX), places(BOOKS_MAX));
        Readers { file, idle: Mutex::default(), questions, books, timeout: Mutex::new(READ_TIMEOUT) }
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
        self.run(&self.questions, Some(timeout), work).await
    }

    /// Reads the books with `work`, in one read transaction.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(&self.books, None, work).await
    }

    async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        places: &Arc<Semaphore>,
        timeout: Option<Duration>,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Ok(Ok(place)) = tokio::time::timeout(WAIT_MAX, Arc::clone(places).acquire_owned()).await else {
            return Err(StoreError::later("all connections that read the store's file are in use"));
        };
        let readers = Arc::clone(self);
        let run = move || {
            // Held until the work is over, whether or not somebody still waits for it.
            let _place = place;
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
        tokio::task::spawn_blocking(run)
            .await
            .map_err(|error| StoreError::later(Reason::of("a question to the store broke off", error)))?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn questions_are_bounded_and_the_books_do_not_wait_behind_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let _writing = crate::sqlite::connect(&path, CACHE_KIB).unwrap();
        let readers = Arc::new(Readers::new(OpenFile::remember(&path).unwrap()));
        let (release, held) = channel::<()>();
        let (held, running) = (Arc::new(Mutex::new(held)), Arc::new(AtomicUsize::new(0)));
        let most = Arc::new(AtomicUsize::new(0));
        let question = || {
            let (readers, held) = (Arc::clone(&readers), Arc::clone(&held));
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            tokio::spawn(async move {
                let hold = move |_: &Connection| {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    // Until the other end is gone.
                    let _ = held.lock().unwrap().recv();
                    running.fetch_sub(1, Ordering::SeqCst);
                    Ok(())
                };
                readers.answer(hold).await
            })
        };
        let asked: Vec<_> = (0..3 * QUESTIONS_MAX).map(|_| question()).collect();
        let is_full = async {
            while running.load(Ordering::SeqCst) < QUESTIONS_MAX {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), is_full).await.unwrap();
        let books = tokio::time::timeout(Duration::from_secs(30), readers.read(|_| Ok(5))).await;
        assert_eq!(books.expect("it is answered while questions are").unwrap(), 5);
        drop(release);
        for question in asked {
            question.await.unwrap().unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), QUESTIONS_MAX);
    }
}
