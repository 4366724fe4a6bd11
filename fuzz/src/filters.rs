//! Questions about rows, as an address asks them.

use sluicegate::change::ColumnType;
use sluicegate::query::{parameters, postgrest};
use sluicegate::store::rows::Column;

/// Any query string about a table that has a column of each kind.
pub(crate) fn filters(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(asked) = parameters::read(Some(text)) else { return };
    let columns: Vec<Column> = [
        "bigint",
        "text",
        "numeric",
        "boolean",
        "date",
        "timestamptz",
        "jsonb",
        "uuid",
        "bytea",
        "integer[]",
        "interval",
    ]
    .iter()
    .map(|kind| Column {
        name: kind.replace("[]", "s"),
        column_type: ColumnType::parse(kind),
        is_key: *kind == "bigint",
    })
    .collect();
    let _ = postgrest::plan("people", &columns, &asked, data.len() % 2 == 0);
}
