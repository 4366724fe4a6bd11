//! Sluicegate: the gate between the people who send data and the databases that must trust it.
//!
//! The modules stand in the order in which a document meets them. What things are (`json` to `gate`) knows no input or
//! output; `journal` and `store` are the outside; `intake`, `apply` and `query` are the flow; `command` wires it up.

pub mod panics;
pub mod reason;
pub mod json;

pub mod words;
pub mod settings;
pub mod document;
pub mod change;
pub mod record;
pub mod problem;
pub mod judgement;
pub mod schema;
pub mod format;
pub mod gate;
pub mod action;
pub mod rollup;
pub mod generate;

pub mod excerpt;
pub mod near;
pub mod media_type;
pub mod query_string;
pub mod clock;
pub mod polling;
pub mod disk;
pub mod sqlite;
pub mod journal;
pub mod store;
pub mod stream;

pub mod metrics;
pub mod reading;
pub mod budget;
pub mod aside;
pub mod service;
pub mod parts;
pub mod readiness;
pub mod intake;
pub mod apply;
pub mod roll;
pub mod query;

pub mod http;
pub mod shutdown;
pub mod telemetry;
pub mod config;
pub mod registry;
pub mod command;

/// The SHA-256 of a document's bytes.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}
