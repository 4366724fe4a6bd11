//! What the log says of a journal or a store that answers no questions: once that it fails, with the causes, and once that it
//! is over, however many ask.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::reason::chain;

/// Whether it was told of one of them that it fails.
pub(super) struct Told {
    what: &'static str,
    is_failing: AtomicBool,
}

impl Told {
    pub(super) fn new(what: &'static str) -> Self {
        Told { what, is_failing: AtomicBool::new(false) }
    }

    /// Tells the log what is news in an answer, and gives of a failure what everybody may hear.
    pub(super) fn note<E: Error + 'static>(&self, answer: Result<(), E>) -> Result<(), String> {
        let was_failing = self.is_failing.swap(answer.is_err(), Ordering::Relaxed);
        match &answer {
            Err(error) if !was_failing => tracing::warn!(error = chain(error), "The {} is not ready.", self.what),
            Ok(()) if was_failing => tracing::info!("The {} is ready again.", self.what),
            _ => {}
        }
        answer.map_err(|error| error.to_string())
    }
}
