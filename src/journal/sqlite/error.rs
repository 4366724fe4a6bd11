//! What an SQLite error means for a journal.

use std::path::Path;

use rusqlite::ErrorCode;

use super::JournalError;

/// Says what `error` on the file at `path` means, and what a person can do.
pub(super) fn failed(path: &Path, error: rusqlite::Error) -> JournalError {
    let path = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => JournalError::Later(format!(
            "the journal file {path} is locked by another process; end the one that holds it if this lasts"
        )),
        Some(ErrorCode::DiskFull) => {
            JournalError::Stop(format!("the disk that holds the journal file {path} is full; make room"))
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => JournalError::Stop(format!(
            "the journal file {path} cannot be written ({error}); check its permissions and those of its folder"
        )),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => JournalError::Stop(format!(
            "the journal file {path} is damaged or no SQLite file ({error}); restore it from a backup"
        )),
        _ => JournalError::Stop(format!("the journal file {path} fails: {error}")),
    }
}
