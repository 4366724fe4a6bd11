//! A request with many documents: an outcome for each.

use std::iter::Peekable;
use std::time::Instant;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

use super::arrived::{self, judge};
use super::request::Ask;
use crate::aside::{self, Slice};
use crate::document::{Position, Receipt};
use crate::http::answer::{Answer, Failure, json as json_answer};
use crate::http::room::{self, Room};
use crate::problem::{Problem, ProblemType};
use crate::query::{Fate, Status};
use crate::record::Record;
use crate::service::{Served, Service};

/// So many documents are taken in one body: their results are held in memory until the last is judged.
pub(super) const DOCUMENTS_MAX: usize = 20_000;

/// What problems take at most in one answer, in bytes; further ones are named by their type alone.
const PROBLEMS_BYTES_MAX: usize = 1 << 20;

/// What a document takes in an answer, with its receipt or a problem that is only named.
const FATE_BYTES: usize = 400;

/// What a document takes while it is judged and kept, besides its own bytes and what is said of it: its record, what became
/// of it, and that again as the text of the answer.
const JUDGED_BYTES: usize = 1 << 10;

/// So many documents need no room.
const DOCUMENTS_FEW: usize = 64;

/// The outcomes of so many documents are written in less than a millisecond.
const WRITTEN_AT_ONCE: usize = 1_000;

/// What became of one document of the body.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Piece {
    /// Which event of a batch, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    /// The line that it begins on, counted from 1.
    line: usize,
    /// How many lines it stands on, when it is more than one.
    #[serde(skip_serializing_if = "is_one")]
    lines: usize,
    /// Its receipt, TOPIC-PARTITION-OFFSET, when it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
    /// What became of it.
    status: Status,
    /// The receipt of the document that it repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    /// Why it was refused, or is a dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

fn is_one(lines: &usize) -> bool {
    *lines == 1
}

/// What became of the documents of a body.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Summary {
    /// How many were accepted.
    accepted: usize,
    /// How many were refused.
    rejected: usize,
    /// Each document, in its order.
    results: Vec<Piece>,
}

pub(super) async fn post<P: Iterator<Item = arrived::Part>>(
    service: &Service,
    served: &Served,
    route: Option<&str>,
    ask: &Ask,
    length: usize,
    expected: usize,
    parts: impl FnOnce() -> Result<P, Problem>,
) -> Answer {
    let stream = &served.stream;
    let record_bytes_max = service.journal.record_bytes_max();
    let judging = Judging { service, served, via: super::via(route), ask, record_bytes_max };
    let (judged, room) = judge_all(&judging, length, expected, parts).await?;
    let Judged { mut fates, records, mut described } = judged;
    if ask.is_dry_run || records.is_empty() {
        return Ok(answer(fates, room));
    }
    let (begun, count, way) = (Instant::now(), records.len(), served.way(super::via(route)));
    let positions = service.journal.append(&stream.topic, records).await?;
    way.accepted(count);
    way.append.observe(begun.elapsed());
    way.request.observe(ask.begun.elapsed());
    let mut accepted: Vec<_> = fates.iter_mut().filter(|fate| fate.problem.is_none()).zip(positions).collect();
    for (fate, position) in &mut accepted {
        fate.receipt = Some(Receipt(position.clone()).to_string());
    }
    let wait = ask.wait.or(stream.intake.wait.filter(|_| route.is_some())).filter(|_| service.store().is_some());
    if let Some(wait) = wait {
        note_outcomes(service, served, &mut accepted, &mut described, Instant::now() + wait).await;
    }
    let mut response = answer(fates, room);
    if let Some(applied) = wait.and_then(|wait| HeaderValue::try_from(format!("wait={}", wait.as_secs())).ok()) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

/// The documents of a body, as far as they are judged.
#[derive(Default)]
struct Judged {
    fates: Vec<Piece>,
    records: Vec<Record>,
    described: Described,
}

/// By what they are judged, and who is told.
struct Judging<'r> {
    service: &'r Service,
    served: &'r Served,
    via: &'r str,
    ask: &'r Ask,
    record_bytes_max: usize,
}

/// Judges the documents of a body, of which there are probably `expected`; gives them with the room that their answer needs.
async fn judge_all<P: Iterator<Item = arrived::Part>>(
    by: &Judging<'_>,
    length: usize,
    expected: usize,
    parts: impl FnOnce() -> Result<P, Problem>,
) -> Result<(Judged, Room), Failure> {
    let (mut unread, mut left, mut judged) = (Some(parts), None, Judged::default());
    // Taken before anything is judged, since what is judged takes memory; and what is kept must be answered.
    let mut most = expected.clamp(DOCUMENTS_FEW, DOCUMENTS_MAX);
    let mut room = room::room(most * JUDGED_BYTES).await?;
    let work = super::work_of(&by.served.stream, length);
    loop {
        let judge = |slice: &Slice| {
            if let Some(parts) = unread.take() {
                match parts() {
                    Ok(parts) => left = Some(parts.peekable()),
                    Err(problem) => return Some(Err(problem.into())),
                }
            }
            judged.go_on(by, left.as_mut()?, most, slice)
        };
        match aside::in_slices(work, judge).await?? {
            Progress::All => break,
            Progress::NeedsRoom => most = DOCUMENTS_MAX,
        }
        room.hold(most * JUDGED_BYTES).await?;
    }
    let bytes = judged.fates.len() * JUDGED_BYTES + judged.described.bytes;
    room.shrink(bytes);
    room.hold(bytes).await?;
    Ok((judged, room))
}

