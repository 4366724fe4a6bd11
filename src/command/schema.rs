//! `sluicegate schema`: the JSON Schema of the configuration.

use std::io::Write;

use clap::Args;

use super::Done;

#[derive(Debug, Args)]
pub(super) struct Schema {}

impl Schema {
    pub(super) fn run(self) -> Done {
        writeln!(std::io::stdout().lock(), "{}", serde_json::to_string_pretty(&crate::config::schema())?)?;
        Ok(())
    }
}
