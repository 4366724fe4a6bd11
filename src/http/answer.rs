//! Answers: JSON, and problems as RFC 9457 writes them.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value};

use crate::budget::Crowded;
use crate::journal::{AppendError, JournalError, Outcome};
use crate::problem::{Problem, ProblemType};
use crate::store::{Next, StoreError};
use crate::task::Busy;

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

/// An error answer: a problem, members beside it, and when to try again.
#[derive(Debug)]
pub struct Failure {
    /// The problem.
    pub problem: Box<Problem>,
    /// Further members of the problem object.
    pub members: Vec<(String, Value)>,
    /// Seconds for `Retry-After`.
    pub retry_after_s: Option<u64>,
    /// The connection cannot be used any more: the rest of a body was not read.
    pub is_last: bool,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Failure { problem: Box::new(problem), members: Vec::new(), retry_after_s: None, is_last: false }
    }
}

impl Failure {
    /// A failure without places.
    pub fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        Problem::new(kind, detail).into()
    }

    /// Adds a member to the problem object.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.push((name.into(), value.into()));
        self
    }

    /// Says when to try again.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Closes the connection after the answer.
    pub fn last(mut self) -> Self {
        self.is_last = true;
        self
    }

    /// The answer.
    pub fn into_response(self) -> Response<Body> {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = with_type(status, "application/problem+json", problem_text(&self.problem, &self.members));
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // RFC 9110, 15.5.16: what would be right stands in the headers, too.
        for (member, value) in &self.members {
            let name = match member.as_str() {
                "accept" => header::ACCEPT,
                "accept_encoding" => header::ACCEPT_ENCODING,
                _ => continue,
            };
            headers.extend(value.as_str().and_then(|text| HeaderValue::from_str(text).ok()).map(|value| (name, value)));
        }
        let is_media = self.problem.kind == ProblemType::UnsupportedMediaType;
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

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match (error.next(), error) {
            (_, StoreError::Document(problem)) if problem.kind == ProblemType::QueryTimeout => {
                Failure::from(*problem).retry_after(10)
            }
            (_, StoreError::Document(problem)) => Failure::from(*problem),
            (next, error) => {
                tracing::warn!(%error, "A request could not be answered by the store.");
                let seconds = if next == Next::Stop { 30 } else { 2 };
                Failure::new(ProblemType::StoreUnavailable, "the store cannot answer now").retry_after(seconds)
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
