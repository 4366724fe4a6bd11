//! What can go wrong, as one small catalogue: the same types in an HTTP answer (RFC 9457), in a dead letter, in a log
//! line, and as a page that says what a type means and how to mend it.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

macro_rules! catalogue {
    ($($variant:ident $name:literal $status:literal $title:literal $mend:literal;)*) => {
        /// The types of problems there are.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemType { $(#[doc = $title] $variant,)* }

        impl ProblemType {
            /// Every type, in the order of the catalogue.
            pub const ALL: &'static [ProblemType] = &[$(ProblemType::$variant),*];

            /// The name, as it stands in `/problems/NAME`.
            pub fn name(self) -> &'static str {
                match self { $(ProblemType::$variant => $name,)* }
            }

            /// The HTTP status it is answered with.
            pub fn status(self) -> u16 {
                match self { $(ProblemType::$variant => $status,)* }
            }

            /// One sentence that is the same for every problem of this type.
            pub fn title(self) -> &'static str {
                match self { $(ProblemType::$variant => $title,)* }
            }

            /// What the sender or the operator can do about it.
            pub fn mend(self) -> &'static str {
                match self { $(ProblemType::$variant => $mend,)* }
            }
        }
    };
}

catalogue! {
    NotJson "not-json" 400 "The body is not JSON."
        "Send one JSON text (RFC 8259) in UTF-8, or YAML under its media type. The detail names the line and the column of the first fault.";
    BadQuery "bad-query" 400 "The query cannot be answered."
        "The detail names the parameter, what was found in it, and what it takes.";
    BadHeader "bad-header" 400 "A header cannot be read."
        "The detail names the header, what was found in it, and what it takes.";
    Forbidden "forbidden" 403 "The request comes from where it may not."
        "The detail names the setting that would let it in: `allowed_hosts` for the name in `Host`, `allowed_origins` or `cors` of the stream for a web page.";
    NotFound "not-found" 404 "There is nothing at this address."
        "GET /v1/streams lists the streams, GET /v1/tables the tables.";
    UnknownStream "unknown-stream" 404 "There is no such stream."
        "GET /v1/streams lists the streams. A stream is added under `streams` in the configuration.";
    UnknownRollup "unknown-rollup" 404 "There is no such rollup."
        "GET /v1/rollups lists the rollups. A rollup is added under `rollups` in the configuration.";
    UnknownTable "unknown-table" 404 "There is no such table."
        "An insert creates a table where the stream allows it; updates, deletes and truncates need one that exists. Create the table, then retry the dead letter.";
    UnknownReceipt "unknown-receipt" 404 "No document can have this receipt."
        "A receipt is given by the answer to an accepted document, and written TOPIC-PARTITION-OFFSET.";
    UnknownDeadLetter "unknown-dead-letter" 404 "There is no such dead letter."
        "GET /v1/dead-letters lists them. One that was retried with success or dropped is gone from the list.";
    MethodNotAllowed "method-not-allowed" 405 "The method is not allowed here."
        "The header Allow lists the methods that are.";
    RequestTimeout "request-timeout" 408 "The request took too long to arrive."
        "Send the whole body within 30 seconds, with no less than 4 KiB a second after the first 5, or in smaller requests.";
    NotApplied "not-applied" 409 "The document was accepted, but could not be applied."
        "It is kept as a dead letter with the reason. Mend what the reason names, then retry it: `sluicegate dead-letters retry ID`.";
    DocumentTooLarge "document-too-large" 413 "The document is too large."
        "Send smaller documents, or raise the stream's `document_bytes_max`. With wal2json v2, `include-transaction=false` makes each change a document.";
    UnsupportedMediaType "unsupported-media-type" 415 "The body's media type is not supported."
        "Send Content-Type: application/json, application/x-ndjson for one document a line, application/yaml, or application/cloudevents+json; the data of a CloudEvent must be JSON. Content-Encoding may be gzip or zstd.";
    HeadersTooLarge "headers-too-large" 431 "The headers are too many or too large."
        "Send fewer headers, smaller ones, or a shorter address; what is long belongs into the body.";
    InvalidDocument "invalid-document" 422 "The document is not valid."
        "`errors` lists what is wrong with it, up to 50 places, each with a JSON Pointer. Nothing of the document was kept.";
    Internal "internal" 500 "Sluicegate failed."
        "The fault is not the sender's. The log holds the cause under the time of the request.";
    Overloaded "overloaded" 503 "More documents arrive than can be kept."
        "Nothing of the document was kept. Send it again after Retry-After seconds.";
    JournalUnavailable "journal-unavailable" 503 "The journal cannot take documents."
        "`kept` says whether the document may have been kept: after \"no\" send it again; after \"unknown\" send it again with the same Idempotency-Key. /health/ready says what is wrong.";
    StoreUnavailable "store-unavailable" 503 "The store cannot be reached."
        "Accepted documents wait in the journal. /health/ready says what is wrong; a gateway without a store answers no question about it.";
    QueryTimeout "query-timeout" 503 "The question takes too long."
        "A statement that reads is stopped after 10 s. Ask for less: by conditions on the primary key or an indexed column, without `order`, or later.";
    RowTooLarge "row-too-large" 507 "A row is too large to be answered."
        "Ask for less of it: name fewer columns by `select`, or go into JSON by `->`. A condition on its key leaves it out.";
    UnknownColumn "unknown-column" 409 "A column does not exist."
        "Updates and deletes need their key columns; inserts and updates add the columns they set where the stream allows it (`allow.create`). Add the column, then retry the dead letter.";
    UnknownKey "unknown-key" 409 "Nothing tells which row is meant."
        "The document leaves it to the table by which key its rows are told apart. Give the table a primary key, or name it under the stream's `keys`, and retry the dead letter; where a column of the key is missing, retry the mended document.";
    TypeConflict "type-conflict" 409 "A declared type conflicts with the column's type."
        "The types belong to different families, such as TEXT and INTEGER. Mend the document (`sluicegate dead-letters retry ID --with FILE`) or the column.";
    NameConflict "name-conflict" 409 "The name is taken."
        "The detail says by what: a name that differs in letter case only, an index, a sequence, a view, a type, or a column of the database's own. Write the name as the table has it, or take another one, and retry the mended document.";
    ForbiddenTable "forbidden-table" 409 "The store's role may not do this to the table."
        "The detail names what is missing, and the statement that would allow it. Run it as the owner of the table, then retry the dead letter; or mend the document.";
    ValueOutOfRange "value-out-of-range" 409 "A value does not fit its column."
        "The value has too many digits, is too long, or lies outside the range of the column's type.";
    InvalidValue "invalid-value" 409 "A value cannot be read as its column's type."
        "Mend the value, then retry: `sluicegate dead-letters retry ID --with FILE`.";
    TooManyNames "too-many-names" 409 "The document would make too many tables or columns."
        "Send it in parts, make the tables beforehand, or raise `limits.tables_per_document` and `limits.columns_per_document`, then retry the dead letter.";
    ConstraintViolated "constraint-violated" 409 "A constraint of the table was violated."
        "The detail names the constraint. Mend the document or the rows it collides with, then retry.";
    DatabaseRefused "database-refused" 409 "The database refused the document."
        "The detail holds the database's own words: a trigger, a function, a view, an extension or a limit of the database said no. Mend what they name, then retry the dead letter.";
    IdempotencyKeyReused "idempotency-key-reused" 409 "The idempotency key was used for another document."
        "A key stands for one document. Send a different document under a key of its own.";
    UnreadableRecord "unreadable-record" 409 "The record in the journal is no document of this stream."
        "Something else wrote to the topic, or the stream's settings no longer admit the document. Retry with a mended document, or drop it.";
}

