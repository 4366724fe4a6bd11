//! One connection: its driver, its statements, and the certainty that no answer is waited for without end.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::AbortHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use super::error::{after_documents, blamed, ends_session, failed, unreachable};
use super::url::Settings;
use crate::reason::Reason;
use crate::store::StoreError;

/// Longer than any limit of the server's own: a server that is stopped, and whose machine still answers, is given up.
const ANSWER_MAX: Duration = Duration::from_secs(90);

/// An index on 100 million rows takes a few minutes.
const LONG_MAX: Duration = Duration::from_secs(1800);

/// Name, certificates and password take a few answers more than an address does.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

/// A wait for a lock must run into its own limit, whatever the settings are: what runs into that of statements is slow by
/// itself, and that may be a document's fault.
const LOCKS_FIRST: &str = "SELECT set_config('lock_timeout', greatest(1, s.setting::bigint / 2)::text, FALSE)
    FROM pg_settings s, pg_settings l WHERE s.name = 'statement_timeout' AND l.name = 'lock_timeout'
        AND s.setting <> '0' AND (l.setting = '0' OR l.setting::bigint >= s.setting::bigint)";

/// What makes a session as it was when it began.
fn as_new() -> String {
    format!("ROLLBACK; RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; {LOCKS_FIRST}")
}

/// So many statements are kept prepared besides those of plans.
const STATEMENTS_MAX: usize = 200;

/// A connection to the store. Dropped, it ends.
pub(super) struct Connection {
    client: Arc<Client>,
    driver: AbortHandle,
    statements: Mutex<HashMap<String, Statement>>,
    /// Whether it was given up; its driver may still be on its way out.
    is_cut: AtomicBool,
    /// Whether a transaction has begun and not ended.
    is_in_transaction: AtomicBool,
    /// Whether documents were applied in it.
    has_documents: AtomicBool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Connection").field("is_broken", &self.is_broken()).finish()
    }
}

impl Connection {
    /// Connects.
    pub(super) async fn open(settings: &Settings) -> Result<Connection, StoreError> {
        let connect = settings.config.connect(settings.connector.clone());
        let (client, mut driver) = match tokio::time::timeout(HANDSHAKE_MAX, connect).await {
            Ok(made) => made.map_err(|error| unreachable(error, &settings.server))?,
            Err(_) => {
                let server = &settings.server;
                return Err(StoreError::later(format!("PostgreSQL at {server} does not answer")));
            }
        };
        // Whoever waits for an answer is told why there is none; what a trigger remarks is nobody's business here.
        let driver = tokio::spawn(async move {
            while let Some(Ok(_)) = std::future::poll_fn(|context| driver.poll_message(context)).await {}
        });
        let connection = Connection {
            client: Arc::new(client),
            driver: driver.abort_handle(),
            statements: Mutex::default(),
            is_cut: AtomicBool::new(false),
            is_in_transaction: AtomicBool::new(false),
            has_documents: AtomicBool::new(false),
        };
        connection.run(LOCKS_FIRST).await?;
        Ok(connection)
    }

    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    pub(super) fn is_broken(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed) || self.client.is_closed() || self.driver.is_finished()
    }

    /// Cuts the connection: nobody knows what its answers belong to.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
        self.driver.abort();
    }

    /// Notes that documents are applied in the transaction: from now on they may be why a statement of ours fails.
    pub(super) fn note_documents(&self) {
        self.has_documents.store(true, Ordering::Relaxed);
    }

    /// Notes that a transaction begins or ends.
    pub(super) fn note_transaction(&self, is_open: bool) {
        self.has_documents.store(false, Ordering::Relaxed);
        self.is_in_transaction.store(is_open, Ordering::Relaxed);
    }

    /// Rolls an open transaction back without waiting: what is asked next comes after it.
    pub(super) fn abandon(&self) {
        self.has_documents.store(false, Ordering::Relaxed);
        if self.is_in_transaction.swap(false, Ordering::Relaxed) {
            let _ = self.client.batch_execute(&as_new()).now_or_never();
        }
    }

    /// Rolls the transaction back, and the session to what it was at first: no document shall fail for what a trigger
    /// left behind that ran for another one.
    pub(super) async fn roll_back(&self) -> Result<(), StoreError> {
        self.note_transaction(false);
        self.run(&as_new()).await
    }

    /// Waits for an answer, and cuts the connection when none comes.
    pub(super) async fn answer<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        let meaning = if self.has_documents.load(Ordering::Relaxed) { after_documents } else { failed };
        self.patient(answer).await.map_err(|error| error.map_or_else(silent, meaning))
    }

    /// As [`Connection::answer`], for a statement that a document asked for: its failure may be the document's.
    pub(super) async fn verdict<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        self.patient(answer).await.map_err(|error| error.map_or_else(lost_in_silence, blamed))
    }

    /// A statement without values that a document asked for.
    pub(super) async fn run_for_document(&self, sql: &str) -> Result<(), StoreError> {
        self.verdict(self.client.batch_execute(sql)).await
    }

    /// A statement that may take as long as a large table needs: an index.
    pub(super) async fn run_long(&self, sql: &str) -> Result<(), StoreError> {
        let limit = format!("SET LOCAL statement_timeout = {}", LONG_MAX.as_millis());
        self.run(&limit).await?;
        match tokio::time::timeout(LONG_MAX, self.client.batch_execute(sql)).await {
            Ok(ran) => ran.map_err(blamed)?,
            Err(_) => {
                self.cut();
                return Err(silent());
            }
        }
        self.run("SET LOCAL statement_timeout TO DEFAULT").await
    }

    /// As [`Connection::answer`], with PostgreSQL's own error; none when it does not answer.
    pub(super) async fn patient<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Option<tokio_postgres::Error>> {
        match tokio::time::timeout(ANSWER_MAX, answer).await {
            Ok(answer) => answer.map_err(|error| {
                if ends_session(&error) {
                    // Nobody shall find it in the pool: its driver may notice later than we do.
                    self.cut();
                }
                Some(error)
            }),
            Err(_) => {
                self.cut();
                Err(None)
            }
        }
    }

    /// A statement, prepared once.
    pub(super) async fn prepared(&self, sql: &str) -> Result<Statement, StoreError> {
        let known = self.statements.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.answer(self.client.prepare(sql)).await?;
        let mut statements = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        if statements.len() >= STATEMENTS_MAX {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(super) async fn query(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepared(sql).await?;
        self.answer(self.client.query(&statement, values)).await
    }

    pub(super) async fn row(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    pub(super) async fn execute(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<u64, StoreError> {
        let statement = self.prepared(sql).await?;
        self.answer(self.client.execute(&statement, values)).await
    }

    /// Statements without values.
    pub(super) async fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.answer(self.client.batch_execute(sql)).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Ends also what is stuck; a session that just loses its client rolls back.
        self.driver.abort();
    }
}

/// What silence means.
pub(super) fn silent() -> StoreError {
    StoreError::later(format!("PostgreSQL does not answer within {} s", ANSWER_MAX.as_secs()))
}

/// What silence means in the middle of a document's statement: the server's own limits would have ended it, unless
/// something in it has lifted them.
pub(super) fn lost_in_silence() -> StoreError {
    StoreError::lost(silent().reason())
}

/// Reads a column of a row of ours; what is not of the expected type was changed by others.
pub(super) fn column<'r, T: tokio_postgres::types::FromSql<'r>>(row: &'r Row, at: usize) -> Result<T, StoreError> {
    row.try_get(at).map_err(|error| StoreError::stop(Reason::of("a row of the store cannot be read", error)))
}
