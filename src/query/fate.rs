//! What became of a document, as an answer: the same for a receipt, for who waits, for each document of a batch, and for a
//! dead letter that is tried again.

use schemars::JsonSchema;
use serde::Serialize;

use super::Unanswered;
use crate::apply::letters::Retried;
use crate::document::Receipt;
use crate::problem::{Problem, ProblemType};
use crate::store::books::Outcome;

/// What became of a document, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It survives a crash, and is not applied yet.
    Accepted,
    /// Its changes are in the tables.
    Applied,
    /// An earlier document had its idempotency key, and was the same.
    Duplicate,
    /// It could not be applied, and is kept with the reason.
    DeadLettered,
    /// A person gave it up.
    Dropped,
    /// It is no dead letter any more: somebody else has retried or dropped it.
    Gone,
    /// It is not valid, and was not kept.
    Rejected,
    /// It would be accepted; nothing was kept.
    Valid,
}

/// What became of a document.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Fate {
    /// The document's receipt, TOPIC-PARTITION-OFFSET.
    pub receipt: String,
    /// The stream that it came by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// What became of it.
    pub status: Status,
    /// How many changes it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<usize>,
    /// The receipt of the document that it repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Why it is a dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

impl Fate {
    /// A fate that needs no more words.
    pub fn plain(receipt: impl Into<String>, status: Status) -> Self {
        Fate { receipt: receipt.into(), stream: None, status, changes: None, of: None, problem: None }
    }

    /// The outcome that the store tells.
    pub fn of(receipt: impl Into<String>, outcome: Outcome) -> Self {
        match outcome {
            Outcome::Accepted => Fate::plain(receipt, Status::Accepted),
            Outcome::Applied => Fate::plain(receipt, Status::Applied),
            Outcome::Dropped => Fate::plain(receipt, Status::Dropped),
            Outcome::Duplicate { of } => {
                // Of a journal that is gone, nobody knows the receipt.
                let of = (of.offset >= 0).then(|| Receipt(of).to_string());
                Fate { of, ..Fate::plain(receipt, Status::Duplicate) }
            }
            Outcome::DeadLettered { problem } => Fate::dead(receipt, problem),
        }
    }

    /// What became of a dead letter that was tried again.
    pub fn of_retry(receipt: impl Into<String>, retried: Retried) -> Self {
        match retried {
            Retried::Applied => Fate::plain(receipt, Status::Applied),
            Retried::Gone => Fate::plain(receipt, Status::Gone),
            Retried::Failed(problem) | Retried::Rejected(problem) => Fate::dead(receipt, problem),
        }
    }

    fn dead(receipt: impl Into<String>, problem: Problem) -> Self {
        Fate { problem: Some(problem), ..Fate::plain(receipt, Status::DeadLettered) }
    }

    /// The fate of a document whose sender waits for it to be applied: that it could not be is no answer to them. `is` says
    /// in words how it stands: `is a dead letter`.
    pub fn or_not_applied(self, is: &str) -> Result<Self, Unanswered> {
        match &self.problem {
            Some(problem) => {
                let detail = format!("{} {is}: {}", self.receipt, problem.detail);
                let reason = serde_json::to_value(problem).unwrap_or_default();
                let unanswered = Unanswered::new(ProblemType::NotApplied, detail);
                Err(unanswered.with("receipt", self.receipt.as_str()).with("problem", reason))
            }
            None => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::{Position, TopicName};

    #[test]
    fn an_outcome_is_one_answer() {
        let problem = Problem::new(ProblemType::UnknownTable, "there is no table");
        let at = |offset| Position { topic: TopicName::parse("t").unwrap(), partition: 0, offset };
        for (fate, expected) in [
            (Fate::of("t-0-1", Outcome::Accepted), json!({"receipt": "t-0-1", "status": "accepted"})),
            (Fate::of("t-0-1", Outcome::Applied), json!({"receipt": "t-0-1", "status": "applied"})),
            (Fate::of("t-0-1", Outcome::Dropped), json!({"receipt": "t-0-1", "status": "dropped"})),
            (
                Fate::of("t-0-1", Outcome::Duplicate { of: at(0) }),
                json!({"receipt": "t-0-1", "status": "duplicate", "of": "t-0-0"}),
            ),
            (Fate::of("t-0-1", Outcome::Duplicate { of: at(-1) }), json!({"receipt": "t-0-1", "status": "duplicate"})),
            (
                Fate::of("t-0-1", Outcome::DeadLettered { problem: problem.clone() }),
                json!({"receipt": "t-0-1", "status": "dead-lettered", "problem": problem}),
            ),
            (Fate::of_retry("t-0-1", Retried::Applied), json!({"receipt": "t-0-1", "status": "applied"})),
            (Fate::of_retry("t-0-1", Retried::Gone), json!({"receipt": "t-0-1", "status": "gone"})),
            (
                Fate::of_retry("t-0-1", Retried::Failed(problem.clone())),
                json!({"receipt": "t-0-1", "status": "dead-lettered", "problem": problem}),
            ),
            (
                Fate::of_retry("t-0-1", Retried::Rejected(problem.clone())),
                json!({"receipt": "t-0-1", "status": "dead-lettered", "problem": problem}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&fate).unwrap(), expected);
            match fate.or_not_applied("is a dead letter") {
                Ok(fate) => assert_eq!(fate.problem, None),
                Err(unanswered) => {
                    assert_eq!(unanswered.problem.detail, "t-0-1 is a dead letter: there is no table");
                    assert_eq!(unanswered.members[0], ("receipt".into(), "t-0-1".into()));
                    assert_eq!(expected["status"], "dead-lettered");
                }
            }
        }
    }
}
