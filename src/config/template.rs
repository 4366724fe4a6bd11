//! The commented sluicegate.yaml that `sluicegate init` writes.
//!
//! It changes nothing by itself: as it stands it means what runs without a file, and every setting is there to uncomment.

/// The text of the file.
pub const TEMPLATE: &str = include_str!("template.yaml");
