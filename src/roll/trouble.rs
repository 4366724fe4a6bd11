//! Why summaries get no further.

use std::path::Path;

use crate::journal::JournalError;
use crate::reading::{Failure, Next};
use crate::reason::Reason;
use crate::sqlite;

/// Why summaries get no further.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Time may heal it.
    Later(Reason),
    /// A person must act.
    Halt(Reason),
}

impl Trouble {
    pub(super) fn later(reason: impl Into<Reason>) -> Self {
        Trouble::Later(reason.into())
    }

    pub(super) fn halt(reason: impl Into<Reason>) -> Self {
        Trouble::Halt(reason.into())
    }

    pub(super) fn file(path: &Path, error: rusqlite::Error) -> Self {
        let what = format!("the state file {}", path.display());
        let trouble = sqlite::Trouble::of(&error);
        let words = trouble.map_or_else(|| format!("{what} cannot be used"), |trouble| trouble.words(&what));
        let reason = Reason::of(words, sqlite::Said::from(error));
        match trouble {
            Some(sqlite::Trouble::Locked) | None => Trouble::Later(reason),
            Some(_) => Trouble::Halt(reason),
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Later(reason) => Failure::new(Next::Retry, reason),
            Trouble::Halt(reason) => Failure::new(Next::Halt, reason),
        }
    }
}

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Later(reason) => Trouble::Later(reason),
            JournalError::Stop(reason) => Trouble::Halt(reason),
        }
    }
}

/// Runs what reads and writes a file, on a thread of tokio's blocking pool.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|error| Err(Trouble::Later(Reason::of("a rollup broke off, by a fault of Sluicegate", error))))
}
