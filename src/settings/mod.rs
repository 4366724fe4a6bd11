//! What is said of a stream: plain data with its words, its documentation and its defaults, by who reads it.
//!
//! Each setting stands once. The configuration reads it into these types, which are parts of the stream that runs; the JSON
//! Schema and docs/configuration.md are made from their comments. What must be compiled first (a schema, the types of
//! columns) is in `config/stream.rs` alone. Nothing here judges or reads.

mod apply;
mod changes;
pub mod intake;
mod retention;
pub(crate) mod units;

pub use self::apply::ApplySettings;
pub use self::changes::{Allow, ChangeSettings, UnknownTypes};
pub use self::retention::RetentionSettings;
