//! Connections for reading: opened as needed, kept for the next reader, read-only.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use super::{check, connect, failed};
use crate::sqlite::OpenFile;
use crate::store::StoreError;

/// The memory of a reading connection for pages, in KiB.
const CACHE_KIB: u32 = 2 << 10;

/// So many connections are kept open; more are closed after use.
const IDLE_MAX: usize = 4;

#[derive(Debug)]
pub(super) struct Readers {
    file: OpenFile,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(file: OpenFile) -> Self {
        Readers { file, idle: Mutex::default() }
    }

    /// Runs `work` on a thread that may block, in one read transaction.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(self);
        let run = move || {
            // Opening a file that is gone would make an empty one.
            check(&readers.file)?;
            let idle = readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match idle {
                Some(connection) => connection,
                None => {
                    let connection = connect(readers.file.path(), CACHE_KIB)?;
                    connection.pragma_update(None, "query_only", true).map_err(failed)?;
                    connection
                }
            };
            let transaction = connection.unchecked_transaction().map_err(failed)?;
            let value = work(&transaction)?;
            drop(transaction);
            let mut idle = readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE_MAX {
                idle.push(connection);
            }
            Ok(value)
        };
        tokio::task::spawn_blocking(run).await.map_err(|error| StoreError::Later(error.to_string()))?
    }
}
