//! `sluicegate rows TABLE`: rows of the store.

use std::io::Write;
use std::sync::Arc;

use clap::Args;

use super::output::{self, Output};
use super::watch::Watch;
use super::wiring;
use super::{Done, Failed, Global};
use crate::json;
use crate::query::export::Form;
use crate::query::pages::Pages;
use crate::query::tables::Question;
use crate::query::{csv, postgrest, quoting};
use crate::registry;
use crate::store::Store;
use crate::store::readable::Readable;

#[derive(Debug, Args)]
pub(super) struct Rows {
    /// The table
    table: String,
    /// A condition, such as age=gt.20 or document->>city=eq.Oslo; all must hold
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<String>,
    /// The columns, separated by commas; JSON paths and NAME:COLUMN as over HTTP
    #[arg(long, value_name = "COLUMNS")]
    select: Option<String>,
    /// What rows are ordered by, such as age.desc.nullslast,name
    #[arg(long, value_name = "COLUMNS")]
    order: Option<String>,
    /// How many rows [default: 100 as a table, else all]
    #[arg(long)]
    limit: Option<usize>,
    #[command(flatten)]
    watch: Watch,
}

impl Rows {
    pub(super) async fn run(self, global: &Global) -> Done {
        let config = global.load()?;
        let url = config.store.as_ref().ok_or_else(wiring::no_store)?;
        wiring::must_exist([Some(url)])?;
        let store = registry::open_store(url).await?;
        self.watch.run(async || self.print(&store, Output::or_default(global.output)).await).await
    }

    async fn print(&self, store: &Arc<dyn Store>, kind: Output) -> Done {
        // Whoever has the configuration and the URL of the store may read what the store lets them.
        let readable = Readable::all();
        let asked = Question::of(Arc::clone(store), &readable, &self.table, &self.parameters()?, true).await;
        let mut question = asked.map_err(Failed::of)?;
        let limit = self.limit.unwrap_or(if kind == Output::Table { postgrest::PAGE_ROWS } else { usize::MAX });
        question.at_most(limit);
        let names: Vec<String> = question.names().map(str::to_owned).collect();
        let mut pages = Pages::of(question);
        let mut text = String::new();
        match kind {
            Output::Csv => Form::Csv.begin(pages.names(), &mut text),
            Output::Json => text.push('['),
            _ => {}
        }
        let (mut cells, mut is_first) = (Vec::new(), true);
        while let Some(rows) = pages.next().await.map_err(Failed::of)? {
            for row in &rows {
                match kind {
                    // One row a line, with every digit as it is kept.
                    Output::Json => text.extend([if is_first { "\n" } else { ",\n" }, row.as_str()]),
                    Output::Ndjson => Form::Lines.row(row, &mut text),
                    Output::Csv => Form::Csv.row(row, &mut text),
                    Output::Table | Output::Value => cells.push(table_row(row)),
                }
                is_first = false;
            }
            // Page by page, so that any number of rows takes no more memory than one page.
            let page_text = output::for_terminal(std::mem::take(&mut text));
            std::io::stdout().lock().write_all(page_text.as_bytes())?;
        }
        if kind == Output::Json {
            text.push_str(if is_first { "]\n" } else { "\n]\n" });
        }
        std::io::stdout().lock().write_all(text.as_bytes())?;
        if kind == Output::Table {
            output::table(&names.iter().map(String::as_str).collect::<Vec<_>>(), &cells)?;
            if self.limit.is_none() && pages.is_cut() {
                eprintln!("These are the first {limit} rows; --limit {} shows more.", limit * 10);
            }
        }
        Ok(())
    }

    /// The question as the parameters of an address.
    fn parameters(&self) -> Result<Vec<(String, String)>, Failed> {
        let mut parameters = Vec::new();
        for condition in &self.conditions {
            let (name, value) = quoting::cut(condition)
                .ok_or_else(|| Failed::Usage(format!("{condition:?} is no condition; write COLUMN=eq.VALUE")))?;
            parameters.push((name.to_owned(), value.to_owned()));
        }
        parameters.extend(self.select.clone().map(|select| ("select".to_owned(), select)));
        parameters.extend(self.order.clone().map(|order| ("order".to_owned(), order)));
        Ok(parameters)
    }
}

fn table_row(row: &str) -> Vec<String> {
    json::members(row).into_iter().map(|(_, value)| csv::cell(value).unwrap_or_default()).collect()
}
