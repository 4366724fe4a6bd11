//! What goes wrong with a store, and what to do about it.

use crate::problem::{Problem, ProblemType};
use crate::reason::Reason;

/// What goes wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Time may heal it: a lock, a lost connection.
    #[error(transparent)]
    Later(Reason),
    /// It may be a race, or the document's own doing: a few tries tell (see [`super::tries`]). Then it is this problem.
    #[error("{0}")]
    Contested(Box<Problem>),
    /// The connection ended while documents were applied, for a reason that nobody told.
    #[error(transparent)]
    Lost(Reason),
    /// The document is at fault.
    #[error("{0}")]
    Document(Box<Problem>),
    /// Nobody's document is at fault, and a person must act: disk full, privilege missing, journal replaced.
    #[error(transparent)]
    Stop(Reason),
    /// Another claimed the partition.
    #[error("another process has taken over the partition")]
    Fenced,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again after a pause; never a dead letter.
    Retry,
    /// Try the document alone, a bounded number of times; then put it among the dead letters.
    Alone,
    /// Put the document among the dead letters.
    SetAside,
    /// Stop, say so, keep everything.
    Stop,
    /// Give up the partition.
    Leave,
}

impl StoreError {
    /// What to do about it.
    pub fn next(&self) -> Next {
        match self {
            StoreError::Later(_) | StoreError::Lost(_) => Next::Retry,
            StoreError::Contested(_) => Next::Alone,
            StoreError::Document(_) => Next::SetAside,
            StoreError::Stop(_) => Next::Stop,
            StoreError::Fenced => Next::Leave,
        }
    }

    /// What a failure of the books means, of which no document can be guilty.
    pub fn of_the_books(self) -> Self {
        match self {
            StoreError::Document(problem) => StoreError::stop(format!("the store's own tables: {}", problem.detail)),
            StoreError::Contested(problem) => StoreError::later(problem.detail),
            other => other,
        }
    }

    /// What a failure of the books means where documents were applied before: they may be why.
    pub fn of_the_books_after_documents(self) -> Self {
        match self {
            StoreError::Contested(_) => self,
            other => other.of_the_books(),
        }
    }

    /// Time may heal it.
    pub fn later(reason: impl Into<Reason>) -> Self {
        StoreError::Later(reason.into())
    }

    /// The connection ended.
    pub fn lost(reason: impl Into<Reason>) -> Self {
        StoreError::Lost(reason.into())
    }

    /// A person must act.
    pub fn stop(reason: impl Into<Reason>) -> Self {
        StoreError::Stop(reason.into())
    }

    /// Why, with what caused it as far as that is known.
    pub fn reason(self) -> Reason {
        match self {
            StoreError::Later(reason) | StoreError::Lost(reason) | StoreError::Stop(reason) => reason,
            other => other.to_string().into(),
        }
    }

    /// A fault of the document.
    pub fn document(kind: ProblemType, detail: impl Into<String>) -> Self {
        StoreError::Document(Box::new(Problem::new(kind, detail)))
    }
}
