//! The plans made so far: how a change of one shape is made. They belong to one connection, as do its statements.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustc_hash::{FxHashMap, FxHasher};
use tokio_postgres::Statement;
use tokio_postgres::types::Type;

use super::catalogue::{Place, Table};
use super::sql::{cell, keeps_key};
use crate::change::{Cell, Change, ColumnType, Family, Value};
use crate::store::made::Made;
use crate::store::shape::{self, PLANS_MAX};
use crate::words::Operation;

/// How long what was read of the catalogue is believed. PostgreSQL itself says what no longer fits; this is for what it
/// lets pass, such as a key that somebody adds.
const BELIEVED: Duration = Duration::from_secs(5);

/// The plans, and the tables they are made from.
#[derive(Debug)]
pub(super) struct Plans {
    pub(super) tables: FxHashMap<Place, Arc<Table>>,
    plans: FxHashMap<u64, Arc<Plan>>,
    /// The plan that was used last: batches are often of one shape.
    last: Option<Arc<Plan>>,
    count: u32,
    since: Instant,
    /// How often a table or an index was made or changed. A transaction that is undone must forget what it saw since.
    pub(super) changes: u64,
    /// Whether idempotency keys are looked for before they are noted, since some of the last ones were known.
    pub(super) is_asking_for_keys: bool,
    /// What the present document and the present run of them have made.
    pub(super) made: Made,
}

impl Default for Plans {
    fn default() -> Self {
        let (tables, plans) = (FxHashMap::default(), FxHashMap::default());
        Plans {
            tables,
            plans,
            last: None,
            count: 0,
            since: Instant::now(),
            changes: 0,
            is_asking_for_keys: false,
            made: Made::default(),
        }
    }
}

/// How a change of one shape is made.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) id: u32,
    pub(super) shape: Shape,
    pub(super) table: Arc<Table>,
    /// The cells that are bound, as [`cell`] counts them.
    pub(super) bound: Vec<usize>,
    /// For each of them whose column has another type than the document declares: the column's.
    pub(super) admits: Vec<Option<ColumnType>>,
    /// The statement for one change.
    pub(super) single: String,
    pub(super) statement: OnceLock<Statement>,
    pub(super) bulk: Bulk,
    /// The cells whose values tell the rows of two changes apart, where equal values are equal here and there.
    pub(super) hashed: Option<Vec<usize>>,
}

/// How many changes of one shape are made at once.
#[derive(Debug)]
pub(super) enum Bulk {
    /// They are not: something might tell the difference.
    None,
    /// Rows are copied in.
    Copy { sql: String, statement: OnceLock<Statement> },
    /// One statement, whose values come as columns.
    Join { sql: String, types: Vec<Type> },
}

/// What two changes have in common when one plan serves both.
#[derive(Debug, PartialEq)]
pub(super) struct Shape {
    shape: shape::Shape,
    keeps_key: bool,
    /// Which cells of the key are NULL: another condition finds those.
    nulls: Vec<bool>,
}

impl Shape {
    pub(super) fn of(change: &Change<'_>) -> Self {
        let nulls = key_cells(change).iter().map(|cell| cell.value == Value::Null).collect();
        Shape { shape: shape::Shape::of(change), keeps_key: keeps_key(change), nulls }
    }

    fn is_of(&self, change: &Change<'_>) -> bool {
        let mut nulls = self.nulls.iter().zip(key_cells(change));
        self.shape.is_of(change)
            && nulls.all(|(is_null, cell)| *is_null == (cell.value == Value::Null))
            && (self.shape.operation != Operation::Update || self.keeps_key == keeps_key(change))
    }
}

fn key_cells<'c, 'a>(change: &'c Change<'a>) -> &'c [Cell<'a>] {
    let (_, _, key) = change.parts();
    key.map_or(&[][..], |key| &key.cells)
}

fn hash(change: &Change<'_>) -> u64 {
    let mut hasher = shape::hasher(change);
    for cell in key_cells(change) {
        (cell.value == Value::Null).hash(&mut hasher);
    }
    (change.parts().0 == Operation::Update && keeps_key(change)).hash(&mut hasher);
    hasher.finish()
}

impl Plans {
    /// Forgets everything if tables were changed since `changes` was the count: what was seen is undone.
    pub(super) fn forget_since(&mut self, changes: u64) {
        if self.changes != changes {
            self.clear();
        }
    }

    /// Forgets everything that is too old to be believed.
    pub(super) fn refresh(&mut self) {
        if self.since.elapsed() >= BELIEVED {
            self.clear();
        }
    }

    /// Forgets everything, because the tables may have changed.
    pub(super) fn clear(&mut self) {
        self.tables.clear();
        self.forget_plans();
        self.since = Instant::now();
    }

    pub(super) fn forget_plans(&mut self) {
        self.plans.clear();
        self.last = None;
    }

    /// The plan for a change, if one was made.
    pub(super) fn find(&mut self, change: &Change<'_>) -> Option<Arc<Plan>> {
        if let Some(last) = self.last.as_ref().filter(|last| last.shape.is_of(change)) {
            return Some(Arc::clone(last));
        }
        let found = self.plans.get(&hash(change)).filter(|plan| plan.shape.is_of(change))?;
        self.last = Some(Arc::clone(found));
        Some(Arc::clone(found))
    }

    /// Keeps a plan for the changes to come.
    pub(super) fn keep(&mut self, change: &Change<'_>, make: impl FnOnce(u32, Shape) -> Plan) -> Arc<Plan> {
        if self.plans.len() >= PLANS_MAX {
            self.plans.clear();
        }
        self.count = self.count.wrapping_add(1);
        let plan = Arc::new(make(self.count, Shape::of(change)));
        self.plans.insert(hash(change), Arc::clone(&plan));
        plan
    }
}

impl Plan {
    pub(super) fn operation(&self) -> Operation {
        self.shape.shape.operation
    }

    /// A number for the row that a change is about: the same for the same row, and hardly ever for two. None when that
    /// cannot be told.
    pub(super) fn row_of(&self, change: &Change<'_>) -> Option<u64> {
        let mut hasher = FxHasher::default();
        for at in self.hashed.as_ref()? {
            match &cell(change, *at)?.value {
                Value::Whole(value) => value.hash(&mut hasher),
                Value::Text(text) => text.hash(&mut hasher),
                Value::Boolean(value) => value.hash(&mut hasher),
                Value::Bytes(bytes) => bytes.hash(&mut hasher),
                _ => return None,
            }
        }
        Some(hasher.finish())
    }
}

/// Whether values of a column are equal in the database exactly when they are equal here.
pub(super) fn is_exact(column: &super::catalogue::Column, declared: &ColumnType) -> bool {
    let family = column.column_type.family();
    let is_whole = family == Family::Whole && declared.family() == Family::Whole;
    let is_same = *declared == column.column_type && column.is_bytewise;
    let is_char = matches!(column.column_type.scalar(), crate::change::Scalar::Char(_));
    !column.column_type.is_array()
        && (is_whole
            || is_same && !is_char && matches!(family, Family::Text | Family::Uuid | Family::Boolean | Family::Bytes))
}
