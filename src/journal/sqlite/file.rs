//! The journal's file while it is open.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::task::JoinError;

use super::ends::Ends;
use super::error::failed;
use crate::journal::JournalError;
use crate::reason::Reason;
use crate::sqlite::OpenFile;

/// The memory of a connection for pages, in KiB.
const CACHE_KIB: u32 = 4096;

/// The file and what is known about it.
#[derive(Debug)]
pub(super) struct File {
    pub(super) open: OpenFile,
    pub(super) identity: String,
    pub(super) ends: Ends,
}

impl File {
    /// Fails when the file is no longer the one that was opened: then what is written would be lost.
    pub(super) fn check(&self) -> Result<(), JournalError> {
        if self.open.is_there() {
            return Ok(());
        }
        Err(JournalError::stop(format!(
            "the journal file {} was deleted or replaced while it was in use; put it back and restart",
            self.open.path().display()
        )))
    }

    /// Looks where topics end, again and again, when nobody else does; gives why it cannot.
    pub(super) async fn look(self: &Arc<Self>) -> JournalError {
        let look = || {
            let file = Arc::clone(self);
            let look = move || {
                file.check()?;
                file.ends.look(file.open.path()).map_err(|error| failed(file.open.path(), error))
            };
            // What it sees is noted there, also when whoever asked has left by then.
            async { answered(tokio::task::spawn_blocking(look).await) }
        };
        self.ends.poll.ask(look).await
    }
}

/// Opens a connection to the journal's file.
pub(super) fn connect(path: &Path) -> Result<Connection, JournalError> {
    crate::sqlite::connect(path, CACHE_KIB).map_err(|error| failed(path, error))
}

/// What a question's thread has answered.
pub(super) fn answered<T>(answer: Result<Result<T, JournalError>, JoinError>) -> Result<T, JournalError> {
    answer.map_err(|error| JournalError::later(Reason::of("the journal could not be read", error)))?
}
