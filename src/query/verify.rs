//! The proof that nothing accepted has disappeared, stream by stream.

use super::rollups::{self, Standing};
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
    let is_known = |name: &str| service.stream(name).is_some() || service.rollup(name).is_some();
    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
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
    for rolled in &service.rollups {
        if names.is_empty() || names.iter().any(|name| name == rolled.plan.name.as_str()) {
            let standings = rollups::standings(service, rolled).await?;
            balances.extend(standings.into_iter().map(|standing| of_rollup(&rolled.plan.input.to_string(), standing)));
        }
    }
    Ok(balances)
}

/// The balance of a rollup: read = summed + skipped + late + duplicates, and what is read and what waits is what there is.
fn of_rollup(topic: &str, standing: Standing) -> Balance {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    Balance {
        stream: format!("rollup {}", standing.rollup),
        topic: topic.to_owned(),
        partition: standing.partition,
        accepted: count(standing.read) + standing.lag,
        waiting: standing.lag,
        summed: count(standing.summed),
        skipped: count(standing.skipped + standing.not_chosen),
        late: count(standing.late),
        duplicates: count(standing.duplicates),
        faults: standing.faults,
        ..Balance::default()
    }
}
