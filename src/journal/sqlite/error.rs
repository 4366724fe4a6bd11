//! What an SQLite error means for a journal.

use std::path::Path;

use crate::journal::JournalError;
use crate::sqlite::Trouble;

/// Says what `error` on the file at `path` means, and what a person can do.
pub(super) fn failed(path: &Path, error: rusqlite::Error) -> JournalError {
    let what = format!("the journal file {}", path.display());
    match Trouble::of(&error) {
        Some(trouble @ Trouble::Locked) => JournalError::Later(trouble.words(&what, &error)),
        Some(trouble) => JournalError::Stop(trouble.words(&what, &error)),
        None => JournalError::Stop(format!("{what} fails: {error}")),
    }
}
