//! A question that was not answered: why, and when to ask again.
//!
//! What a front makes of it (a status and headers, an exit code and a sentence) is the front's.

use serde_json::Value;

use crate::problem::{Problem, ProblemType};
use crate::store::{Next, StoreError};

/// A problem in place of an answer, with members beside it, and when to try again.
#[derive(Debug, thiserror::Error)]
#[error("{}", problem.detail)]
pub struct Unanswered {
    /// The problem.
    pub problem: Box<Problem>,
    /// Further members of the problem object.
    pub members: Vec<(String, Value)>,
    /// In how many seconds it may be otherwise; none when the question must be another one.
    pub retry_after_s: Option<u64>,
    /// What the store said. It is for the log and for operators: it may name what a sender shall not see.
    #[source]
    pub cause: Option<StoreError>,
}

impl Unanswered {
    /// A problem without places.
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
}

impl From<Problem> for Unanswered {
    fn from(problem: Problem) -> Self {
        Unanswered { problem: Box::new(problem), members: Vec::new(), retry_after_s: None, cause: None }
    }
}

impl From<StoreError> for Unanswered {
    fn from(error: StoreError) -> Self {
        match (error.next(), error) {
            (_, StoreError::Document(problem)) if problem.kind == ProblemType::QueryTimeout => {
                Unanswered::from(*problem).retry_after(10)
            }
            (_, StoreError::Document(problem)) => Unanswered::from(*problem),
            (next, error) => {
                let seconds = if next == Next::Stop { 30 } else { 2 };
                let unanswered = Unanswered::new(ProblemType::StoreUnavailable, "the store cannot answer now");
                Unanswered { cause: Some(error), ..unanswered.retry_after(seconds) }
            }
        }
    }
}
