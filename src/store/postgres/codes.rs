//! What each of PostgreSQL's error codes means for a document (appendix A of its manual), and why.
//!
//! A code is looked up as it is, then by its class, the first two characters. What is not listed is refused for the
//! document's sake: new codes come with new things that statements can do wrong.

use crate::problem::ProblemType::{self, *};

/// What to think of an error that a document's statement met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The document is at fault.
    Document(ProblemType),
    /// A race, or the document: a bounded number of tries tells.
    Contested,
    /// The role lacks a right to what the document names.
    Forbidden,
    /// Time heals it, however long it takes.
    Later,
    /// Nobody's document, and a person must act as is said here.
    Stop(&'static str),
}

use Meaning::{Contested, Document, Forbidden, Later, Stop};

const LOG: &str = "the server's log says more";
const READ_ONLY: &str =
    "the database takes no writes: give the primary's address, or `target_session_attrs=read-write`";

/// Code or class, what it means, why.
pub(super) const CODES: &[(&str, Meaning, &str)] = &[
    ("03", Document(DatabaseRefused), "SQL statement not yet complete: a function's"),
    ("08", Contested, "connection exception: of dblink or a foreign table; its server may come back"),
    ("09", Document(ConstraintViolated), "triggered action exception: the table's owner refuses"),
    ("0A", Document(DatabaseRefused), "feature not supported: a view's expression, a partition's limit"),
    ("0B", Document(DatabaseRefused), "invalid transaction initiation: a function's"),
    ("0F", Document(DatabaseRefused), "locator exception: a function's"),
    ("0L", Document(DatabaseRefused), "invalid grantor: a function's"),
    ("0P", Document(DatabaseRefused), "invalid role specification: a function's"),
    ("0Z", Document(DatabaseRefused), "diagnostics exception: a function's"),
    ("20", Document(ConstraintViolated), "case not found: a function has no branch for the value"),
    ("21", Document(DatabaseRefused), "cardinality violation: a function's query gives several rows for this one"),
    ("22", Document(InvalidValue), "data exception: the value is no value of the type"),
    ("22001", Document(ValueOutOfRange), "string data right truncation: too long"),
    ("22003", Document(ValueOutOfRange), "numeric value out of range"),
    ("22008", Document(ValueOutOfRange), "datetime field overflow"),
    ("22015", Document(ValueOutOfRange), "interval field overflow"),
    ("22026", Document(ValueOutOfRange), "string data length mismatch: of bits"),
    ("23", Document(ConstraintViolated), "integrity constraint violation"),
    ("24", Document(DatabaseRefused), "invalid cursor state: a function's"),
    ("25", Contested, "invalid transaction state: a function's, or a session that was left in one"),
    ("25006", Contested, "read-only transaction: a function's, or a server that became a standby; the store vouches"),
    ("26", Contested, "invalid statement name: somebody discarded the session's statements"),
    ("27", Document(ConstraintViolated), "triggered data change violation: BEFORE triggers change the row themselves"),
    ("28", Contested, "invalid authorization: of dblink or a foreign table"),
    ("2B", Document(DatabaseRefused), "dependent privilege descriptors still exist: a function's"),
    ("2D", Document(DatabaseRefused), "invalid transaction termination: COMMIT in a trigger"),
    ("2F", Document(DatabaseRefused), "SQL routine exception: no return value, data not permitted"),
    ("34", Document(DatabaseRefused), "invalid cursor name: a function's"),
    ("38", Document(ConstraintViolated), "external routine exception: a function refuses"),
    ("39", Document(ConstraintViolated), "external routine invocation exception: a trigger's protocol"),
    ("3B", Document(DatabaseRefused), "savepoint exception: a function's"),
    ("3D", Document(DatabaseRefused), "invalid catalog name: a function's"),
    ("3F", Contested, "invalid schema name: it was dropped meanwhile, or a function names one that never was"),
    ("40", Contested, "transaction rollback: deadlock, serialization; or a function that says so each time"),
    ("40002", Document(ConstraintViolated), "transaction integrity constraint violation"),
    ("42", Document(DatabaseRefused), "syntax error or access rule violation: a function's statement"),
    ("428C9", Document(ConstraintViolated), "generated always: only the database sets the column"),
    ("42501", Forbidden, "insufficient privilege"),
    ("42P01", Contested, "undefined table: dropped meanwhile, or named by a trigger"),
    ("42703", Contested, "undefined column: dropped meanwhile, or named by a trigger"),
    ("42704", Contested, "undefined object: dropped meanwhile, or named by a trigger"),
    ("42P07", Contested, "duplicate table: made by another session meanwhile"),
    ("42701", Contested, "duplicate column: made by another session meanwhile"),
    ("42P06", Contested, "duplicate schema: made by another session meanwhile"),
    ("42710", Contested, "duplicate object: made by another session meanwhile"),
    ("44", Document(ConstraintViolated), "WITH CHECK OPTION violation: a view does not show such rows"),
    ("53", Contested, "insufficient resources: of the server, or of the one statement"),
    ("53100", Stop("the database's disk is full: make room"), "disk full: for everybody"),
    ("54", Document(ValueOutOfRange), "program limit exceeded: too large a row, too deep a recursion"),
    ("55", Document(DatabaseRefused), "object not in prerequisite state: a view without rules, no replica identity"),
    ("55006", Contested, "object in use: by another session, or by events that this one still has to see to"),
    ("55P03", Contested, "lock not available: NOWAIT in a function; see `waits_for_a_lock` for our own limit"),
    ("57", Contested, "operator intervention: cancelled, or slower than statement_timeout"),
    ("58", Contested, "system error: a file that a function wants is missing"),
    ("58030", Stop(LOG), "I/O error: the disk fails"),
    ("72", Contested, "snapshot too old: a long transaction's"),
    ("F0", Contested, "configuration file error: of a function that reads or writes one; no row needs any"),
    ("HV", Contested, "foreign data wrapper error: the other server may come back"),
    ("P0", Document(ConstraintViolated), "PL/pgSQL error: RAISE, ASSERT, no data found, too many rows"),
    ("XX", Contested, "internal error: concurrent changes, or an extension's word for bad input"),
    ("XX001", Stop(LOG), "data corrupted: restore the table"),
    ("XX002", Stop(LOG), "index corrupted: REINDEX"),
];

