//! What is said of one stream: plain data with its defaults, most of it in the parts of `settings` by who reads it.
//!
//! It does not check anything; `read_stream.rs` does, with the place in the file at hand.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::words::{Form, Formats, Misfit};
use crate::settings::intake::IntakeSettings;
use crate::settings::{ApplySettings, ChangeSettings, RetentionSettings, units};
use crate::words::{Reply, Takes};

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
    /// The ways into it.
    #[schemars(flatten)]
    pub intake: IntakeSettings,
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
    /// What its change documents may say.
    #[schemars(flatten)]
    pub changes: ChangeSettings,
    /// The largest document it takes; a larger one is refused with 413.
    #[schemars(schema_with = "units::size_schema")]
    #[serde(serialize_with = "units::serialize_size")]
    #[schemars(extend("examples" = ["4MiB"]))]
    pub document_bytes_max: u64,
    /// The topic of the journal that keeps its documents: 1 to 249 letters, digits, `.`, `_` and `-`. A topic belongs to
    /// one stream.
    #[schemars(skip_serializing, extend("x-default" = "the stream's name", "examples" = ["orders-v2"]))]
    pub topic: String,
    /// A topic that others write, which is applied as it is: nothing is taken in over HTTP or from files, and the topic is
    /// neither made nor emptied. It stands in place of `topic`.
    #[schemars(with = "String", skip_serializing)]
    #[schemars(extend("x-default" = "none: the stream writes its topic itself", "examples" = ["dbserver1.public.orders"]))]
    pub source: Option<String>,
    /// How it is applied.
    #[schemars(flatten)]
    pub apply: ApplySettings,
    /// How long, and how much, the embedded journal keeps of its topic. What a reader still needs is never removed.
    pub retention: RetentionSettings,
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
        Stream {
            name: String::new(),
            takes: Takes::Changes,
            forms: vec![Form::Activities, Form::Wal2json],
            intake: IntakeSettings::default(),
            key: None,
            keys: BTreeMap::new(),
            changes: ChangeSettings::default(),
            document_bytes_max: 1024 * 1024,
            topic: String::new(),
            source: None,
            apply: ApplySettings::default(),
            retention: RetentionSettings::default(),
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
        let routes = vec!["/api/activities".to_owned()];
        let activities = Stream {
            intake: IntakeSettings { routes, reply: Reply::Echo, ..IntakeSettings::default() },
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
