//! A request with one document.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::arrived::{Arrived, judge};
use super::echo::Echo;
use super::request::Ask;
use crate::aside;
use crate::document::{Position, Receipt};
use crate::http::answer::{Answer, Failure, json as json_answer, ok, with_type};
use crate::problem::{Problem, ProblemType};
use crate::query::{Fate, Status};
use crate::record::{Kept, Record};
use crate::service::{Served, Service};
use crate::store::tries::rehearse;
use crate::store::{Document, Documents, Reads};
use crate::stream::Target;
use crate::words::Reply;

pub(super) async fn post(
    service: &Service,
    served: &Served,
    route: Option<&str>,
    ask: &Ask,
    length: usize,
    document: impl FnOnce() -> Result<Arrived, Problem>,
) -> Answer {
    let stream = &served.stream;
    let reply = if route.is_some() { stream.intake.reply } else { Reply::Receipt };
    let record_bytes_max = service.journal.record_bytes_max();
    let judge = || {
        let document = document();
        let sent = document.as_ref().map(|arrived| arrived.bytes.clone()).unwrap_or_default();
        let key = ask.idempotency_key.clone();
        (sent, document.and_then(|arrived| judge(stream, arrived, key, record_bytes_max)))
    };
    let way = served.way(super::via(route));
    if !ask.is_dry_run {
        way.received(length);
    }
    let (sent, judged) = aside::run(super::work_of(stream, length), judge).await?;
    let (kept, changes) = match judged {
        Ok(judged) => judged,
        Err(problem) if reply == Reply::Echo && problem.status != 413 => {
            if !ask.is_dry_run {
                service.refused(served, super::via(route), &problem);
            }
            return Ok(echoed(&Echo::of_refusal(&problem, &sent)));
        }
        Err(problem) => return Err(problem.into()),
    };
    if ask.is_dry_run {
        return dry_run(service, served, changes, length, kept).await;
    }
    let begun = Instant::now();
    let positions = service.journal.append(&stream.topic, vec![kept]).await?;
    way.accepted(1);
    way.append.observe(begun.elapsed());
    way.request.observe(ask.begun.elapsed());
    let Some(position) = positions.into_iter().next() else {
        return Err(Failure::new(ProblemType::Internal, "the journal gave no position"));
    };
    let receipt = Receipt(position).to_string();
    if let (None, Some(wait)) = (ask.wait, stream.intake.wait.filter(|_| route.is_some())) {
        let outcome = wait_for(service, served, &receipt, Instant::now() + wait, changes).await;
        return match (outcome, reply) {
            (Err(failure), Reply::Echo) => Ok(located(echoed(&Echo::of_failure(&failure, &sent)), &receipt)),
            (Err(failure), _) => Err(failure),
            // Whoever waited in vain is told what is true: it was accepted.
            (Ok(_), _) => Ok(answer(reply, &receipt, &sent)),
        };
    }
    if let Some(wait) = ask.wait.filter(|_| service.store().is_some()) {
        let deadline = Instant::now() + wait;
        let outcome = wait_for(service, served, &receipt, deadline, changes).await;
        let applied = format!("wait={}", wait.as_secs());
        let mut response = match outcome {
            Ok(Some(response)) => response,
            Ok(None) => answer(reply, &receipt, &sent),
            Err(failure) => failure.into_response(),
        };
        if let Ok(applied) = HeaderValue::from_str(&applied) {
            response.headers_mut().insert("preference-applied", applied);
        }
        return Ok(response);
    }
    Ok(answer(reply, &receipt, &sent))
}

/// The answer to a document that was accepted.
fn answer(reply: Reply, receipt: &str, document: &[u8]) -> Response<Body> {
    let response = match reply {
        Reply::Receipt => {
            let fate = Fate::plain(receipt, Status::Accepted);
            json_answer(StatusCode::ACCEPTED, serde_json::to_string(&fate).unwrap_or_default())
        }
        Reply::Echo => echoed(&Echo::of_valid(document)),
        Reply::Created => with_type(StatusCode::CREATED, "text/plain; charset=utf-8", "OK"),
    };
    located(response, receipt)
}

