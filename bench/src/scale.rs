//! How much is measured: in full, or so little that every measurement is only known to run.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

static IS_SMOKE: AtomicBool = AtomicBool::new(false);

/// Measures as little as there can be from now on: the figures mean nothing then.
pub(crate) fn smoke() {
    IS_SMOKE.store(true, Ordering::Relaxed);
}

/// A size in full, and that of a smoke run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scaled<T>(pub(crate) T, pub(crate) T);

impl<T: Copy> Scaled<T> {
    /// The size of this run.
    pub(crate) fn now(self) -> T {
        if IS_SMOKE.load(Ordering::Relaxed) { self.1 } else { self.0 }
    }
}

impl<T: Copy + fmt::Display> fmt::Display for Scaled<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.now().fmt(out)
    }
}
