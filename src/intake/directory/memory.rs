//! What a watched stream remembers: which files it has read as they are, and which documents it has published.
//!
//! One SQLite file a stream, synced at every note. It belongs to one topic of one journal: for another, everything is new.
//! It does not publish anything, and knows no file but by its name.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::intake::files::FileKey;
use crate::reason::Reason;
use crate::sqlite;

/// The version of the tables in the file. A newer one is refused.
const VERSION: i64 = 1;

/// The memory of the connection for pages, in KiB.
const CACHE_KIB: u32 = 4096;

/// So many files that are gone are forgotten in one transaction.
const FORGET_STEP: i64 = 500;

/// The memory of one stream.
pub(super) struct Memory {
    connection: Connection,
}

/// What can go wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("what was published cannot be remembered: {0}")]
pub(super) struct MemoryError(#[source] Reason);

type Result<T> = std::result::Result<T, MemoryError>;

impl From<rusqlite::Error> for MemoryError {
    fn from(error: rusqlite::Error) -> Self {
        let what = "the memory of watched directories (`watch` in the data folder)";
        let words = sqlite::Trouble::of(&error).map_or_else(|| format!("{what} fails"), |trouble| trouble.words(what));
        MemoryError(Reason::of(words, sqlite::Said::from(error)))
    }
}

/// How a file looked: when any of it differs, the file is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) size: i64,
    pub(super) modified_ns: i64,
    pub(super) changed_ns: i64,
    pub(super) inode: i64,
}

/// A file by its folder and its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct FileName {
    pub(super) folder: std::rc::Rc<[u8]>,
    pub(super) name: Vec<u8>,
}

/// A file that is remembered.
pub(super) struct Remembered {
    pub(super) id: i64,
    pub(super) folder: Vec<u8>,
    pub(super) name: Vec<u8>,
}

/// What became of a file and of documents, to be noted together.
#[derive(Debug, Default)]
pub(super) struct Note {
    /// Files that were read, or are being read; with their look when they were read to the end.
    pub(super) files: Vec<(FileName, Option<Look>)>,
    /// Documents, each with the index of its file.
    pub(super) documents: Vec<(FileKey, usize)>,
    /// Files that are gone.
    pub(super) gone: Vec<FileName>,
}

impl Memory {
    /// Opens the memory at `path` for a topic of the journal with that identity.
    pub(super) fn open(path: &Path, journal: &str, topic: &str) -> Result<Self> {
        let mut connection = sqlite::connect(path, CACHE_KIB)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(
            "CREATE TABLE IF NOT EXISTS memory (version INTEGER NOT NULL, journal TEXT NOT NULL, topic TEXT NOT NULL);
             CREATE TABLE IF NOT EXISTS files (
                 id INTEGER PRIMARY KEY, folder BLOB NOT NULL, name BLOB NOT NULL,
                 size INTEGER, modified_ns INTEGER, changed_ns INTEGER, inode INTEGER, gone_ms INTEGER,
                 UNIQUE (folder, name));
             CREATE TABLE IF NOT EXISTS documents (
                 digest BLOB NOT NULL, occurrence INTEGER NOT NULL, file INTEGER NOT NULL,
                 PRIMARY KEY (digest, occurrence, file)) WITHOUT ROWID;
             CREATE INDEX IF NOT EXISTS documents_by_file ON documents (file);
             CREATE TABLE IF NOT EXISTS intent (\"partition\" INTEGER NOT NULL, \"offset\" INTEGER NOT NULL);",
        )?;
        let known: Option<(i64, String, String)> = transaction
            .query_row("SELECT version, journal, topic FROM memory", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        match known {
            Some((version, ..)) if version > VERSION => {
                let words = format!(
                    "{} has format {version}; this sluicegate knows {VERSION}: use a newer one",
                    path.display()
                );
                return Err(MemoryError(words.into()));
            }
            Some((_, known_journal, known_topic)) if known_journal == journal && known_topic == topic => {}
            _ => {
                transaction.execute_batch(
                    "DELETE FROM memory; DELETE FROM files; DELETE FROM documents; DELETE FROM intent;",
                )?;
                transaction.execute("INSERT INTO memory VALUES (?1, ?2, ?3)", (VERSION, journal, topic))?;
            }
        }
        transaction.commit()?;
        Ok(Memory { connection })
    }

    /// How a file looked when it was read to its end; none when it never was.
    pub(super) fn look(&self, file: &FileName) -> Result<Option<Look>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT size, modified_ns, changed_ns, inode FROM files
             WHERE folder = ?1 AND name = ?2 AND size IS NOT NULL AND gone_ms IS NULL",
        )?;
        let look = statement.query_row((&file.folder[..], &file.name), |row| {
            Ok(Look { size: row.get(0)?, modified_ns: row.get(1)?, changed_ns: row.get(2)?, inode: row.get(3)? })
        });
        Ok(look.optional()?)
    }

    /// Whether a document was published, in whichever file.
    pub(super) fn is_published(&self, key: &FileKey) -> Result<bool> {
        let mut statement =
            self.connection.prepare_cached("SELECT 1 FROM documents WHERE digest = ?1 AND occurrence = ?2 LIMIT 1")?;
        Ok(statement.exists((&key.digest[..], key.occurrence))?)
    }

