//! The proof that nothing accepted has disappeared, stream by stream.

use super::{Unanswered, log};
use crate::apply::verify::{Balance, balance};
use crate::journal::Retention;
use crate::service::Service;
use crate::store::Store;

/// Balances the streams of these names, or all when none is named.
pub async fn balances(
    service: &Service,
    retention: Option<&dyn Retention>,
    names: &[String],
) -> Result<Vec<Balance>, Box<dyn std::error::Error + Send + Sync>> {
    if let Some(unknown) = names.iter().find(|name| service.stream(name).is_none()) {
        return Err(Unanswered::from(service.unknown_stream(unknown)).into());
    }
    let log = log(service)?;
    let mut balances = Vec::new();
    for stream in service.streams.iter().map(|served| &served.stream) {
        if names.is_empty() || names.iter().any(|name| name == stream.name.as_str()) {
            let store = service.store().map(|store| &**store as &dyn Store);
            balances.extend(balance(log, retention, store, stream).await?);
        }
    }
    Ok(balances)
}
