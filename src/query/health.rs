//! Whether documents can be accepted and applied by this process's roles.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::readiness::{Checked, Readiness};

/// Whether this process is ready, and what is wrong where it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Health {
    /// `ready` or `not ready`.
    pub status: &'static str,
    /// What was looked at by its name, such as `journal`: `ok`, or what is wrong.
    #[schemars(with = "BTreeMap<String, String>")]
    pub checks: Map<String, Value>,
}

/// That the process answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Liveness {
    /// `live`.
    pub status: &'static str,
}

impl Health {
    /// Whether nothing is wrong.
    pub fn is_ready(&self) -> bool {
        self.status == "ready"
    }
}

/// Looks at everything.
pub async fn ready(readiness: &Readiness) -> Health {
    let checked = readiness.look().await;
    let status = if checked.iter().all(|checked| checked.wrong.is_none()) { "ready" } else { "not ready" };
    let word = |Checked { name, wrong }| (name, Value::from(wrong.unwrap_or_else(|| "ok".into())));
    Health { status, checks: checked.into_iter().map(word).collect() }
}
