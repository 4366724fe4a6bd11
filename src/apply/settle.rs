//! One batch, one transaction: what applies is applied, what cannot be is set aside, and the position moves with both.

use super::judged::{Documents, Judged, Read};
use crate::clock;
use crate::document::Receipt;
use crate::problem::Problem;
use crate::record::Kept;
use crate::store::{Claim, Document, Fate, Letter, Next, Store, StoreError, Tally, Transaction};
use crate::stream::{OnFailure, Stream};

/// What became of a batch.
#[derive(Debug)]
pub(super) struct Settled {
    /// Where the partition stands now.
    pub(super) next_offset: i64,
    /// The documents that were set aside, and why.
    pub(super) set_aside: Vec<(Receipt, Problem)>,
    /// Why the partition holds at `next_offset`, with `on_failure: stop`.
    pub(super) held: Option<Problem>,
}

/// Applies a batch under `claim`. On an error nothing is known to have happened: read the position again.
pub(super) async fn apply(store: &dyn Store, claim: &Claim, judged: &Judged) -> Result<Settled, StoreError> {
    let Read { stream, batch } = judged.borrow_owner();
    let Documents { documents, indices, unreadable } = judged.borrow_dependent();
    let again = again(stream, claim, documents);
    let documents = again.as_deref().unwrap_or(documents);
    let mut transaction = store.begin(&stream.apply, Some(claim)).await?;
    let mut settling = Settling {
        stream,
        records: &batch.records,
        transaction: &mut *transaction,
        tally: Tally::default(),
        set_aside: Vec::new(),
    };
    // What is no document at all divides the batch into runs of those that are.
    let mut held = None;
    let mut done = 0;
    for (index, problem) in unreadable {
        let end = indices.partition_point(|other| other < index);
        held = settling.settle(&documents[done..end], &indices[done..end]).await?;
        if held.is_none() {
            held = settling.refuse(*index, problem.clone()).await?;
        }
        if held.is_some() {
            break;
        }
        done = end;
    }
    if held.is_none() {
        held = settling.settle(&documents[done..], &indices[done..]).await?;
    }
    let Settling { mut tally, set_aside, .. } = settling;
    let (next_offset, held) = match held {
        None => (batch.next_offset, None),
        Some((offset, problem)) => (offset, Some(problem)),
    };
    tally.gaps = next_offset - claim.next_offset - tally.applied - tally.duplicates - tally.dead_lettered;
    transaction.advance(claim, next_offset, tally).await?;
    transaction.commit().await?;
    let set_aside = set_aside.into_iter().map(|letter| (Receipt(letter.position), letter.problem)).collect();
    Ok(Settled { next_offset, set_aside, held })
}

/// The documents of a replay: rows that are there already are brought up to date. None when none of them was applied
/// before.
fn again<'a>(stream: &Stream, claim: &Claim, documents: &[Document<'a>]) -> Option<Vec<Document<'a>>> {
    let was_applied = |document: &Document<'_>| document.position.offset < claim.applied_before;
    if !stream.has_rows_by_receipt() || !documents.first().is_some_and(was_applied) {
        return None;
    }
    let again = |document: &Document<'a>| match was_applied(document) {
        true => document.clone().again(),
        false => document.clone(),
    };
    Some(documents.iter().map(again).collect())
}

/// After a refusal runs grow from here again: where many documents are bad, each refusal costs what a short run does.
const LENGTH_MIN: usize = 16;

struct Settling<'s, 't> {
    stream: &'s Stream,
    records: &'s [Kept],
    transaction: &'t mut (dyn Transaction + 't),
    tally: Tally,
    set_aside: Vec<Letter>,
}

/// The offset at which the partition holds, and why.
type Held = Option<(i64, Problem)>;

impl Settling<'_, '_> {
    /// Applies a run of documents. When the store refuses it for a document's sake, the run is cut there, or halved until
    /// the document is alone.
    async fn settle(&mut self, documents: &[Document<'_>], indices: &[usize]) -> Result<Held, StoreError> {
        let mut done = 0;
        let mut length = documents.len();
        while done < documents.len() {
            let part = &documents[done..(done + length).min(documents.len())];
            match self.transaction.apply(part).await {
                Ok(fates) => {
                    for fate in fates {
                        match fate {
                            Fate::Applied => self.tally.applied += 1,
                            Fate::Duplicate { .. } => self.tally.duplicates += 1,
                        }
                    }
                    done += part.len();
                    length = (2 * part.len()).max(LENGTH_MIN);
                }
                Err(refusal) if refusal.error.next() == Next::SetAside => {
                    match refusal.at.or((part.len() == 1).then_some(0)) {
                        Some(0) => {
                            if let StoreError::Document(problem) = refusal.error
                                && let Some(held) = self.refuse(indices[done], *problem).await?
                            {
                                return Ok(Some(held));
                            }
                            done += 1;
                            length = length.max(LENGTH_MIN);
                        }
                        Some(at) => length = at,
                        None => length = part.len() / 2,
                    }
                }
                Err(refusal) => return Err(refusal.error),
            }
        }
        Ok(None)
    }

    /// Sets one document aside, or holds there.
    async fn refuse(&mut self, index: usize, problem: Problem) -> Result<Held, StoreError> {
        let kept = &self.records[index];
        if self.stream.on_failure == OnFailure::Stop {
            return Ok(Some((kept.position.offset, problem)));
        }
        let letter = Letter {
            stream: self.stream.name.clone(),
            position: kept.position.clone(),
            record: kept.record.clone(),
            problem,
            set_aside_ms: clock::now_ms(),
            attempts: 1,
        };
        self.transaction.set_aside(&letter).await?;
        self.tally.dead_lettered += 1;
        self.set_aside.push(letter);
        Ok(None)
    }
}
