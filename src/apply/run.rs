//! A transaction at work on some records: what is no document divides them into runs of those that are, and a document at
//! fault is cut out of its run.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock;
use crate::document::Receipt;
use crate::problem::{Problem, ProblemType};
use crate::store::{Documents, Letter, Next, StoreError, Tally, Transaction};
use crate::stream::Stream;
use crate::words::OnFailure;

/// After this time a transaction is committed as far as it came: others who write to the same tables, or the same file, get
/// their turn, and who asks the process to leave does not wait for the rest.
const SLICE: Duration = Duration::from_secs(1);

/// After a refusal runs grow from here again: where many documents are bad, each refusal costs what a short run does.
const LENGTH_MIN: usize = 16;

/// A transaction at work.
pub(super) struct Run<'s> {
    pub(super) transaction: Box<dyn Transaction + 's>,
    pub(super) stream: &'s Stream,
    pub(super) documents: &'s Arc<Documents>,
    /// Documents before this offset were applied once already.
    pub(super) again_before: i64,
    pub(super) tally: Tally,
    pub(super) set_aside: Vec<(Receipt, ProblemType)>,
    pub(super) begun: Instant,
}

/// Where the work of a transaction ended.
pub(super) enum Stopped {
    Never,
    /// It has done enough for one transaction, before the record at this index.
    Sliced {
        at: usize,
    },
    Contested {
        at: usize,
        problem: Box<Problem>,
    },
    Void {
        at: Option<usize>,
        error: StoreError,
    },
    Held {
        at: usize,
        problem: Problem,
    },
}

impl Run<'_> {
    /// The records from one index to before another: what is no document at all divides them into runs of those that are.
    pub(super) async fn records(&mut self, from: usize, to: usize) -> Result<Stopped, StoreError> {
        let documents = Arc::clone(self.documents);
        let before = |index: usize| documents.indices().partition_point(|other| *other < index);
        let mut done = before(from);
        for (index, problem) in documents.unreadable().iter().filter(|(index, _)| (from..to).contains(index)) {
            let end = before(*index);
            match self.run(done..end).await? {
                Stopped::Never => {}
                stopped => return Ok(stopped),
            }
            if let Some(problem) = self.refuse(*index, problem.clone()).await? {
                return Ok(Stopped::Held { at: *index, problem });
            }
            done = end;
        }
        self.run(done..before(to)).await
    }

    /// A run of documents. When the store refuses it for a document's sake, the run is cut there, or halved until the
    /// document is alone.
    async fn run(&mut self, Range { start: mut done, end }: Range<usize>) -> Result<Stopped, StoreError> {
        let indices = self.documents.indices();
        let mut length = end - done;
        while done < end {
            if self.is_enough() {
                return Ok(Stopped::Sliced { at: indices[done] });
            }
            let part = self.documents.part(done..(done + length).min(end)).again_before(self.again_before);
            let refusal = match self.transaction.apply(&part).await {
                Ok(fates) => {
                    self.tally.count(&fates);
                    done += fates.len();
                    if fates.len() < part.len() {
                        return Ok(Stopped::Sliced { at: indices[done] });
                    }
                    length = (2 * part.len()).max(LENGTH_MIN);
                    continue;
                }
                Err(refusal) => refusal,
            };
            let is_its = matches!(refusal.error.next(), Next::SetAside | Next::Alone);
            if !is_its {
                return Err(refusal.error);
            }
            let at = refusal.at.or((part.len() == 1).then_some(0));
            if refusal.is_void {
                return Ok(Stopped::Void { at: at.map(|at| indices[done + at]), error: refusal.error });
            }
            match (at, refusal.error) {
                (Some(0), StoreError::Contested(problem)) => {
                    return Ok(Stopped::Contested { at: indices[done], problem });
                }
                (Some(0), StoreError::Document(problem)) => {
                    if let Some(problem) = self.refuse(indices[done], *problem).await? {
                        return Ok(Stopped::Held { at: indices[done], problem });
                    }
                    done += 1;
                    length = length.max(LENGTH_MIN);
                }
                (Some(at), _) => length = at.max(1),
                (None, _) => length = (part.len() / 2).max(1),
            }
        }
        Ok(Stopped::Never)
    }

    /// Whether something was done, and it took so long that it should be committed.
    fn is_enough(&self) -> bool {
        self.tally != Tally::default() && self.begun.elapsed() >= SLICE
    }

    /// Sets one record aside; or gives the problem back, when the stream is to hold there.
    pub(super) async fn refuse(&mut self, index: usize, problem: Problem) -> Result<Option<Problem>, StoreError> {
        let kept = &self.documents.records()[index];
        if self.stream.apply.settings.on_failure == OnFailure::Stop {
            return Ok(Some(problem));
        }
        let reason = problem.kind;
        let problem = problem.about(self.documents.tables_of(index));
        let letter = Letter {
            stream: self.stream.name.clone(),
            position: kept.position.clone(),
            record: kept.record.clone(),
            problem,
            set_aside_ms: clock::now_ms(),
            attempts: 1,
        };
        self.transaction.set_aside(&letter).await.map_err(StoreError::of_the_books_after_documents)?;
        self.tally.dead_lettered += 1;
        self.set_aside.push((Receipt(letter.position), reason));
        Ok(None)
    }
}
