//! `sluicegate verify`: the proof that nothing accepted has disappeared.

use clap::Args;
use serde_json::Value;

use super::output;
use super::wiring;
use super::{Done, Failed, Global};
use crate::apply::verify::balance;

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

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The streams to balance [default: all]
    streams: Vec<String>,
}

impl Verify {
    pub(super) async fn run(self, global: &Global) -> Done {
        let config = global.load()?;
        let outside = wiring::open_existing(&config).await?;
        for name in &self.streams {
            outside.stream(name)?;
        }
        let (log, retention) = (outside.log()?, outside.retention.as_deref());
        let mut balances = Vec::new();
        for stream in &outside.streams {
            if self.streams.is_empty() || self.streams.iter().any(|name| name == stream.name.as_str()) {
                balances.extend(balance(&**log, retention, outside.store.as_deref(), stream).await?);
            }
        }
        let items: Vec<Value> = balances.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
        output::list(global.output, COLUMNS, &items)?;
        let faults: Vec<_> =
            balances.iter().flat_map(|balance| balance.faults.iter().map(move |fault| (balance, fault))).collect();
        for (balance, fault) in &faults {
            eprintln!("error: stream {}, partition {}: {fault}", balance.stream, balance.partition);
        }
        if faults.is_empty() { Ok(()) } else { Err(Failed::Said) }
    }
}
