//! `sluicegate rows TABLE`: rows of the store.

use std::io::Write;

use clap::Args;
use serde_json::Value;

use super::output::{self, Output};
use super::wiring;
use super::{Done, Failed, Global};
use crate::http::answer::Failure;
use crate::query::tables;
use crate::store::rows::PAGE_ROWS_MAX;

#[derive(Debug, Args)]
pub(super) struct Rows {
    /// The table
    table: String,
    /// A condition, such as name=eq.george
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<String>,
    /// The columns, separated by commas
    #[arg(long, value_name = "COLUMNS")]
    select: Option<String>,
    /// How many rows
    #[arg(long, default_value_t = tables::PAGE_ROWS)]
    limit: usize,
}

impl Rows {
    pub(super) async fn run(self, global: &Global) -> Done {
        let config = global.load()?;
        let outside = wiring::open(&config).await?;
        let rows = outside.store()?.rows();
        let columns = tables::columns(rows, &self.table).await?;
        let mut parameters = Vec::new();
        for condition in &self.conditions {
            let (name, value) = condition
                .split_once('=')
                .ok_or_else(|| Failed::Usage(format!("{condition:?} is no condition; write COLUMN=eq.VALUE")))?;
            parameters.push((name.to_owned(), value.to_owned()));
        }
        parameters.extend(self.select.map(|select| ("select".to_owned(), select)));
        let refused = |failure: Failure| Failed::Usage(failure.problem.detail);
        let mut query = tables::plan(&self.table, &columns, &parameters).map_err(refused)?;
        let mut left = self.limit;
        let mut found: Vec<String> = Vec::new();
        while left > 0 {
            query.limit = left.min(PAGE_ROWS_MAX);
            let page = rows.page(&query).await?;
            left -= page.rows.len();
            found.extend(page.rows);
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        if Output::or_default(global.output) == Output::Json {
            // One row a line, with every digit as it is kept.
            let mut out = std::io::stdout().lock();
            for row in &found {
                writeln!(out, "{row}")?;
            }
            return Ok(());
        }
        let names: Vec<&str> = query.select.iter().map(String::as_str).collect();
        let items: Vec<Value> = found.iter().map(|row| serde_json::from_str(row)).collect::<Result<_, _>>()?;
        output::list(global.output, &names, &items)?;
        Ok(())
    }
}