fn echoed(echo: &Echo) -> Response<Body> {
    let status = StatusCode::from_u16(echo.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json_answer(status, echo.to_json())
}

fn located(mut response: Response<Body>, receipt: &str) -> Response<Body> {
    if let Ok(location) = HeaderValue::try_from(format!("/v1/receipts/{receipt}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// The outcome of a document, when it has one by the deadline.
async fn wait_for(
    service: &Service,
    served: &Served,
    receipt: &str,
    deadline: Instant,
    changes: usize,
) -> Result<Option<Response<Body>>, Failure> {
    let Some(Receipt(position)) = Receipt::parse(receipt) else { return Ok(None) };
    if !served.stream.is_applied() || !service.wait_for(served, &position, deadline).await {
        return Ok(None);
    }
    // The document is accepted, whether or not the store can be asked now.
    let Some(outcome) = service.outcome(served, &position).await.unwrap_or_default() else { return Ok(None) };
    let mut fate = Fate::of(receipt, outcome).or_not_applied("is a dead letter")?;
    if fate.status == Status::Applied {
        let is_row = matches!(served.stream.apply.target, Target::Records { .. });
        fate.changes = Some(if is_row { 1 } else { changes });
    }
    Ok(matches!(fate.status, Status::Applied | Status::Duplicate).then(|| ok(&fate)))
}

/// So many dry runs are made at once: each holds a connection to the store, or its lock.
const DRY_RUNS_MAX: usize = 2;

/// Who waits longer for a turn is told to come back.
const DRY_RUN_WAIT: Duration = Duration::from_secs(2);

static DRY_RUNS: Semaphore = Semaphore::const_new(DRY_RUNS_MAX);

/// What would become of a document.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DryRun {
    /// `valid`: it would be accepted.
    status: Status,
    /// How many changes it would make.
    changes: usize,
    /// The statements that would be run; none without a store, and none when the document names a table that is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    statements: Option<Vec<String>>,
    /// Why it would become a dead letter, as the tables are now.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// Applies the document in a transaction that is thrown away.
async fn dry_run(service: &Service, served: &Served, changes: usize, length: usize, record: Record) -> Answer {
    let mut answer = DryRun { status: Status::Valid, changes, statements: None, problem: None };
    let stream = Arc::clone(&served.stream);
    if let Some(store) = service.store().cloned().filter(|_| stream.is_applied()) {
        let Ok(Ok(turn)) = tokio::time::timeout(DRY_RUN_WAIT, DRY_RUNS.acquire()).await else {
            let detail = format!("{DRY_RUNS_MAX} dry runs are being made");
            return Err(Failure::new(ProblemType::Overloaded, detail).with("kept", "no").retry_after(1));
        };
        let position = Position { topic: stream.topic.clone(), partition: 0, offset: 0 };
        let kept = Kept { position, record };
        let reader = Arc::clone(&stream) as Arc<dyn Reads>;
        let read = || Documents::read_one(reader, kept, |document| document.idempotency = None);
        let document = aside::run(super::work_of(&served.stream, length), read).await??;
        answer.changes = document.all().iter().map(|document| document.changes.changes.len()).sum();
        // A task of its own, which keeps its turn to its end: the store has the work, whether or not somebody waits for it.
        let tables = document.all().first().map(Document::tables).unwrap_or_default();
        let rehearsal = tokio::spawn(async move {
            let _turn = turn;
            rehearse(&*store, &stream.apply.rules, &document.whole()).await
        });
        let failed = |_| Failure::new(ProblemType::Internal, "a dry run failed");
        let (statements, problem) = rehearsal.await.map_err(failed)??;
        let veil = service.veil().await;
        answer.statements = (!veil.hides(&tables)).then_some(statements);
        answer.problem = problem.map(|problem| veil.over(problem));
    }
    Ok(ok(&answer))
}
