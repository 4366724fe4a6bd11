//! The store in an SQLite file: WAL, `synchronous=FULL`, one writer in this process; readers have connections of their
//! own. Several processes may use the file at once.

mod affinity;
mod bind;
mod books;
mod catalogue;
mod clock;
mod cursor;
mod dialect;
mod error;
mod functions;
mod keys;
mod like;
mod moves;
mod order;
mod plan;
mod read;
mod rows;
mod schema;
mod transaction;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::Mutex;

use self::error::failed;
use self::keys::Keys;
use self::plan::Plans;
use self::read::Readers;
use self::transaction::SqliteTransaction;
use super::books::Books;
use super::claims::Former;
use super::rows::Rows;
use super::{ApplyRules, Claim, ClaimRequest, Limits, Store, StoreError, Transaction};
use crate::sqlite::{OpenFile, Turn};

/// The memory of the writing connection for pages, in KiB.
const CACHE_KIB: u32 = 16 << 10;

/// SQLite sets no limit to names; this one keeps error messages and statements in bounds.
const IDENTIFIER_BYTES_MAX: usize = 255;

/// A store in a file.
#[derive(Debug)]
pub struct SqliteStore {
    identity: String,
    writer: Arc<Mutex<Writer>>,
    readers: Arc<Readers>,
}

/// The connection that writes, and what it knows about the tables.
#[derive(Debug)]
struct Writer {
    connection: Connection,
    plans: Plans,
    keys: Keys,
    /// SQLite's counter of schema changes when the plans were made.
    made_at: i64,
    file: OpenFile,
    turn: Turn,
}

impl SqliteStore {
    /// Opens the file at `path`, or creates it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            crate::disk::private_folder(folder)
                .map_err(|error| StoreError::Stop(format!("cannot create {}: {error}", folder.display())))?;
        }
        let at = |error: StoreError| match error {
            StoreError::Stop(reason) => StoreError::Stop(format!("{reason} ({})", path.display())),
            other => other,
        };
        let mut connection = connect(path, CACHE_KIB).map_err(at)?;
        let identity = schema::prepare(&mut connection).map_err(at)?;
        let file = OpenFile::remember(path).ok_or_else(|| StoreError::Stop(format!("{} vanished", path.display())))?;
        let readers = Arc::new(Readers::new(file.clone()));
        let writer = Writer {
            connection,
            plans: Plans::default(),
            keys: Keys::new(keys::RECENT_MAX),
            made_at: -1,
            file,
            turn: Turn::new(),
        };
        Ok(SqliteStore { identity, writer: Arc::new(Mutex::new(writer)), readers })
    }

    /// Bounds the file, for tests of a full disk.
    pub async fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        let writer = self.writer.lock().await;
        writer.connection.pragma_update(None, "max_page_count", pages).map_err(failed)
    }

    /// Stops questions about rows after another time than [`super::rows::READ_TIMEOUT`], for tests of slow ones.
    pub fn limit_reading(&self, timeout: std::time::Duration) {
        self.readers.set_timeout(timeout);
    }

    /// Runs `work` in a transaction of the books' own.
    async fn write<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut writer = self.writer.lock().await;
        writer.check_file()?;
        // It may be about keys.
        writer.keys.suspect();
        let transaction =
            rusqlite::Transaction::new_unchecked(&writer.connection, rusqlite::TransactionBehavior::Immediate)
                .map_err(failed)?;
        let value = work(&transaction)?;
        transaction.commit().map_err(failed)?;
        Ok(value)
    }
}

impl Writer {
    fn check_file(&self) -> Result<(), StoreError> {
        check(&self.file)
    }

    /// Forgets the plans when somebody changed a table.
    fn refresh_catalogue(&mut self) -> Result<(), StoreError> {
        let version = self.connection.pragma_query_value(None, "schema_version", |row| row.get(0)).map_err(failed)?;
        if version != self.made_at {
            self.plans.clear();
            self.made_at = version;
        }
        Ok(())
    }
}

/// Fails when the file is no longer the one that was opened: what is written to it would be lost, and what is read from
/// it is nobody's any more.
fn check(file: &OpenFile) -> Result<(), StoreError> {
    if file.is_there() {
        return Ok(());
    }
    Err(StoreError::Stop(format!(
        "the store's file {} was deleted or replaced while it was in use; put it back and restart",
        file.path().display()
    )))
}

/// Opens a connection to the store's file.
fn connect(path: &Path, cache_kib: u32) -> Result<Connection, StoreError> {
    let connection = crate::sqlite::connect(path, cache_kib).map_err(failed)?;
    collate_decimals(&connection)?;
    Ok(connection)
}

/// Lets a connection compare decimals as numbers.
fn collate_decimals(connection: &Connection) -> Result<(), StoreError> {
    connection.create_collation(order::DECIMAL, crate::change::decimal::compare).map_err(failed)
}

#[async_trait]
impl Store for SqliteStore {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn limits(&self) -> Limits {
        // A column may bear a name of the rowid's: then that name is the column's.
        Limits {
            identifier_bytes_max: IDENTIFIER_BYTES_MAX,
            columns_reserved: &[],
            batch_records_max: 500,
            writers_max: 1,
        }
    }

    async fn claim(&self, request: ClaimRequest<'_>) -> Result<Claim, StoreError> {
        let ClaimRequest { place, journal, owner, .. } = request;
        let at = (place.stream.as_str(), place.topic.as_str(), place.partition);
        self.write(|connection| {
            let former = connection
                .query_row(
                    r#"SELECT journal, next_offset, epoch, applied_before FROM "_sluicegate_positions"
                       WHERE stream = ?1 AND topic = ?2 AND "partition" = ?3"#,
                    at,
                    |row| {
                        let (journal, next_offset) = (row.get(0)?, row.get(1)?);
                        Ok(Former { journal, next_offset, epoch: row.get(2)?, applied_before: row.get(3)? })
                    },
                )
                .optional()
                .map_err(failed)?;
            let claim = request.granted(former.as_ref())?;
            connection
                .execute(
                    r#"INSERT INTO "_sluicegate_positions"
                           (stream, topic, "partition", journal, first_offset, next_offset, epoch, owner)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7)
                       ON CONFLICT DO UPDATE SET epoch = ?6, owner = ?7"#,
                    (at.0, at.1, at.2, journal, claim.next_offset, claim.epoch, owner),
                )
                .map_err(failed)?;
            Ok(claim)
        })
        .await
    }

    async fn begin<'s>(
        &'s self,
        rules: &'s ApplyRules,
        _claim: Option<&Claim>,
    ) -> Result<Box<dyn Transaction + 's>, StoreError> {
        let writer = Arc::clone(&self.writer).lock_owned().await;
        Ok(Box::new(SqliteTransaction::begin(writer, rules)?))
    }

    fn books(&self) -> &dyn Books {
        self
    }

    fn rows(&self) -> &dyn Rows {
        self
    }

    async fn check(&self) -> Result<(), StoreError> {
        // A write that changes nothing takes the lock and finds a file that cannot be written.
        self.write(|connection| {
            let sql = r#"UPDATE "_sluicegate_store" SET version = version"#;
            connection.execute(sql, []).map(drop).map_err(failed)
        })
        .await
    }
}
