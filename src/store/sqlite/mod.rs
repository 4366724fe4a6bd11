//! The store in an SQLite file: WAL, `synchronous=FULL`. One thread of this process writes; readers have connections of
//! their own. Several processes may use the file at once.

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
mod session;
mod transaction;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};

use self::error::failed;
use self::read::Readers;
use self::session::Session;
use self::transaction::Work;
use self::writer::{Writer, WriterThread};
use super::books::Books;
use super::claims::Former;
use super::rows::Rows;
use super::{ApplyRules, Claim, ClaimRequest, Fate, Limits, Part, Store, StoreError, Transaction};
use crate::reason::Reason;
use crate::sqlite::OpenFile;

/// The memory of the writing connection for pages, in KiB.
const CACHE_KIB: u32 = 16 << 10;

/// SQLite sets no limit to names; this one keeps error messages and statements in bounds.
const IDENTIFIER_BYTES_MAX: usize = 255;

/// A store in a file.
#[derive(Debug)]
pub struct SqliteStore {
    identity: String,
    writer: WriterThread,
    readers: Arc<Readers>,
}

impl SqliteStore {
    /// Opens the file at `path`, or creates it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            crate::disk::private_folder(folder)
                .map_err(|error| StoreError::stop(Reason::of(format!("cannot create {}", folder.display()), error)))?;
        }
        let at = |error: StoreError| match error {
            StoreError::Stop(reason) => StoreError::stop(reason.with(format!(" ({})", path.display()))),
            other => other,
        };
        let mut connection = connect(path, CACHE_KIB).map_err(at)?;
        let identity = schema::prepare(&mut connection).map_err(at)?;
        let file = OpenFile::remember(path).ok_or_else(|| StoreError::stop(format!("{} vanished", path.display())))?;
        let readers = Arc::new(Readers::new(file.clone()));
        let writer = WriterThread::start(Writer::new(connection, file)).map_err(at)?;
        Ok(SqliteStore { identity, writer, readers })
    }

    /// Bounds the file, for tests of a full disk.
    pub async fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        let limit =
            move |writer: &mut Writer| writer.connection.pragma_update(None, "max_page_count", pages).map_err(failed);
        self.writer.run(limit).await
    }

    /// Stops questions about rows after another time than [`super::rows::READ_TIMEOUT`], for tests of slow ones.
    pub fn limit_reading(&self, timeout: std::time::Duration) {
        self.readers.set_timeout(timeout);
    }
}

/// Fails when the file is no longer the one that was opened: what is written to it would be lost, and what is read from
/// it is nobody's any more.
fn check(file: &OpenFile) -> Result<(), StoreError> {
    if file.is_there() {
        return Ok(());
    }
    Err(StoreError::stop(format!(
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
        let ClaimRequest { place, journal, start, owner } = request;
        let (place, journal, owner) = (place.clone(), journal.to_owned(), owner.to_owned());
        let claim = move |connection: &Connection| {
            let at = (place.stream.as_str(), place.topic.as_str(), place.partition);
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
            let request = ClaimRequest { place: &place, journal: &journal, start, owner: &owner };
            let claim = request.granted(former.as_ref())?;
            connection
                .execute(
                    r#"INSERT INTO "_sluicegate_positions"
                           (stream, topic, "partition", journal, first_offset, next_offset, epoch, owner)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7)
                       ON CONFLICT DO UPDATE SET epoch = ?6, owner = ?7"#,
                    (at.0, at.1, at.2, &journal, claim.next_offset, claim.epoch, &owner),
                )
                .map_err(failed)?;
            Ok(claim)
        };
        self.writer.write(claim).await
    }

    async fn begin<'s>(
        &'s self,
        rules: &'s ApplyRules,
        _claim: Option<&Claim>,
    ) -> Result<Box<dyn Transaction + 's>, StoreError> {
        Ok(Box::new(Session::begin(&self.writer, rules.clone()).await?))
    }

    async fn apply_at_once(
        &self,
        rules: &ApplyRules,
        claim: &Claim,
        part: &Part,
        end: i64,
    ) -> Result<Option<Vec<Fate>>, StoreError> {
        let (rules, claim, part) = (rules.clone(), claim.clone(), part.clone());
        self.writer.run(move |writer| Work::begin(writer, &rules)?.whole(&claim, &part.documents(), end)).await
    }

    fn books(&self) -> &dyn Books {
        self
    }

    fn rows(&self) -> &dyn Rows {
        self
    }

    async fn check(&self) -> Result<(), StoreError> {
        // A write that changes nothing takes the lock and finds a file that cannot be written.
        self.writer
            .write(|connection| {
                let sql = r#"UPDATE "_sluicegate_store" SET version = version"#;
                connection.execute(sql, []).map(drop).map_err(failed)
            })
            .await
    }
}
