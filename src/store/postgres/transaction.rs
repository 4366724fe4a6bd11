//! One transaction.
//!
//! BEGIN and SAVEPOINT leave with the first statement behind them, and their answers are read with its. COMMIT is not
//! sent before the answer of the fence was seen: behind an update of no rows it would commit the rest.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::catalogue::quote;
use super::connection::lost_in_silence;
use super::desk::Desk;
use super::error::blamed;
use super::execute::{execute, parameters, prepared};
use super::keys::{self, Kept};
use super::letters;
use super::planning::Planner;
use super::plans::Plan;
use super::runs::Runs;
use crate::change::Change;
use crate::clock;
use crate::document::Position;
use crate::store::keyed::Keyed;
use crate::store::{
    ApplyRules, Claim, Closing, CommitRefusal, Document, Fate, Letter, Next, Part, Refusal, StoreError, Tally,
    Transaction,
};

/// After a refusal the documents are tried in pieces that double from here: the next one at fault may be near.
const CAUTIOUS_CHANGES: usize = 32;

/// Has what COMMIT would look at looked at now.
const LOOK: &str = "SET CONSTRAINTS ALL IMMEDIATE";

pub(super) struct PostgresTransaction<'s> {
    desk: Desk,
    schema: &'s str,
    rules: &'s ApplyRules,
    /// The SQL that ran, when somebody wants to see it.
    statements: Option<Vec<String>>,
    /// What was sent and not yet answered.
    sent: Vec<BoxFuture<'static, Result<(), tokio_postgres::Error>>>,
    has_begun: bool,
    is_done: bool,
    /// Whether something of it was refused.
    is_cautious: bool,
    /// Whether all that is believed of the tables was read in this transaction.
    is_fresh: bool,
    /// The constraints that would be looked at by COMMIT only.
    has_deferred: bool,
    /// The count of [`super::plans::Plans::changes`] at the beginning.
    changes: u64,
    /// The document before which the run of them was cut off: what came before it is made again, without the rest.
    cut_at: Option<usize>,
}

impl<'s> PostgresTransaction<'s> {
    pub(super) fn new(mut desk: Desk, schema: &'s str, rules: &'s ApplyRules) -> Self {
        let (_, plans) = desk.both();
        plans.refresh();
        let (changes, is_fresh) = (plans.changes, plans.tables.is_empty());
        PostgresTransaction {
            desk,
            schema,
            rules,
            statements: None,
            sent: Vec::new(),
            has_begun: false,
            is_done: false,
            is_cautious: false,
            is_fresh,
            has_deferred: false,
            changes,
            cut_at: None,
        }
    }

    /// Sends a statement without waiting for its answer.
    fn send(&mut self, sql: &'static str) {
        let client = Arc::clone(self.desk.connection().client());
        let mut answer = async move { client.batch_execute(sql).await }.boxed();
        // The first look sends it.
        if let Some(answered) = (&mut answer).now_or_never() {
            answer = std::future::ready(answered).boxed();
        }
        self.sent.push(answer);
    }

    fn begin(&mut self) {
        if !self.has_begun {
            self.has_begun = true;
            self.desk.connection().note_transaction(true);
            self.send("BEGIN ISOLATION LEVEL READ COMMITTED");
        }
    }

    /// Reads the answers to what was sent.
    async fn answers(&mut self) -> Result<(), StoreError> {
        for answer in std::mem::take(&mut self.sent) {
            self.desk.connection().verdict(answer).await?;
        }
        Ok(())
    }

