//! A call of an action: its event is made, judged, appended, and answered with the action's text.

use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;

use super::{record, request};
use crate::action::{Action, Content, Given, Source};
use crate::clock;
use crate::http::answer::{Answer, Failure, respond, with_type};
use crate::http::body;
use crate::json::{self, Json};
use crate::problem::{Problem, ProblemType};
use crate::query_string;
use crate::record::TEXT;
use crate::service::{Caller, Served, Service};

/// Calls `action`. `HEAD` is answered as `GET` is, and records nothing. The request's body is read where a template takes
/// something from it.
pub async fn call(service: &Service, served: &Served, action: &Action, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let answer = run(service, served, action, &head, body).await;
    if let Err(failure) = &answer
        && super::is_refusal(failure.problem())
    {
        service.refused(served, action.path.as_str(), failure.problem());
    }
    let mut response = respond(answer);
    let headers = response.headers_mut();
    // Every call is an event of its own: nobody on the way may answer for us.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The text may hold what the caller sent: no browser shall take it for a page.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn run(service: &Service, served: &Served, action: &Action, head: &Parts, body: Body) -> Answer {
    let stream = &served.stream;
    let idempotency_key = request::idempotency_key(&head.headers)?;
    let body = match action.reads_body() {
        true => Some(json_body(service, stream.gate.document_bytes_max, head, body).await?),
        false => None,
    };
    let body = body.as_ref().map(|body| std::str::from_utf8(&body.bytes).unwrap_or_default());
    let time = clock::rfc3339(clock::now_ms());
    let values = |source: &Source| match source {
        Source::Time => Ok(Some(Given::Text(time.clone()))),
        Source::Body(pointer) => Ok(body.and_then(|body| in_body(body, pointer))),
        other => value(other, action, head).map(|found| found.map(Given::Text)),
    };
    let filled = action.fill(&values).map_err(missing)?;
    let value = Bytes::from(filled.value);
    let (form, key) = match &action.record {
        Content::Text(_) => stream.gate.judge_text(&value, None).map(|()| (TEXT, None))?,
        Content::Json(_) => stream.gate.judge(&value).map(|accepted| (accepted.form, accepted.key))?,
    };
    let mut kept = record(stream, form, key, value.clone(), idempotency_key);
    if let Content::Text(_) = &action.record {
        kept.headers.mark_text();
    }
    if kept.size() > service.journal.record_bytes_max() {
        return Err(crate::format::lines::too_large(service.journal.record_bytes_max()).into());
    }
    if head.method != Method::HEAD {
        let way = served.way(action.path.as_str());
        way.received(value.len());
        let begun = Instant::now();
        service.journal.append(&stream.topic, vec![kept]).await?;
        way.accepted(1);
        way.append.observe(begun.elapsed());
    }
    Ok(with_type(StatusCode::OK, "text/plain; charset=utf-8", filled.answer))
}

fn missing(violations: Vec<crate::problem::Violation>) -> Failure {
    let detail = match &violations[..] {
        [violation] => violation.detail.clone(),
        more => format!("{} violations", more.len()),
    };
    let mut problem = Problem::new(ProblemType::InvalidDocument, detail);
    problem.errors = violations;
    problem.into()
}

/// The body, which must be JSON; an empty one has no values.
async fn json_body(service: &Service, bytes_max: usize, head: &Parts, body: Body) -> Result<body::Received, Failure> {
    if request::media(&head.headers)? != request::Media::Json {
        let detail = "the values of this action come from a body of application/json";
        return Err(Failure::new(ProblemType::UnsupportedMediaType, detail));
    }
    let received = body::read(service, head, body, bytes_max).await?;
    let text = std::str::from_utf8(&received.bytes);
    let text = text.map_err(|_| Failure::new(ProblemType::NotJson, "the body is not UTF-8"))?;
    if !text.trim_ascii().is_empty() {
        json::check(text).map_err(|fault| Failure::new(ProblemType::NotJson, fault.to_string()))?;
    }
    Ok(received)
}

/// The value at a pointer of a body that was checked.
fn in_body(body: &str, pointer: &str) -> Option<Given> {
    Some(match json::at(body, pointer)? {
        Json::Text(text) => Given::Text(text.into_owned()),
        Json::Null => Given::Json("null".to_owned()),
        Json::Boolean(value) => Given::Json(value.to_string()),
        Json::Number(text) | Json::Array(text) | Json::Object(text) => Given::Json(text.to_owned()),
    })
}

/// The value of a source in this request; none when it is missing, a sentence when it cannot be taken.
fn value(source: &Source, action: &Action, head: &Parts) -> Result<Option<String>, String> {
    match source {
        Source::Query(name) => {
            let pairs = query_string::pairs(head.uri.query().unwrap_or(""));
            let mut found = pairs.filter(|(known, _)| query_string::decode(known).as_deref() == Some(name.as_str()));
            let Some((_, value)) = found.next() else { return Ok(None) };
            if found.next().is_some() {
                return Err(format!("{} is there more than once", source.words()));
            }
            query_string::decode(value).map(Some).ok_or_else(|| not_text(source))
        }
        Source::Path(name) => {
            let Some(segment) = action.path.find(head.uri.path(), name) else { return Ok(None) };
            query_string::decode_percent(segment).map(Some).ok_or_else(|| not_text(source))
        }
        Source::Header(name) => {
            // Lines of one name are one value (RFC 9110, 5.3).
            let lines = head.headers.get_all(name.as_str()).iter();
            let lines: Option<Vec<_>> = lines.map(|line| std::str::from_utf8(line.as_bytes()).ok()).collect();
            let lines = lines.ok_or_else(|| not_text(source))?;
            Ok((!lines.is_empty()).then(|| lines.join(", ")))
        }
        Source::Address => Ok(head.extensions.get::<Caller>().map(|caller| caller.0.to_canonical().to_string())),
        // They are not the head's.
        Source::Time | Source::Body(_) => Ok(None),
    }
}

fn not_text(source: &Source) -> String {
    format!("{} is not UTF-8", source.words())
}
