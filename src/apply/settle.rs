//! One batch: what applies is applied, what cannot be is set aside, and the position moves with both.
//!
//! A batch is one transaction as long as nothing is wrong. Within it a document at fault is cut out by a savepoint. Where
//! that cannot tell whose fault something is (a COMMIT that is refused, a race that may be none, a trigger that undoes the
//! transaction, a connection that ends), the batch goes on in transactions of fewer documents, down to one, each with its
//! position: so whoever is before the document in question is served, and it is tried by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::judged::Judged;
use super::run::{Run, Stopped};
use crate::clock;
use crate::metrics::Applied;
use crate::problem::Problem;
use crate::shutdown::Stop;
use crate::store::tries::Tries;
use crate::store::{Claim, CommitRefusal, Documents, Store, StoreError, Tally};
use crate::stream::Stream;

/// What became of a batch.
#[derive(Debug)]
pub(super) struct Settled {
    /// Where the partition stands now.
    pub(super) next_offset: i64,
    /// Why the partition holds at `next_offset`, with `on_failure: stop`.
    pub(super) held: Option<Problem>,
}

/// How carefully a batch is applied, because of what happened before.
#[derive(Debug, Default)]
pub(super) struct Care {
    /// So many documents a transaction at most, if they are bounded.
    pub(super) records_max: Option<usize>,
    /// The document at this offset is not tried again, for this reason.
    pub(super) blamed: Option<(i64, Problem)>,
}

/// A batch that could not be applied to its end.
#[derive(Debug)]
pub(super) struct Broken {
    /// Why. Read the position again.
    pub(super) error: StoreError,
    /// Where the transaction began that failed.
    pub(super) at: i64,
}

/// Applies a batch under `claim`; once it is to stop, as much of it as the running transaction comes to. What is left is
/// read again by who goes on.
pub(super) async fn apply(
    store: &dyn Store,
    counts: &Applied,
    claim: &Claim,
    judged: &Judged,
    care: &Care,
    stop: &Stop,
) -> Result<Settled, Broken> {
    let Judged { stream, next_offset: end, documents } = judged;
    let count = documents.records().len();
    let (claim, is_step_by_step) = (claim.clone(), false);
    let mut settling = Settling { store, counts, stream, documents, end: *end, claim, care, is_step_by_step };
    let whole = care.records_max.unwrap_or(count).max(1);
    let (mut done, mut length) = (0_usize, whole);
    loop {
        let end = done.saturating_add(length).min(count);
        let settled = match settling.span(done, end).await {
            Ok(settled) => settled,
            Err(error) => return Err(Broken { error, at: settling.claim.next_offset }),
        };
        match settled {
            Span::Held(problem) => return Ok(Settled { next_offset: settling.claim.next_offset, held: Some(problem) }),
            Span::Done(reached) if reached == count || stop.is_set() => {
                return Ok(Settled { next_offset: settling.claim.next_offset, held: None });
            }
            Span::Done(reached) => (done, length) = (reached, length.saturating_mul(2).min(whole)),
            // The one at `done` is by itself next time.
            Span::Unclear { reached, of } => (done, length) = (reached, of),
        }
    }
}

/// What became of a span of records.
enum Span {
    /// All before this index is in the store.
    Done(usize),
    /// All before `reached` is in the store; so many come next, by themselves.
    Unclear { reached: usize, of: usize },
    /// The stream holds at a document.
    Held(Problem),
}

/// Where a transaction ended.
enum Pass {
    /// All before this index is in the store, and nothing was wrong.
    Done(usize),
    /// All before this index is in the store. The document there may have lost a race.
    Contested { at: usize, problem: Box<Problem> },
    /// Nothing of it remains, for the sake of the record at this index, if that is known.
    Void { at: Option<usize>, error: StoreError },
    /// All before some document is in the store, and the stream holds there.
    Held(Problem),
}

impl Pass {
    /// What it means when the records before `to` were to be applied.
    fn of(stopped: Stopped, to: usize) -> Pass {
        match stopped {
            Stopped::Never => Pass::Done(to),
            Stopped::Sliced { at } => Pass::Done(at),
            Stopped::Contested { at, problem } => Pass::Contested { at, problem },
            Stopped::Void { at, error } => Pass::Void { at, error },
            Stopped::Held { problem, .. } => Pass::Held(problem),
        }
    }
}

struct Settling<'s> {
    store: &'s dyn Store,
    counts: &'s Applied,
    stream: &'s Stream,
    documents: &'s Arc<Documents>,
    /// The offset behind the batch.
    end: i64,
    /// It moves with each transaction.
    claim: Claim,
    care: &'s Care,
    /// Whether something is wrong with the batch, or the store goes no other way.
    is_step_by_step: bool,
}

impl<'s> Settling<'s> {
    /// The records from one index to before another, in one transaction. One by itself is tried until it is clear what
    /// becomes of it.
    async fn span(&mut self, from: usize, to: usize) -> Result<Span, StoreError> {
        let is_alone = to - from == 1;
        if is_alone
            && let Some((offset, problem)) = &self.care.blamed
            && self.documents.records()[from].position.offset == *offset
        {
            return self.blame(from, problem.clone()).await;
        }
        let mut tries = Tries::begin();
        loop {
            let problem = match self.pass(from, to).await? {
                Pass::Done(reached) => return Ok(Span::Done(reached)),
                Pass::Held(problem) => return Ok(Span::Held(problem)),
                Pass::Contested { at, .. } if !is_alone => return Ok(Span::Unclear { reached: at, of: 1 }),
                Pass::Void { at, .. } if !is_alone => {
                    let before = at.map_or((to - from) / 2, |at| at - from);
                    return Ok(Span::Unclear { reached: from, of: before.max(1) });
                }
                Pass::Void { error: StoreError::Document(problem), .. } => return self.blame(from, *problem).await,
                Pass::Contested { problem, .. } | Pass::Void { error: StoreError::Contested(problem), .. } => problem,
                Pass::Void { error, .. } => return Err(error),
            };
            if !tries.again(self.store).await? {
                return self.blame(from, *problem).await;
            }
        }
    }

