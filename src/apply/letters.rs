//! Dead letters: retried, mended and retried, dropped.
//!
//! A retry runs in one store transaction, appends nothing to the journal, keeps its receipt, and moves one unit between
//! the counters.

use bytes::Bytes;

use crate::document::Position;
use crate::problem::Problem;
use crate::record::Kept;
use crate::store::{ApplyRules, Closing, Letter, Next, Store, StoreError};
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

/// Tries a dead letter again; with `mended` in place of its document, if given. Blocks its thread.
pub async fn retry(
    store: &dyn Store,
    stream: &Stream,
    letter: Letter,
    mended: Option<Bytes>,
) -> Result<Retried, StoreError> {
    let position = letter.position.clone();
    let mut kept = Kept { position: letter.position, record: letter.record };
    let original = crate::digest(&kept.record.value);
    let is_mended = mended.is_some();
    if let Some(mended) = mended {
        match stream.gate.judge(&mended) {
            // What was bare text is a document from now on.
            Ok(accepted) => kept.record.headers.unmark_text(accepted.form),
            Err(problem) => return Ok(Retried::Rejected(problem)),
        }
        kept.record.value = mended;
    }
    let mut transaction = store.begin(&stream.apply, None).await?;
    let problem = match stream.read(&kept) {
        Ok(mut document) => {
            if stream.has_rows_by_receipt() {
                // It may have become a letter when it was replayed, and its row is there.
                document = document.again();
            }
            if let (Some(idempotency), true) = (document.idempotency.as_mut(), is_mended) {
                // The key goes on standing for the document as it was sent.
                idempotency.digest = original;
            }
            match transaction.apply(&[document]).await {
                Ok(_) => {
                    if !transaction.close_letter(&position, Closing::Applied).await? {
                        return Ok(Retried::Gone);
                    }
                    transaction.commit().await?;
                    return Ok(Retried::Applied);
                }
                Err(refusal) => match (refusal.error.next(), refusal.error) {
                    (Next::SetAside, StoreError::Document(problem)) => *problem,
                    (_, error) => return Err(error),
                },
            }
        }
        Err(problem) => problem,
    };
    if is_mended {
        return Ok(Retried::Failed(problem));
    }
    if !transaction.close_letter(&position, Closing::Failed(&problem)).await? {
        return Ok(Retried::Gone);
    }
    transaction.commit().await?;
    Ok(Retried::Failed(problem))
}

/// Gives a dead letter up. False when there is no such letter.
pub async fn drop_letter(store: &dyn Store, position: &Position) -> Result<bool, StoreError> {
    let rules = ApplyRules::default();
    let mut transaction = store.begin(&rules, None).await?;
    let is_there = transaction.close_letter(position, Closing::Dropped).await?;
    transaction.commit().await?;
    Ok(is_there)
}
