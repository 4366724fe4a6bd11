//! Dead letters: retried, mended and retried, dropped.
//!
//! A retry runs in one store transaction, appends nothing to the journal, keeps its receipt, and moves one unit between
//! the counters.

use std::sync::Arc;

use bytes::Bytes;

use crate::aside;
use crate::document::Position;
use crate::problem::{Problem, ProblemType};
use crate::reason::chain;
use crate::record::{Beside, Kept};
use crate::store::tries::Tries;
use crate::store::{ApplyRules, Closing, Document, Documents, Letter, Part, Reads, Store, StoreError};
use crate::stream::Stream;

/// What became of a retry.
#[derive(Debug, Clone, PartialEq)]
pub enum Retried {
    /// Its changes are in the tables; the letter is gone.
    Applied,
    /// It failed again, for this reason; the letter stays.
    Failed(Problem),
    /// The mended document is not valid; the letter is as it was.
    Rejected(Problem),
    /// There is no such letter: somebody else has retried or dropped it.
    Gone,
}

/// Tries a dead letter again; with `mended` in place of its document, if given.
pub async fn retry(
    store: &dyn Store,
    stream: &Arc<Stream>,
    letter: Letter,
    mended: Option<Bytes>,
) -> Result<Retried, StoreError> {
    let position = letter.position.clone();
    let kept = Kept { position: letter.position, record: letter.record };
    let is_mended = mended.is_some();
    let bytes = mended.as_ref().map_or(kept.record.value.len(), Bytes::len);
    let busy = |aside::Busy| StoreError::later("too many large documents are being judged at once");
    let read = aside::run(bytes, || read(stream, kept, mended)).await.map_err(busy)?;
    let problem = match read {
        Ok(document) => {
            // It may have become a letter when it was replayed, and its row is there.
            let document = document.whole().again_before(stream.again_before(i64::MAX));
            match attempt(store, stream, &document, &position).await? {
                Attempt::Applied => return Ok(Retried::Applied),
                Attempt::Gone => return Ok(Retried::Gone),
                Attempt::Failed(problem) => problem.about(document.tables()),
            }
        }
        Err(Unread::Rejected(problem)) => return Ok(Retried::Rejected(problem)),
        Err(Unread::Failed(problem)) => problem,
    };
    if is_mended {
        return Ok(Retried::Failed(problem));
    }
    let mut transaction = store.begin(&stream.apply.rules, None).await?;
    if !transaction.close_letter(&position, Closing::Failed(&problem)).await? {
        return Ok(Retried::Gone);
    }
    transaction.commit().await?;
    Ok(Retried::Failed(problem))
}

/// Why a letter holds nothing that could be applied.
enum Unread {
    /// The mended document is not valid.
    Rejected(Problem),
    /// What is kept cannot be read as a document.
    Failed(Problem),
}

/// The document of a letter, or the mended one in its place.
fn read(stream: &Arc<Stream>, mut kept: Kept, mended: Option<Bytes>) -> Result<Arc<Documents>, Unread> {
    let original = crate::digest(&kept.record.value);
    if let Some(mended) = mended {
        let judged = stream.gate.judge_with(&mended, Beside::of_record(&kept.record)).map(|accepted| accepted.form);
        // What was bare text is a document from now on.
        kept.record.headers.unmark_text(judged.map_err(Unread::Rejected)?);
        kept.record.value = mended;
    }
    let reader = Arc::clone(stream) as Arc<dyn Reads>;
    let adapt = |document: &mut Document<'_>| {
        if let Some(idempotency) = document.idempotency.as_mut() {
            // The key of a mended one goes on standing for the document as it was sent.
            idempotency.digest = original;
        }
    };
    Documents::read_one(reader, kept, adapt).map_err(Unread::Failed)
}

/// What became of an attempt.
enum Attempt {
    Applied,
    Gone,
    Failed(Box<Problem>),
}

/// Applies the document and closes its letter; what may be a race, a bounded number of times.
async fn attempt(
    store: &dyn Store,
    stream: &Stream,
    document: &Part,
    letter: &Position,
) -> Result<Attempt, StoreError> {
    let mut tries = Tries::begin();
    loop {
        let error = match once(store, stream, document, letter).await {
            Ok(true) => return Ok(Attempt::Applied),
            Ok(false) => return Ok(Attempt::Gone),
            Err(error) => error,
        };
        match error {
            StoreError::Document(problem) => return Ok(Attempt::Failed(problem)),
            StoreError::Contested(problem) => {
                if !tries.again(store).await? {
                    return Ok(Attempt::Failed(problem));
                }
            }
            // Nobody knows whether it was applied: the letter says so next time.
            StoreError::Lost(reason) => {
                if !tries.again(store).await? {
                    return Ok(Attempt::Failed(Box::new(Problem::new(ProblemType::DatabaseRefused, chain(&reason)))));
                }
            }
            other => return Err(other),
        }
    }
}

/// One transaction. False when there is no such letter.
async fn once(store: &dyn Store, stream: &Stream, document: &Part, letter: &Position) -> Result<bool, StoreError> {
    let mut transaction = store.begin(&stream.apply.rules, None).await?;
    transaction.apply(document).await.map_err(|refusal| refusal.error)?;
    let closed = transaction.close_letter(letter, Closing::Applied).await;
    if !closed.map_err(StoreError::of_the_books_after_documents)? {
        return Ok(false);
    }
    transaction.commit().await?;
    Ok(true)
}

/// Gives a dead letter up. False when there is no such letter.
pub async fn drop_letter(store: &dyn Store, position: &Position) -> Result<bool, StoreError> {
    let rules = ApplyRules::default();
    let mut transaction = store.begin(&rules, None).await?;
    let is_there = transaction.close_letter(position, Closing::Dropped).await?;
    transaction.commit().await?;
    Ok(is_there)
}
