//! When records leave the embedded journal.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::units;

/// When records leave the embedded journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct RetentionSettings {
    /// A record older than this may go.
    #[schemars(schema_with = "units::period_schema")]
    #[serde(serialize_with = "units::serialize_period")]
    pub age: Duration,
    /// When the topic is larger than this many bytes, its oldest records may go.
    #[schemars(schema_with = "units::size_schema")]
    #[serde(serialize_with = "units::serialize_size")]
    pub size: u64,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        RetentionSettings { age: Duration::from_secs(7 * 24 * 60 * 60), size: 10 * 1024 * 1024 * 1024 }
    }
}
