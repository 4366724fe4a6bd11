//! What became of a document, by its receipt.

use super::{Fate, Unanswered, store};
use crate::document::Receipt;
use crate::problem::ProblemType;
use crate::service::Service;

/// What became of the document with this receipt.
pub async fn find(service: &Service, text: &str) -> Result<Fate, Unanswered> {
    let unknown = || Unanswered::new(ProblemType::UnknownReceipt, format!("no document can have the receipt {text:?}"));
    let receipt = Receipt::parse(text).ok_or_else(unknown)?;
    let served = service.stream_of_topic(&receipt.0).ok_or_else(unknown)?;
    if served.stream.is_applied() {
        store(service)?;
    }
    let outcome = service.outcome(served, &receipt.0).await?.ok_or_else(unknown)?;
    Ok(Fate { stream: Some(served.stream.name.to_string()), ..Fate::of(receipt.to_string(), outcome) })
}
