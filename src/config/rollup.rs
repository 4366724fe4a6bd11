//! What is said of one rollup: plain data with its defaults.
//!
//! It does not check anything; `read_rollup.rs` does, with the place in the file at hand.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::words::OnSkip;
use crate::rollup::{Definition, Publish, Unit};
use crate::settings::units;

/// A running summary per key of a stream's documents, in an output topic.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(default, deny_unknown_fields, extend("required" = ["from", "key", "summary"]))]
pub struct Rollup {
    /// Its name, which is that of the output topic: the key under `rollups`.
    #[schemars(skip)]
    pub name: String,
    /// The stream whose documents are summed up.
    #[schemars(extend("x-default" = "none; it must be said", "examples" = ["sightings"]))]
    pub from: String,
    /// What summaries are told apart by: the place of a value in the documents, or a list of them. Each is a JSON Pointer, or
    /// `ce.NAME` for an attribute of a CloudEvent, or `{as: NAME, at: PLACE}`; without `as` it is called by the pointer's
    /// last part.
    #[schemars(rename = "key", with = "String", skip_serializing)]
    #[schemars(extend("x-default" = "none; it must be said", "examples" = ["/userId"]))]
    pub definition: Definition,
    /// What is summed up, by the names that the summary shows, in their order.
    #[schemars(rename = "summary", with = "BTreeMap<String, SummarySettings>", skip_serializing)]
    #[schemars(extend(
        "x-default" = "none; it must be said",
        "examples" = [{"firstSeen": {"min": "/metadata/timestamp"}, "lastSeen": {"max": "/metadata/timestamp"}}]
    ))]
    summary: (),
    /// When changed summaries are published: `changes`, each changed key once a batch; `every` and a duration, such as
    /// `every 5s`, the keys that changed since; `end`, once a run of `up --until-caught-up` has read everything.
    #[schemars(schema_with = "publish_schema", skip_serializing)]
    #[schemars(extend("x-default" = "`changes`", "examples" = ["every 5s"]))]
    pub publish: Publish,
    /// Only documents with this value, or one of a list, at this place are summed up.
    #[schemars(rename = "where", with = "BTreeMap<String, String>", skip_serializing)]
    #[schemars(extend("x-default" = "all of them", "examples" = [{"/type": "Event"}]))]
    chosen: (),
    /// Summaries of stretches of time, by a time that the documents say; its begin is a part of the key, called `window`.
    #[schemars(with = "WindowSettings", skip_serializing)]
    #[schemars(extend("x-default" = "none: a summary is of all time"))]
    window: (),
    /// A table of the store that keeps the summaries as well, a row each. It is applied from the output topic.
    #[schemars(with = "String", skip_serializing)]
    #[schemars(extend("x-default" = "none", "examples" = ["first_and_last_seen"]))]
    pub table: Option<String>,
    /// What happens at a document that cannot be summed up: its key is missing, or a value is of the wrong kind.
    #[schemars(skip_serializing)]
    pub on_failure: OnSkip,
}

/// One member of the summary: one of the functions, and where the values stand.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub(super) struct SummarySettings {
    /// The smallest: numbers before times before texts.
    #[schemars(extend("x-default" = "one of these is to be said", "examples" = ["/metadata/timestamp"]))]
    pub(super) min: String,
    /// The greatest.
    #[schemars(extend("x-default" = "one of these is to be said"))]
    pub(super) max: String,
    /// How many documents have a value there; `""` counts all documents.
    #[schemars(extend("x-default" = "one of these is to be said"))]
    pub(super) count: String,
    /// The exact sum of numbers.
    #[schemars(extend("x-default" = "one of these is to be said"))]
    pub(super) sum: String,
    /// The sum by the count, to 16 digits behind the point, or as many as the sum has.
    #[schemars(extend("x-default" = "one of these is to be said"))]
    pub(super) avg: String,
    /// The value in the earliest document by the time at `by`; of several, in the one that stands first.
    #[schemars(extend("x-default" = "one of these is to be said"))]
    pub(super) first: String,
    /// The value in the latest document by the time at `by`; of several, in the one that stands last.
    #[schemars(extend("x-default" = "one of these is to be said"))]
    pub(super) last: String,
    /// The time that `first` and `last` go by.
    #[schemars(extend("x-default" = "none; with `first` and `last` it must be said", "examples" = ["/metadata/timestamp"]))]
    pub(super) by: String,
}

/// A window of time.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub(super) struct WindowSettings {
    /// How long it is. Windows follow each other from 1970 on (UTC).
    #[schemars(schema_with = "units::period_schema", extend("x-default" = "none; it must be said", "examples" = ["1h"]))]
    pub(super) of: String,
    /// Where a document says its time: a text (RFC 3339, or a date), or a number since 1970.
    #[schemars(extend("x-default" = "none; it must be said", "examples" = ["/metadata/timestamp"]))]
    pub(super) at: String,
    /// What a number counts.
    pub(super) unit: Unit,
    /// How long after its end a window takes documents that come late. By the times of the documents, never by the clock. What
    /// comes later still is counted, and listed by `GET /v1/rollups/NAME/late`.
    #[schemars(schema_with = "units::period_schema", extend("x-default" = "for ever", "examples" = ["7d"]))]
    pub(super) keep: String,
}

/// A part of the key that is named.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub(super) struct KeyPartSettings {
    /// What summaries call it.
    #[schemars(rename = "as")]
    pub(super) name: String,
    /// Where it stands.
    pub(super) at: String,
}

fn publish_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": "^(changes|end|every [0-9]+(ms|s|m|h|d))$"})
}

impl Rollup {
    /// One of which nothing else is said.
    pub(super) fn named(name: &str) -> Self {
        Rollup { name: name.to_owned(), ..Rollup::default() }
    }
}

impl Default for Rollup {
    fn default() -> Self {
        Rollup {
            name: String::new(),
            from: String::new(),
            definition: Definition { key: Vec::new(), summaries: Vec::new(), chosen: None, window: None },
            summary: (),
            publish: Publish::Changes,
            chosen: (),
            window: (),
            table: None,
            on_failure: OnSkip::Skip,
        }
    }
}
