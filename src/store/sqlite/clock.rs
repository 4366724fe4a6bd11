//! When the question that runs on a connection is stopped.
//!
//! SQLite looks at the clock between the steps of a statement. What takes long within one step, a function of ours or the
//! comparisons of a sorting, must look by itself.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A comparison of so many bytes or more looks at the clock itself …
const LONG_BYTES: usize = 4 << 10;

/// … and of the shorter ones, one in so many.
const SHORT_EVERY: u32 = 256;

/// The deadline of a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Clock(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    deadline: Mutex<Option<Instant>>,
    has_given_up: AtomicBool,
    compared: AtomicU32,
}

impl Clock {
    /// Sets the deadline of what comes, or that there is none.
    pub(super) fn set(&self, deadline: Option<Instant>) {
        *self.0.deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
        self.0.has_given_up.store(false, Ordering::Relaxed);
    }

    /// Whether the time is over.
    pub(super) fn is_late(&self) -> bool {
        let deadline = *self.0.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Whether a comparison of so many bytes should be made at all. When the time is over none is: the order is wrong
    /// then, which [`Clock::has_given_up`] tells, and the sorting soon over.
    pub(super) fn allows(&self, bytes: usize) -> bool {
        if self.0.has_given_up.load(Ordering::Relaxed) {
            return false;
        }
        let is_turn = || self.0.compared.fetch_add(1, Ordering::Relaxed).is_multiple_of(SHORT_EVERY);
        if (bytes >= LONG_BYTES || is_turn()) && self.is_late() {
            self.0.has_given_up.store(true, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// Whether a comparison was given up, and the answer is none.
    pub(super) fn has_given_up(&self) -> bool {
        self.0.has_given_up.load(Ordering::Relaxed)
    }
}