impl ProblemType {
    /// Finds a type by its name.
    pub fn find(name: &str) -> Option<ProblemType> {
        Self::ALL.iter().copied().find(|known| known.name() == name)
    }
}

impl JsonSchema for ProblemType {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ProblemType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = Self::ALL.iter().map(|kind| format!("/problems/{}", kind.name())).collect();
        json_schema!({
            "description": "The type: the address of the page that says what it means and how to mend it.",
            "type": "string",
            "enum": names,
        })
    }
}

impl Serialize for ProblemType {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("/problems/{}", self.name()))
    }
}

impl<'de> Deserialize<'de> for ProblemType {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.strip_prefix("/problems/")
            .and_then(ProblemType::find)
            .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no type of the catalogue")))
    }
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Violation {
    /// Where, as a JSON Pointer (RFC 6901) into the document.
    pub pointer: String,
    /// What was found, and what would be right.
    pub detail: String,
}

/// A longer detail is cut.
const DETAIL_CHARS_MAX: usize = 2_000;

/// A problem that happened: a type of the catalogue and what is known about this case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The type.
    #[serde(rename = "type")]
    pub kind: ProblemType,
    /// The type's sentence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time. Safe to show to the sender.
    pub detail: String,
    /// What is wrong with the document, up to 50 places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Violation>,
    /// The tables that the document names, up to [`TABLES_MAX`]: kept with a dead letter, to tell who may be told what
    /// happened. No answer holds them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(skip)]
    pub tables: Vec<String>,
}

/// So many tables are kept with a problem: a document that names as many may name more.
pub const TABLES_MAX: usize = 50;

impl Problem {
    /// A problem without places.
    pub fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        let (title, status) = (kind.title().into(), kind.status());
        let mut detail = detail.into();
        // It may quote a value, and be quoted itself.
        if let Some((end, _)) = detail.char_indices().nth(DETAIL_CHARS_MAX) {
            detail.truncate(end);
            detail.push('…');
        }
        Problem { kind, title, status, detail, errors: Vec::new(), tables: Vec::new() }
    }

    /// The same of a document that names these tables.
    #[must_use]
    pub fn about(self, tables: Vec<String>) -> Self {
        Problem { tables, ..self }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.kind.name(), self.detail)?;
        for error in self.errors.iter().take(3) {
            write!(out, "; {}: {}", if error.pointer.is_empty() { "/" } else { &error.pointer }, error.detail)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_again() {
        for kind in ProblemType::ALL {
            assert_eq!(ProblemType::find(kind.name()), Some(*kind));
        }
    }
}
