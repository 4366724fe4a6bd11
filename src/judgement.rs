//! What a form needs to judge while it reads: the rules of a stream, and the list of what is wrong.
//!
//! It knows no form. The gate decides what a judgement means.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::change::{Cell, ColumnType, Family, TableName};
use crate::json::{Duplicates, Json, Path};
use crate::problem::Violation;

/// More violations than this are counted, but not described: whoever sends such a document has one mistake in a loop.
pub const VIOLATIONS_MAX: usize = 50;

/// SQLite takes at most 2,000 columns in a table and PostgreSQL 1,600; a row must also leave room for parameters.
pub const COLUMNS_MAX: usize = 1_600;

/// What happens to a table, in the words of `allow.operations`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Operation {
    Insert,
    Update,
    Delete,
    Truncate,
}

impl Operation {
    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Operation::Insert => "insert",
            Operation::Update => "update",
            Operation::Delete => "delete",
            Operation::Truncate => "truncate",
        }
    }
}

/// The rules by which documents of one stream are judged.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Patterns of the tables that may change; `*` stands for any run of characters.
    pub tables: Vec<String>,
    /// The operations that are allowed.
    pub operations: HashSet<Operation>,
    /// Whether a type that nobody knows is a violation.
    pub unknown_types_refused: bool,
    /// The longest name, in bytes, that the store can hold.
    pub identifier_bytes_max: usize,
    /// The key columns of updates that do not carry their key; empty when every update must.
    pub key_columns: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        use Operation::*;
        Rules {
            tables: vec!["*".into()],
            operations: HashSet::from([Insert, Update, Delete, Truncate]),
            unknown_types_refused: false,
            identifier_bytes_max: 255,
            key_columns: Vec::new(),
        }
    }
}

/// Reads nothing itself: is told what was read, and remembers what is wrong with it.
#[derive(Debug)]
pub struct Judge<'a, 'r> {
    rules: &'r Rules,
    violations: Vec<Violation>,
    count: usize,
    names: SeenNames<'a>,
}

impl<'a, 'r> Judge<'a, 'r> {
    /// Starts a judgement by `rules`.
    pub fn new(rules: &'r Rules) -> Self {
        Judge { rules, violations: Vec::new(), count: 0, names: SeenNames::default() }
    }

