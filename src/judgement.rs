//! What a form needs to judge while it reads: the rules of a stream, and the list of what is wrong.
//!
//! It knows no form. The gate decides what a judgement means.

mod names;
mod tables;
mod violations;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use self::names::SeenTables;
pub use self::violations::{VIOLATIONS_MAX, Violations};
use crate::change::{Cell, ColumnType, Family, TableName};
use crate::json::{Duplicates, Json, Path, zeros_added, zeros_in};
use crate::problem::Problem;
use crate::settings::{ChangeSettings, UnknownTypes};
use crate::words::Operation;

/// SQLite takes at most 2,000 columns in a table and PostgreSQL 1,600; a row must also leave room for parameters.
pub const COLUMNS_MAX: usize = 1_600;

/// So many types of one document are read once only.
const TYPES_KEPT: usize = 16;

/// The rules by which documents of one stream are judged.
#[derive(Debug, Clone)]
pub struct Rules {
    /// What change documents may say and do.
    pub changes: ChangeSettings,
    /// The longest name, in bytes, that the store can hold.
    pub identifier_bytes_max: usize,
    /// How many digits the exponents of one document's numbers may unfold to.
    pub digits_unfolded_max: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Rules { changes: ChangeSettings::default(), identifier_bytes_max: 255, digits_unfolded_max: 10_000 }
    }
}

/// Reads nothing itself: is told what was read, and remembers what is wrong with it.
#[derive(Debug)]
pub struct Judge<'a, 'r> {
    rules: &'r Rules,
    violations: Violations,
    /// The digits that exponents unfold to, so far.
    unfolded: usize,
    names: SeenTables<'a>,
    /// The types met so far, so that each is read once.
    types: Vec<(Cow<'a, str>, ColumnType)>,
    /// Room for the parts of the next row.
    pub(crate) spare: Spare<'a>,
}

/// Empty lists that a form fills and gives back: a document has many rows, and needs them once.
#[derive(Debug, Default)]
pub(crate) struct Spare<'a> {
    pub(crate) names: Vec<Cow<'a, str>>,
    pub(crate) types: Vec<ColumnType>,
    pub(crate) values: Vec<Json<'a>>,
}

impl<'a, 'r> Judge<'a, 'r> {
    /// Starts a judgement by `rules`.
    pub fn new(rules: &'r Rules) -> Self {
        Judge {
            rules,
            violations: Violations::default(),
            unfolded: 0,
            names: SeenTables::default(),
            types: Vec::new(),
            spare: Spare::default(),
        }
    }

    /// Remembers that something is wrong at `path`.
    #[cold]
    #[inline(never)]
    pub fn violation(&mut self, path: &Path<'_>, detail: impl FnOnce() -> String) {
        self.violations.add(|| path.to_string(), detail);
    }

    /// Like [`Judge::violation`], at a place that is known by its JSON Pointer.
    #[cold]
    #[inline(never)]
    pub fn violation_at(&mut self, pointer: &str, detail: impl FnOnce() -> String) {
        self.violations.add(|| pointer.to_owned(), detail);
    }

    /// How many violations there are, the undescribed ones included.
    pub fn count(&self) -> usize {
        self.violations.count()
    }

    /// The problem of a document that is not valid.
    pub fn into_problem(self) -> Problem {
        self.violations.into_problem()
    }

    /// Judges the name of the table that an operation changes, at `path`.
    pub fn table(&mut self, path: &Path<'_>, table: &TableName<'a>, operation: Operation) {
        if !self.names.knows(table) {
            let before = self.count();
            if let Some(schema) = &table.schema {
                self.identifier(path, "schema", schema);
            }
            self.identifier(path, "table", &table.name);
            if self.count() > before {
                return;
            }
            if let Some(reserved) = tables::reserved(table) {
                return self.violation(path, || format!("{table} is refused: {reserved}"));
            }
            if !tables::is_allowed(&self.rules.changes.allow.tables, table) {
                return self.violation(path, || format!("table {table} is not among the tables this stream allows"));
            }
            if let Some(other) = self.names.add(table) {
                self.violation(path, || format!("{:?} and {other:?} differ in letter case only", table.name));
            }
        }
        if !self.rules.changes.allow.operations.contains(&operation) {
            self.violation(path, || format!("{} is not among the operations this stream allows", operation.word()));
        }
    }

