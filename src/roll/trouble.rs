//! Why summaries get no further.

use std::path::Path;

use crate::journal::JournalError;
use crate::reading::{Failure, Next};

/// Why summaries get no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Time may heal it.
    Later(String),
    /// A person must act.
    Halt(String),
}

impl Trouble {
    pub(super) fn file(path: &Path, error: &rusqlite::Error) -> Self {
        let what = format!("the state file {}", path.display());
        match crate::sqlite::Trouble::of(error) {
            Some(crate::sqlite::Trouble::Locked) | None => Trouble::Later(format!("{what}: {error}")),
            Some(trouble) => Trouble::Halt(trouble.words(&what, error)),
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Later(words) => Failure::new(Next::Retry, words),
            Trouble::Halt(words) => Failure::new(Next::Halt, words),
        }
    }
}

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Later(words) => Trouble::Later(words),
            JournalError::Stop(words) => Trouble::Halt(words),
        }
    }
}

/// Runs what reads and writes a file, on a thread of tokio's blocking pool.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|error| Err(Trouble::Later(format!("a fault of Sluicegate: {error}"))))
}
