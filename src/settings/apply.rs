//! How the documents of a stream are applied, whatever they are.

use std::time::Duration;

use schemars::JsonSchema;

use super::units;
use crate::words::{OnFailure, Where};

/// How documents are applied.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct ApplySettings {
    /// Where to begin in the topic of `source`, when it is read for the first time.
    pub from: Where,
    /// What happens when an accepted document cannot be applied.
    pub on_failure: OnFailure,
    /// How long a document's `Idempotency-Key` is remembered: the same key within this time is applied once.
    #[schemars(schema_with = "units::period_schema")]
    #[serde(serialize_with = "units::serialize_period")]
    #[schemars(extend("examples" = ["24h"]))]
    pub duplicates_kept: Duration,
}

impl Default for ApplySettings {
    fn default() -> Self {
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        ApplySettings { from: Where::Beginning, on_failure: OnFailure::SetAside, duplicates_kept: week }
    }
}
