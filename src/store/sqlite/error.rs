//! What an SQLite error means for a store.
//!
//! What is about the file (locked, full, damaged) is no document's: [`Trouble`] tells. The rest is about a statement, and
//! the table below says what it means. SQLite knows no races within a transaction that has the write lock, so nothing here
//! is tried again.

use rusqlite::ErrorCode;

use crate::problem::ProblemType::{self, *};
use crate::reason::Reason;
use crate::sqlite::{Said, Trouble};
use crate::store::StoreError;
use crate::store::rows::too_long;

/// Result code, what it means for the document, why (rescode.html).
const CODES: &[(ErrorCode, ProblemType, &str)] = &[
    (ErrorCode::ConstraintViolation, ConstraintViolated, "CHECK, NOT NULL, UNIQUE, keys, STRICT, RAISE in a trigger"),
    (ErrorCode::TooBig, ValueOutOfRange, "a value or a row longer than SQLite's limit"),
    (ErrorCode::TypeMismatch, InvalidValue, "an INTEGER PRIMARY KEY takes nothing but whole numbers"),
    (ErrorCode::ParameterOutOfRange, ValueOutOfRange, "more parameters than SQLite's limit"),
    (ErrorCode::OperationAborted, DatabaseRefused, "an extension or a trigger gave up"),
    (ErrorCode::InternalMalfunction, DatabaseRefused, "a virtual table's own fault"),
    (ErrorCode::AuthorizationForStatementDenied, ForbiddenTable, "a table that only SQLite itself writes"),
    (ErrorCode::NotFound, DatabaseRefused, "a virtual table without its module"),
    (ErrorCode::Unknown, DatabaseRefused, "SQLITE_ERROR: a trigger names what is missing, a view, a generated column"),
];

/// Says what `error` means.
pub(super) fn failed(error: rusqlite::Error) -> StoreError {
    if let Some(trouble) = Trouble::of(&error) {
        let reason = Reason::of(trouble.words("the store's file"), Said::from(error));
        return if trouble == Trouble::Locked { StoreError::Later(reason) } else { StoreError::Stop(reason) };
    }
    let message = match &error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    let code = error.sqlite_error_code();
    if code == Some(ErrorCode::OperationInterrupted) {
        return too_long();
    }
    let row = CODES.iter().find(|(known, ..)| Some(*known) == code);
    StoreError::document(row.map_or(DatabaseRefused, |(_, kind, _)| *kind), message)
}