    /// Judges the names of one row's or key's columns.
    pub fn columns(&mut self, path: &Path<'_>, table: Option<&TableName<'a>>, names: &[Cow<'a, str>]) {
        /// Fewer names are compared with each other; more are hashed.
        const FEW: usize = 16;
        if names.len() > COLUMNS_MAX {
            return self.violation(path, || format!("{} columns are named; {COLUMNS_MAX} is the most", names.len()));
        }
        let mut seen = None;
        let is_known = table.is_some_and(|table| self.names.knows(table));
        for (index, name) in names.iter().enumerate() {
            self.identifier(&path.element(index), "column", name);
            let is_again = match names.len() {
                0..=FEW => names[..index].contains(name),
                _ => !seen.get_or_insert_with(HashSet::new).insert(name),
            };
            if is_again {
                self.violation(&path.element(index), || format!("column {name:?} is named twice"));
            } else if is_known && let Some(other) = self.names.add_column(name.clone()) {
                let place = path.element(index);
                self.violation(&place, || format!("{name:?} and {other:?} differ in letter case only"));
            }
        }
    }

    /// Judges the name of a type.
    pub fn column_type(&mut self, path: &Path<'_>, name: Cow<'a, str>) -> ColumnType {
        if let Some((_, known)) = self.types.iter().find(|(known, _)| *known == name) {
            return known.clone();
        }
        let column_type = ColumnType::parse(&name);
        if self.rules.changes.unknown_types == UnknownTypes::Reject && column_type.family() == Family::Unknown {
            self.violation(path, || format!("nobody knows the type {name:?}, and this stream refuses such types"));
        } else if name.contains('\0') {
            self.violation(path, || "a type's name holds the character U+0000".into());
        } else if self.types.len() < TYPES_KEPT {
            self.types.push((name, column_type.clone()));
        }
        column_type
    }

    /// Reads a cell's value by its declared type.
    #[inline]
    pub fn cell(&mut self, path: &Path<'_>, name: Cow<'a, str>, column_type: ColumnType, json: Json<'a>) -> Cell<'a> {
        if let Json::Text(text) = &json {
            self.text_of(path, &column_type, text);
        }
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
        let columns = &self.rules.changes.key_columns;
        let cell = |column: &String| row.iter().find(|cell| cell.name == *column).cloned();
        columns.iter().map(cell).collect::<Option<Vec<_>>>().filter(|cells| !cells.is_empty())
    }

    /// Counts the exponents in a text that a column reads numbers from.
    #[inline]
    pub fn text_of(&mut self, place: impl fmt::Display, column_type: &ColumnType, text: &str) {
        let family = column_type.family();
        if matches!(family, Family::Decimal | Family::Json) && text.contains(['e', 'E']) {
            self.unfold_text(place, family, text);
        }
    }

    fn unfold_text(&mut self, place: impl fmt::Display, family: Family, text: &str) {
        let digits = match family {
            // What is no JSON is refused when it is read.
            Family::Json => zeros_in(text),
            // One number, or the elements of an array in PostgreSQL's notation.
            _ => text
                .split(['{', '}', ',', '"'])
                .filter(|number| number.len() > 1)
                .fold(0, |sum: usize, number| sum.saturating_add(zeros_added(number.trim_ascii()))),
        };
        self.unfold(place, digits);
    }

    /// Counts digits that an exponent unfolds to; a violation at the first place that is too much.
    fn unfold(&mut self, place: impl fmt::Display, digits: usize) {
        let max = self.rules.digits_unfolded_max;
        let before = self.unfolded;
        self.unfolded = before.saturating_add(digits);
        if before <= max && self.unfolded > max {
            self.violation_at(&place.to_string(), || {
                format!(
                    "written out, the numbers of the document take more than {max} digits for their exponents; \
                     `limits.digits_unfolded_max` sets the limit"
                )
            });
        }
    }

    /// Whether the numbers of the document can be worked with: none of them unfolds to more than they all may.
    pub fn is_foldable(&self) -> bool {
        self.unfolded <= self.rules.digits_unfolded_max
    }

    fn identifier(&mut self, path: &Path<'_>, what: &str, name: &str) {
        let length_max = self.rules.identifier_bytes_max;
        if name.is_empty() {
            self.violation(path, || format!("the {what}'s name is empty"));
        } else if name.len() > length_max {
            let length = name.len();
            self.violation(path, || format!("the {what}'s name takes {length} bytes; the store holds {length_max}"));
        } else if name.as_bytes().contains(&0) {
            self.violation(path, || format!("the {what}'s name holds the character U+0000"));
        }
    }
}

impl Duplicates for Judge<'_, '_> {
    fn duplicate(&mut self, path: &Path<'_>) {
        self.violation(path, || "this member is named twice in its object".into());
    }

    fn exponent(&mut self, path: &Path<'_>, digits: &str) {
        self.unfold(path, zeros_added(digits));
    }
}
