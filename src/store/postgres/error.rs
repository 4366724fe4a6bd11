//! What a PostgreSQL error means for a store: whose fault it is, told by its code (see `codes`) and by who speaks.

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity};

use super::codes::{self, Meaning};
use crate::problem::{Problem, ProblemType};
use crate::reason::Reason;
use crate::store::{Refusal, StoreError};

/// The functions of the server in which a statement of a procedural language raises an error: whatever its code is, a
/// function of the table's owner has said no. (The source of PostgreSQL: pl_exec.c, plpy_plpymodule.c, pltcl.c, Util.xs.)
const RAISERS: [&str; 4] = ["exec_stmt_raise", "PLy_output", "pltcl_elog", "do_util_elog"];

/// The functions of the server that speak of another server, or of a file of a statement's own.
const ELSEWHERE: [&str; 9] = [
    "pgfdw_report_error",
    "pgfdw_report",
    "pgfdw_report_internal",
    "dblink_res_error",
    "dblink_res_internalerror",
    "CopySendEndOfRow",
    "EndCopy",
    "EndCopyTo",
    "BufFileDumpBuffer",
];

/// What PostgreSQL said, as far as a log may hold it. Detail, hint and context are left out: they quote values and
/// statements.
#[derive(Debug, thiserror::Error)]
#[error("{message} (SQLSTATE {code})")]
struct Said {
    message: String,
    code: String,
}

/// A sentence, caused by `error`.
fn caused(words: impl Into<String>, error: Error) -> Reason {
    match error.as_db_error() {
        Some(said) => Reason::of(words, Said { message: said.message().into(), code: said.code().code().into() }),
        None => Reason::of(words, error),
    }
}

/// Says what `error` means for a statement that no document has a part in.
pub(super) fn failed(error: Error) -> StoreError {
    let Some(said) = error.as_db_error() else { return StoreError::later(lost(error)) };
    let code = said.code().code();
    match codes::meaning_for_nobody(code) {
        _ if is_concurrent(said) => StoreError::later(later(error)),
        Meaning::Document(kind) => StoreError::document(kind, message(said)),
        Meaning::Stop(mend) => StoreError::stop(stopped(mend, error)),
        Meaning::Forbidden => {
            StoreError::stop(caused(format!("PostgreSQL does not let the store do it ({code})"), error))
        }
        Meaning::Contested | Meaning::Later => StoreError::later(later(error)),
    }
}

/// Says what `error` means for a statement of ours in a transaction that documents were applied in: what they leave behind,
/// a transaction that only reads, another role, a short time limit, may be why. Whether it is, a few tries of each document
/// alone tell, and the store that vouches on a connection of its own.
pub(super) fn after_documents(error: Error) -> StoreError {
    match error.as_db_error() {
        Some(said) if matches!(said.code().code(), "25006" | "42501" | "57014") && !ends_session(&error) => {
            contested(format!("what comes after the document in its transaction is refused: {}", words(said)))
        }
        _ => failed(error),
    }
}

/// Says what `error` means for a statement that a document asked for.
pub(super) fn blamed(error: Error) -> StoreError {
    let Some(said) = error.as_db_error() else { return StoreError::lost(lost(error)) };
    if ends_session(&error) {
        return StoreError::lost(caused("PostgreSQL ended the session", error));
    }
    if waits_for_a_lock(said) {
        let code = said.code().code();
        return StoreError::later(caused(
            format!("PostgreSQL's lock timeout is over: somebody holds a lock ({code})"),
            error,
        ));
    }
    if is_concurrent(said) {
        return contested(words(said));
    }
    match codes::meaning(said.code().code()) {
        Meaning::Contested => contested(words(said)),
        // Not our server's disk is full, or damaged.
        Meaning::Stop(_) if is_elsewhere(said) => contested(words(said)),
        Meaning::Document(kind) => StoreError::document(kind, words(said)),
        // What a function raises may bear any code, and is no disk's or role's fault.
        _ if is_raised(said) => StoreError::document(ProblemType::ConstraintViolated, words(said)),
        Meaning::Forbidden if is_policy(said) => StoreError::document(ProblemType::ConstraintViolated, words(said)),
        Meaning::Forbidden => StoreError::document(ProblemType::ForbiddenTable, words(said)),
        Meaning::Stop(mend) => StoreError::stop(stopped(mend, error)),
        Meaning::Later => StoreError::later(later(error)),
    }
}

/// The code, where the server said one.
fn code(error: &Error) -> String {
    error.code().map(|code| format!(" ({})", code.code())).unwrap_or_default()
}

fn later(error: Error) -> Reason {
    caused(format!("PostgreSQL cannot do it now{}", code(&error)), error)
}

fn stopped(mend: &str, error: Error) -> Reason {
    caused(format!("PostgreSQL refuses{}; {mend}", code(&error)), error)
}

/// Whether the connection is over with it.
pub(super) fn ends_session(error: &Error) -> bool {
    match error.as_db_error() {
        Some(said) => matches!(said.parsed_severity(), Some(Severity::Fatal | Severity::Panic)),
        None => error.is_closed(),
    }
}

