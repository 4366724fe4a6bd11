//! The JSON Schema of the configuration, made from the types, and the known keys, made from the schema.
//!
//! It does not judge a file: a schema cannot say where, or what was meant.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::rollup::{KeyPartSettings, Rollup, SummarySettings, WindowSettings};
use super::{Column, Config, Limits, Log, Metrics, Push, Read, Stream};
use crate::settings::intake::ActionSettings;
use crate::settings::{Allow, RetentionSettings};

/// The JSON Schema (draft 2020-12) of sluicegate.yaml, for editors.
pub fn schema() -> Value {
    schema_of::<Config>()
}

/// The schema of one type, with every part in its place instead of under `$defs`.
pub(super) fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// The keys that a mapping may have.
pub(super) struct Keys {
    /// Each key with the word of `takes` that it is for, when it is for one only.
    takes: BTreeMap<String, Option<String>>,
}

/// The keys at the top.
pub(super) static CONFIG: LazyLock<Keys> = LazyLock::new(Keys::of::<Config>);
/// The keys of `read`.
pub(super) static READ: LazyLock<Keys> = LazyLock::new(Keys::of::<Read>);
/// The keys of a stream.
pub(super) static STREAM: LazyLock<Keys> = LazyLock::new(Keys::of::<Stream>);
/// The keys of a stream's `allow`.
pub(super) static ALLOW: LazyLock<Keys> = LazyLock::new(Keys::of::<Allow>);
/// The keys of one of a stream's `actions`.
pub(super) static ACTION: LazyLock<Keys> = LazyLock::new(Keys::of::<ActionSettings>);
/// The keys of a stream's `retention`.
pub(super) static RETENTION: LazyLock<Keys> = LazyLock::new(Keys::of::<RetentionSettings>);
/// The keys of `log`.
pub(super) static LOG: LazyLock<Keys> = LazyLock::new(Keys::of::<Log>);
/// The keys of `metrics`.
pub(super) static METRICS: LazyLock<Keys> = LazyLock::new(Keys::of::<Metrics>);
/// The keys of `metrics.push`.
pub(super) static PUSH: LazyLock<Keys> = LazyLock::new(Keys::of::<Push>);
/// The keys of `limits`.
pub(super) static LIMITS: LazyLock<Keys> = LazyLock::new(Keys::of::<Limits>);
/// The keys of a rollup.
pub(super) static ROLLUP: LazyLock<Keys> = LazyLock::new(Keys::of::<Rollup>);
/// The keys of a member of a rollup's `summary`.
pub(super) static SUMMARY: LazyLock<Keys> = LazyLock::new(Keys::of::<SummarySettings>);
/// The keys of a rollup's `window`.
pub(super) static WINDOW: LazyLock<Keys> = LazyLock::new(Keys::of::<WindowSettings>);
/// The keys of a part of a rollup's `key`.
pub(super) static KEY_PART: LazyLock<Keys> = LazyLock::new(Keys::of::<KeyPartSettings>);
/// The keys of a column.
pub(super) static COLUMN: LazyLock<Keys> = LazyLock::new(Keys::of::<Column>);

impl Keys {
    fn of<T: JsonSchema>() -> Self {
        let schema = schema_of::<T>();
        let properties = schema["properties"].as_object().into_iter().flatten();
        let takes = properties.map(|(key, property)| (key.clone(), property["x-takes"].as_str().map(str::to_owned)));
        Keys { takes: takes.collect() }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.takes.contains_key(key)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.takes.keys().map(String::as_str)
    }

    /// The only kind of stream that the key is for.
    pub(super) fn only_for(&self, key: &str) -> Option<&str> {
        self.takes.get(key)?.as_deref()
    }
}
