//! How documents come in: routes, actions, folders, and what is answered there.
//!
//! What an action records is made by `action`, and what a path may be is judged by whoever reads the configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::units;
use crate::action::Action;
use crate::words::Reply;

/// The ways into a stream besides `/v1/streams/NAME`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct IntakeSettings {
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
}

impl Default for IntakeSettings {
    fn default() -> Self {
        IntakeSettings {
            routes: Vec::new(),
            actions: Vec::new(),
            cors: Vec::new(),
            directories: Vec::new(),
            reply: Reply::Receipt,
            wait: None,
        }
    }
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
