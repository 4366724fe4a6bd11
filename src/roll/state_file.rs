//! The summaries of one partition in a SQLite file, with the place in the input that they stand for.
//!
//! It is a copy: what the journal has committed is the truth, and the file is made anew from it when it is gone. So it needs
//! no fsync, only to be whole. Who opened it last writes it; whoever did before is refused.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::note::Note;
use super::trouble::Trouble;
use crate::reason::Reason;
use crate::rollup::Key;

/// The memory of the connection for pages, in KiB.
const CACHE_KIB: u32 = 8 << 10;

/// The version of the file's tables; a file of another one is made anew.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE partition (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, owner TEXT NOT NULL,
        journal TEXT NOT NULL, standing TEXT);
    CREATE TABLE summaries (key TEXT PRIMARY KEY, state TEXT NOT NULL, up_to INTEGER,
        is_unpublished INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX unpublished ON summaries (key) WHERE is_unpublished;
    CREATE INDEX ahead ON summaries (up_to) WHERE up_to IS NOT NULL;
    CREATE TABLE seen (number INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, digest BLOB NOT NULL);
    CREATE TABLE late (number INTEGER PRIMARY KEY, offset INTEGER NOT NULL, key TEXT NOT NULL, accepted_ms INTEGER NOT NULL);";

/// What the summaries of a file stand for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Standing {
    /// The first offset of the input that they do not contain.
    pub(super) folded: i64,
    /// Where the group's position was when they were written, as far as this process knew; none before it was moved first.
    pub(super) committed: Option<i64>,
    /// What became of the records before `folded`, and what else goes with it.
    pub(super) note: Note,
    /// When that was written, in milliseconds since 1970.
    #[serde(default)]
    pub(super) written_ms: i64,
}

/// A summary as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) state: String,
    /// It contains the records before this offset, and not only those before the file's; none for most.
    pub(super) up_to: Option<i64>,
}

/// What is written at once.
#[derive(Debug, Default)]
pub(super) struct Changes<'c> {
    pub(super) rows: Vec<Row>,
    /// Whether the rows are to be published yet.
    pub(super) are_unpublished: bool,
    pub(super) seen: Vec<(i64, [u8; 16])>,
    /// So many of the oldest seen keys are forgotten.
    pub(super) forgotten: usize,
    pub(super) late: &'c [crate::rollup::Late],
}

#[derive(Debug)]
pub(super) struct StateFile {
    connection: Connection,
    path: PathBuf,
    owner: String,
}

impl StateFile {
    /// Opens the file at `path`, as its only writer from now on, and gives what its summaries stand for; none in a new one.
    /// One that belongs to another journal, or cannot be read, is made anew.
    pub(super) fn open(path: &Path, journal: &str) -> Result<(Self, Option<Standing>), Trouble> {
        match Self::take(path, journal) {
            Ok(Some(opened)) => return Ok(opened),
            Ok(None) => {}
            Err(error) if is_useless(&error) => {
                tracing::warn!(file = %path.display(), %error, "The file of a rollup's state is no good, and is made anew.");
            }
            Err(error) => return Err(Trouble::file(path, error)),
        }
        remove(path)
            .map_err(|error| Trouble::later(Reason::of(format!("{} cannot be removed", path.display()), error)))?;
        let made = Self::take(path, journal).map_err(|error| Trouble::file(path, error))?;
        made.ok_or_else(|| Trouble::later(format!("{}: another process makes it anew as well", path.display())))
    }

