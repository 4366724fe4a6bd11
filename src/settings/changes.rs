//! What change documents may say and do, beyond what their form asks.

use schemars::JsonSchema;
use serde::Serialize;

use crate::words::{Operation, choice};

choice! {
    /// What becomes of a column type that nobody knows.
    pub enum UnknownTypes {
        /// Its values are kept as text.
        Text = "text",
        /// The document is refused.
        Reject = "reject",
    }
}

/// What the change documents of a stream may say and do.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct ChangeSettings {
    /// The key columns of changes that do not carry their key.
    #[schemars(extend("x-takes" = "changes", "x-default" = "the key of the table", "examples" = [["id"]]))]
    #[schemars(skip_serializing)]
    pub key_columns: Vec<String>,
    /// What becomes of a column type that nobody knows.
    #[schemars(extend("x-takes" = "changes"))]
    pub unknown_types: UnknownTypes,
    /// What its documents may change; the gate refuses the rest.
    #[schemars(extend("x-takes" = "changes"))]
    pub allow: Allow,
}

impl Default for ChangeSettings {
    fn default() -> Self {
        ChangeSettings { key_columns: Vec::new(), unknown_types: UnknownTypes::Text, allow: Allow::default() }
    }
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
