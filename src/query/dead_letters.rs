//! Dead letters over HTTP: listed, shown whole, retried, mended and retried, dropped.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode, Uri, header};
use bytes::Bytes;
use serde_json::{Value, json};

use super::parameters::{self, bad};
use super::{shared_store, store};
use crate::apply::letters::{Retried, drop_letter, retry};
use crate::clock;
use crate::document::{Receipt, StreamName};
use crate::format::yaml;
use crate::http::answer::{Answer, Failure, json as json_answer, respond};
use crate::http::body;
use crate::http::room;
use crate::media_type::{self, Kind};
use crate::problem::ProblemType;
use crate::query_string::encode;
use crate::service::Service;
use crate::store::Letter;
use crate::store::books::{LetterFilter, Listed};
use crate::store::rows::PAGE_BYTES_MAX;
use crate::task;

/// How many letters a page holds when nothing is said, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1_000;

/// So many letters are retried by one request; the answer says how many are left.
const RETRIES_MAX: usize = 1_000;

/// What a letter takes in a list besides its reason.
const SUMMARY_BYTES: usize = 500;

/// `GET /v1/dead-letters`
pub async fn list(State(service): State<Arc<Service>>, uri: Uri) -> Response<Body> {
    let list = async {
        let (mut filter, parameters) = filter(uri.query(), PAGE)?;
        let mut room = room::room(2 * PAGE_BYTES_MAX).await?;
        let limit = filter.limit;
        filter.limit += 1;
        let mut letters = store(&service)?.books().letters(&filter).await?;
        // One that the configuration has no more may still have letters.
        if let Some(stream) =
            filter.stream.as_ref().filter(|name| letters.is_empty() && service.stream(name.as_str()).is_none())
        {
            return Err(service.unknown_stream(stream.as_str()).into());
        }
        let fitting = limit.min(fitting(&letters));
        let next = (letters.len() > fitting).then(|| {
            letters.truncate(fitting);
            let mut link = String::from("/v1/dead-letters?");
            for (name, value) in parameters.iter().filter(|(name, _)| name != "after") {
                link.push_str(&format!("{}={}&", encode(name), encode(value)));
            }
            let last = letters.last().map(|letter| Receipt(letter.position.clone()).to_string());
            link + &format!("after={}", encode(&last.unwrap_or_default()))
        });
        let letters: Vec<_> = letters.iter().map(summary).collect();
        let text = json!({"dead_letters": letters, "next": next}).to_string();
        room.shrink(text.len());
        Ok(room::keep(json_answer(StatusCode::OK, text), room))
    };
    respond(list.await)
}

/// How many of the letters take no more than a page, one at least: the reasons of each may be long.
fn fitting(letters: &[Listed]) -> usize {
    let mut bytes = 0;
    let end = letters.iter().position(|letter| {
        bytes += letter.problem.detail.len() + SUMMARY_BYTES;
        bytes > PAGE_BYTES_MAX
    });
    end.unwrap_or(letters.len()).max(1)
}

