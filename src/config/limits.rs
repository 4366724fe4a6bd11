//! What one document may ask for at most.

use schemars::JsonSchema;
use serde::Serialize;

use super::fields::{Field, Fields};
use super::problem::Problems;
use super::read_stream::set;
use super::schema::LIMITS;

/// What one document may ask for, whoever sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Limits {
    /// How many tables a document may make. One that names more new ones becomes a dead letter: each table costs a
    /// statement, and all other documents wait meanwhile.
    #[schemars(extend("x-type" = "whole number"))]
    pub tables_per_document: usize,
    /// How many columns and indexes a document may make, those of new tables included.
    #[schemars(extend("x-type" = "whole number"))]
    pub columns_per_document: usize,
    /// How many digits the numbers of a document may unfold to: `1e5000` takes six bytes, and written out 5,001 digits.
    /// A document with more is refused. Exponents up to 40 count nothing.
    #[schemars(extend("x-type" = "whole number"))]
    pub digits_unfolded_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { tables_per_document: 100, columns_per_document: 1_000, digits_unfolded_max: 10_000 }
    }
}

/// Reads the mapping; what is wrong is reported, and stands at its default.
pub(super) fn read(field: &Field<'_>, problems: &mut Problems) -> Option<Limits> {
    let fields = Fields::open(field.node, &field.label, &LIMITS, &[], problems)?;
    let mut limits = Limits::default();
    set(&mut limits.tables_per_document, fields.take("tables_per_document"), |field| field.count(problems));
    set(&mut limits.columns_per_document, fields.take("columns_per_document"), |field| field.count(problems));
    set(&mut limits.digits_unfolded_max, fields.take("digits_unfolded_max"), |field| field.count(problems));
    Some(limits)
}
