//! Reading back over HTTP: streams, receipts, tables, dead letters, health, and what problems mean.

pub mod csv;
pub mod dead_letters;
mod export;
mod heavy;
pub mod health;
pub mod parameters;
pub mod postgrest;
pub mod problems;
pub mod quoting;
pub mod receipts;
pub mod records;
pub mod streams;
pub mod tables;
pub mod ways_in;

use std::sync::Arc;

use crate::http::answer::Failure;
use crate::problem::ProblemType;
use crate::service::Service;
use crate::store::Store;

/// The store that a question is put to.
fn store(service: &Service) -> Result<&dyn Store, Failure> {
    service.store().map(|store| &**store).ok_or_else(no_store)
}

fn shared_store(service: &Service) -> Result<Arc<dyn Store>, Failure> {
    service.store().cloned().ok_or_else(no_store)
}

fn no_store() -> Failure {
    Failure::new(
        ProblemType::StoreUnavailable,
        "this gateway has no store to ask: it was given none, or has not reached it yet",
    )
    .retry_after(5)
}