fn contested(words: String) -> StoreError {
    StoreError::Contested(Box::new(Problem::new(ProblemType::DatabaseRefused, words)))
}

/// A refusal of a document's statement that does not say which document's.
pub(super) fn refused(error: Error) -> Refusal {
    Refusal::new(blamed(error), None)
}

fn lost(error: Error) -> Reason {
    caused("the connection to PostgreSQL was lost", error)
}

/// Says why no connection could be made. What is neither a network that may heal nor a server's own word lies in the
/// settings.
pub(super) fn unreachable(error: Error, server: &str) -> StoreError {
    if let Some(said) = error.as_db_error() {
        let code = said.code().code();
        let refused = format!("PostgreSQL at {server} refuses the connection ({code})");
        return match codes::meaning_for_nobody(code) {
            Meaning::Stop(mend) => StoreError::stop(caused(format!("{refused}; {mend}"), error)),
            Meaning::Contested | Meaning::Later => StoreError::later(caused(refused, error)),
            Meaning::Document(_) | Meaning::Forbidden => StoreError::stop(caused(refused, error)),
        };
    }
    let (mut is_network, mut is_tls) = (error.is_closed(), false);
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        is_tls |= cause.is::<rustls::Error>();
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            // What TLS does not like about the other side comes as one, too, and does not heal.
            let is_about_tls = io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
            is_network |= !is_about_tls;
            is_tls |= is_about_tls;
        }
        source = cause.source();
    }
    let reason = caused(format!("PostgreSQL at {server} cannot be reached"), error);
    match is_network {
        true => StoreError::later(reason),
        false if is_tls => StoreError::stop(reason.with(" by TLS; check its certificate, sslmode and sslrootcert")),
        false => StoreError::stop(reason.with("; check the store's URL")),
    }
}

/// Whether the server's own limit ended a wait for a lock: somebody holds a table or a row, and lets it go some time. (A
/// function that asks with NOWAIT speaks from another place.)
fn waits_for_a_lock(said: &DbError) -> bool {
    said.code().code() == "55P03" && said.routine() == Some("ProcessInterrupts")
}

/// Whether a function of the database's owner said it, with RAISE or the like.
fn is_raised(said: &DbError) -> bool {
    said.routine().is_some_and(|routine| RAISERS.contains(&routine))
}

/// Whether a function passes on what another server said, or writes to a file that is none of the tables': the code is
/// theirs. (contrib/postgres_fdw/connection.c, contrib/dblink/dblink.c, copyto.c, buffile.c.)
fn is_elsewhere(said: &DbError) -> bool {
    said.routine().is_some_and(|routine| ELSEWHERE.contains(&routine))
}

/// Whether a row-level policy refused a row: no privilege of the role would help.
fn is_policy(said: &DbError) -> bool {
    matches!(said.routine(), Some("ExecWithCheckOptions" | "check_enable_rls" | "get_row_security_policies"))
}

/// Whether another session changed the catalogue at this moment: what the server says then has codes of other things.
fn is_concurrent(said: &DbError) -> bool {
    match said.code().code() {
        // Two sessions that make the same table collide in the catalogue itself.
        "23505" => said.schema() == Some("pg_catalog"),
        // The result of a prepared statement has changed.
        "0A000" => said.routine() == Some("RevalidateCachedQuery"),
        "XX000" => said.message().contains("concurrently") || said.message().starts_with("cache lookup failed"),
        _ => false,
    }
}

/// What the database said of a document, to whoever sent it: the message, its detail and its hint. Where it speaks from is
/// left out: that quotes statements.
fn words(said: &DbError) -> String {
    let mut words = message(said);
    // Which key is there already, or which is missing: PostgreSQL keeps it from roles that may not read it.
    if let Some(detail) = said.detail().filter(|_| !shows_a_row(said)) {
        words = format!("{words}: {detail}");
    }
    match said.hint() {
        Some(hint) => format!("{words} ({hint})"),
        None => words,
    }
}

/// Whether the detail is `Failing row contains (…)`, in whatever language: all columns of a row of which the document may
/// have set one, for a sender who may not read the others.
fn shows_a_row(said: &DbError) -> bool {
    let is_of_rows = matches!(said.code().code(), "23502" | "23514" | "44000");
    // That there is no partition for a row is told with its key alone.
    is_of_rows && !is_raised(said) && said.routine() != Some("ExecFindPartition")
}

/// The message, with the constraint and the column that it does not name itself.
fn message(said: &DbError) -> String {
    let mut words = said.message().to_owned();
    for (what, name) in [("constraint", said.constraint()), ("column", said.column())] {
        if let Some(name) = name
            && !words.contains(name)
        {
            words = format!("{words} ({what} {name:?})");
        }
    }
    words
}

/// The line of a COPY that PostgreSQL found wrong, counted from 1.
pub(super) fn copy_line(error: &Error, table: &str) -> Option<usize> {
    let place = error.as_db_error()?.where_()?;
    let start = format!("COPY {table}, line ");
    let line = place.lines().find_map(|line| line.strip_prefix(&start))?;
    line.split(|other: char| !other.is_ascii_digit()).next()?.parse().ok()
}
