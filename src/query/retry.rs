//! Dead letters that are tried again, mended and tried again, or given up.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;

use super::letters::{find, found, unknown};
use super::{Fate, Status, Unanswered, store};
use crate::apply::letters::{Retried, drop_letter, retry};
use crate::document::Receipt;
use crate::problem::ProblemType;
use crate::service::Service;
use crate::store::Letter;
use crate::store::books::LetterFilter;

/// So many letters are retried by one request; the answer says whether more are left.
pub const RETRIES_MAX: usize = 1_000;

/// What became of dead letters that were tried again.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Retries {
    /// How many were applied.
    pub applied: usize,
    /// How many were not.
    pub failed: usize,
    /// Whether there are more that were not tried.
    pub more: bool,
    /// Each, in the order of their positions.
    pub results: Vec<Fate>,
}

/// Tries a letter again; with `mended` in place of its document, if given.
pub async fn one(service: &Service, letter: Letter, mended: Option<Bytes>) -> Result<Retried, Unanswered> {
    let Some(served) = service.stream(letter.stream.as_str()) else {
        let detail = format!("the stream {} is no longer configured", letter.stream);
        return Err(Unanswered::new(ProblemType::UnknownStream, detail));
    };
    match retry(&**store(service)?, &served.stream, letter, mended).await? {
        Retried::Failed(problem) => Ok(Retried::Failed(service.veil().await.over(problem))),
        other => Ok(other),
    }
}

/// The answer to who tried one letter again: only that it was applied is one.
pub fn answer(id: &str, retried: Retried) -> Result<Fate, Unanswered> {
    match retried {
        Retried::Gone => Err(unknown(id)),
        Retried::Rejected(problem) => Err(problem.into()),
        retried => Fate::of_retry(id, retried).or_not_applied("is still a dead letter"),
    }
}

/// Tries the letters that a filter means, at most [`RETRIES_MAX`], in the order of their positions.
pub async fn many(service: &Service, filter: &LetterFilter) -> Result<Retries, Unanswered> {
    let limit = filter.limit.min(RETRIES_MAX);
    let mut letters = found(service, &LetterFilter { limit: limit + 1, ..filter.clone() }).await?;
    let more = letters.len() > limit;
    letters.truncate(limit);
    let mut results = Vec::with_capacity(letters.len());
    for listed in letters {
        let retried = match store(service)?.books().letter(&listed.position).await? {
            Some(letter) => one(service, letter, None).await?,
            None => Retried::Gone,
        };
        results.push(Fate::of_retry(Receipt(listed.position).to_string(), retried));
    }
    let applied = results.iter().filter(|fate| fate.status == Status::Applied).count();
    Ok(Retries { applied, failed: results.len() - applied, more, results })
}

/// Gives a letter up.
pub async fn drop(service: &Service, id: &str) -> Result<Fate, Unanswered> {
    let position = find(service, id).await?.position;
    match drop_letter(&**store(service)?, &position).await? {
        true => Ok(Fate::plain(id, Status::Dropped)),
        false => Err(unknown(id)),
    }
}
