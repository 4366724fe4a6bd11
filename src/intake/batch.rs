//! A request with many documents: an outcome for each.

use std::time::Instant;

use axum::http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::arrived::{Part, judge};
use super::request::Ask;
use crate::document::{Position, Receipt};
use crate::http::answer::{Answer, Failure, json as json_answer};
use crate::problem::{Problem, ProblemType};
use crate::service::{Served, Service};
use crate::store::books::Outcome;

/// So many documents are taken in one body: their results are held in memory until the last is judged.
const DOCUMENTS_MAX: usize = 20_000;

/// What became of one piece of the body.
#[derive(Debug, Default, Serialize)]
struct Fate {
    /// Which event of a batch, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    line: usize,
    #[serde(skip_serializing_if = "is_one")]
    lines: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

fn is_one(lines: &usize) -> bool {
    *lines == 1
}

/// The answer's body.
#[derive(Debug, Serialize)]
struct Summary {
    accepted: usize,
    rejected: usize,
    results: Vec<Fate>,
}

pub(super) async fn post(
    service: &Service,
    served: &Served,
    route: Option<&str>,
    ask: &Ask,
    parts: impl Iterator<Item = Part>,
) -> Answer {
    let stream = &served.stream;
    let record_bytes_max = service.journal.record_bytes_max();
    let mut fates = Vec::new();
    let mut records = Vec::new();
    for Part { line, lines, index, document } in parts {
        if fates.len() == DOCUMENTS_MAX {
            let detail = format!("the body holds more than {DOCUMENTS_MAX} documents; send them in several bodies");
            return Err(Failure::new(ProblemType::DocumentTooLarge, detail));
        }
        // The number of the document, refused ones counted: several may stand on a line, and one on several.
        let number = fates.len() + 1;
        let key = ask.idempotency_key.as_ref().map(|key| format!("{key}:{number}"));
        let mut fate = Fate { index, line, lines, status: "rejected", ..Fate::default() };
        match document.and_then(|arrived| judge(stream, arrived, key, record_bytes_max)) {
            Ok((record, _)) => {
                records.push(record);
                fate.status = if ask.is_dry_run { "valid" } else { "accepted" };
            }
            Err(problem) => {
                service.refusals.note(stream, super::via(route), &problem);
                fate.problem = Some(problem);
            }
        }
        fates.push(fate);
    }
    if ask.is_dry_run || records.is_empty() {
        return Ok(answer(fates));
    }
    let positions = service.journal.append(&stream.topic, records).await?;
    let mut accepted: Vec<_> = fates.iter_mut().filter(|fate| fate.problem.is_none()).zip(positions).collect();
    for (fate, position) in &mut accepted {
        fate.receipt = Some(Receipt(position.clone()).to_string());
    }
    let wait = ask.wait.or(stream.wait.filter(|_| route.is_some())).filter(|_| service.store().is_some());
    if let Some(wait) = wait {
        note_outcomes(service, served, &mut accepted, Instant::now() + wait).await;
    }
    let mut response = answer(fates);
    if let Some(applied) = wait.and_then(|wait| HeaderValue::try_from(format!("wait={}", wait.as_secs())).ok()) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

/// Notes the outcomes that are known by the deadline.
async fn note_outcomes(service: &Service, served: &Served, accepted: &mut [(&mut Fate, Position)], deadline: Instant) {
    if !served.stream.is_applied() {
        return;
    }
    for (fate, position) in accepted {
        if !service.wait_for(served, position, deadline).await {
            continue;
        }
        // They are accepted, whether or not the store can be asked now.
        match service.outcome(served, position).await.unwrap_or_default() {
            Some(Outcome::Applied) => fate.status = "applied",
            Some(Outcome::Duplicate { of }) => {
                fate.status = "duplicate";
                fate.of = Some(Receipt(of).to_string());
            }
            Some(Outcome::DeadLettered { problem }) => {
                fate.status = "dead-lettered";
                fate.problem = Some(problem);
            }
            _ => {}
        }
    }
}

fn answer(results: Vec<Fate>) -> axum::http::Response<axum::body::Body> {
    let rejected = results.iter().filter(|fate| fate.status == "rejected").count();
    let accepted = results.len() - rejected;
    let status = match (accepted, rejected) {
        (_, 0) => StatusCode::ACCEPTED,
        (0, _) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::MULTI_STATUS,
    };
    // All members are text and numbers, so it cannot fail.
    json_answer(status, serde_json::to_string(&Summary { accepted, rejected, results }).unwrap_or_default())
}
