//! What is said of one stream: plain data with its defaults.
//!
//! It does not check anything; `read_stream.rs` does, with the place in the file at hand.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::units;
use super::words::{Form, Formats, Misfit, UnknownTypes};
use crate::action::Action;
use crate::words::{OnFailure, Operation, Reply, Takes, Where};

/// A named way in: what it takes, which topic keeps it, and how it is applied.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(default, deny_unknown_fields, extend("required" = ["takes"]))]
pub struct Stream {
    /// Its name: the key under `streams`.
    #[schemars(skip)]
    pub name: String,
    /// What its documents are.
    #[schemars(skip_serializing, extend("x-default" = "none; it must be said"))]
    pub takes: Takes,
    /// The forms of change documents it takes, told apart by their shape.
    #[schemars(extend("x-takes" = "changes", "examples" = [["wal2json"]]))]
    pub forms: Vec<Form>,
    /// The topic of the journal that keeps its documents: 1 to 249 letters, digits, `.`, `_` and `-`. A topic belongs to
    /// one stream.
    #[schemars(skip_serializing, extend("x-default" = "the stream's name", "examples" = ["orders-v2"]))]
    pub topic: String,
    /// A topic that others write, which is applied as it is: nothing is taken in over HTTP or from files, and the topic is
    /// neither made nor emptied. It stands in place of `topic`.
    #[schemars(with = "String", skip_serializing)]
    #[schemars(extend("x-default" = "none: the stream writes its topic itself", "examples" = ["dbserver1.public.orders"]))]
    pub source: Option<String>,
    /// Where to begin in the topic of `source`, when it is read for the first time.
    pub from: Where,
    /// Paths it is posted to besides `/v1/streams/NAME`. A path belongs to one stream, and not to the gate itself
    /// (`/v1`, `/health`, `/metrics`, `/openapi.json`, `/problems`, `/console`).
    #[schemars(extend("examples" = [["/api/activities"]]))]
    pub routes: Vec<String>,
    /// Routes that stand for an event, as `METHOD /path`; the methods are `GET` and `POST`. A path may have parameters,
    /// each a whole segment: `GET /buy/{item}`. A `HEAD` is answered as its `GET`, and records nothing.
    #[schemars(with = "BTreeMap<String, ActionSettings>", skip_serializing)]
    #[schemars(extend(
        "x-takes" = "events",
        "x-default" = "none",
        "examples" = [{"GET /join_guild": {"record": "joined_guild", "answer": "\"Guild Joined!\""}}]
    ))]
    pub actions: Vec<Action>,
    /// Web pages of these origins may post to the stream and call its actions in their visitors' browsers, and see the
    /// answer; `"*"` lets every page in. Other pages get `403 forbidden`.
    #[schemars(skip_serializing)]
    #[schemars(extend("x-default" = "none", "examples" = [["https://shop.example"]]))]
    pub cors: Vec<String>,
    /// Folders whose files are published to the stream, each document once: `.json`, `.ndjson`, `.jsonl`, `.yaml` and `.yml`. New
    /// and changed files are seen at once, and left until they rest. A file that is wrong gets a `NAME.problem.json`
    /// beside it. A folder belongs to one stream; folders within it are not looked into.
    #[schemars(skip_serializing)]
    #[schemars(extend("x-default" = "none", "examples" = [["inbox"]]))]
    pub directories: Vec<PathBuf>,
    /// How acceptance and refusal are answered on `routes`; `/v1/streams/NAME` always answers with a receipt.
    pub reply: Reply,
    /// How long an answer on `routes` waits for the outcome, when `reply` is `echo` or `created`: a document that cannot be
    /// applied is then refused there, and not only judged. At most 60s; when that is over, what was accepted is answered so.
    #[schemars(schema_with = "units::period_schema", skip_serializing)]
    #[schemars(extend("x-default" = "none: what is accepted is answered at once", "examples" = ["5s"]))]
    pub wait: Option<Duration>,
    /// The key of its records: documents of one key stay in order, documents of different keys have none between them.
    /// A JSON Pointer takes the key from the document; `table`, for changes, takes the first table it changes.
    #[schemars(schema_with = "key_schema", skip_serializing)]
    #[schemars(extend(
        "x-default" = "for changes one key for all, and so one order of all; for events no key",
        "examples" = ["/userId"]
    ))]
    pub key: Option<Key>,
    /// The primary keys of the tables that it creates, by table; for others the document says it, where it does (wal2json with
    /// `include-pk=on`). A table that is there keeps the key it has.
    #[schemars(extend("x-takes" = "changes", "examples" = [{"item": ["id"]}]))]
    pub keys: BTreeMap<String, Vec<String>>,
    /// The key columns of changes that do not carry their key.
    #[schemars(extend("x-takes" = "changes", "x-default" = "the key of the table", "examples" = [["id"]]))]
    #[schemars(skip_serializing)]
    pub key_columns: Vec<String>,
    /// What becomes of a column type that nobody knows.
    #[schemars(extend("x-takes" = "changes"))]
    pub unknown_types: UnknownTypes,
    /// What happens when an accepted document cannot be applied.
    pub on_failure: OnFailure,
    /// What its documents may change; the gate refuses the rest.
    #[schemars(extend("x-takes" = "changes"))]
    pub allow: Allow,
    /// The largest document it takes; a larger one is refused with 413.
    #[schemars(schema_with = "units::size_schema")]
    #[serde(serialize_with = "units::serialize_size")]
    #[schemars(extend("examples" = ["4MiB"]))]
    pub document_bytes_max: u64,
    /// How long, and how much, the embedded journal keeps of its topic. What a reader still needs is never removed.
    pub retention: Retention,
    /// How long a document's `Idempotency-Key` is remembered: the same key within this time is applied once.
    #[schemars(schema_with = "units::period_schema")]
    #[serde(serialize_with = "units::serialize_period")]
    #[schemars(extend("examples" = ["24h"]))]
    pub duplicates_kept: Duration,
    /// The file of the JSON Schema that its documents must match; drafts 4, 6, 7, 2019-09 and 2020-12, told by `$schema`.
    ///
    /// A `$ref` may name files beside it. Nothing is fetched from the network.
    #[schemars(with = "String", skip_serializing)]
    #[schemars(extend("x-takes" = "events", "x-default" = "none: any JSON", "examples" = ["person.schema.json"]))]
    pub schema: Option<PathBuf>,
    /// What `format` in the schema means.
    #[schemars(extend("x-takes" = "events"))]
    pub formats: Formats,
    /// The table its documents become rows of. It has columns `receipt`, `received_at`, those of `columns`, and the document.
    #[schemars(with = "String", skip_serializing)]
    #[schemars(extend(
        "x-takes" = "events",
        "x-default" = "none: documents are kept in the journal only",
        "examples" = ["people"]
    ))]
    pub table: Option<String>,
    /// The column of `table` that holds the whole document as JSON.
    #[schemars(extend("x-takes" = "events", "examples" = ["body"]))]
    pub document_column: String,
    /// Columns of `table` that keep one value of each document, by name: where it stands, as a JSON Pointer or as `ce.NAME`
    /// for an attribute of a CloudEvent, and its SQL type.
    ///
    /// Without `type` the schema says it (`integer` is BIGINT, `number` NUMERIC, `boolean` BOOLEAN, `string` TEXT, with
    /// the format `date-time` TIMESTAMPTZ, `date` DATE, `uuid` UUID, anything else JSON); where it says nothing the column is
    /// TEXT, and what is no string is kept as its JSON. A document without the value is kept with NULL. A column that is
    /// added here later is added to the table by the next document that is applied; rows from before have NULL in it until
    /// their documents are applied again (`sluicegate positions set STREAM --to beginning`).
    #[schemars(schema_with = "columns_schema", skip_serializing)]
    #[schemars(extend(
        "x-takes" = "events",
        "x-default" = "none",
        "examples" = [{"name": "/name", "age": {"at": "/age", "type": "integer"}, "kind": "ce.type"}]
    ))]
    pub columns: Vec<Column>,
    /// What becomes of a document with a value that its column cannot hold.
    #[schemars(extend("x-takes" = "events"))]
    pub misfit: Misfit,
    /// Whether the document column is indexed for searches within the documents: a GIN index in PostgreSQL. SQLite has no
    /// such index, and there it changes nothing.
    #[schemars(extend("x-takes" = "events"))]
    pub document_index: bool,
    /// Whether `POST /api/v1/query_unstructured_data` and `POST /api/v1/query_relational_data` answer from its `table`. One
    /// stream may say so.
    #[schemars(extend("x-takes" = "events"))]
    pub queries: bool,
}