/// `GET /v1/dead-letters/{id}`
pub async fn show(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Response<Body> {
    let show = async {
        // The document, as it is kept and as it is answered.
        let mut room = room::room(2 * PAGE_BYTES_MAX).await?;
        let letter = find(&service, &id).await?;
        let text = whole(&letter).to_string();
        room.shrink(text.len());
        Ok(room::keep(json_answer(StatusCode::OK, text), room))
    };
    respond(show.await)
}

/// `DELETE /v1/dead-letters/{id}`
pub async fn remove(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Response<Body> {
    let remove = async {
        let position = find(&service, &id).await?.position;
        let store = shared_store(&service)?;
        if task::blocking(async move { drop_letter(&*store, &position).await }).await? {
            Ok(json_answer(StatusCode::OK, json!({"receipt": id, "status": "dropped"}).to_string()))
        } else {
            Err(unknown(&id))
        }
    };
    respond(remove.await)
}

/// `POST /v1/dead-letters/{id}/retry`; a body replaces the document.
pub async fn retry_one(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    request: Request,
) -> Response<Body> {
    let run = async {
        let letter = find(&service, &id).await?;
        let bytes_max =
            service.stream(letter.stream.as_str()).map_or(0, |served| served.stream.gate.document_bytes_max);
        let (head, body) = request.into_parts();
        let body = body::read(&service, &head, body, bytes_max).await?.bytes;
        let media_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mended = match (body.is_empty(), media_type.is_some_and(|media| media_type::read(media).kind == Kind::Yaml))
        {
            (true, _) => None,
            (false, true) => {
                let read = || yaml::to_json(&body, 1, bytes_max);
                Some(task::aside(usize::MAX, read).await??.into())
            }
            (false, false) => Some(body),
        };
        let retried = try_again(&service, letter, mended).await?;
        answer(&id, retried)
    };
    respond(run.await)
}

/// `POST /v1/dead-letters/retry`: those that match the filter, in the order of their positions.
pub async fn retry_all(State(service): State<Arc<Service>>, uri: Uri) -> Response<Body> {
    let run = async {
        let (mut filter, _) = filter(uri.query(), RETRIES_MAX)?;
        filter.limit = filter.limit.min(RETRIES_MAX) + 1;
        let mut letters = store(&service)?.books().letters(&filter).await?;
        // One that the configuration has no more may still have letters.
        if let Some(stream) =
            filter.stream.as_ref().filter(|name| letters.is_empty() && service.stream(name.as_str()).is_none())
        {
            return Err(service.unknown_stream(stream.as_str()).into());
        }
        let more = letters.len() == filter.limit;
        letters.truncate(filter.limit - 1);
        let mut results = Vec::with_capacity(letters.len());
        let mut applied = 0;
        for listed in letters {
            let id = Receipt(listed.position.clone()).to_string();
            let retried = match store(&service)?.books().letter(&listed.position).await? {
                Some(letter) => try_again(&service, letter, None).await?,
                None => Retried::Gone,
            };
            applied += usize::from(retried == Retried::Applied);
            results.push(result(&id, &retried));
        }
        let body = json!({"applied": applied, "failed": results.len() - applied, "more": more, "results": results});
        Ok(json_answer(StatusCode::OK, body.to_string()))
    };
    respond(run.await)
}

fn answer(id: &str, retried: Retried) -> Answer {
    match retried {
        Retried::Gone => Err(unknown(id)),
        Retried::Rejected(problem) => Err(problem.into()),
        Retried::Failed(problem) => {
            let reason = serde_json::to_value(&problem).unwrap_or_default();
            let detail = format!("{id} is still a dead letter: {}", problem.detail);
            Err(Failure::new(ProblemType::NotApplied, detail).with("receipt", id).with("problem", reason))
        }
        applied => Ok(json_answer(StatusCode::OK, result(id, &applied).to_string())),
    }
}

/// What became of a retry.
pub fn result(id: &str, retried: &Retried) -> Value {
    match retried {
        Retried::Applied => json!({"receipt": id, "status": "applied"}),
        Retried::Gone => json!({"receipt": id, "status": "gone"}),
        Retried::Failed(problem) | Retried::Rejected(problem) => {
            json!({"receipt": id, "status": "dead-lettered", "problem": problem})
        }
    }
}

async fn try_again(service: &Service, letter: Letter, mended: Option<Bytes>) -> Result<Retried, Failure> {
    let Some(served) = service.stream(letter.stream.as_str()) else {
        let detail = format!("the stream {} is no longer configured", letter.stream);
        return Err(Failure::new(ProblemType::UnknownStream, detail));
    };
    let (store, stream) = (shared_store(service)?, Arc::clone(&served.stream));
    Ok(task::blocking(async move { retry(&*store, &stream, letter, mended).await }).await?)
}

async fn find(service: &Service, id: &str) -> Result<Letter, Failure> {
    let position = Receipt::parse(id).ok_or_else(|| unknown(id))?.0;
    store(service)?.books().letter(&position).await?.ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> Failure {
    Failure::new(ProblemType::UnknownDeadLetter, format!("there is no dead letter {id:?}"))
}

type Parameters = Vec<(String, String)>;

fn filter(query: Option<&str>, limit: usize) -> Result<(LetterFilter, Parameters), Failure> {
    let parameters = parameters::read(query)?;
    let mut filter = LetterFilter { limit, ..LetterFilter::default() };
    for (name, value) in &parameters {
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
    Ok((filter, parameters))
}

/// A letter without its document.
pub fn summary(letter: &Listed) -> Value {
    json!({
        "id": Receipt(letter.position.clone()).to_string(),
        "stream": letter.stream.as_str(),
        "reason": letter.problem.kind.name(),
        "detail": letter.problem.detail,
        "set_aside_at": clock::rfc3339(letter.set_aside_ms),
        "attempts": letter.attempts,
        "bytes": letter.bytes,
    })
}

/// A letter whole.
pub fn whole(letter: &Letter) -> Value {
    let mut value = summary(&Listed::of(letter));
    value["problem"] = serde_json::to_value(&letter.problem).unwrap_or_default();
    value["received_at"] = clock::rfc3339(letter.record.timestamp_ms).into();
    value["headers"] = serde_json::to_value(&letter.record.headers).unwrap_or_default();
    // As text, so that every digit and space of what was sent can be seen.
    value["document"] = String::from_utf8_lossy(&letter.record.value).into();
    value
}
