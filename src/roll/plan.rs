//! What a running rollup is told: what it reads, what it writes, and how its output records look.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

use crate::clock;
use crate::document::{StreamName, TopicName};
use crate::record::{Headers, Kept, Record};
use crate::rollup::{Broken, Key, Publish, Rollup, State, WINDOW};

/// The form of output records: their `ce_type`.
pub const FORM: &str = "summary";

/// The attribute of output records that holds what a summary rests on and does not show. See [`State::rest`].
const REST: &str = "rest";

/// The attribute that says before which offset of the input's partition every record is in the summary.
const UP_TO: &str = "upto";

/// What a rollup does, and where.
#[derive(Debug)]
pub struct Plan {
    /// Its name.
    pub name: StreamName,
    /// The stream that is summed up.
    pub from: StreamName,
    /// That stream's topic.
    pub input: TopicName,
    /// The topic of its summaries.
    pub output: TopicName,
    /// What it sums up.
    pub rollup: Rollup,
    /// When it publishes.
    pub publish: Publish,
    /// Whether it stands still at a document that cannot be summed up.
    pub stops: bool,
    /// How long idempotency keys are remembered.
    pub duplicates_kept: Duration,
}

/// Where an output record comes from: the partition of the input, before which offset, and its number among those that were
/// published with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kin {
    pub(super) partition: i32,
    pub(super) folded: i64,
    pub(super) number: u64,
}

/// The file with the state of a partition of a rollup.
pub fn state_path(folder: &Path, plan: &Plan, partition: i32) -> PathBuf {
    folder.join(format!("{}-{partition}.db", plan.name))
}

impl Plan {
    /// The consumer group that it reads as.
    pub fn group(&self) -> String {
        format!("sluicegate.rollup.{}", self.name)
    }

    /// The members of its summaries, in their order.
    pub fn columns(&self) -> Vec<String> {
        let definition = self.rollup.definition();
        let window = definition.window.iter().map(|_| WINDOW.to_owned());
        let keys = definition.key.iter().map(|part| part.name.clone()).chain(window);
        keys.chain(definition.summaries.iter().map(|summary| summary.name.clone())).collect()
    }

    /// The record of a summary.
    pub(super) fn record(&self, kin: Kin, key: &Key, state: &State) -> Record {
        let definition = self.rollup.definition();
        let Kin { partition, folded, number } = kin;
        let mut headers = Headers {
            // The same summary of the same documents has the same.
            id: format!("{partition}-{folded}-{number}"),
            source: self.name.to_string(),
            form: FORM.to_owned(),
            ..Headers::default()
        };
        headers.further.insert(UP_TO.to_owned(), folded.to_string());
        if let Some(rest) = state.rest() {
            headers.further.insert(REST.to_owned(), rest);
        }
        Record {
            key: Some(Bytes::from(key.record_key())),
            value: Bytes::from(state.value(definition, key)),
            headers,
            timestamp_ms: clock::now_ms(),
        }
    }

    /// The summary that an output record holds, and before which offset of the input every record is in it. None for a record
    /// that is none of ours.
    pub(super) fn summary(&self, kept: &Kept) -> Option<(Key, State, i64)> {
        let Record { key, value, headers, .. } = &kept.record;
        let definition = self.rollup.definition();
        let key = std::str::from_utf8(key.as_deref()?).ok()?;
        let value = std::str::from_utf8(value).ok()?;
        let up_to = headers.attribute(UP_TO)?.parse().ok()?;
        let state = State::from_value(definition, value, headers.attribute(REST)).ok()?;
        Some((Key::from_record_key(key, definition.key_parts()), state, up_to))
    }

    /// That a summary cannot be read back.
    pub(super) fn broken(&self, broken: &Broken) -> String {
        format!("{broken}: it was written for another definition of the rollup; {}", self.another_name())
    }

    /// What a person does about a definition that has changed.
    pub(super) fn another_name(&self) -> String {
        format!("give the changed rollup another name than `{}`, and it begins at the first document", self.name)
    }
}
