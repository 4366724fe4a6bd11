//! Documents in, over HTTP: read, judged, appended, answered.

mod batch;
mod body;
mod request;
mod single;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::Response;
use bytes::Bytes;

use self::request::{Ask, Media};
use crate::clock;
use crate::http::answer::{Answer, Failure, respond};
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
    let headers = Headers {
        id: uuid::Uuid::now_v7().to_string(),
        source: stream.name.to_string(),
        form: form.to_owned(),
        idempotency_key,
    };
    Record { key, value, headers, timestamp_ms: clock::now_ms() }
}

/// Reads the body of a request that is no intake, of at most `bytes_max` bytes.
pub async fn body(service: &Service, request: Request, bytes_max: usize) -> Result<Bytes, Failure> {
    let (head, body) = request.into_parts();
    Ok(body::read(service, &head.headers, body, bytes_max).await?.bytes)
}