    /// None for a file that is to be made anew.
    fn take(path: &Path, journal: &str) -> rusqlite::Result<Option<(Self, Option<Standing>)>> {
        let mut connection = crate::sqlite::connect(path, CACHE_KIB)?;
        // It is a copy: after a crash of the machine it may be a little older, and never torn.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let owner = uuid::Uuid::now_v7().to_string();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if !transaction.table_exists(None, "partition")? {
            transaction.execute_batch(TABLES)?;
            transaction.execute(
                "INSERT INTO partition (one, version, owner, journal) VALUES (1, ?1, ?2, ?3)",
                (VERSION, &owner, journal),
            )?;
        }
        let found = transaction
            .query_row("SELECT version, journal, standing FROM partition", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
            })
            .optional()?;
        let Some((VERSION, of, standing)) = found else { return Ok(None) };
        if of != journal {
            return Ok(None);
        }
        let standing = match standing.map(|text| serde_json::from_str(&text)) {
            Some(Err(_)) => return Ok(None),
            Some(Ok(standing)) => Some(standing),
            None => None,
        };
        transaction.execute("UPDATE partition SET owner = ?1", [&owner])?;
        transaction.commit()?;
        Ok(Some((StateFile { connection, path: path.to_owned(), owner }, standing)))
    }

    /// The summary of a key.
    pub(super) fn get(&self, key: &str) -> Result<Option<Row>, Trouble> {
        let get = || {
            self.connection
                .prepare_cached("SELECT state, up_to FROM summaries WHERE key = ?1")?
                .query_row([key], |row| Ok(Row { key: Key::from_text(key), state: row.get(0)?, up_to: row.get(1)? }))
                .optional()
        };
        get().map_err(|error| self.trouble(error))
    }

    /// Writes changes and what the summaries stand for then, both or neither.
    pub(super) fn write(&mut self, standing: &Standing, changes: Changes<'_>) -> Result<(), Trouble> {
        self.change(standing, |transaction| {
            let mut put = transaction.prepare_cached(
                "INSERT INTO summaries (key, state, up_to, is_unpublished) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (key) DO UPDATE SET state = ?2, up_to = ?3, is_unpublished = ?4",
            )?;
            for Row { key, state, up_to } in &changes.rows {
                put.execute((key.as_str(), state, up_to, changes.are_unpublished))?;
            }
            let mut note = transaction.prepare_cached("INSERT INTO seen (at_ms, digest) VALUES (?1, ?2)")?;
            for (at_ms, digest) in &changes.seen {
                note.execute((at_ms, &digest[..]))?;
            }
            if changes.forgotten > 0 {
                let forget = "DELETE FROM seen WHERE number IN (SELECT number FROM seen ORDER BY number LIMIT ?1)";
                transaction.execute(forget, [i64::try_from(changes.forgotten).unwrap_or(i64::MAX)])?;
            }
            for late in changes.late {
                transaction.execute(
                    "INSERT INTO late (offset, key, accepted_ms) VALUES (?1, ?2, ?3)",
                    (late.position.offset, late.key.as_str(), late.accepted_ms),
                )?;
            }
            if !changes.late.is_empty() {
                let most = i64::try_from(crate::rollup::LATE_MAX).unwrap_or(i64::MAX);
                let old = "DELETE FROM late WHERE number <= (SELECT max(number) FROM late) - ?1";
                transaction.execute(old, [most])?;
            }
            Ok(())
        })
    }

    /// Forgets every summary.
    pub(super) fn clear(&mut self, standing: &Standing) -> Result<(), Trouble> {
        self.change(standing, |transaction| {
            transaction.execute_batch("DELETE FROM summaries; DELETE FROM seen; DELETE FROM late;")
        })
    }

    /// The next summaries by key that are to be published.
    pub(super) fn unpublished(&self, count: usize) -> Result<Vec<Row>, Trouble> {
        let read = || {
            let mut statement = self
                .connection
                .prepare_cached("SELECT key, state, up_to FROM summaries WHERE is_unpublished ORDER BY key LIMIT ?1")?;
            let rows = statement.query_map([i64::try_from(count).unwrap_or(i64::MAX)], |row| {
                Ok(Row { key: Key::from_text(&row.get::<_, String>(0)?), state: row.get(1)?, up_to: row.get(2)? })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.trouble(error))
    }

    /// Up to which offset of the input some summaries reach that reach further than the others.
    pub(super) fn ahead(&self) -> Result<i64, Trouble> {
        let read = self.connection.query_row("SELECT max(up_to) FROM summaries WHERE up_to IS NOT NULL", [], |row| {
            row.get::<_, Option<i64>>(0)
        });
        read.map(|up_to| up_to.unwrap_or(i64::MIN)).map_err(|error| self.trouble(error))
    }

    /// Notes that the unpublished summaries up to this key are published; all of them for none.
    pub(super) fn published(&mut self, standing: &Standing, up_to: Option<&Key>) -> Result<(), Trouble> {
        self.change(standing, |transaction| match up_to {
            Some(key) => transaction
                .execute("UPDATE summaries SET is_unpublished = 0 WHERE is_unpublished AND key <= ?1", [key.as_str()])
                .map(drop),
            None => transaction.execute("UPDATE summaries SET is_unpublished = 0 WHERE is_unpublished", []).map(drop),
        })
    }

    /// The keys that were met, in their order.
    pub(super) fn seen(&self, mut each: impl FnMut(i64, [u8; 16])) -> Result<(), Trouble> {
        let mut read = || {
            let mut statement = self.connection.prepare("SELECT at_ms, digest FROM seen ORDER BY number")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if let Ok(digest) = <[u8; 16]>::try_from(row.get_ref(1)?.as_blob().unwrap_or_default()) {
                    each(row.get(0)?, digest);
                }
            }
            Ok(())
        };
        read().map_err(|error: rusqlite::Error| self.trouble(error))
    }

    fn change(
        &mut self,
        standing: &Standing,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Trouble> {
        let standing = Standing { written_ms: crate::clock::now_ms(), ..standing.clone() };
        let standing = serde_json::to_string(&standing).unwrap_or_default();
        let owner = self.owner.clone();
        let run = || {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mine =
                transaction.execute("UPDATE partition SET standing = ?1 WHERE owner = ?2", (&standing, &owner))?;
            if mine != 1 {
                return Ok(false);
            }
            change(&transaction)?;
            transaction.commit()?;
            Ok(true)
        };
        match run() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Trouble::later(format!("{}: another process writes it now", self.path.display()))),
            Err(error) => Err(self.trouble(error)),
        }
    }

    fn trouble(&self, error: rusqlite::Error) -> Trouble {
        Trouble::file(&self.path, error)
    }
}

/// Whether it is the file's own fault.
fn is_useless(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
        || matches!(error, rusqlite::Error::SqliteFailure(_, Some(words)) if words.contains("no such"))
}

fn remove(path: &Path) -> std::io::Result<()> {
    for ending in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        match std::fs::remove_file(PathBuf::from(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
