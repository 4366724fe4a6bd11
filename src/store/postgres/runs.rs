//! Changes gathered into runs of one shape, which are then made at once.
//!
//! The order within a table is the documents' order. A change joins an earlier run of its shape only where nothing that
//! came since is about the same row, and nothing in the database could tell the difference; tables that know of each
//! other, by a foreign key or a trigger, count as one.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::plans::{Bulk, Plan};

use crate::store::keyed::Keyed;
use crate::words::Operation;

/// Changes of one plan.
pub(super) struct Run<'c, 'a> {
    pub(super) plan: Arc<Plan>,
    /// Each change, with the index of its document.
    pub(super) changes: Vec<(usize, Keyed<'c, 'a>)>,
}

/// The runs of a batch, in the order in which they are made.
#[derive(Default)]
pub(super) struct Runs<'c, 'a> {
    pub(super) runs: Vec<Run<'c, 'a>>,
    lanes: FxHashMap<u32, Lane>,
}

/// The changes whose order matters to each other.
#[derive(Default)]
struct Lane {
    /// The first run that a change may join, since it or the one before it may be about any row.
    barrier: usize,
    /// The last run.
    last: Option<usize>,
    /// The last run of each plan.
    of_plan: FxHashMap<u32, usize>,
    /// The last run that is about a row.
    of_row: FxHashMap<u64, usize>,
}

impl<'c, 'a> Runs<'c, 'a> {
    /// Adds the next change.
    pub(super) fn push(&mut self, document: usize, change: Keyed<'c, 'a>, plan: &Arc<Plan>) {
        let table = &plan.table;
        let lane = self.lanes.entry(if table.is_alone { table.oid } else { 0 }).or_default();
        let row = plan.row_of(&change);
        let known = lane.of_plan.get(&plan.id).copied();
        let touched = row.and_then(|row| lane.of_row.get(&row).copied());
        // One statement updates a row once, be it an update or an upsert.
        let is_twice =
            |run: usize| matches!(plan.operation(), Operation::Update | Operation::Upsert) && touched == Some(run);
        let may_join = |run: usize| match row {
            Some(_) if table.has_one_key => run >= lane.barrier && touched.is_none_or(|at| at <= run) && !is_twice(run),
            // Where rows cannot be told apart, an update is made by itself, and may meet any row.
            _ => Some(run) == lane.last && (matches!(plan.bulk, Bulk::None) || !is_twice(run)),
        };
        let run = match known.filter(|run| may_join(*run)) {
            Some(run) => run,
            None => {
                self.runs.push(Run { plan: Arc::clone(plan), changes: Vec::new() });
                self.runs.len() - 1
            }
        };
        self.runs[run].changes.push((document, change));
        lane.last = Some(lane.last.map_or(run, |last| last.max(run)));
        lane.of_plan.insert(plan.id, run);
        match row {
            Some(row) => drop(lane.of_row.insert(row, run)),
            None => lane.barrier = run,
        }
    }
}
