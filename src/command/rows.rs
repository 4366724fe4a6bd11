//! `sluicegate rows TABLE`: rows of the store.

use std::io::Write;

use clap::Args;

use super::output::{self, Output};
use super::wiring;
use super::{Done, Failed, Global};
use crate::http::answer::Failure;
use crate::json::{self, Json};
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
        match Output::or_default(global.output) {
            Output::Json => {
                // One row a line, with every digit as it is kept.
                let mut out = std::io::stdout().lock();
                found.iter().try_for_each(|row| writeln!(out, "{row}"))?;
            }
            kind => {
                let names: Vec<&str> = query.select.iter().map(String::as_str).collect();
                let cells: Vec<_> = found.iter().map(|row| cells(row)).collect();
                output::rows(kind, &names, &cells)?;
            }
        }
        Ok(())
    }
}

/// The values of a row's members, numbers with every digit.
fn cells(row: &str) -> Vec<String> {
    let member = |(_, value)| match value {
        Json::Null => String::new(),
        Json::Boolean(value) => value.to_string(),
        Json::Number(text) | Json::Array(text) | Json::Object(text) => text.to_owned(),
        Json::Text(text) => text.into_owned(),
    };
    json::members(row).into_iter().map(member).collect()
}
