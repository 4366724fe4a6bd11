//! The answer of streams whose `reply` is `echo`: the document as it was sent, and whether it is valid.

use schemars::JsonSchema;
use serde_json::Value;

use crate::http::answer::Failure;
use crate::json::{self, Judged, Path, Reader};
use crate::problem::{Problem, ProblemType};

/// Whether a document is valid, with the document.
#[derive(Debug, Clone, JsonSchema)]
pub struct Echo {
    /// 200 or 400, as the answer's own.
    pub status: u16,
    /// `Valid Schema` or `Invalid Schema`.
    pub message: &'static str,
    /// What is wrong; none when nothing is.
    pub error: Option<String>,
    /// The document, byte for byte; null when it is no JSON.
    #[schemars(with = "Value")]
    pub payload: String,
}

impl Echo {
    /// A document that was accepted.
    pub(super) fn of_valid(document: &[u8]) -> Self {
        Echo { status: 200, message: "Valid Schema", error: None, payload: payload(document) }
    }

    /// A document that the gate refused.
    pub(super) fn of_refusal(problem: &Problem, document: &[u8]) -> Self {
        let mut text = problem.title.clone();
        if problem.errors.is_empty() {
            text = format!("{text} {}", problem.detail);
        }
        for error in &problem.errors {
            let pointer = if error.pointer.is_empty() { "/" } else { &error.pointer };
            text.push_str(&format!(" {pointer}: {}.", error.detail));
        }
        let payload = if problem.kind == ProblemType::NotJson { "null".into() } else { payload(document) };
        Echo::invalid(text, payload)
    }

    /// A document that was accepted and could not be applied: an error, as the systems answered whose clients expect an
    /// echo.
    pub(super) fn of_failure(failure: &Failure, document: &[u8]) -> Self {
        Echo::invalid(failure.problem().detail.clone(), payload(document))
    }

    fn invalid(error: String, payload: String) -> Self {
        Echo { status: 400, message: "Invalid Schema", error: Some(error), payload }
    }

    /// The answer. The document is not read again, so that it stays as it was sent.
    pub(super) fn to_json(&self) -> String {
        let Echo { status, message, error, payload } = self;
        let error = Value::from(error.as_deref());
        format!(r#"{{"status":{status},"message":"{message}","error":{error},"payload":{payload}}}"#)
    }
}

/// The document as sent. The lines of a wal2json v2 transaction become an array.
fn payload(document: &[u8]) -> String {
    let text = String::from_utf8_lossy(document);
    if json::check(&text).is_ok() {
        return text.into_owned();
    }
    let mut reader = Reader::new(&text);
    let mut values = Vec::new();
    while !reader.is_done() {
        let begin = reader.offset();
        if reader.skip(&Path::ROOT, &mut Judged).is_err() {
            return "null".into();
        }
        values.push(&text[begin..reader.offset()]);
    }
    format!("[{}]", values.join(","))
}
