//! How many tables, columns and indexes a document makes, and when a run of documents has made enough for one transaction.
//!
//! Each costs a statement that rewrites the catalogue: a document that names thousands would keep all others waiting.

use super::{ApplyRules, StoreError};
use crate::change::Change;
use crate::problem::ProblemType;

/// What is counted, since the document and since the run of documents began.
#[derive(Debug, Clone, Copy, Default)]
pub struct Made {
    document: Count,
    run: Count,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    tables: usize,
    columns: usize,
}

impl Count {
    fn exceeds(self, rules: &ApplyRules) -> bool {
        self.tables > rules.new_tables_max || self.columns > rules.new_columns_max
    }
}

impl Made {
    /// A run of documents begins.
    pub fn begin(&mut self) {
        *self = Made::default();
    }

    /// The document with this number in the run begins. False when it should wait for the next transaction, so that
    /// others get their turn; the first never waits.
    pub fn begins(&mut self, index: usize, rules: &ApplyRules) -> bool {
        self.document = Count::default();
        let is_enough =
            self.run.tables >= rules.new_tables_max.max(1) || self.run.columns >= rules.new_columns_max.max(1);
        index == 0 || !is_enough
    }

    /// Notes the statements that a change needs: those that make its table, or those for one that is there.
    pub(super) fn note_statements(
        &mut self,
        is_new: bool,
        change: &Change<'_>,
        statements: usize,
        rules: &ApplyRules,
    ) -> Result<(), StoreError> {
        match is_new {
            true => self.note(1, change.action.additions().len(), rules),
            false => self.note(0, statements, rules),
        }
    }

    /// Notes what is about to be made; refuses the document that wants too much. An index counts as a column.
    pub fn note(&mut self, tables: usize, columns: usize, rules: &ApplyRules) -> Result<(), StoreError> {
        for count in [&mut self.document, &mut self.run] {
            count.tables += tables;
            count.columns += columns;
        }
        if !self.document.exceeds(rules) {
            return Ok(());
        }
        let (tables, columns) = (rules.new_tables_max, rules.new_columns_max);
        Err(StoreError::document(
            ProblemType::TooManyNames,
            format!(
                "the document would make more than {tables} tables, or more than {columns} columns and indexes; send it in \
                 parts, make the tables beforehand, or raise `limits.tables_per_document` and `limits.columns_per_document`"
            ),
        ))
    }
}
