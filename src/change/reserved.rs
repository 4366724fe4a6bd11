//! Names of tables and schemas that documents may not write to.

/// What the tables of Sluicegate's own books begin with.
pub const BOOKS: &str = "_sluicegate";

/// What the databases' own begin with.
const OF_DATABASES: [&str; 2] = ["sqlite_", "pg_"];

/// Where databases describe themselves, by the SQL standard.
pub const INFORMATION_SCHEMA: &str = "information_schema";

/// The prefix by which a name belongs to the machinery, in any letter case.
pub fn prefix(name: &str) -> Option<&'static str> {
    std::iter::once(BOOKS).chain(OF_DATABASES).find(|prefix| begins(name, prefix))
}

/// Whether a name is one of Sluicegate's own books.
pub fn is_of_books(name: &str) -> bool {
    begins(name, BOOKS)
}

/// Whether a schema is one in which PostgreSQL describes itself.
pub fn is_schema_of_postgres(schema: &str) -> bool {
    // Those names are in small letters; in others they are somebody's own.
    schema.starts_with("pg_") || schema == INFORMATION_SCHEMA
}

fn begins(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_machinery_are_told_in_any_case() {
        for (name, wanted) in [
            ("_sluicegate_positions", Some("_sluicegate")),
            ("_SluiceGate", Some("_sluicegate")),
            ("SQLITE_x", Some("sqlite_")),
            ("pg_x", Some("pg_")),
            ("pg", None),
            ("sluicegate", None),
            ("_sluicegät", None),
            ("", None),
        ] {
            assert_eq!(prefix(name), wanted, "{name}");
            assert_eq!(is_of_books(name), wanted == Some(BOOKS), "{name}");
        }
    }
}