impl Default for Stream {
    fn default() -> Self {
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        Stream {
            name: String::new(),
            takes: Takes::Changes,
            forms: vec![Form::Activities, Form::Wal2json],
            topic: String::new(),
            source: None,
            from: Where::Beginning,
            routes: Vec::new(),
            actions: Vec::new(),
            cors: Vec::new(),
            directories: Vec::new(),
            reply: Reply::Receipt,
            wait: None,
            key: None,
            keys: BTreeMap::new(),
            key_columns: Vec::new(),
            unknown_types: UnknownTypes::Text,
            on_failure: OnFailure::SetAside,
            allow: Allow::default(),
            document_bytes_max: 1024 * 1024,
            retention: Retention { age: week, size: 10 * 1024 * 1024 * 1024 },
            duplicates_kept: week,
            table: None,
            document_column: "document".to_owned(),
            schema: None,
            formats: Formats::Annotate,
            columns: Vec::new(),
            misfit: Misfit::Reject,
            document_index: false,
            queries: false,
        }
    }
}

impl Stream {
    /// A stream of that name about which nothing else is said.
    pub fn named(name: &str, takes: Takes) -> Self {
        Stream { name: name.to_owned(), topic: name.to_owned(), takes, ..Stream::default() }
    }

    /// The two streams that run when no stream is configured.
    pub fn unconfigured() -> Vec<Stream> {
        let activities = Stream {
            routes: vec!["/api/activities".to_owned()],
            reply: Reply::Echo,
            ..Stream::named("activities", Takes::Changes)
        };
        let events = Stream { table: Some("events".to_owned()), ..Stream::named("events", Takes::Events) };
        vec![activities, events]
    }
}

