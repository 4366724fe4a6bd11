//! wal2json, PostgreSQL's logical decoding plug-in, in both of its versions.
//!
//! Members that change nothing (`xid`, `lsn`, `timestamp`, `columnpositions`, …) are passed over: which there are depends
//! on the plug-in's version and options.

pub(super) mod v1;
pub(super) mod v2;

use std::borrow::Cow;

use crate::change::{Cell, ColumnType, Value};
use crate::json::Json;
use crate::judgement::Judge;

/// Reads a cell. wal2json prints NaN and infinities of number columns as null, and so does the caller get it.
fn cell<'a>(
    judge: &mut Judge<'a, '_>,
    path: &crate::json::Path<'_>,
    name: Cow<'a, str>,
    column_type: Option<ColumnType>,
    value: Json<'a>,
) -> Cell<'a> {
    match value {
        Json::Null => Cell { name, column_type: column_type.unwrap_or_else(untyped), value: Value::Null },
        value => judge.cell(path, name, column_type.unwrap_or_else(untyped), value),
    }
}

/// The type of a column whose type was left out (`include-types=false`).
fn untyped() -> ColumnType {
    ColumnType::parse("")
}
