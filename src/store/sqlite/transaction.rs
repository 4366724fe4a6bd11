//! What a transaction does on the thread that writes.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::bind::to_sql;
use super::error::failed;
use super::keys::Noted;
use super::writer::Writer;
use crate::change::Change;
use crate::clock;
use crate::document::Position;
use crate::problem::ProblemType;
use crate::store::keys::verdict;
use crate::store::needs;
use crate::store::{
    ApplyRules, Claim, Closing, CommitRefusal, Document, Fate, Idempotency, Letter, Refusal, StoreError, Tally,
};

/// After this time a run of documents ends, and is committed: another stream, or another process, gets its turn.
const RUN_TIMEOUT: Duration = Duration::from_millis(500);

/// A transaction at work. Dropped without a commit it leaves nothing behind.
pub(super) struct Work<'w> {
    writer: &'w mut Writer,
    rules: &'w ApplyRules,
    /// The SQL that ran, when somebody wants to see it.
    statements: Option<Vec<String>>,
    is_open: bool,
    /// The idempotency keys of its documents and letters.
    noted: Noted,
    /// The count of [`super::plan::Plans::changes`] at the beginning.
    changes: u64,
}

impl<'w> Work<'w> {
    /// Begins. The thread has no other work; other processes are kept out by IMMEDIATE.
    pub(super) fn begin(writer: &'w mut Writer, rules: &'w ApplyRules) -> Result<Self, StoreError> {
        writer.check_file()?;
        writer.turn.begin();
        writer.connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
        let changes = writer.plans.changes;
        let work = Work { writer, rules, statements: None, is_open: true, noted: Noted::default(), changes };
        work.writer.refresh_catalogue()?;
        Ok(work)
    }

    /// Whether it has not been committed.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// The SQL that ran since the last time, as far as it was to be recorded.
    pub(super) fn take_statements(&mut self) -> Vec<String> {
        self.statements.take().unwrap_or_default()
    }

    fn apply_one(&mut self, document: &Document<'_>) -> Result<Fate, StoreError> {
        let fate = self.keep_key(document)?;
        if fate != Fate::Applied {
            return Ok(fate);
        }
        for change in &document.changes.changes {
            self.change(change)?;
        }
        if has_unresolved_references(&self.writer.connection) {
            let detail = "FOREIGN KEY constraint failed: a deferred one, which the whole document leaves unresolved";
            return Err(StoreError::document(ProblemType::ConstraintViolated, detail));
        }
        Ok(Fate::Applied)
    }

    /// Notes the document's key, and says what becomes of the document by it.
    fn keep_key(&mut self, document: &Document<'_>) -> Result<Fate, StoreError> {
        let Some(Idempotency { key, digest }) = &document.idempotency else { return Ok(Fate::Applied) };
        let Writer { connection, keys, .. } = &mut *self.writer;
        let holder = keys.note(connection, &mut self.noted, document.stream, (key, digest), document.position)?;
        verdict(document.position, key, holder)
    }

    fn change(&mut self, change: &Change<'_>) -> Result<(), StoreError> {
        let Writer { connection, plans, .. } = &mut *self.writer;
        let statements = &mut self.statements;
        let mut ran = |sql: &str| {
            if let Some(statements) = statements.as_mut() {
                statements.push(sql.to_owned());
            }
        };
        let change = plans.keyed(connection, change, self.rules)?;
        let plan = plans.plan(connection, &change, self.rules, &mut ran)?;
        ran(&plan.sql);
        let mut statement = connection.prepare_cached(&plan.sql).map_err(failed)?;
        for (index, cell) in change.cells().enumerate() {
            let value = match &plan.admits[index] {
                None => Cow::Borrowed(&cell.value),
                Some(column_type) => Cow::Owned(needs::admitted(column_type, &change.table, cell)?),
            };
            if let Some(affinity) = plan.affinities[index]
                && !affinity.keeps(&value)
            {
                let (table, column, text) = (&change.table, &cell.name, crate::change::shown(&value.text()));
                let detail = format!("column {column:?} of table {table}: {text} would be kept as another value there");
                return Err(StoreError::document(ProblemType::ValueOutOfRange, detail));
            }
            statement.raw_bind_parameter(index + 1, to_sql(&value)).map_err(failed)?;
        }
        statement.raw_execute().map_err(failed)?;
        Ok(())
    }

