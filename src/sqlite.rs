//! What the journal's and the store's SQLite files have in common: how a file is opened, shared with other processes, and
//! recognised.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::disk;

/// The version of SQLite that this program carries.
pub fn library_version() -> &'static str {
    rusqlite::version()
}

/// How often a wait for another process's transaction looks again. SQLite's own waits grow to 100 ms, and would miss the
/// pauses that [`Turn`] makes.
const BUSY_PAUSE: Duration = Duration::from_micros(500);

/// A wait ends after so many looks: 5 s. Writers pause often, so a longer wait means that one hangs.
const BUSY_LOOKS_MAX: i32 = 10_000;

/// Opens a connection to the file at `path`: WAL, so that readers and the writer do not wait for each other, and an fsync
/// for every commit. `cache_kib` bounds its memory.
pub fn connect(path: &Path, cache_kib: u32) -> rusqlite::Result<Connection> {
    // SQLite gives the files beside it the same mode. What cannot be made here, it says better itself.
    let _ = disk::private_file(path);
    let mut connection = Connection::open(path)?;
    connection.busy_handler(Some(wait))?;
    let settings = format!(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-{cache_kib}; \
         PRAGMA journal_size_limit=67108864; PRAGMA wal_autocheckpoint=4000;"
    );
    let mut looks = 0;
    // Two processes that make one file WAL at the same moment: SQLite tells one of them so without asking the handler.
    while let Err(error) = connection.execute_batch(&settings) {
        if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) || !wait(looks) {
            return Err(error);
        }
        looks += 1;
    }
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Opens a connection that cannot write to the file at `path`, which must be there and in use. `cache_kib` bounds its
/// memory.
pub fn connect_reading(path: &Path, cache_kib: u32) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_handler(Some(wait))?;
    connection.execute_batch(&format!("PRAGMA query_only=ON; PRAGMA cache_size=-{cache_kib};"))?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Copies the file at `from`, as it is at one moment, into the empty file at `to`. Whoever reads and writes it goes on.
pub fn copy(from: &Path, to: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut source = Connection::open_with_flags(from, flags)?;
    source.busy_handler(Some(wait))?;
    let mut copy = Connection::open_with_flags(to, flags)?;
    let backup = Backup::new(&source, &mut copy)?;
    let mut looks = 0;
    // All pages in one step: between steps, a writer would have it begin again.
    while backup.step(-1)? != StepResult::Done {
        if !wait(looks) {
            return Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
                Some("it is locked by another process".into()),
            ));
        }
        looks += 1;
    }
    Ok(())
}

fn wait(looks: i32) -> bool {
    thread::sleep(BUSY_PAUSE);
    looks < BUSY_LOOKS_MAX
}

/// A file as it was when it was opened.
#[derive(Debug, Clone)]
pub struct OpenFile {
    path: PathBuf,
    /// Device and inode.
    inode: (u64, u64),
}

impl OpenFile {
    /// Remembers the file at `path`; none when there is none.
    pub fn remember(path: &Path) -> Option<Self> {
        Some(OpenFile { path: path.into(), inode: inode(path)? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file at the path is still the one that was opened. If not, what is written to it is lost.
    pub fn is_there(&self) -> bool {
        inode(&self.path) == Some(self.inode)
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Gives other processes their turn: SQLite's lock goes to whoever asks at the right moment, and a writer that begins
/// again at once leaves no such moment.
#[derive(Debug)]
pub struct Turn {
    since: Instant,
    ended: Instant,
}

impl Turn {
    /// So long a writer goes on without a pause …
    const LENGTH: Duration = Duration::from_millis(25);
    /// … and so long is the pause: twice the time between two looks of who waits.
    const PAUSE: Duration = Duration::from_millis(1);

    /// A writer that has not written yet.
    pub fn new() -> Self {
        Turn { since: Instant::now(), ended: Instant::now() }
    }

    /// Pauses when the writer has gone on for too long. Call it before a transaction begins.
    pub fn begin(&mut self) {
        if self.ended.elapsed() >= Self::PAUSE {
            // There was a pause already.
            self.since = Instant::now();
        } else if self.since.elapsed() >= Self::LENGTH {
            thread::sleep(Self::PAUSE);
            self.since = Instant::now();
        }
    }

    /// Notes that a transaction ended.
    pub fn end(&mut self) {
        self.ended = Instant::now();
    }
}

impl Default for Turn {
    fn default() -> Self {
        Self::new()
    }
}

/// What an error says about a file, as far as the caller's document has no part in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Another process holds the lock.
    Locked,
    /// No room is left.
    Full,
    /// It cannot be opened or written.
    Unwritable,
    /// It is no SQLite file, or a broken one.
    Damaged,
    /// The disk or the memory fails.
    Failing,
}

impl Trouble {
    /// Tells what `error` says about the file; none when it is about a statement.
    pub fn of(error: &rusqlite::Error) -> Option<Self> {
        Some(match error.sqlite_error_code()? {
            // A file that reached the limit of this process (`ulimit -f`) fails like a broken disk.
            ErrorCode::SystemIoFailure if is_write_failure(error) && disk::has_size_limit() => Trouble::Full,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::SchemaChanged => Trouble::Locked,
            ErrorCode::DiskFull => Trouble::Full,
            ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => Trouble::Unwritable,
            ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => Trouble::Damaged,
            ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory | ErrorCode::FileLockingProtocolFailed => {
                Trouble::Failing
            }
            _ => return None,
        })
    }

    /// What it means for the file called `what`, and what a person can do.
    pub fn words(self, what: &str) -> String {
        match self {
            Trouble::Locked => format!("{what} is locked by another process; end the one that holds it if this lasts"),
            Trouble::Full => {
                format!("the disk that holds {what} is full, or the file has reached its limit; make room")
            }
            Trouble::Unwritable => {
                format!("{what} cannot be opened or written; check its permissions and those of its folder")
            }
            Trouble::Damaged => format!("{what} is damaged or no SQLite file; restore it from a backup"),
            Trouble::Failing => format!("{what} fails; the system's log says more"),
        }
    }
}

/// What SQLite said, with its result code, which tells more than its words do.
#[derive(Debug)]
pub struct Said(rusqlite::Error);

impl From<rusqlite::Error> for Said {
    fn from(error: rusqlite::Error) -> Self {
        Said(error)
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            rusqlite::Error::SqliteFailure(code, words) => {
                let words = words.clone().unwrap_or_else(|| code.to_string());
                write!(to, "{words} (SQLite's result code {})", code.extended_code)
            }
            // Its own words hold the statement, too.
            rusqlite::Error::SqlInputError { error, msg, .. } => {
                write!(to, "{msg} (SQLite's result code {})", error.extended_code)
            }
            other => other.fmt(to),
        }
    }
}

impl std::error::Error for Said {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            // Their source says the code again.
            rusqlite::Error::SqliteFailure(..) | rusqlite::Error::SqlInputError { .. } => None,
            other => other.source(),
        }
    }
}

fn is_write_failure(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_WRITE)
}
