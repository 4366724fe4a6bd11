//! A request with many documents: an outcome for each.

use std::time::Instant;

use axum::http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::body::Received;
use super::record;
use super::request::Ask;
use crate::document::{Position, Receipt};
use crate::format::lines::{Layout, Piece, pieces};
use crate::gate::Takes;
use crate::http::answer::{Answer, Failure, json as json_answer};
use crate::problem::Problem;
use crate::record::Record;
use crate::service::{Served, Service};
use crate::store::books::Outcome;

/// What became of one piece of the body.
struct Judged {
    line: usize,
    lines: usize,
    /// The problem, or that its record is the next of those appended.
    problem: Option<Problem>,
}

pub(super) async fn post(service: &Service, served: &Served, ask: &Ask, body: Received) -> Answer {
    let stream = &served.stream;
    let layout = match stream.gate.takes {
        Takes::Changes { .. } => Layout::Values,
        Takes::Events { .. } => Layout::Lines,
    };
    let mut judged = Vec::new();
    let mut records = Vec::new();
    for piece in pieces(&body.bytes, layout, stream.gate.document_bytes_max) {
        let (line, lines) = (piece.line, piece.lines);
        let problem = match judge(service, served, ask, &body, piece) {
            Ok(record) => {
                records.push(record);
                None
            }
            Err(problem) => Some(problem),
        };
        judged.push(Judged { line, lines, problem });
    }
    if ask.is_dry_run {
        return Ok(answer(&judged, &vec![json!({"status": "valid"}); records.len()]));
    }
    let positions = match records.is_empty() {
        true => Vec::new(),
        false => service.journal.append(&stream.topic, records).await?,
    };
    let mut states: Vec<Value> = positions
        .iter()
        .map(|position| json!({"receipt": Receipt(position.clone()).to_string(), "status": "accepted"}))
        .collect();
    let wait = ask.wait.filter(|_| service.store.is_some());
    if let Some(wait) = wait {
        outcomes(service, served, &positions, &mut states, Instant::now() + wait).await?;
    }
    let mut response = answer(&judged, &states);
    if let Some(applied) = wait.and_then(|wait| HeaderValue::try_from(format!("wait={}", wait.as_secs())).ok()) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

fn judge(service: &Service, served: &Served, ask: &Ask, body: &Received, piece: Piece<'_>) -> Result<Record, Problem> {
    if let Some(problem) = piece.broken {
        return Err(problem);
    }
    let stream = &served.stream;
    let accepted = stream.gate.judge(piece.bytes)?;
    // Lines of a batch use the key and their line number.
    let key = ask.idempotency_key.as_ref().map(|key| format!("{key}:{}", piece.line));
    let record = record(stream, accepted.form, accepted.key, body.bytes.slice_ref(piece.bytes), key);
    if record.size() > service.journal.record_bytes_max() {
        return Err(crate::format::lines::too_large(service.journal.record_bytes_max()));
    }
    Ok(record)
}

/// Notes the outcomes that are known by the deadline.
async fn outcomes(
    service: &Service,
    served: &Served,
    positions: &[Position],
    states: &mut [Value],
    deadline: Instant,
) -> Result<(), Failure> {
    if !served.stream.is_applied() {
        return Ok(());
    }
    for (position, state) in positions.iter().zip(states) {
        if !service.wait_for(served, position, deadline).await? {
            continue;
        }
        match service.outcome(served, position).await? {
            Some(Outcome::Applied) => state["status"] = "applied".into(),
            Some(Outcome::Duplicate { of }) => {
                state["status"] = "duplicate".into();
                state["of"] = Receipt(of).to_string().into();
            }
            Some(Outcome::DeadLettered { problem }) => {
                state["status"] = "dead-lettered".into();
                state["problem"] = serde_json::to_value(problem).unwrap_or_default();
            }
            _ => {}
        }
    }
    Ok(())
}

/// Puts the results together: `states` belong to the accepted pieces in their order.
fn answer(judged: &[Judged], states: &[Value]) -> axum::http::Response<axum::body::Body> {
    let rejected = judged.iter().filter(|piece| piece.problem.is_some()).count();
    let accepted = judged.len() - rejected;
    let mut states = states.iter();
    let mut results = Vec::with_capacity(judged.len());
    for piece in judged {
        let mut result = serde_json::Map::new();
        result.insert("line".into(), piece.line.into());
        if piece.lines > 1 {
            result.insert("lines".into(), piece.lines.into());
        }
        match &piece.problem {
            Some(problem) => {
                result.insert("status".into(), "rejected".into());
                result.insert("problem".into(), serde_json::to_value(problem).unwrap_or_default());
            }
            None => result.extend(states.next().and_then(Value::as_object).cloned().unwrap_or_default()),
        }
        results.push(Value::Object(result));
    }
    let status = match (accepted, rejected) {
        (_, 0) => StatusCode::ACCEPTED,
        (0, _) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::MULTI_STATUS,
    };
    json_answer(status, json!({"accepted": accepted, "rejected": rejected, "results": results}).to_string())
}