    /// Sets a record aside as it is, or holds there.
    async fn blame(&mut self, index: usize, problem: Problem) -> Result<Span, StoreError> {
        let mut run = self.begin().await?;
        if let Some(held) = run.refuse(index, problem).await? {
            return Ok(Span::Held(held));
        }
        self.finish(run, index + 1).await.map_err(|refusal| refusal.error.of_the_books())?;
        Ok(Span::Done(index + 1))
    }

    /// One transaction, in which nothing is wrong; none when there is none such, or that is to be found out step by step.
    async fn at_once(&mut self, from: usize, to: usize) -> Result<Option<usize>, StoreError> {
        let is_wrong = self.documents.unreadable().iter().any(|(index, _)| (from..to).contains(index));
        if self.is_step_by_step || is_wrong || from == to {
            return Ok(None);
        }
        let begun = Instant::now();
        let before = |index: usize| self.documents.indices().partition_point(|other| *other < index);
        let again_before = self.stream.again_before(self.claim.applied_before);
        let part = self.documents.part(before(from)..before(to)).again_before(again_before);
        let applied =
            self.store.apply_at_once(&self.stream.apply.rules, &self.claim, &part, self.offset_of(to)).await?;
        self.is_step_by_step = applied.is_none();
        let Some(fates) = applied else { return Ok(None) };
        let reached = from + fates.len(); // Every record of the span is a document.
        let next_offset = self.offset_of(reached);
        self.count(Tally::of(&fates), next_offset, begun);
        self.claim.next_offset = next_offset;
        Ok(Some(reached))
    }

    /// The offset of the record at an index, or behind the batch.
    fn offset_of(&self, index: usize) -> i64 {
        self.documents.records().get(index).map_or(self.end, |kept| kept.position.offset)
    }

    /// One transaction.
    async fn pass(&mut self, from: usize, to: usize) -> Result<Pass, StoreError> {
        if let Some(reached) = self.at_once(from, to).await? {
            return Ok(Pass::Done(reached));
        }
        let mut run = self.begin().await?;
        let stopped = match run.records(from, to).await {
            Err(error @ StoreError::Contested(_)) => return Ok(Pass::Void { at: None, error }),
            stopped => stopped?,
        };
        let (reached, pass) = match stopped {
            Stopped::Never => (to, Pass::of(stopped, to)),
            Stopped::Sliced { at } => (at, Pass::of(stopped, to)),
            Stopped::Contested { at, .. } if at == from => return Ok(Pass::of(stopped, to)),
            Stopped::Contested { at, .. } | Stopped::Held { at, .. } => (at, Pass::of(stopped, to)),
            Stopped::Void { .. } => return Ok(Pass::of(stopped, to)),
        };
        match self.finish(run, reached).await {
            Ok(()) => Ok(pass),
            Err(CommitRefusal { error: error @ (StoreError::Document(_) | StoreError::Contested(_)), document }) => {
                let span = &self.documents.records()[from..reached];
                let at = document.and_then(|document| span.iter().position(|kept| kept.position == document));
                Ok(Pass::Void { at: at.map(|at| from + at), error })
            }
            Err(refusal) => Err(refusal.error),
        }
    }

    async fn begin(&self) -> Result<Run<'s>, StoreError> {
        let (store, stream) = (self.store, self.stream);
        let transaction = store.begin(&stream.apply.rules, Some(&self.claim)).await?;
        let documents = self.documents;
        let again_before = stream.again_before(self.claim.applied_before);
        let (tally, set_aside) = (Tally::default(), Vec::new());
        Ok(Run { transaction, stream, documents, again_before, tally, set_aside, begun: Instant::now() })
    }

    /// Moves the position to before a record, and commits.
    async fn finish(&mut self, run: Run<'_>, reached: usize) -> Result<(), CommitRefusal> {
        let Run { mut transaction, tally, set_aside, begun, .. } = run;
        let next_offset = self.offset_of(reached);
        let tally = tally.between(self.claim.next_offset, next_offset);
        transaction.advance(&self.claim, next_offset, tally).await?;
        transaction.commit().await?;
        self.count(tally, next_offset, begun);
        self.claim.next_offset = next_offset;
        for (receipt, reason) in set_aside {
            self.counts.set_aside(reason);
            tracing::warn!(stream = %self.stream.name, %receipt, reason = reason.name(),
                "A document could not be applied and was set aside.");
        }
        Ok(())
    }

    /// Counts what a transaction did that began at `begun` and moved the position to `next_offset`.
    fn count(&self, tally: Tally, next_offset: i64, begun: Instant) {
        self.counts.committed(tally.applied, tally.duplicates);
        self.counts.transaction.observe(begun.elapsed());
        let (now_ms, range) = (clock::now_ms(), self.claim.next_offset..next_offset);
        for kept in self.documents.records().iter().filter(|kept| range.contains(&kept.position.offset)) {
            let age_ms = now_ms.saturating_sub(kept.record.timestamp_ms).max(0);
            self.counts.row.observe(Duration::from_millis(age_ms.unsigned_abs()));
        }
    }
}
