//! Which tables a stream may change.

use crate::change::{TableName, pattern, reserved};

/// Why nobody may write to a table, if so.
pub(super) fn reserved(table: &TableName<'_>) -> Option<&'static str> {
    let schema = table.schema.as_deref().unwrap_or("");
    match reserved::prefix(&table.name) {
        Some(reserved::BOOKS) => Some("Sluicegate keeps its own books in tables of that name"),
        Some(_) => Some("the database keeps its own books in tables of that name"),
        // SQLite has no schemas: there the schema is part of the name, and must not make it a reserved one.
        None => (schema.eq_ignore_ascii_case(reserved::INFORMATION_SCHEMA) || reserved::prefix(schema).is_some())
            .then_some("that schema is the database's own"),
    }
}

/// Whether one of `patterns` names `table`. PostgreSQL's default schema may be left out on either side.
pub(super) fn is_allowed(patterns: &[String], table: &TableName<'_>) -> bool {
    if patterns.iter().any(|pattern| pattern == "*") {
        return true;
    }
    let name = table.to_string();
    let bare = name.strip_prefix("public.");
    let matches = |text: &str| patterns.iter().any(|pattern| pattern::matches(pattern, text));
    matches(&name) || bare.is_some_and(matches) || table.schema.is_none() && matches(&format!("public.{name}"))
}
