//! What an SQLite error means for a journal.

use std::path::Path;

use crate::journal::JournalError;
use crate::reason::Reason;
use crate::sqlite::{Said, Trouble};

/// Says what `error` on the file at `path` means, and what a person can do.
pub(super) fn failed(path: &Path, error: rusqlite::Error) -> JournalError {
    let what = format!("the journal file {}", path.display());
    let trouble = Trouble::of(&error);
    let words = trouble.map_or_else(|| format!("{what} fails"), |trouble| trouble.words(&what));
    let reason = Reason::of(words, Said::from(error));
    if trouble == Some(Trouble::Locked) { JournalError::later(reason) } else { JournalError::stop(reason) }
}