    pub(super) fn run(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<usize, StoreError> {
        self.writer
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(parameters))
            .map_err(failed)
    }
}

/// Whether a row refers to one that is not there, by a deferred foreign key. COMMIT would say so, but not whose row it is.
#[allow(unsafe_code, reason = "rusqlite has no call for sqlite3_db_status; the connection outlives it")]
fn has_unresolved_references(connection: &rusqlite::Connection) -> bool {
    use rusqlite::ffi::{SQLITE_DBSTATUS_DEFERRED_FKS, SQLITE_OK, sqlite3_db_status};
    let (mut current, mut highest) = (0, 0);
    let code =
        unsafe { sqlite3_db_status(connection.handle(), SQLITE_DBSTATUS_DEFERRED_FKS, &mut current, &mut highest, 0) };
    code == SQLITE_OK && current != 0
}

/// All steps at once, as [`crate::store::Store::apply_at_once`] has them.
impl Work<'_> {
    pub(super) fn whole(
        mut self,
        claim: &Claim,
        documents: &[Document<'_>],
        end: i64,
    ) -> Result<Option<Vec<Fate>>, StoreError> {
        // What is wrong is found again step by step.
        let Ok(fates) = self.apply(documents, false) else { return Ok(None) };
        let next_offset = documents.get(fates.len()).map_or(end, |next| next.position.offset);
        self.advance(claim, next_offset, Tally::of(&fates).between(claim.next_offset, next_offset))?;
        match self.commit() {
            Ok(()) => Ok(Some(fates)),
            Err(CommitRefusal { error: StoreError::Document(_) | StoreError::Contested(_), .. }) => Ok(None),
            Err(CommitRefusal { error, .. }) => Err(error),
        }
    }
}

