//! Documents in, over HTTP: read, judged, appended, answered.

mod batch;
mod request;
mod single;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;

use self::request::{Ask, Media};
use crate::clock;
use crate::http::answer::{Answer, Failure, respond};
use crate::http::body;
use crate::problem::ProblemType;
use crate::record::{Headers, Record};
use crate::service::{Served, Service};
use crate::stream::Stream;

/// `POST /v1/streams/{stream}`
pub async fn by_name(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    let Some(served) = service.stream(&name) else {
        let detail = format!("there is no stream {name:?}");
        return Failure::new(ProblemType::UnknownStream, detail).into_response();
    };
    respond(post(&service, served, false, request).await)
}

/// Takes the documents of one request. `is_own_route` says that the stream's `reply` governs the answer.
pub async fn post(service: &Service, served: &Served, is_own_route: bool, request: Request) -> Answer {
    if served.stream.is_foreign {
        let detail = format!("the stream {} reads a topic that others write, and takes nothing in", served.stream.name);
        let mut response = Failure::new(ProblemType::MethodNotAllowed, detail).into_response();
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    let (head, body) = request.into_parts();
    let ask = Ask::read(&head)?;
    match ask.media {
        Media::Json => {
            let body = body::read(service, &head.headers, body, served.stream.gate.document_bytes_max).await?;
            single::post(service, served, is_own_route, &ask, body).await
        }
        Media::Lines => {
            let body = body::read(service, &head.headers, body, body::BATCH_BYTES_MAX).await?;
            batch::post(service, served, &ask, body).await
        }
    }
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
    let headers =
        Headers { id: id.to_string(), source: stream.name.to_string(), form: form.to_owned(), idempotency_key };
    Record { key, value, headers, timestamp_ms: clock::now_ms() }
}

/// A UUID (version 8: its bits are ours to choose) of a stream and an idempotency key.
fn repeatable_id(stream: &Stream, key: &str) -> uuid::Uuid {
    let digest = crate::digest(format!("{}\0{key}", stream.name).as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
