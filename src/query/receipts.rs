//! `GET /v1/receipts/{receipt}`: what became of a document.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::document::{Receipt, StreamName};
use crate::http::answer::{Answer, Failure, json as json_answer, respond};
use crate::problem::ProblemType;
use crate::service::Service;
use crate::store::books::Outcome;

/// One receipt.
pub async fn show(State(service): State<Arc<Service>>, Path(text): Path<String>) -> Response<Body> {
    respond(find(&service, &text).await)
}

async fn find(service: &Service, text: &str) -> Answer {
    let unknown = || Failure::new(ProblemType::UnknownReceipt, format!("no document can have the receipt {text:?}"));
    let receipt = Receipt::parse(text).ok_or_else(unknown)?;
    let served = service.stream_of_topic(&receipt.0).ok_or_else(unknown)?;
    if service.store().is_none() && served.stream.is_applied() {
        return Err(super::no_store());
    }
    let outcome = service.outcome(served, &receipt.0).await?.ok_or_else(unknown)?;
    let body = describe(&receipt, &served.stream.name, &outcome).to_string();
    let mut response = json_answer(StatusCode::OK, body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A receipt and its outcome, as HTTP and the command line show it.
pub fn describe(receipt: &Receipt, stream: &StreamName, outcome: &Outcome) -> Value {
    let mut value = json!({"receipt": receipt.to_string(), "stream": stream.as_str()});
    value["status"] = match outcome {
        Outcome::Accepted => "accepted",
        Outcome::Applied => "applied",
        Outcome::Duplicate { of } => {
            // Of a journal that is gone, nobody knows the receipt.
            if of.offset >= 0 {
                value["of"] = Receipt(of.clone()).to_string().into();
            }
            "duplicate"
        }
        Outcome::DeadLettered { problem } => {
            value["problem"] = serde_json::to_value(problem).unwrap_or_default();
            "dead-lettered"
        }
        Outcome::Dropped => "dropped",
    }
    .into();
    value
}
