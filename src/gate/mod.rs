//! The judgement: a document becomes an accepted one, or a problem that says everything that is wrong with it.
//!
//! It looks at one document by itself. Whether a table exists is apply's question, never the gate's.

mod key;

pub use key::KeyRule;

use bytes::Bytes;

use crate::change::{ChangeSet, Value};
use crate::format::{self, event};
use crate::json::{Fault, FaultKind};
use crate::judgement::{Judge, Rules};
use crate::panics::{self, Panicked};
use crate::problem::{Problem, ProblemType, Violation};
use crate::record::{Beside, Headers};
use crate::words::Takes;

/// What a stream's documents are, with what it takes to read them.
#[derive(Debug, Clone)]
pub enum DocumentKind {
    /// Change documents, in the forms whose words are listed.
    Changes {
        /// The words of the forms, as in the configuration.
        forms: Vec<String>,
    },
    /// Any JSON, or what a schema allows; kept as a row when there is a table.
    Events(event::EventRules),
}

impl DocumentKind {
    /// The word for it.
    pub fn takes(&self) -> Takes {
        match self {
            DocumentKind::Changes { .. } => Takes::Changes,
            DocumentKind::Events(_) => Takes::Events,
        }
    }

    /// Whether a short document may take long to be judged.
    pub fn is_heavy(&self) -> bool {
        match self {
            DocumentKind::Changes { .. } => false,
            DocumentKind::Events(rules) => rules.is_heavy(),
        }
    }
}

/// Judges the documents of one stream.
#[derive(Debug, Clone)]
pub struct Gate {
    /// What the stream takes.
    pub takes: DocumentKind,
    /// The rules its change documents must keep.
    pub rules: Rules,
    /// What a record's key is made of.
    pub key: KeyRule,
    /// The largest document, in bytes.
    pub document_bytes_max: usize,
}

/// A document that was found valid.
#[derive(Debug)]
pub struct Accepted<'a> {
    /// The name of its form.
    pub form: &'static str,
    /// What it changes; empty for an event.
    pub changes: ChangeSet<'a>,
    /// The key under which the journal keeps it.
    pub key: Option<Bytes>,
    /// The values of an event's columns.
    pub fields: Vec<Value<'a>>,
}

impl Gate {
    /// Judges the one document that `bytes` hold.
    pub fn judge<'a>(&self, bytes: &'a [u8]) -> Result<Accepted<'a>, Problem> {
        self.judge_with(bytes, Beside::default())
    }

    /// Judges the one document that `bytes` hold, with what stands beside it.
    pub fn judge_with<'a>(&self, bytes: &'a [u8], beside: Beside<'a>) -> Result<Accepted<'a>, Problem> {
        self.judge_keyed(bytes, beside, &self.key)
    }

    /// Judges the value of a record. It stands in its place already, whatever the key was, so none is looked for.
    pub fn judge_kept<'a>(&self, value: &'a [u8], beside: Beside<'a>) -> Result<Accepted<'a>, Problem> {
        self.judge_keyed(value, beside, &KeyRule::None)
    }

    /// Judges bare text, as the JSON string of it. It has no key: there is no place in it that a pointer could name.
    pub fn judge_text(&self, bytes: &[u8], headers: Option<&Headers>) -> Result<(), Problem> {
        let text = simdutf8::basic::from_utf8(bytes).map_err(|_| not_utf8(bytes))?;
        self.judge_keyed(quoted(text).as_bytes(), Beside { key: None, headers }, &KeyRule::None).map(drop)
    }

    fn judge_keyed<'a>(&self, bytes: &'a [u8], beside: Beside<'a>, key: &KeyRule) -> Result<Accepted<'a>, Problem> {
        judging(|| self.judge_bytes(bytes, beside, key))
    }

    fn judge_bytes<'a>(&self, bytes: &'a [u8], beside: Beside<'a>, key: &KeyRule) -> Result<Accepted<'a>, Problem> {
        if bytes.len() > self.document_bytes_max {
            return Err(format::lines::too_large(self.document_bytes_max));
        }
        let text = simdutf8::basic::from_utf8(bytes).map_err(|_| not_utf8(bytes))?;
        let empty = || Problem::new(ProblemType::NotJson, "the body is empty");
        let mut judge = Judge::new(&self.rules);
        let mut fields = Vec::new();
        let read = match &self.takes {
            DocumentKind::Changes { forms } => format::read_changes(text, beside, forms, &mut judge),
            DocumentKind::Events(_) if text.trim_ascii().is_empty() => Ok(None),
            DocumentKind::Events(rules) => rules.read(text, beside.headers, &mut judge).map(|values| {
                fields = values;
                Some((Some(event::NAME), ChangeSet::default()))
            }),
        };
        let (form, changes) = read.map_err(not_json)?.ok_or_else(empty)?;
        let key = match key.find(text, &changes) {
            Ok(key) => key,
            Err(missing) => {
                judge.violation(&crate::json::Path::ROOT, || missing);
                None
            }
        };
        match form {
            Some(form) if judge.count() == 0 => Ok(Accepted { form, changes, key, fields }),
            _ => Err(judge.into_problem()),
        }
    }
}

/// Judges one document, or does what goes with it: a panic is that document's problem, and nobody else's.
pub fn judging<T>(judge: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    panics::judging(judge).unwrap_or_else(|panicked: Panicked| {
        let mut problem = Problem::new(ProblemType::InvalidDocument, "1 violation");
        problem.errors.push(Violation { pointer: String::new(), detail: panicked.to_string() });
        Err(problem)
    })
}

/// A text as a JSON string.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn not_json(fault: Fault) -> Problem {
    if fault.kind == FaultKind::TooDeep {
        let mut problem = Problem::new(ProblemType::InvalidDocument, "1 violation");
        problem.errors.push(Violation { pointer: String::new(), detail: fault.to_string() });
        return problem;
    }
    Problem::new(ProblemType::NotJson, fault.to_string())
}

fn not_utf8(bytes: &[u8]) -> Problem {
    let sound = std::str::from_utf8(bytes).err().map_or(0, |error| error.valid_up_to());
    let (line, column) = crate::json::place(std::str::from_utf8(&bytes[..sound]).unwrap_or_default(), sound);
    let byte = bytes.get(sound).copied().unwrap_or_default();
    let detail = format!("the byte {byte:#04x} at line {line}, column {column} is not UTF-8");
    Problem::new(ProblemType::NotJson, detail)
}
