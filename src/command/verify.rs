//! `sluicegate verify`: the proof that nothing accepted has disappeared.

use clap::Args;

use super::output;
use super::wiring;
use super::{Done, Failed, Global};
use crate::query::verify::balances;

const COLUMNS: &[&str] = &[
    "stream",
    "partition",
    "accepted",
    "applied",
    "duplicates",
    "dead_lettered",
    "dropped",
    "lost",
    "waiting",
    "kept",
    "faults",
];

/// Further columns, where there are rollups.
const OF_ROLLUPS: &[&str] = &["summed", "skipped", "late"];

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The streams and rollups to balance [default: all]
    streams: Vec<String>,
}

impl Verify {
    pub(super) async fn run(self, global: &Global) -> Done {
        let config = global.load()?;
        let outside = wiring::open_existing(&config).await?;
        outside.log()?;
        let balances = balances(&outside.service(), outside.retention.as_deref(), &self.streams).await?;
        let further = if config.rollups.is_empty() { &[] } else { OF_ROLLUPS };
        let (last, first) = COLUMNS.split_last().unwrap_or((&"faults", &[]));
        output::list(global.output, &[first, further, &[last]].concat(), &balances)?;
        let faults: Vec<_> =
            balances.iter().flat_map(|balance| balance.faults.iter().map(move |fault| (balance, fault))).collect();
        for (balance, fault) in &faults {
            let what = if balance.stream.starts_with("rollup ") { "" } else { "stream " };
            eprintln!("error: {what}{}, partition {}: {fault}", balance.stream, balance.partition);
        }
        if faults.is_empty() { Ok(()) } else { Err(Failed::Said) }
    }
}