    /// Remembers that something is wrong at `path`.
    pub fn violation(&mut self, path: &Path<'_>, detail: impl FnOnce() -> String) {
        self.count += 1;
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation { pointer: path.to_string(), detail: detail() });
        }
    }

    /// How many violations there are, the undescribed ones included.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first [`VIOLATIONS_MAX`] violations.
    pub fn into_violations(self) -> Vec<Violation> {
        self.violations
    }

    /// Judges the name of the table that an operation changes, at `path`.
    pub fn table(&mut self, path: &Path<'_>, table: &TableName<'a>, operation: Operation) {
        let before = self.count;
        if let Some(schema) = &table.schema {
            self.identifier(path, "schema", schema);
        }
        self.identifier(path, "table", &table.name);
        if self.count > before {
            return;
        }
        if let Some(reserved) = reserved(table) {
            self.violation(path, || format!("{table} is refused: {reserved}"));
        } else if !self.is_allowed(table) {
            self.violation(path, || format!("table {table} is not among the tables this stream allows"));
        } else if !self.rules.operations.contains(&operation) {
            self.violation(path, || format!("{} is not among the operations this stream allows", operation.word()));
        }
        if let Some(other) = self.names.conflict(table, None) {
            self.violation(path, || format!("{:?} and {other:?} differ in letter case only", table.name));
        }
    }

    fn is_allowed(&self, table: &TableName<'_>) -> bool {
        let tables = &self.rules.tables;
        if tables.iter().any(|pattern| pattern == "*") {
            return true;
        }
        let name = table.to_string();
        // PostgreSQL's default schema may be left out on either side.
        let bare = name.strip_prefix("public.");
        let matches = |text: &str| tables.iter().any(|pattern| is_match(pattern, text));
        matches(&name) || bare.is_some_and(matches) || table.schema.is_none() && matches(&format!("public.{name}"))
    }

    /// Judges the names of one row's or key's columns.
    pub fn columns(&mut self, path: &Path<'_>, table: Option<&TableName<'a>>, names: &[Cow<'a, str>]) {
        if names.len() > COLUMNS_MAX {
            self.violation(path, || format!("{} columns are named; {COLUMNS_MAX} is the most", names.len()));
            return;
        }
        for (index, name) in names.iter().enumerate() {
            self.identifier(&path.element(index), "column", name);
        }
        if names.len() <= 16 {
            for (index, name) in names.iter().enumerate() {
                if names[..index].contains(name) {
                    self.violation(&path.element(index), || format!("column {name:?} is named twice"));
                }
            }
        } else {
            let mut seen = HashSet::with_capacity(names.len());
            for (index, name) in names.iter().enumerate() {
                if !seen.insert(name) {
                    self.violation(&path.element(index), || format!("column {name:?} is named twice"));
                }
            }
        }
        if let Some(table) = table {
            for (index, name) in names.iter().enumerate() {
                if let Some(other) = self.names.conflict(table, Some(name)) {
                    let place = path.element(index);
                    self.violation(&place, || format!("{name:?} and {other:?} differ in letter case only"));
                }
            }
        }
    }

    /// Judges the name of a type.
    pub fn column_type(&mut self, path: &Path<'_>, name: &str) -> ColumnType {
        let column_type = ColumnType::parse(name);
        if self.rules.unknown_types_refused && column_type.family() == Family::Unknown {
            self.violation(path, || format!("nobody knows the type {name:?}, and this stream refuses such types"));
        }
        if name.contains('\0') {
            self.violation(path, || "a type's name holds the character U+0000".into());
        }
        column_type
    }

    /// Reads a cell's value by its declared type.
    pub fn cell(&mut self, path: &Path<'_>, name: Cow<'a, str>, column_type: ColumnType, json: Json<'a>) -> Cell<'a> {
        let value = match column_type.read(json) {
            Ok(value) => value,
            Err(misfit) => {
                self.violation(path, || misfit.to_string());
                crate::change::Value::Null
            }
        };
        Cell { name, column_type, value }
    }

    /// The key of an update that carries none: the new row's cells in the stream's key columns, if it has them all.
    pub fn key_in(&self, row: &[Cell<'a>]) -> Option<Vec<Cell<'a>>> {
        let columns = &self.rules.key_columns;
        let cell = |column: &String| row.iter().find(|cell| cell.name == *column).cloned();
        columns.iter().map(cell).collect::<Option<Vec<_>>>().filter(|cells| !cells.is_empty())
    }

    fn identifier(&mut self, path: &Path<'_>, what: &str, name: &str) {
        let length_max = self.rules.identifier_bytes_max;
        if name.is_empty() {
            self.violation(path, || format!("the {what}'s name is empty"));
        } else if name.len() > length_max {
            let length = name.len();
            self.violation(path, || format!("the {what}'s name takes {length} bytes; the store holds {length_max}"));
        } else if name.contains('\0') {
            self.violation(path, || format!("the {what}'s name holds the character U+0000"));
        }
    }
}

impl Duplicates for Judge<'_, '_> {
    fn duplicate(&mut self, path: &Path<'_>) {
        self.violation(path, || "this member is named twice in its object".into());
    }
}

/// Why nobody may write to a table, if so.
fn reserved(table: &TableName<'_>) -> Option<&'static str> {
    let starts = |prefix: &str| table.name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let schema = table.schema.as_deref().unwrap_or("");
    if starts("_sluicegate") {
        Some("Sluicegate keeps its own books in tables of that name")
    } else if starts("sqlite_") || starts("pg_") {
        Some("the database keeps its own books in tables of that name")
    } else if ["pg_catalog", "information_schema"].iter().any(|known| schema.eq_ignore_ascii_case(known)) {
        Some("that schema is the database's own")
    } else {
        // SQLite has no schemas: there the schema is part of the name, and must not make it a reserved one.
        ["_sluicegate", "sqlite_", "pg_"]
            .iter()
            .any(|prefix| schema.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
            .then_some("that schema is the database's own")
    }
}

/// Whether `text` matches `pattern`, in which `*` stands for any run of characters.
fn is_match(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(part) = last.replace(part) {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
    }
    match last {
        None => rest.is_empty(),
        Some(part) => rest.ends_with(part),
    }
}

/// The names of tables and columns met in one document, to find two that differ in ASCII letter case only.
#[derive(Debug, Default)]
struct SeenNames<'a> {
    /// Hash of the folded name, and the name as it was written.
    few: Vec<(u64, Cow<'a, str>)>,
    many: HashMap<u64, Cow<'a, str>>,
}

impl<'a> SeenNames<'a> {
    const FEW: usize = 32;

    /// Remembers a table's name or, when `column` is given, a column's. Gives the other spelling if there is one.
    fn conflict(&mut self, table: &TableName<'a>, column: Option<&Cow<'a, str>>) -> Option<String> {
        // FNV-1a over the folded names; a stop byte keeps ("a", "bc") and ("ab", "c") apart. A collision is harmless:
        // it is told from a conflict by comparing the names.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let parts = [table.schema.as_deref().unwrap_or(""), &table.name, column.map_or("", |name| name)];
        for byte in parts.iter().flat_map(|part| part.bytes().chain(Some(0))) {
            hash = (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x100_0000_01b3);
        }
        let name = column.unwrap_or(&table.name);
        let known = match self.few.iter().find(|(known, _)| *known == hash) {
            Some((_, known)) => Some(known),
            None => self.many.get(&hash),
        };
        if let Some(known) = known {
            return (known != name && known.eq_ignore_ascii_case(name)).then(|| known.to_string());
        }
        if self.few.len() < Self::FEW {
            self.few.push((hash, name.clone()));
        } else {
            self.many.insert(hash, name.clone());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_shells_do() {
        for (pattern, text, expected) in [
            ("*", "anything", true),
            ("game.*", "game.swords", true),
            ("game.*", "gamer", false),
            ("*_log", "a_log", true),
            ("*_log", "a_logs", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("item", "item", true),
            ("item", "items", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(is_match(pattern, text), expected, "{pattern} {text}");
        }
    }
}