/// The steps, as [`crate::store::Transaction`] has them.
impl Work<'_> {
    pub(super) fn apply(&mut self, documents: &[Document<'_>], is_recorded: bool) -> Result<Vec<Fate>, Refusal> {
        self.statements = is_recorded.then(Vec::new);
        let whole = |error| Refusal::new(failed(error).of_the_books(), None);
        self.writer.connection.execute_batch("SAVEPOINT documents").map_err(whole)?;
        let (changes, noted) = (self.writer.plans.changes, self.noted.count());
        let mut fates = Vec::with_capacity(documents.len());
        let begin = Instant::now();
        self.writer.plans.made.begin();
        for (index, document) in documents.iter().enumerate() {
            let is_late = index > 0 && begin.elapsed() >= RUN_TIMEOUT;
            if is_late || !self.writer.plans.made.begins(index, self.rules) {
                break;
            }
            match self.apply_one(document) {
                Ok(Fate::Duplicate { of }) => {
                    let sql = r#"INSERT OR IGNORE INTO "_sluicegate_duplicates" VALUES (?1, ?2, ?3, ?4, ?5, ?6)"#;
                    let at = document.position;
                    let row = (at.topic.as_str(), at.partition, at.offset, of.partition, of.offset, clock::now_ms());
                    self.run(sql, row).map_err(|error| Refusal::new(error.of_the_books(), None))?;
                    fates.push(Fate::Duplicate { of });
                }
                Ok(fate) => fates.push(fate),
                Err(error) => {
                    self.writer.plans.forget_since(changes);
                    self.noted.forget_since(noted);
                    // A trigger or a constraint with ROLLBACK undoes the whole transaction, as a full disk does.
                    if self.writer.connection.is_autocommit() {
                        return Err(Refusal { error, at: Some(index), is_void: true });
                    }
                    self.writer.connection.execute_batch("ROLLBACK TO documents; RELEASE documents").map_err(whole)?;
                    return Err(Refusal::new(error, Some(index)));
                }
            }
        }
        self.writer.connection.execute_batch("RELEASE documents").map_err(whole)?;
        Ok(fates)
    }

    pub(super) fn set_aside(&mut self, letter: &Letter) -> Result<(), StoreError> {
        let Letter { stream, position, record, problem, set_aside_ms, attempts } = letter;
        let headers = serde_json::to_string(&record.headers).unwrap_or_default();
        let reason = problem.kind.name();
        let text = serde_json::to_string(problem).unwrap_or_default();
        self.run(
            r#"INSERT INTO "_sluicegate_dead_letters" (topic, "partition", "offset", stream, key, value, headers,
                   timestamp_ms, reason, problem, set_aside_ms, attempts)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"#,
            rusqlite::params![
                position.topic.as_str(),
                position.partition,
                position.offset,
                stream.as_str(),
                record.key.as_deref(),
                &record.value[..],
                headers,
                record.timestamp_ms,
                reason,
                text,
                set_aside_ms,
                attempts
            ],
        )?;
        if let Some(key) = record.headers.idempotency_key.as_deref() {
            let digest = crate::digest(&record.value);
            let Writer { connection, keys, .. } = &mut *self.writer;
            keys.note(connection, &mut self.noted, stream, (key, &digest), position)?;
        }
        Ok(())
    }

    pub(super) fn advance(&mut self, claim: &Claim, next_offset: i64, tally: Tally) -> Result<(), StoreError> {
        let Claim { place, epoch, next_offset: from, .. } = claim;
        let moved = self.run(
            r#"UPDATE "_sluicegate_positions" SET next_offset = ?1, applied = applied + ?2, duplicates = duplicates + ?3,
                   dead_lettered = dead_lettered + ?4, gaps = gaps + ?5,
                   halted = CASE WHEN next_offset = ?1 THEN halted END
               WHERE stream = ?6 AND topic = ?7 AND "partition" = ?8 AND epoch = ?9 AND next_offset = ?10"#,
            (
                next_offset,
                tally.applied,
                tally.duplicates,
                tally.dead_lettered,
                tally.gaps,
                place.stream.as_str(),
                place.topic.as_str(),
                place.partition,
                epoch,
                from,
            ),
        )?;
        if moved == 1 { Ok(()) } else { Err(StoreError::Fenced) }
    }

    pub(super) fn close_letter(&mut self, letter: &Position, how: Closing<'_>) -> Result<bool, StoreError> {
        let at = (letter.topic.as_str(), letter.partition, letter.offset);
        let counter = match how {
            Closing::Failed(problem) => {
                let text = serde_json::to_string(problem).unwrap_or_default();
                let changed = self.run(
                    r#"UPDATE "_sluicegate_dead_letters" SET reason = ?4, problem = ?5, attempts = attempts + 1
                       WHERE topic = ?1 AND "partition" = ?2 AND "offset" = ?3 AND is_dropped = 0"#,
                    (at.0, at.1, at.2, problem.kind.name(), text),
                )?;
                return Ok(changed == 1);
            }
            Closing::Applied => "applied",
            Closing::Dropped => "dropped",
        };
        let find = r#"topic = ?1 AND "partition" = ?2 AND "offset" = ?3"#;
        let moved = self.run(
            &format!(
                r#"UPDATE "_sluicegate_positions" SET dead_lettered = dead_lettered - 1, {counter} = {counter} + 1
                   WHERE topic = ?1 AND "partition" = ?2 AND stream =
                   (SELECT stream FROM "_sluicegate_dead_letters" WHERE {find} AND is_dropped = 0)"#
            ),
            at,
        )?;
        if moved == 0 {
            return Ok(false);
        }
        match how {
            // What was dropped is gone, but its receipt still says so.
            Closing::Dropped => self.run(
                &format!(
                    r#"UPDATE "_sluicegate_dead_letters" SET is_dropped = 1, value = x'', key = NULL WHERE {find}"#
                ),
                at,
            )?,
            _ => self.run(&format!(r#"DELETE FROM "_sluicegate_dead_letters" WHERE {find}"#), at)?,
        };
        Ok(true)
    }

    pub(super) fn commit(&mut self) -> Result<(), CommitRefusal> {
        self.writer.check_file()?;
        let Writer { connection, keys, .. } = &mut *self.writer;
        let saved = keys.save(connection, &self.noted)?;
        connection.execute_batch("COMMIT").map_err(failed)?;
        keys.committed(saved);
        self.is_open = false;
        self.writer.turn.end();
        Ok(())
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.writer.plans.forget_since(self.changes);
            // SQLite has rolled back by itself after some errors; then this one says so, and that is all.
            let _ = self.writer.connection.execute_batch("ROLLBACK");
        }
    }
}