/// How far the documents are judged.
enum Progress {
    All,
    /// There are more than there is room for.
    NeedsRoom,
}

impl Judged {
    /// Judges what is left, until the slice of time is over; gives something when nothing is left, when there are `most` and
    /// more to come, or when the body is refused.
    fn go_on(
        &mut self,
        by: &Judging<'_>,
        left: &mut Peekable<impl Iterator<Item = arrived::Part>>,
        most: usize,
        slice: &Slice,
    ) -> Option<Result<Progress, Failure>> {
        while left.peek().is_some() {
            if self.fates.len() == DOCUMENTS_MAX {
                let detail = format!("the body holds more than {DOCUMENTS_MAX} documents; send them in several bodies");
                return Some(Err(Failure::new(ProblemType::DocumentTooLarge, detail)));
            }
            if self.fates.len() == most {
                return Some(Ok(Progress::NeedsRoom));
            }
            if let Some(part) = left.next() {
                self.judge(by, part);
            }
            if slice.is_over() {
                return None;
            }
        }
        Some(Ok(Progress::All))
    }

    fn judge(&mut self, by: &Judging<'_>, part: arrived::Part) {
        let Judging { service, served, via, ask, record_bytes_max } = *by;
        let arrived::Part { line, lines, index, document } = part;
        // The number of the document, refused ones counted: several may stand on a line, and one on several.
        let number = self.fates.len() + 1;
        let key = ask.idempotency_key.as_ref().map(|key| format!("{key}:{number}"));
        let mut fate = Piece { index, line, lines, receipt: None, status: Status::Rejected, of: None, problem: None };
        if !ask.is_dry_run {
            served.way(via).received(document.as_ref().map_or(0, |arrived| arrived.bytes.len()));
        }
        match document.and_then(|arrived| judge(&served.stream, arrived, key, record_bytes_max)) {
            Ok((record, _)) => {
                self.records.push(record);
                fate.status = if ask.is_dry_run { Status::Valid } else { Status::Accepted };
            }
            Err(problem) => {
                if !ask.is_dry_run {
                    service.refused(served, via, &problem);
                }
                fate.problem = Some(self.described.take(problem));
            }
        }
        self.fates.push(fate);
    }
}

/// How much the problems of one answer take.
#[derive(Debug, Default)]
struct Described {
    bytes: usize,
}

impl Described {
    /// The problem, as much of it as there is room for.
    fn take(&mut self, mut problem: Problem) -> Problem {
        let errors = problem.errors.iter().map(|error| error.pointer.len() + error.detail.len() + FATE_BYTES / 10);
        self.bytes += problem.detail.len() + errors.sum::<usize>();
        if self.bytes > PROBLEMS_BYTES_MAX {
            problem.errors = Vec::new();
            "not described: the answer describes so many already".clone_into(&mut problem.detail);
        }
        self.bytes = self.bytes.min(PROBLEMS_BYTES_MAX + 1);
        problem
    }
}

/// Notes the outcomes that are known by the deadline.
async fn note_outcomes(
    service: &Service,
    served: &Served,
    accepted: &mut [(&mut Piece, Position)],
    described: &mut Described,
    deadline: Instant,
) {
    if !served.stream.is_applied() {
        return;
    }
    for (fate, position) in accepted {
        if !service.wait_for(served, position, deadline).await {
            continue;
        }
        // They are accepted, whether or not the store can be asked now.
        let Some(outcome) = service.outcome(served, position).await.unwrap_or_default() else { continue };
        let Fate { status, of, problem, .. } = Fate::of(String::new(), outcome);
        // Who waits is told what became of it, not that a person gave it up meanwhile.
        if status != Status::Dropped {
            (fate.status, fate.of, fate.problem) = (status, of, problem.map(|problem| described.take(problem)));
        }
    }
}

/// The answer, in its room. A long one is written aside, but at once: what was kept is answered.
fn answer(results: Vec<Piece>, mut room: Room) -> Response<Body> {
    let rejected = results.iter().filter(|fate| fate.status == Status::Rejected).count();
    let accepted = results.len() - rejected;
    let status = match (accepted, rejected) {
        (_, 0) => StatusCode::ACCEPTED,
        (0, _) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::MULTI_STATUS,
    };
    let is_long = results.len() > WRITTEN_AT_ONCE;
    // All members are text and numbers, so it cannot fail.
    let write = || serde_json::to_string(&Summary { accepted, rejected, results }).unwrap_or_default();
    let text = if is_long { tokio::task::block_in_place(write) } else { write() };
    room.shrink(text.len());
    room::keep(json_answer(status, text), room)
}
