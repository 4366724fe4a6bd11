//! Documents in, over HTTP: read, judged, appended, answered.

pub mod action;
mod arrived;
mod batch;
pub mod directory;
mod echo;
mod events;
pub mod files;
mod request;
mod single;
mod yaml;

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use bytes::Bytes;

use self::arrived::{Arrived, parts};
pub use self::batch::{Piece, Summary};
pub use self::echo::Echo;
use self::request::{Ask, Media};
pub use self::single::DryRun;
use crate::aside;
use crate::clock;
use crate::format::lines::Layout;
use crate::gate::DocumentKind;
use crate::http::answer::{Answer, Failure};
use crate::http::body;
use crate::http::room;
use crate::problem::{Problem, ProblemType};
use crate::record::{Headers, Record};
use crate::service::{BY_NAME, Served, Service};
use crate::stream::Stream;

/// An event in a batch takes so much, most of them.
const EVENT_BYTES: usize = 256;

/// The media types of bodies, most of which have relatives that are taken too.
pub const TAKES: &[&str] = &[
    "application/json",
    "application/x-ndjson",
    "application/yaml",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
];

/// DocumentKind documents for the stream of this name.
pub async fn by_name(service: &Service, name: &str, request: Request) -> Answer {
    let served = service.stream(name).ok_or_else(|| service.unknown_stream(name))?;
    post(service, served, None, request).await
}

/// DocumentKind the documents of one request. `route` is the one of the stream's own that it came by: there the stream's `reply`
/// governs the answer.
pub async fn post(service: &Service, served: &Served, route: Option<&str>, request: Request) -> Answer {
    // What is only tried is neither counted nor told.
    let is_trial = request::is_dry_run(request.uri().query().unwrap_or("")).unwrap_or_default();
    let answer = take(service, served, route, request).await;
    if let Err(failure) = &answer
        && !is_trial
        && is_refusal(failure.problem())
    {
        service.refused(served, via(route), failure.problem());
    }
    answer
}

/// Whether the gate has refused a document, which was never kept.
fn is_refusal(problem: &Problem) -> bool {
    problem.status < 500 && problem.kind != ProblemType::NotApplied
}

/// The way that a document came by, as the log says it.
fn via(route: Option<&str>) -> &str {
    route.unwrap_or(BY_NAME)
}

async fn take(service: &Service, served: &Served, route: Option<&str>, request: Request) -> Answer {
    if served.stream.is_foreign {
        let detail = format!("the stream {} reads a topic that others write, and takes nothing in", served.stream.name);
        let mut response = Failure::new(ProblemType::MethodNotAllowed, detail).into_response();
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    let (head, body) = request.into_parts();
    let way = served.way(via(route));
    let unread = |failure: Failure| {
        way.received(0);
        failure
    };
    let ask = Ask::read(&head).map_err(unread)?;
    let stream = &served.stream;
    let one_max = stream.gate.document_bytes_max;
    let bytes_max = match ask.media {
        Media::Json => one_max,
        // In Base64 data takes four bytes for three.
        Media::Event => one_max.saturating_add(one_max / 3).saturating_add(events::ATTRIBUTES_BYTES_MAX),
        Media::Lines | Media::Yaml | Media::Events => body::BATCH_BYTES_MAX,
    };
    let body::Received { bytes, mut share } = body::read(service, &head, body, bytes_max).await.map_err(unread)?;
    let one = |document| match ask.is_event {
        true => events::binary(&head.headers, document),
        false => Ok(Arrived::plain(document)),
    };
    let length = bytes.len();
    let response = match ask.media {
        Media::Json => {
            let document = one(arrived::without_mark(bytes));
            // It is a part of the connection's buffer, and the connection would need another one while this waits.
            drop(head);
            single::post(service, served, route, &ask, length, || document).await
        }
        Media::Lines => {
            let layout = match stream.gate.takes {
                DocumentKind::Changes { .. } => Layout::Values,
                DocumentKind::Events { .. } => Layout::Lines,
            };
            let lines = lines_in(&bytes).await?;
            batch::post(service, served, route, &ask, length, lines, || Ok(parts(&bytes, layout, one_max))).await
        }
        Media::Yaml => {
            // Several documents in one body are answered like several lines.
            let mut parts = yaml::read(&bytes, one_max, &mut share).await?;
            if parts.len() > 1 && !ask.is_event {
                batch::post(service, served, route, &ask, length, parts.len(), || Ok(parts.into_iter())).await
            } else {
                let document = yaml::only(&mut parts).and_then(|arrived| one(arrived.bytes));
                single::post(service, served, route, &ask, length, || document).await
            }
        }
        Media::Event => {
            let bytes = arrived::without_mark(bytes);
            single::post(service, served, route, &ask, length, || events::structured(&bytes)).await
        }
        Media::Events => {
            let bytes = arrived::without_mark(bytes);
            let expected = length / EVENT_BYTES;
            batch::post(service, served, route, &ask, length, expected, || events::batch(&bytes)).await
        }
    };
    // An answer that repeats the document is as heavy as it.
    Ok(room::keep(response?, share))
}

/// How many lines there are, which is how many documents there are in most bodies.
async fn lines_in(body: &Bytes) -> Result<usize, Failure> {
    let ends = aside::run(body.len(), || body.iter().filter(|byte| **byte == b'\n').count()).await?;
    Ok(ends + 1)
}

/// The work that judging so many bytes is, in bytes of usual documents: patterns that go back take long on few.
fn work_of(stream: &Stream, length: usize) -> usize {
    if stream.gate.takes.is_heavy() { usize::MAX } else { length }
}

/// The record of a document that was found valid.
pub fn record(
    stream: &Stream,
    form: &str,
    key: Option<Bytes>,
    value: Bytes,
    idempotency_key: Option<String>,
) -> Record {
    // A repeated key repeats the id, so that whoever reads the topic can tell the copies from two documents.
    let id = match &idempotency_key {
        Some(key) => repeatable_id(stream, key),
        None => uuid::Uuid::now_v7(),
    };
    let headers = Headers {
        id: id.to_string(),
        source: stream.name.to_string(),
        form: form.to_owned(),
        idempotency_key,
        ..Headers::default()
    };
    Record { key, value, headers, timestamp_ms: clock::now_ms() }
}

/// A UUID (version 8: its bits are ours to choose) of a stream and an idempotency key.
fn repeatable_id(stream: &Stream, key: &str) -> uuid::Uuid {
    let digest = crate::digest(format!("{}\0{key}", stream.name).as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
