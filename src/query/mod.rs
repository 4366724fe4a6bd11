//! Questions and answers: what may be asked about streams, documents, tables, dead letters and positions, and what is
//! answered.
//!
//! A question comes as plain parameters, and is checked before it is asked. Its answer is a struct that says in its comments
//! what it means, or [`Unanswered`]: a problem, and when to ask again. HTTP and the command line ask here, and print the
//! answers as they are. It knows no HTTP: no status, no header, no address.

pub mod csv;
pub mod export;
mod fate;
pub mod health;
mod heavy;
pub mod letters;
pub mod metrics;
pub mod pages;
pub mod parameters;
pub mod positions;
pub mod postgrest;
pub mod quoting;
pub mod receipts;
pub mod records;
pub mod retry;
pub mod rollups;
pub mod streams;
pub mod tables;
mod unanswered;
pub mod verify;
pub mod ways_in;

use std::sync::Arc;

pub use self::fate::{Fate, Status};
pub use self::unanswered::Unanswered;
use crate::journal::Log;
use crate::problem::ProblemType;
use crate::service::Service;
use crate::store::Store;

/// The store that a question is put to.
fn store(service: &Service) -> Result<&Arc<dyn Store>, Unanswered> {
    service.store().ok_or_else(|| {
        Unanswered::new(
            ProblemType::StoreUnavailable,
            "this gateway has no store to ask: it was given none, or has not reached it yet",
        )
        .retry_after(5)
    })
}

/// The journal as a log, for questions about offsets.
fn log(service: &Service) -> Result<&dyn Log, Unanswered> {
    let none = "this is asked of offsets, and the records of this journal have none";
    service.log.as_deref().ok_or_else(|| Unanswered::new(ProblemType::NotFound, none))
}
