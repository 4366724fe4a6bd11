//! Dead letters: listed, and shown whole.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::parameters::{self, Parameters, bad};
use super::{Unanswered, store};
use crate::clock;
use crate::document::{Receipt, StreamName};
use crate::problem::{Problem, ProblemType};
use crate::record::Headers;
use crate::service::Service;
use crate::store::Letter;
use crate::store::books::{LetterFilter, Listed};
use crate::store::rows::PAGE_BYTES_MAX;

/// How many letters a page holds when nothing is said, and at most.
pub const PAGE: usize = 100;
const PAGE_MAX: usize = 1_000;

/// What a letter takes in a list besides its reason.
const SUMMARY_BYTES: usize = 500;

/// A page of dead letters, in the order of their positions.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Letters {
    /// The letters.
    pub dead_letters: Vec<Summary>,
    /// The last letter's receipt, behind which the next page begins; over HTTP, that page's address. None when this is the last.
    pub next: Option<String>,
}

/// A dead letter without its document.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Summary {
    /// Its receipt, which is its id.
    pub id: String,
    /// The stream that it came by.
    pub stream: String,
    /// The type of the problem, such as `unknown-table`.
    pub reason: &'static str,
    /// What happened.
    pub detail: String,
    /// When it was set aside (RFC 3339).
    pub set_aside_at: String,
    /// How often it was tried.
    pub attempts: i64,
    /// What its document takes, in bytes.
    pub bytes: u64,
}

/// A dead letter whole.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Whole {
    #[serde(flatten)]
    summary: Summary,
    /// The reason, with the places in the document.
    problem: Problem,
    /// When the document was received (RFC 3339).
    received_at: String,
    /// The headers of its record.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    headers: Headers,
    /// The document as text, so that every digit and space of what was sent can be seen.
    document: String,
}

impl Summary {
    fn of(letter: Listed) -> Self {
        Summary {
            id: Receipt(letter.position).to_string(),
            stream: letter.stream.to_string(),
            reason: letter.problem.kind.name(),
            detail: letter.problem.detail,
            set_aside_at: clock::rfc3339(letter.set_aside_ms),
            attempts: letter.attempts,
            bytes: letter.bytes,
        }
    }
}

impl Whole {
    fn of(letter: Letter) -> Self {
        Whole {
            summary: Summary::of(Listed::of(&letter)),
            problem: letter.problem,
            received_at: clock::rfc3339(letter.record.timestamp_ms),
            headers: letter.record.headers,
            document: String::from_utf8_lossy(&letter.record.value).into(),
        }
    }
}

/// A page of letters. It may end before the filter's limit, since the reasons of each may be long.
pub async fn list(service: &Service, filter: &LetterFilter) -> Result<Letters, Unanswered> {
    let one_more = LetterFilter { limit: filter.limit.saturating_add(1), ..filter.clone() };
    let mut letters = found(service, &one_more).await?;
    let fitting = filter.limit.min(fitting(&letters));
    let is_last = letters.len() <= fitting;
    letters.truncate(fitting);
    let next = letters.last().filter(|_| !is_last).map(|letter| Receipt(letter.position.clone()).to_string());
    let veil = service.veil().await;
    let shown = letters.into_iter().map(|letter| Listed { problem: veil.over(letter.problem), ..letter });
    Ok(Letters { dead_letters: shown.map(Summary::of).collect(), next })
}

/// One letter whole.
pub async fn show(service: &Service, id: &str) -> Result<Whole, Unanswered> {
    let letter = find(service, id).await?;
    let problem = service.veil().await.over(letter.problem);
    Ok(Whole::of(Letter { problem, ..letter }))
}

/// The letters that a filter means. A stream that the configuration has no more may still have some; one that has none
/// either is misspelt.
pub(super) async fn found(service: &Service, filter: &LetterFilter) -> Result<Vec<Listed>, Unanswered> {
    let letters = store(service)?.books().letters(filter).await?;
    match filter.stream.as_ref().map(StreamName::as_str) {
        Some(name) if letters.is_empty() && service.stream(name).is_none() => Err(service.unknown_stream(name).into()),
        _ => Ok(letters),
    }
}

/// The letter with this receipt.
pub async fn find(service: &Service, id: &str) -> Result<Letter, Unanswered> {
    let position = Receipt::parse(id).ok_or_else(|| unknown(id))?.0;
    store(service)?.books().letter(&position).await?.ok_or_else(|| unknown(id))
}

pub(super) fn unknown(id: &str) -> Unanswered {
    Unanswered::new(ProblemType::UnknownDeadLetter, format!("there is no dead letter {id:?}"))
}

/// How many of the letters take no more than a page, one at least.
fn fitting(letters: &[Listed]) -> usize {
    let mut bytes = 0;
    let end = letters.iter().position(|letter| {
        bytes += letter.problem.detail.len() + SUMMARY_BYTES;
        bytes > PAGE_BYTES_MAX
    });
    end.unwrap_or(letters.len()).max(1)
}

/// Reads `stream`, `reason`, `limit` and `after`; without a limit there is this one.
pub fn filter(parameters: &Parameters, limit: usize) -> Result<LetterFilter, Unanswered> {
    let mut filter = LetterFilter { limit, ..LetterFilter::default() };
    for (name, value) in parameters {
        match name.as_str() {
            "stream" => {
                filter.stream = Some(StreamName::parse(value).map_err(|error| bad(name, &error.to_string()))?);
            }
            "reason" if ProblemType::find(value).is_some() => filter.reason = Some(value.clone()),
            "reason" => return Err(bad(name, &format!("{value:?} is no type of problem; /problems lists them"))),
            "limit" => filter.limit = parameters::limit(name, value, PAGE_MAX)?,
            "after" => {
                let receipt = Receipt::parse(value).ok_or_else(|| bad(name, "it is no receipt"))?;
                filter.after = Some(receipt.0);
            }
            _ => return Err(bad(name, "there are stream, reason, limit and after")),
        }
    }
    Ok(filter)
}
