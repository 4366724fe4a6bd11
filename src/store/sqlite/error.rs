//! What an SQLite error means for a store.

use rusqlite::ErrorCode;

use crate::problem::ProblemType;
use crate::sqlite::Trouble;
use crate::store::StoreError;

/// Says what `error` means.
pub(super) fn failed(error: rusqlite::Error) -> StoreError {
    match Trouble::of(&error) {
        Some(trouble @ Trouble::Locked) => return StoreError::Later(trouble.words("the store's file", &error)),
        Some(trouble) => return StoreError::Stop(trouble.words("the store's file", &error)),
        None => {}
    }
    let message = match &error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => StoreError::document(ProblemType::ConstraintViolated, message),
        Some(ErrorCode::OperationInterrupted) => {
            let detail =
                "the question takes too long, and was stopped; ask for less, by conditions on a key, or without order";
            StoreError::document(ProblemType::QueryTimeout, detail)
        }
        Some(ErrorCode::TooBig) => StoreError::document(ProblemType::ValueOutOfRange, message),
        _ => StoreError::document(ProblemType::InvalidValue, format!("the database refused a statement: {message}")),
    }
}