/// A column of a table of records.
#[derive(Debug, Clone, PartialEq, Eq, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Column {
    /// Its name: the key under `columns`.
    #[schemars(skip)]
    pub name: String,
    /// Where its value stands: a JSON Pointer, or `ce.NAME`.
    #[schemars(skip_serializing)]
    pub at: String,
    /// Its SQL type.
    #[schemars(with = "String", skip_serializing, rename = "type")]
    pub column_type: Option<String>,
}

fn columns_schema(_: &mut SchemaGenerator) -> Schema {
    let at = json_schema!({"type": "string", "pattern": "^(ce\\.[a-z0-9]+|(/([^~/]|~[01])*)+)$"});
    json_schema!({
        "type": "object",
        "x-type": "mapping of names to places, or to `{at: PLACE, type: TYPE}`",
        "additionalProperties": {
            "anyOf": [at, {
                "type": "object",
                "required": ["at"],
                "additionalProperties": false,
                "properties": {"at": at, "type": {"type": "string"}},
            }],
        },
    })
}

/// What makes the key of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The first table that the document changes.
    Table,
    /// The value at this JSON Pointer (RFC 6901) of the document.
    Pointer(String),
}

fn key_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": "^(table|(/([^~/]|~[01])*)+)$",
        "x-type": "`table` or a JSON Pointer",
    })
}

/// What an action records and answers.
///
/// Texts in it are templates: `{query.NAME}`, `{path.NAME}`, `{header.NAME}`, `{address}` (the caller's), `{time}` (RFC 3339)
/// and, of a `POST` with JSON, `{body/POINTER}` stand for values of the request, `{{` and `}}` for the brackets. A value
/// that is missing is answered with 422, unless it has a default: `{query.user:-nobody}`. `{number query.price}` must be
/// a number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields, extend("required" = ["record"]))]
pub struct ActionSettings {
    /// The event. A text is recorded as it is, bare; anything else is a JSON template, and values become strings of it,
    /// whatever they hold. A text that is nothing but `{number …}` or `{body/…}` becomes that number, or that part of the
    /// body as it is. Bare text is judged, and kept in a table, as the JSON string of it.
    #[schemars(schema_with = "record_schema", skip_serializing)]
    #[schemars(extend(
        "x-default" = "none; it must be said",
        "examples" = ["joined_guild", {"user": "\"{query.user}\"", "item": "sword"}, {"price": "\"{number query.price:-0}\"", "at": "\"{time}\"", "what": "\"{body/item}\""}]
    ))]
    pub record: String,
    /// The text it answers.
    #[schemars(skip_serializing)]
    #[schemars(extend("x-default" = "`OK`", "examples" = ["\"{path.item} purchased!\""]))]
    pub answer: String,
}

fn record_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-type": "text or a JSON template" })
}

/// What change documents may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Allow {
    /// The tables they may change, as names or patterns in which `*` stands for any text: `game.*`.
    pub tables: Vec<String>,
    /// The operations they may ask for.
    pub operations: Vec<Operation>,
    /// Whether they may create tables and add columns.
    pub create: bool,
}

impl Default for Allow {
    fn default() -> Self {
        Allow {
            tables: vec!["*".to_owned()],
            operations: vec![Operation::Insert, Operation::Update, Operation::Delete, Operation::Truncate],
            create: true,
        }
    }
}

/// When records leave the embedded journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Retention {
    /// A record older than this may go.
    #[schemars(schema_with = "units::period_schema")]
    #[serde(serialize_with = "units::serialize_period")]
    pub age: Duration,
    /// When the topic is larger than this many bytes, its oldest records may go.
    #[schemars(schema_with = "units::size_schema")]
    #[serde(serialize_with = "units::serialize_size")]
    pub size: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Stream::default().retention
    }
}
