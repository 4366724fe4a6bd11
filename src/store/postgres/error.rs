//! What a PostgreSQL error means for a store, told by its SQLSTATE (appendix A of PostgreSQL's manual).

use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use crate::problem::ProblemType;
use crate::store::{Refusal, StoreError};

/// Says what `error` means.
pub(super) fn failed(error: Error) -> StoreError {
    match error.as_db_error() {
        Some(said) => meaning(said),
        None => StoreError::Later(format!("the connection to PostgreSQL was lost: {}", chain(&error))),
    }
}

/// A refusal that names no document.
pub(super) fn refused(error: Error) -> Refusal {
    Refusal { error: failed(error), at: None }
}

/// Says why no connection could be made. What is neither a network that may heal nor a server's own word lies in the
/// settings.
pub(super) fn unreachable(error: Error, server: &str) -> StoreError {
    if let Some(said) = error.as_db_error() {
        return match meaning(said) {
            StoreError::Document(problem) => StoreError::Stop(format!("{server}: {}", problem.detail)),
            StoreError::Stop(words) => StoreError::Stop(format!("{server}: {words}")),
            other => other,
        };
    }
    let words = format!("PostgreSQL at {server} cannot be reached: {}", chain(&error));
    let mut source = std::error::Error::source(&error);
    let mut is_network = error.is_closed();
    while let Some(cause) = source {
        is_network |= cause.is::<std::io::Error>();
        if let Some(tls) = cause.downcast_ref::<openssl::ssl::Error>() {
            is_network |= tls.io_error().is_some();
        }
        source = cause.source();
    }
    if is_network { StoreError::Later(words) } else { StoreError::Stop(words) }
}

/// An error with its causes, in one line.
fn chain(error: &Error) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words = format!("{words}: {cause_words}");
        }
        source = cause.source();
    }
    words
}

fn meaning(said: &DbError) -> StoreError {
    use ProblemType::*;
    let (code, message) = (said.code().code(), said.message());
    let (later, stop) = (
        || StoreError::Later(format!("PostgreSQL: {message} ({code})")),
        |mend: &str| StoreError::Stop(format!("PostgreSQL: {message}; {mend}")),
    );
    match code {
        // Two sessions that make the same table collide in the catalogue itself.
        _ if is_race(said) => later(),
        "42501" => stop("grant the role that the store's URL names what it lacks"),
        "53100" => stop("the database's disk is full: make room"),
        "25006" => {
            stop("the database takes no writes: give the primary's address, or `target_session_attrs=read-write`")
        }
        "3D000" => stop("create the database, or mend the store's URL"),
        "428C9" => StoreError::document(ConstraintViolated, message),
        "22001" | "22003" | "22008" | "22015" | "22026" => StoreError::document(ValueOutOfRange, with_place(said)),
        "57014" | "25P02" | "25P03" | "0A000" | "26000" => later(),
        "44000" => StoreError::document(ConstraintViolated, with_place(said)),
        _ => match &code[..2.min(code.len())] {
            "23" => StoreError::document(ConstraintViolated, with_place(said)),
            "22" => StoreError::document(InvalidValue, with_place(said)),
            "54" => StoreError::document(ValueOutOfRange, with_place(said)),
            // A trigger or a function of the table's owner refused.
            "P0" | "38" | "39" | "09" | "27" => StoreError::document(ConstraintViolated, with_place(said)),
            "28" => stop("mend user and password in the store's URL, or the server's pg_hba.conf"),
            "08" | "40" | "53" | "55" | "57" => later(),
            "XX" | "58" | "F0" => stop("the server's log says more"),
            _ => StoreError::document(InvalidValue, format!("the database refused a statement: {message}")),
        },
    }
}

/// Whether somebody else changed a table at the same time, or since it was looked at.
fn is_race(said: &DbError) -> bool {
    match said.code().code() {
        "42P01" | "42703" | "42P07" | "42701" | "42P06" | "42710" | "3F000" | "42704" => true,
        "23505" => said.schema() == Some("pg_catalog"),
        "XX000" => said.message().contains("concurrently") || said.message().starts_with("cache lookup failed"),
        _ => false,
    }
}

/// The message with the constraint, the column and the key that it does not name itself.
fn with_place(said: &DbError) -> String {
    let mut words = said.message().to_owned();
    for (what, name) in [("constraint", said.constraint()), ("column", said.column())] {
        if let Some(name) = name
            && !words.contains(name)
        {
            words = format!("{words} ({what} {name:?})");
        }
    }
    // Which key is there already, or which is missing: PostgreSQL keeps it from roles that may not read it.
    match said.detail() {
        Some(detail) if said.code().code().starts_with("23") => format!("{words}: {detail}"),
        _ => words,
    }
}

/// The line of a COPY that PostgreSQL found wrong, counted from 1.
pub(super) fn copy_line(error: &Error, table: &str) -> Option<usize> {
    let place = error.as_db_error()?.where_()?;
    let start = format!("COPY {table}, line ");
    let line = place.lines().find_map(|line| line.strip_prefix(&start))?;
    line.split(|other: char| !other.is_ascii_digit()).next()?.parse().ok()
}
