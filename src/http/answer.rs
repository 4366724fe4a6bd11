//! Answers: JSON, and problems as RFC 9457 writes them.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::aside::{Busy, Unfinished};
use crate::budget::Crowded;
use crate::journal::{AppendError, JournalError, Outcome};
use crate::problem::{Problem, ProblemType};
use crate::query::Unanswered;
use crate::reason::chain;

/// What streams take, most of them.
pub const TAKEN: &str = "application/json, application/x-ndjson, application/yaml, application/cloudevents+json";

/// An answer whose body is the JSON text `body`.
pub fn json(status: StatusCode, body: String) -> Response<Body> {
    with_type(status, "application/json", body)
}

/// An answer with a body of a media type.
pub fn with_type(status: StatusCode, media_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// The JSON of an answer, under `200`.
pub fn ok(answer: &impl Serialize) -> Response<Body> {
    // Answers are text, numbers and lists of them, so it cannot fail.
    json(StatusCode::OK, serde_json::to_string(answer).unwrap_or_default())
}

/// An error answer: why there is no other, and whether it is the last on its connection.
#[derive(Debug)]
pub struct Failure {
    /// The problem, members beside it, and when to try again.
    pub reason: Unanswered,
    /// The connection cannot be used any more: the rest of a body was not read.
    pub is_last: bool,
}

/// A problem, what a store says, and a question that was not answered.
impl<E: Into<Unanswered>> From<E> for Failure {
    fn from(reason: E) -> Self {
        Failure { reason: reason.into(), is_last: false }
    }
}

impl Failure {
    /// A failure without places.
    pub fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        Unanswered::new(kind, detail).into()
    }

    /// The problem.
    pub fn problem(&self) -> &Problem {
        &self.reason.problem
    }

    /// Adds a member to the problem object.
    pub fn with(self, name: &str, value: impl Into<Value>) -> Self {
        Failure { reason: self.reason.with(name, value), ..self }
    }

    /// Says when to try again.
    pub fn retry_after(self, seconds: u64) -> Self {
        Failure { reason: self.reason.retry_after(seconds), ..self }
    }

    /// Closes the connection after the answer.
    pub fn last(mut self) -> Self {
        self.is_last = true;
        self
    }

    /// The answer.
    pub fn into_response(self) -> Response<Body> {
        let Unanswered { problem, members, retry_after_s, cause } = self.reason;
        if let Some(error) = cause {
            tracing::warn!(error = chain(&error), "A request could not be answered by the store.");
        }
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = with_type(status, "application/problem+json", problem_text(&problem, &members));
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // RFC 9110, 15.5.16: what would be right stands in the headers, too.
        for (member, value) in &members {
            let name = match member.as_str() {
                "accept" => header::ACCEPT,
                "accept_encoding" => header::ACCEPT_ENCODING,
                _ => continue,
            };
            headers.extend(value.as_str().and_then(|text| HeaderValue::from_str(text).ok()).map(|value| (name, value)));
        }
        let is_media = problem.kind == ProblemType::UnsupportedMediaType;
        if is_media && !headers.contains_key(header::ACCEPT) && !headers.contains_key(header::ACCEPT_ENCODING) {
            headers.insert(header::ACCEPT, HeaderValue::from_static(TAKEN));
        }
        if self.is_last {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

fn problem_text(problem: &Problem, members: &[(String, Value)]) -> String {
    // Neither can fail: all members are text, numbers and lists of them.
    let mut text = serde_json::to_string(problem).unwrap_or_default();
    if !members.is_empty() {
        let members: Map<_, _> = members.iter().cloned().collect();
        let more = serde_json::to_string(&members).unwrap_or_default();
        text.pop();
        text.push(',');
        text.push_str(&more[1..]);
    }
    text
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Overloaded { behind, retry_after } => {
                Failure::new(ProblemType::Overloaded, format!("the journal is {behind} behind"))
                    .with("kept", "no")
                    .retry_after(retry_after.as_secs().max(1))
            }
            AppendError::Unavailable { kept, source } => {
                let kept = if kept == Outcome::No { "no" } else { "unknown" };
                // The reason names files of the server: it is for the log and for /health/ready.
                let (detail, seconds) = match source {
                    JournalError::Later(_) => ("the journal is busy or out of reach", 2),
                    JournalError::Stop(_) => ("the journal cannot be written; an operator must act", 30),
                };
                Failure::new(ProblemType::JournalUnavailable, detail).with("kept", kept).retry_after(seconds)
            }
        }
    }
}

impl From<Crowded> for Failure {
    fn from(_: Crowded) -> Self {
        Failure::new(ProblemType::Overloaded, "too many bodies are being received at once")
            .with("kept", "no")
            .retry_after(1)
            .last()
    }
}

impl From<Busy> for Failure {
    fn from(_: Busy) -> Self {
        Failure::new(ProblemType::Overloaded, "too many large bodies are being judged at once")
            .with("kept", "no")
            .retry_after(2)
    }
}

impl From<Unfinished> for Failure {
    fn from(unfinished: Unfinished) -> Self {
        match unfinished {
            Unfinished::Busy => Busy.into(),
            Unfinished::TooLong(seconds) => {
                let detail = format!(
                    "judging the body takes more than {seconds} s; send its documents in several bodies, and write the schema's \
                     patterns without looking ahead or back"
                );
                Failure::new(ProblemType::DocumentTooLarge, detail)
            }
        }
    }
}

/// What a handler gives.
pub type Answer = Result<Response<Body>, Failure>;

/// Either way an answer.
pub fn respond(answer: Answer) -> Response<Body> {
    answer.unwrap_or_else(Failure::into_response)
}
