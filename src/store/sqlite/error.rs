//! What an SQLite error means for a store.

use rusqlite::ErrorCode;

use crate::problem::ProblemType;
use crate::store::StoreError;

/// Says what `error` means.
pub(super) fn failed(error: rusqlite::Error) -> StoreError {
    let message = match &error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::SchemaChanged) => {
            StoreError::Later("the store's file is locked by another process; end the one that holds it".into())
        }
        Some(ErrorCode::DiskFull) => StoreError::Stop(
            "the disk that holds the store's file is full, or the file has reached its limit; make room".into(),
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => StoreError::Stop(format!(
            "the store's file cannot be written ({message}); check its permissions and those of its folder"
        )),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => StoreError::Stop(format!(
            "the store's file is damaged or no SQLite file ({message}); restore it from a backup"
        )),
        Some(ErrorCode::ConstraintViolation) => StoreError::document(ProblemType::ConstraintViolated, message),
        Some(ErrorCode::TooBig) => StoreError::document(ProblemType::ValueOutOfRange, message),
        Some(ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory | ErrorCode::FileLockingProtocolFailed) => {
            StoreError::Stop(format!("the store's file fails: {message}"))
        }
        _ => StoreError::document(ProblemType::InvalidValue, format!("the database refused a statement: {message}")),
    }
}
