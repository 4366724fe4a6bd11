//! Attacks: requests that cost more than they should. Each has its bounds, and nobody beside it notices.

mod beside;
mod bodies;
mod documents;

use crate::support::services;

/// Runs a test on every store: what goes behind `up` to have it. PostgreSQL is left out where there is none.
fn on_every_store(test: impl Fn(&[&str])) {
    test(&[]);
    if let Some(database) = services::postgres() {
        test(&["--store", &database.url()]);
    }
}