/// What a code means.
pub(super) fn meaning(code: &str) -> Meaning {
    let find = |wanted: &str| CODES.iter().find(|(code, ..)| *code == wanted).map(|(_, meaning, _)| *meaning);
    find(code).or_else(|| find(code.get(..2)?)).unwrap_or(Document(DatabaseRefused))
}

/// What a code means for a statement of ours that no document has a part in: a question, or the books.
pub(super) fn meaning_for_nobody(code: &str) -> Meaning {
    match code {
        "42501" => Stop("permission denied: grant the role that the store's URL names what the log says it lacks"),
        "25006" => Stop(READ_ONLY),
        "3D000" => Stop("create the database, or mend the store's URL"),
        // A prepared statement whose table was altered.
        "0A000" => Later,
        _ => match code.get(..2) {
            Some("28") => Stop("mend user and password in the store's URL, or the server's pg_hba.conf"),
            Some("XX" | "58" | "F0") => Stop(LOG),
            Some("55") => Later,
            _ => meaning(code),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The classes of appendix A that are errors.
    const CLASSES: &[&str] = &[
        "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "20", "21", "22", "23", "24", "25", "26", "27", "28",
        "2B", "2D", "2F", "34", "38", "39", "3B", "3D", "3F", "40", "42", "44", "53", "54", "55", "57", "58", "72",
        "F0", "HV", "P0", "XX",
    ];

    #[test]
    fn every_class_of_the_manual_has_a_row_and_no_code_has_two() {
        for class in CLASSES {
            assert!(CODES.iter().any(|(code, ..)| code == class), "class {class} has no row");
        }
        for (at, (code, ..)) in CODES.iter().enumerate() {
            assert!(CLASSES.contains(&&code[..2]), "{code} belongs to no class");
            assert!(CODES[..at].iter().all(|(other, ..)| other != code), "{code} stands there twice");
        }
    }

    #[test]
    fn a_code_is_looked_up_before_its_class() {
        assert_eq!(meaning("22003"), Document(ValueOutOfRange));
        assert_eq!(meaning("22P02"), Document(InvalidValue));
        assert_eq!(meaning("ZZ999"), Document(DatabaseRefused));
        assert_eq!(meaning("53200"), Contested);
    }
}
