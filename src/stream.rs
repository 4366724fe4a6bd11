//! A stream: a named way in. What its documents must look like, which topic keeps them, how they are applied.

use std::borrow::Cow;

use crate::change::{Cell, ChangeSet};
use crate::document::{Receipt, StreamName, TopicName};
use crate::format::{event, summary};
use crate::gate::{self, DocumentKind, Gate, quoted};
use crate::problem::{Problem, ProblemType};
use crate::record::{Beside, Kept, Record};
use crate::settings::intake::IntakeSettings;
use crate::settings::{ApplySettings, RetentionSettings};
use crate::store::{ApplyRules, Document, Idempotency, Reads};

/// Everything the program knows about one stream.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Its name.
    pub name: StreamName,
    /// The topic that keeps its documents; no other stream's.
    pub topic: TopicName,
    /// Whether others write to the topic: then nothing is taken in, and the topic is neither made nor emptied here.
    pub is_foreign: bool,
    /// How documents come in, read by `intake`.
    pub intake: IntakeSettings,
    /// Judges its documents.
    pub gate: Gate,
    /// How its documents are applied, read by `apply`.
    pub apply: Applying,
    /// How long the journal keeps its documents, read by what empties it.
    pub retention: RetentionSettings,
}

/// How the documents of a stream are applied.
#[derive(Debug, Clone)]
pub struct Applying {
    /// Where they end.
    pub target: Target,
    /// What a transaction may do.
    pub rules: ApplyRules,
    /// What the configuration says of it.
    pub settings: ApplySettings,
}

/// Where a stream's documents end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// In the tables that they name.
    Tables,
    /// In one table, a row each.
    Records {
        /// The table.
        table: String,
        /// The column that holds the document.
        document_column: String,
        /// Whether the routes that query records answer from it.
        is_queried: bool,
    },
    /// In one table, the summaries of a rollup, a row each.
    Summaries {
        /// The table.
        table: String,
        /// The members that tell summaries apart, which are its primary key.
        key: Vec<String>,
    },
    /// In the journal.
    Journal,
}

impl Stream {
    /// Whether one of its own routes or actions is at `path`.
    pub fn answers_at(&self, path: &str) -> bool {
        self.intake.routes.iter().any(|route| route == path)
            || self.intake.actions.iter().any(|action| action.path.as_str() == path)
    }

    /// Whether apply has anything to do with it.
    pub fn is_applied(&self) -> bool {
        self.apply.target != Target::Journal
    }

    /// Whether each of its documents has one row, which its receipt names: it can be found again.
    pub fn has_rows_by_receipt(&self) -> bool {
        matches!(self.apply.target, Target::Records { .. })
    }

    /// Documents before this offset may have left their rows in the tables, when those before `applied_before` were applied
    /// once already.
    pub fn again_before(&self, applied_before: i64) -> i64 {
        if self.has_rows_by_receipt() { applied_before } else { i64::MIN }
    }

    fn read_record<'a>(&'a self, kept: &'a Kept) -> Result<Document<'a>, Problem> {
        let Record { value, headers, timestamp_ms, .. } = &kept.record;
        let bare = match &self.gate.takes {
            // The judge says it when it is not UTF-8.
            DocumentKind::Events(_) if headers.is_text() => Some(std::str::from_utf8(value).unwrap_or_default()),
            _ => None,
        };
        let judged = match (bare, &self.gate.takes) {
            (Some(bare), DocumentKind::Events(rules)) => {
                let judged = self.gate.judge_text(value, Some(headers));
                judged.map(|()| (ChangeSet::default(), rules.fields_of_text(bare, Some(headers))))
            }
            _ => self
                .gate
                .judge_kept(value, Beside::of_record(&kept.record))
                .map(|accepted| (accepted.changes, accepted.fields)),
        };
        let (changes, fields) = judged.map_err(|problem| Problem {
            detail: format!("the record is no document of this stream: {}", problem.detail),
            errors: problem.errors,
            ..Problem::new(ProblemType::UnreadableRecord, "")
        })?;
        let changes = match (&self.apply.target, &self.gate.takes) {
            (Target::Records { table, document_column, .. }, DocumentKind::Events(rules)) => {
                // The judge has found it to be UTF-8.
                let text = std::str::from_utf8(value).unwrap_or_default();
                let text = bare.map_or(Cow::Borrowed(text), |bare| Cow::Owned(quoted(bare)));
                let receipt = Receipt(kept.position.clone());
                let cells = rules.columns().iter().zip(fields).map(|(column, value)| Cell {
                    name: Cow::Borrowed(column.name.as_str()),
                    column_type: column.column_type.clone(),
                    value,
                });
                event::row(table, document_column, &receipt, *timestamp_ms, cells, text)
            }
            (Target::Summaries { table, key }, _) => {
                let text = std::str::from_utf8(value).unwrap_or_default();
                let no_summary =
                    || Problem::new(ProblemType::UnreadableRecord, "the record is no summary of this rollup");
                summary::row(table, key, text).ok_or_else(no_summary)?
            }
            _ => changes,
        };
        let key = kept.record.headers.idempotency_key.as_deref();
        let idempotency = key.map(|key| Idempotency { key, digest: crate::digest(&kept.record.value) });
        Ok(Document { stream: &self.name, position: &kept.position, changes, idempotency })
    }
}

impl Reads for Stream {
    /// Reads a record of the stream's topic as a document. It is judged again: other programs may write to the topic.
    fn read<'a>(&'a self, kept: &'a Kept) -> Result<Document<'a>, Problem> {
        gate::judging(|| self.read_record(kept))
    }
}
