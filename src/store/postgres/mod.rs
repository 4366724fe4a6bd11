//! The store in PostgreSQL: rows in their tables, the books in a schema, one connection for each claimed partition and a
//! few for everything else.
//!
//! It speaks to the server itself: a pooler between them must keep sessions, since backends are ended by their number.

mod books;
mod catalogue;
mod certificate;
mod claim;
mod codes;
mod connection;
mod ddl;
mod desk;
mod dialect;
mod error;
mod execute;
mod keys;
mod letters;
mod moves;
mod planning;
mod plans;
mod pool;
mod rights;
mod rows;
mod runs;
mod schema;
mod sql;
mod text;
mod tls;
mod transaction;
mod url;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::catalogue::{SYSTEM_COLUMNS, quote};
use self::claim::Seats;
use self::connection::{Connection, column};
use self::desk::Desk;
use self::pool::Pool;
use self::transaction::PostgresTransaction;
use self::url::Settings;
use super::books::Books;
use super::rows::Rows;
use super::{ApplyRules, Claim, ClaimRequest, Limits, Store, StoreError, Transaction};

/// NAMEDATALEN - 1, as every PostgreSQL that is not built otherwise has it.
const IDENTIFIER_BYTES_MAX: usize = 63;

/// Larger transactions gain little and hold their locks longer.
const BATCH_RECORDS_MAX: usize = 5_000;

/// More appliers of one stream than a small server has disks and cores for only wait for each other.
const WRITERS_MAX: usize = 4;

/// Who asks whether the store can be used has a reader waiting.
const CHECK_MAX: Duration = Duration::from_secs(5);

/// A connection is looked after for no longer than this before a document is blamed for the end of another one.
const HELD_MAX: Duration = Duration::from_secs(10);

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    identity: String,
    settings: Settings,
    seats: Seats,
    pool: Arc<Pool>,
}

/// Who holds a lock that a connection of this role and name waits for.
const WHO_BLOCKS: &str = "
    SELECT other.pid, coalesce(other.usename::text, 'nobody'), coalesce(other.state, 'unknown')
    FROM pg_stat_activity AS ours
    CROSS JOIN LATERAL unnest(pg_blocking_pids(ours.pid)) AS blocking (pid)
    JOIN pg_stat_activity AS other ON other.pid = blocking.pid
    WHERE ours.datname = current_database() AND ours.usename = current_user AND ours.wait_event_type = 'Lock'
    AND ours.application_name = current_setting('application_name')
    ORDER BY other.pid LIMIT 1";

impl PostgresStore {
    /// Connects to the database that `url` names, and makes the books there if need be.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let settings = Settings::parse(url)?;
        let pool = Pool::new(settings.clone());
        let identity = schema::prepare(&*pool.lend().await?, &settings.schema).await?;
        Ok(PostgresStore { identity, settings, seats: Seats::default(), pool })
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn limits(&self) -> Limits {
        Limits {
            identifier_bytes_max: IDENTIFIER_BYTES_MAX,
            columns_reserved: SYSTEM_COLUMNS,
            batch_records_max: BATCH_RECORDS_MAX,
            writers_max: WRITERS_MAX,
        }
    }

    async fn claim(&self, request: ClaimRequest<'_>) -> Result<Claim, StoreError> {
        self.seats.claim(&self.settings, request).await
    }

    async fn begin<'s>(
        &'s self,
        rules: &'s ApplyRules,
        claim: Option<&Claim>,
    ) -> Result<Box<dyn Transaction + 's>, StoreError> {
        let desk = match claim {
            Some(claim) => Desk::Seat(self.seats.take(claim).await?),
            None => Desk::Lent(self.pool.lend().await?, Box::default()),
        };
        Ok(Box::new(PostgresTransaction::new(desk, &self.settings.schema, rules)))
    }

    fn books(&self) -> &dyn Books {
        self
    }

    fn rows(&self) -> &dyn Rows {
        self
    }

    async fn check(&self) -> Result<(), StoreError> {
        let look = async {
            let connection = self.pool.lend().await?;
            let sql = "SELECT current_setting('transaction_read_only') = 'on'";
            match connection.row(sql, &[]).await? {
                Some(row) if column::<bool>(&row, 0)? => Err(StoreError::stop(format!(
                    "PostgreSQL at {} takes no writes: give the primary's address, or `target_session_attrs=read-write`",
                    self.settings.server
                ))),
                _ => Ok(()),
            }
        };
        match tokio::time::timeout(CHECK_MAX, look).await {
            Ok(looked) => looked,
            Err(_) => Err(StoreError::later(format!("PostgreSQL at {} does not answer", self.settings.server))),
        }
    }

    async fn held_up(&self) -> Option<String> {
        let look = async {
            let connection = self.pool.lend().await.ok()?;
            let row = connection.row(WHO_BLOCKS, &[]).await.ok()??;
            let text = |at| column::<String>(&row, at).ok();
            Some(format!("process {} ({}, {}) holds the lock", column::<i32>(&row, 0).ok()?, text(1)?, text(2)?))
        };
        tokio::time::timeout(CHECK_MAX, look).await.ok().flatten()
    }

    async fn vouch(&self, held: Duration) -> Result<String, StoreError> {
        self.check().await?;
        // A new connection: one that is cut by its age shall be cut here, too.
        let connection = Connection::open(&self.settings).await?;
        connection.run("BEGIN").await?;
        let own = format!(r#"UPDATE {}."_sluicegate_store" SET version = version"#, quote(&self.settings.schema));
        connection.execute(&own, &[]).await.map_err(StoreError::of_the_books)?;
        connection.run("ROLLBACK; SET statement_timeout = 0").await?;
        let seconds = held.min(HELD_MAX).as_secs_f64();
        let sql = "SELECT pg_postmaster_start_time()::text FROM pg_sleep($1)";
        match connection.row(sql, &[&seconds]).await? {
            Some(row) => column(&row, 0),
            None => Err(StoreError::later("PostgreSQL does not say since when it runs")),
        }
    }
}