    /// Applies the documents. On failure some of it is made.
    async fn attempt(&mut self, documents: &[Document<'_>], is_single: bool) -> Result<Vec<Fate>, Refusal> {
        let is_new = !self.desk.both().1.is_asking_for_keys;
        let kept = keys::keep(self.desk.connection(), self.schema, documents, is_new).await?;
        let Kept::All { fates, is_any_known } = kept else {
            self.desk.both().1.is_asking_for_keys = true;
            let error = StoreError::later("an idempotency key is known");
            return Err(Refusal::new(error, None));
        };
        self.desk.both().1.is_asking_for_keys = is_any_known;
        self.desk.connection().note_documents();
        let mut runs = Runs::default();
        let (mut count, mut limit) = (0, if self.is_cautious { CAUTIOUS_CHANGES } else { usize::MAX });
        let mut deferred: Vec<String> = Vec::new();
        for (index, document) in documents.iter().enumerate() {
            if fates[index] != Fate::Applied {
                continue;
            }
            if !self.desk.both().1.made.begins(index, self.rules) {
                self.cut_at = Some(index);
                return Err(Refusal::new(StoreError::later("the run of documents was cut off"), None));
            }
            let its = |error| Refusal::new(error, Some(index));
            // What a document needs is made before its first row: a table with rows that a constraint has yet to look at
            // cannot be altered.
            let mut plans = Vec::with_capacity(document.changes.changes.len());
            for change in &document.changes.changes {
                let (plan, change) = self.plan(change).await.map_err(its)?;
                let new: Vec<_> = plan.table.deferred.iter().filter(|name| !deferred.contains(name)).cloned().collect();
                deferred.extend(new);
                plans.push((plan, change));
            }
            for (plan, change) in plans {
                if is_single {
                    self.one(&plan, &change).await.map_err(its)?;
                } else {
                    runs.push(index, change, &plan);
                    count += 1;
                }
            }
            if is_single {
                self.look(&deferred).await.map_err(its)?;
            }
            if count >= limit {
                execute(self.desk.connection(), &runs).await?;
                self.look(&deferred).await.map_err(|error| Refusal::new(error, None))?;
                (runs, count, limit) = (Runs::default(), 0, limit.saturating_mul(2));
            }
        }
        execute(self.desk.connection(), &runs).await?;
        let whole = |error| Refusal::new(error, None);
        self.look(&deferred).await.map_err(whole)?;
        let noted = keys::note_duplicates(self.desk.connection(), self.schema, documents, &fates).await;
        noted.map_err(|error| whole(error.of_the_books_after_documents()))?;
        self.answers().await.map_err(whole)?;
        Ok(fates)
    }

    /// How a change is made, and the change with its key.
    async fn plan<'c, 'a>(&mut self, change: &'c Change<'a>) -> Result<(Arc<Plan>, Keyed<'c, 'a>), StoreError> {
        let (connection, plans) = self.desk.both();
        let (rules, schema, statements) = (self.rules, self.schema, &mut self.statements);
        let mut planner = Planner { connection, plans, rules, schema, statements };
        let change = planner.keyed(change).await?;
        let plan = match planner.plans.find(&change) {
            Some(plan) => plan,
            None => planner.plan(&change).await?,
        };
        if let Some(statements) = &mut self.statements {
            statements.push(plan.single.clone());
        }
        Ok((plan, change))
    }

    /// Makes one change by itself.
    async fn one(&mut self, plan: &Plan, change: &Change<'_>) -> Result<(), StoreError> {
        let connection = self.desk.connection();
        let values = parameters(plan, change)?;
        let statement = prepared(connection, &plan.single, &plan.statement).await.map_err(|refusal| refusal.error)?;
        connection.verdict(connection.client().execute_raw(&statement, values)).await.map(drop)
    }

    /// Looks at the constraints now that COMMIT would look at: there nobody could tell whose fault it is.
    async fn look(&mut self, deferred: &[String]) -> Result<(), StoreError> {
        if deferred.is_empty() {
            return Ok(());
        }
        self.has_deferred = true;
        let connection = self.desk.connection();
        connection.run_for_document(LOOK).await?;
        connection.run(&format!("SET CONSTRAINTS {} DEFERRED", deferred.join(", "))).await
    }

    /// Begins what can be undone: the transaction itself, while nothing is in it, is its own savepoint.
    fn mark(&mut self) -> bool {
        let is_whole = !self.has_begun;
        self.begin();
        if !is_whole {
            self.send("SAVEPOINT documents");
        }
        is_whole
    }

    async fn undo(&mut self, is_whole: bool, changes: u64) -> Result<(), StoreError> {
        // What was sent may have failed because what came before it did.
        self.sent.clear();
        self.desk.both().1.forget_since(changes);
        if !is_whole {
            return self.desk.connection().run("ROLLBACK TO documents; RELEASE documents").await;
        }
        self.desk.connection().roll_back().await?;
        self.has_begun = false;
        Ok(())
    }

    async fn execute(
        &mut self,
        sql: &str,
        values: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        self.begin();
        let sql = sql.replace("{s}", &quote(self.schema));
        let done = self.desk.connection().execute(&sql, values).await;
        // What was sent before it may be why it failed.
        self.answers().await?;
        done.map_err(StoreError::of_the_books_after_documents)
    }
}

#[async_trait]
impl Transaction for PostgresTransaction<'_> {
    async fn apply(&mut self, part: &Part) -> Result<Vec<Fate>, Refusal> {
        let all = part.documents();
        let mut documents = &all[..];
        let mut is_single = false;
        loop {
            let is_whole = self.mark();
            self.desk.both().1.made.begin();
            let (changes, was_asking) = (self.desk.both().1.changes, self.desk.both().1.is_asking_for_keys);
            let refusal = match self.attempt(documents, is_single).await {
                Ok(fates) => {
                    if !is_whole {
                        self.send("RELEASE documents");
                    }
                    return Ok(fates);
                }
                Err(refusal) => refusal,
            };
            let cut_at = self.cut_at.take();
            // Keys were believed to be new, and are looked for this time.
            let is_asking_now = !was_asking && self.desk.both().1.is_asking_for_keys;
            if cut_at.is_some() || is_asking_now {
                self.undo(is_whole, changes).await.map_err(|error| Refusal::new(error, None))?;
                documents = &documents[..cut_at.unwrap_or(documents.len())];
                continue;
            }
            if !matches!(refusal.error.next(), Next::SetAside | Next::Alone) {
                // What was believed of the tables may be why.
                self.desk.both().1.clear();
                return Err(refusal);
            }
            self.is_cautious = true;
            self.undo(is_whole, changes).await.map_err(|error| Refusal::new(error, None))?;
            if !self.is_fresh {
                // Somebody may have changed a table since it was looked at: not what is remembered refuses a document.
                self.is_fresh = true;
                self.desk.both().1.clear();
                continue;
            }
            if refusal.at.is_some() || is_single {
                return Err(refusal);
            }
            // Some statement stood for many changes: one by one they say who it was.
            is_single = true;
        }
    }

