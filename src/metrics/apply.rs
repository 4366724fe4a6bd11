//! What becomes of documents: applied, duplicates, dead letters by reason, and how long that takes.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use super::histogram::Histogram;
use super::labels::{OfReason, OfStream};
use crate::problem::ProblemType;

#[derive(Debug, Default)]
pub(super) struct Apply {
    applied: Family<OfStream, Counter>,
    duplicate: Family<OfStream, Counter>,
    dead_letters: Family<OfReason, Counter>,
    transaction: Family<OfStream, Histogram>,
    row: Family<OfStream, Histogram>,
}

/// The counters of one stream.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    stream: String,
    applied: Counter,
    duplicate: Counter,
    dead_letters: Family<OfReason, Counter>,
    /// The time of a transaction, from its beginning to its commit.
    pub transaction: Histogram,
    /// The time from when a document was accepted to the commit of its rows, or of what else became of it.
    pub row: Histogram,
}

impl Apply {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let apply = Apply::default();
        let Apply { applied, duplicate, dead_letters, transaction, row } = &apply;
        registry.register("documents_applied", "Documents whose changes are in the store", applied.clone());
        registry.register("documents_duplicate", "Documents whose key was applied before", duplicate.clone());
        registry.register(
            "dead_letters",
            "Documents that were set aside, by the type of problem",
            dead_letters.clone(),
        );
        registry.register_with_unit("apply", "Time of a transaction of the store", Unit::Seconds, transaction.clone());
        registry.register_with_unit(
            "row",
            "Time from a document's acceptance to the commit of its outcome",
            Unit::Seconds,
            row.clone(),
        );
        apply
    }

    pub(super) fn stream(&self, stream: &str) -> Applied {
        let labels = OfStream { stream: stream.to_owned() };
        Applied {
            applied: self.applied.get_or_create_owned(&labels),
            duplicate: self.duplicate.get_or_create_owned(&labels),
            dead_letters: self.dead_letters.clone(),
            transaction: self.transaction.get_or_create_owned(&labels),
            row: self.row.get_or_create_owned(&labels),
            stream: labels.stream,
        }
    }
}

impl Applied {
    /// What a committed transaction did.
    pub fn committed(&self, applied: i64, duplicates: i64) {
        self.applied.inc_by(applied.max(0).unsigned_abs());
        self.duplicate.inc_by(duplicates.max(0).unsigned_abs());
    }

    /// One was set aside.
    pub fn set_aside(&self, reason: ProblemType) {
        let labels = OfReason { stream: self.stream.clone(), reason: reason.name() };
        self.dead_letters.get_or_create(&labels).inc();
    }
}
