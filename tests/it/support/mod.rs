//! What every test stands on: a home with files, a running process, an HTTP client, and one way to wait.

mod client;
mod documents;
mod home;
mod process;
mod proxy;
#[allow(dead_code, reason = "not every service has every test yet")]
pub(crate) mod services;
mod sql;

use std::thread;
use std::time::{Duration, Instant};

pub(crate) use client::{Connection, Request, Response, Target};
pub(crate) use documents::{Cell, Documents, activities, delete, insert, item, unapplicable, update};
pub(crate) use home::{Home, fixture};
pub(crate) use process::Process;
pub(crate) use proxy::{Proxy, Trap};
pub(crate) use sql::Sql;

/// What a healthy machine needs a fraction of, so that a loaded one still passes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a condition, and fails when it does not hold by the deadline.
///
/// The value that the condition gives is handed on, so that nothing has to be asked for twice.
#[track_caller]
pub(crate) fn eventually<T>(deadline: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begin.elapsed() < deadline, "not within {deadline:?}: {what}");
        thread::park_timeout(Duration::from_millis(2));
    }
}