    async fn look_ahead(&mut self) -> Result<(), StoreError> {
        if !self.has_begun {
            return Ok(());
        }
        self.answers().await?;
        self.desk.connection().run_for_document(LOOK).await?;
        self.execute(letters::NOTHING_MOVED, &[]).await.map(drop)
    }

    async fn set_aside(&mut self, letter: &Letter) -> Result<(), StoreError> {
        let Letter { stream, position, record, problem, set_aside_ms, attempts } = letter;
        let headers = serde_json::to_string(&record.headers).unwrap_or_default();
        let text = serde_json::to_string(problem).unwrap_or_default();
        let (topic, stream) = (position.topic.as_str(), stream.as_str());
        let (key, value) = (record.key.as_deref(), &record.value[..]);
        self.execute(
            letters::SET_ASIDE,
            &[
                &topic,
                &position.partition,
                &position.offset,
                &stream,
                &key,
                &value,
                &headers,
                &record.timestamp_ms,
                &problem.kind.name(),
                &text,
                set_aside_ms,
                attempts,
            ],
        )
        .await?;
        if let Some(key) = record.headers.idempotency_key.as_deref() {
            let (key, digest, noted_ms) = keys::of(stream, key, &crate::digest(&record.value), clock::now_ms());
            self.execute(
                r#"INSERT INTO {s}."_sluicegate_key_rows" (key, digest, stream, "partition", "offset", noted_ms)
                   VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING"#,
                &[&key, &digest, &keys::stream_number(stream), &position.partition, &position.offset, &noted_ms],
            )
            .await?;
        }
        Ok(())
    }

    async fn advance(&mut self, claim: &Claim, next_offset: i64, tally: Tally) -> Result<(), StoreError> {
        let Claim { place, epoch, next_offset: from, .. } = claim;
        if self.has_deferred {
            self.send(LOOK);
        }
        let moved = self
            .execute(
                r#"UPDATE {s}."_sluicegate_positions" SET next_offset = $1, applied = applied + $2,
                       duplicates = duplicates + $3, dead_lettered = dead_lettered + $4, gaps = gaps + $5,
                       halted = CASE WHEN next_offset = $1 THEN halted END
                   WHERE stream = $6 AND topic = $7 AND "partition" = $8 AND epoch = $9 AND next_offset = $10"#,
                &[
                    &next_offset,
                    &tally.applied,
                    &tally.duplicates,
                    &tally.dead_lettered,
                    &tally.gaps,
                    &place.stream.as_str(),
                    &place.topic.as_str(),
                    &place.partition,
                    epoch,
                    from,
                ],
            )
            .await?;
        if moved == 1 { Ok(()) } else { Err(StoreError::Fenced) }
    }

    async fn close_letter(&mut self, letter: &Position, how: Closing<'_>) -> Result<bool, StoreError> {
        let at = (letter.topic.as_str(), letter.partition, letter.offset);
        if let Closing::Failed(problem) = how {
            let text = serde_json::to_string(problem).unwrap_or_default();
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
                [&at.0, &at.1, &at.2, &problem.kind.name(), &text];
            let changed = self.execute(letters::FAILED_AGAIN, &values).await?;
            return Ok(changed == 1);
        }
        let sql = letters::closing(matches!(how, Closing::Dropped));
        Ok(self.execute(&sql, &[&at.0, &at.1, &at.2]).await? == 1)
    }

    fn statements(&self) -> Vec<String> {
        self.statements.clone().unwrap_or_default()
    }

    fn record_statements(&mut self) {
        self.statements.get_or_insert_default();
    }

    async fn commit(mut self: Box<Self>) -> Result<(), CommitRefusal> {
        self.answers().await?;
        if self.has_begun {
            let connection = self.desk.connection();
            let committed = connection.patient(connection.client().simple_query("COMMIT")).await;
            committed.map_err(|error| error.map_or_else(lost_in_silence, blamed))?;
            connection.note_transaction(false);
        }
        self.is_done = true;
        Ok(())
    }
}

impl Drop for PostgresTransaction<'_> {
    fn drop(&mut self) {
        let changes = self.changes;
        if !self.is_done {
            self.desk.both().1.forget_since(changes);
        }
        self.sent.clear();
        self.desk.connection().abandon();
    }
}
