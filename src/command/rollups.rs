//! `sluicegate rollups`: the rollups, the summaries of one, or one summary.

use clap::Args;

use super::output;
use super::wiring;
use super::{Done, Failed, Global};
use crate::query::rollups::{self, Standing};

const COLUMNS: &[&str] = &[
    "rollup",
    "partition",
    "position",
    "end",
    "lag",
    "summed",
    "skipped",
    "late",
    "duplicates",
    "published",
    "faults",
];

#[derive(Debug, Args)]
pub(super) struct Rollups {
    /// The rollup [default: all, and how far they are]
    name: Option<String>,
    /// The key of one of its summaries
    key: Option<String>,
    /// How many summaries
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Those behind this key
    #[arg(long, value_name = "KEY")]
    after: Option<String>,
}

impl Rollups {
    pub(super) async fn run(self, global: &Global) -> Done {
        let config = global.load()?;
        let service = wiring::open_existing(&config).await?.service();
        match (&self.name, &self.key) {
            (None, _) => {
                let all = rollups::list(&service).await?.rollups;
                let standings: Vec<Standing> = all.into_iter().flat_map(|about| about.partitions).collect();
                output::list(global.output, COLUMNS, &standings)?;
            }
            (Some(name), None) => {
                let after = self.after.iter().map(|after| ("after".to_owned(), after.clone()));
                let limit = [("limit".to_owned(), self.limit.to_string())];
                let asked: Vec<_> = limit.into_iter().chain(after).collect();
                let page = rollups::summaries(&service, name, &asked).await.map_err(Failed::of)?;
                let columns = service.rollup(name).map(|rolled| rolled.plan.columns()).unwrap_or_default();
                let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
                output::list(global.output, &columns, &page.summaries)?;
            }
            (Some(name), Some(key)) => {
                output::object(global.output, &rollups::summary(&service, name, key).await?)?;
            }
        }
        Ok(())
    }
}
