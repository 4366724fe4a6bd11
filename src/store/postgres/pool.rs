//! Connections that belong to no partition: opened as needed, kept for the next, and never more than a few.
//!
//! Thirty lines that know what a connection of ours is. A general pool would bring its own runtime, timeouts and errors.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::Connection;
use super::url::Settings;
use crate::store::StoreError;

/// So many at once: questions of the HTTP side, retries, the books' own work. PostgreSQL's default is 100 in all.
const CONNECTIONS_MAX: usize = 8;

/// Whoever waits longer for a connection is told to come back.
const WAIT_MAX: Duration = Duration::from_secs(15);

pub(super) struct Pool {
    settings: Settings,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

/// A connection on loan. It goes back when it is dropped.
pub(super) struct Lent {
    connection: Option<Connection>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Pool { settings, idle: Mutex::default(), permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)) })
    }

    pub(super) async fn lend(self: &Arc<Self>) -> Result<Lent, StoreError> {
        let permit = tokio::time::timeout(WAIT_MAX, Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            return Err(StoreError::later(format!("all {CONNECTIONS_MAX} connections to the store are in use")));
        };
        let connection = loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match idle {
                Some(idle) if idle.is_broken() => drop(idle),
                Some(idle) => break idle,
                None => break Connection::open(&self.settings).await?,
            }
        };
        Ok(Lent { connection: Some(connection), pool: Arc::clone(self), _permit: permit })
    }
}

impl std::ops::Deref for Lent {
    type Target = Connection;

    #[allow(clippy::expect_used, reason = "it is taken by drop only")]
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && !connection.is_broken()
        {
            connection.abandon();
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}