    /// Notes that documents are about to be appended behind these ends of the topic's partitions.
    pub(super) fn intend(&mut self, ends: &[(i32, i64)]) -> Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute("DELETE FROM intent", [])?;
        for end in ends {
            transaction.prepare_cached("INSERT INTO intent VALUES (?1, ?2)")?.execute(*end)?;
        }
        Ok(transaction.commit()?)
    }

    /// The ends behind which documents were about to be appended when the process ended; empty when there were none.
    pub(super) fn intent(&self) -> Result<Vec<(i32, i64)>> {
        let mut statement = self.connection.prepare_cached("SELECT \"partition\", \"offset\" FROM intent")?;
        let ends = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
        Ok(ends)
    }

    /// Notes documents that were found in the journal. Which file they are of shows when that is read again.
    pub(super) fn found(&mut self, keys: &[FileKey]) -> Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for key in keys {
            add_document(&transaction, key, 0)?;
        }
        Ok(transaction.commit()?)
    }

    /// Notes what was done, and that nothing is on its way any more.
    pub(super) fn note(&mut self, note: &Note, now_ms: i64) -> Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut ids = Vec::with_capacity(note.files.len());
        for (file, look) in &note.files {
            let look = look.as_ref();
            let id: i64 = transaction
                .prepare_cached(
                    "INSERT INTO files (folder, name, size, modified_ns, changed_ns, inode) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT (folder, name) DO UPDATE SET size = ?3, modified_ns = ?4, changed_ns = ?5, inode = ?6,
                     gone_ms = NULL RETURNING id",
                )?
                .query_row(
                    (
                        &file.folder[..],
                        &file.name,
                        look.map(|look| look.size),
                        look.map(|look| look.modified_ns),
                        look.map(|look| look.changed_ns),
                        look.map(|look| look.inode),
                    ),
                    |row| row.get(0),
                )?;
            ids.push(id);
        }
        for (key, file) in &note.documents {
            add_document(&transaction, key, ids[*file])?;
        }
        for file in &note.gone {
            transaction
                .prepare_cached("UPDATE files SET gone_ms = ?3 WHERE folder = ?1 AND name = ?2 AND gone_ms IS NULL")?
                .execute((&file.folder[..], &file.name, now_ms))?;
        }
        transaction.execute("DELETE FROM intent", [])?;
        Ok(transaction.commit()?)
    }

    /// The files behind the one with the id `after`, at most `count`.
    pub(super) fn files(&self, after: i64, count: i64) -> Result<Vec<Remembered>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, folder, name FROM files WHERE id > ?1 AND gone_ms IS NULL ORDER BY id LIMIT ?2",
        )?;
        let files = statement.query_map((after, count), |row| {
            Ok(Remembered { id: row.get(0)?, folder: row.get(1)?, name: row.get(2)? })
        })?;
        Ok(files.collect::<rusqlite::Result<_>>()?)
    }

    /// Forgets files that were gone before `before_ms`, and their documents, unless another file has them too.
    pub(super) fn forget(&mut self, before_ms: i64) -> Result<()> {
        loop {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let ids: Vec<i64> = transaction
                .prepare_cached("SELECT id FROM files WHERE gone_ms < ?1 LIMIT ?2")?
                .query_map((before_ms, FORGET_STEP), |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            for id in &ids {
                transaction.prepare_cached("DELETE FROM documents WHERE file = ?1")?.execute([id])?;
                transaction.prepare_cached("DELETE FROM files WHERE id = ?1")?.execute([id])?;
            }
            transaction.commit()?;
            if ids.is_empty() {
                return Ok(());
            }
        }
    }
}

fn add_document(connection: &Connection, key: &FileKey, file: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("INSERT OR IGNORE INTO documents VALUES (?1, ?2, ?3)")?;
    statement.execute((&key.digest[..], key.occurrence, file)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> FileName {
        FileName { folder: b"/inbox"[..].into(), name: name.into() }
    }

    fn key(byte: u8) -> FileKey {
        FileKey { digest: [byte; 16], occurrence: 1 }
    }

    const LOOK: Look = Look { size: 1, modified_ns: 2, changed_ns: 3, inode: 4 };

    #[test]
    fn documents_are_remembered_while_one_of_their_files_lives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.db");
        let mut memory = Memory::open(&path, "journal", "topic").unwrap();
        memory.intend(&[(0, 7)]).unwrap();
        let note = Note {
            files: vec![(file("a"), Some(LOOK)), (file("copy of a"), Some(LOOK)), (file("b"), None)],
            documents: vec![(key(1), 0), (key(1), 1), (key(2), 2)],
            gone: Vec::new(),
        };
        assert_eq!(memory.intent().unwrap(), [(0, 7)]);
        memory.note(&note, 0).unwrap();
        assert_eq!(memory.intent().unwrap(), []);
        assert_eq!(memory.look(&file("a")).unwrap(), Some(LOOK));
        assert_eq!(memory.look(&file("b")).unwrap(), None, "it was not read to its end");
        let gone = Note { gone: vec![file("a"), file("b")], ..Note::default() };
        memory.note(&gone, 100).unwrap();
        assert_eq!(memory.look(&file("a")).unwrap(), None);
        memory.forget(100).unwrap();
        let known = |memory: &Memory| [1, 2].map(|byte| memory.is_published(&key(byte)).unwrap());
        assert_eq!(known(&memory), [true, true]);
        memory.forget(101).unwrap();
        assert_eq!(known(&memory), [true, false]);
        drop(memory);
        assert_eq!(known(&Memory::open(&path, "journal", "topic").unwrap()), [true, false]);
        assert_eq!(known(&Memory::open(&path, "another", "topic").unwrap()), [false, false]);
    }
}
