//! Lists and objects on standard output: a table to a terminal, JSON elsewhere.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use serde_json::Value;

use crate::query::csv::{header, line};

/// How a list or an object prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    /// Aligned columns.
    Table,
    /// JSON.
    Json,
    /// JSON, one item a line.
    Ndjson,
    /// Comma-separated values (RFC 4180).
    Csv,
    /// Bare values, one a line: `tail` only.
    Value,
}

/// The kinds that lists and objects print as.
pub(super) const LISTS: &[Output] = &[Output::Table, Output::Json, Output::Ndjson, Output::Csv];

impl Output {
    /// The word that asks for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Output::Table => "table",
            Output::Json => "json",
            Output::Ndjson => "ndjson",
            Output::Csv => "csv",
            Output::Value => "value",
        }
    }

    /// What was asked for, or what suits the place.
    pub(super) fn or_default(asked: Option<Output>) -> Output {
        asked.unwrap_or(if io::stdout().is_terminal() { Output::Table } else { Output::Json })
    }
}

/// Text as it is, and on a terminal without what a terminal obeys.
pub(super) fn for_terminal(text: String) -> String {
    let is_obeyed = |char: char| char.is_control() && !matches!(char, '\n' | '\r' | '\t');
    if io::stdout().is_terminal() && text.contains(is_obeyed) { text.replace(is_obeyed, " ") } else { text }
}

/// Prints answers that have the members `columns`.
pub(super) fn list(output: Option<Output>, columns: &[&str], items: &[impl Serialize]) -> io::Result<()> {
    let items: Vec<Value> = items.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    match Output::or_default(output) {
        Output::Json => writeln!(io::stdout().lock(), "{}", serde_json::to_string_pretty(&items)?),
        Output::Ndjson => {
            let mut out = io::stdout().lock();
            items.iter().try_for_each(|item| writeln!(out, "{item}"))
        }
        kind => {
            let cells = |item: &Value| columns.iter().map(|column| cell(&item[*column])).collect();
            rows(kind, columns, items.iter().map(cells).collect())
        }
    }
}

/// Prints rows of cells, of which NULL has none, as a table or as CSV.
fn rows(kind: Output, columns: &[&str], rows: Vec<Vec<Option<String>>>) -> io::Result<()> {
    if kind != Output::Csv {
        let plain = |row: Vec<Option<String>>| row.into_iter().map(Option::unwrap_or_default).collect();
        return table(columns, &rows.into_iter().map(plain).collect::<Vec<_>>());
    }
    io::stdout().lock().write_all(for_terminal(csv(columns, &rows)).as_bytes())
}

/// Prints one answer.
pub(super) fn object(output: Option<Output>, item: &impl Serialize) -> io::Result<()> {
    let item = serde_json::to_value(item)?;
    match Output::or_default(output) {
        Output::Json => writeln!(io::stdout().lock(), "{}", serde_json::to_string_pretty(&item)?),
        Output::Ndjson => writeln!(io::stdout().lock(), "{item}"),
        kind => {
            let members = item.as_object().into_iter().flatten();
            let cells = members.map(|(name, value)| vec![Some(name.clone()), cell(value)]).collect();
            rows(kind, &["member", "value"], cells)
        }
    }
}

fn cell(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Prints rows as aligned columns.
pub(super) fn table(columns: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let printable = |text: &str| text.replace(|character: char| character.is_control(), " ");
    let columns: Vec<_> = columns.iter().map(|name| printable(name)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let width = |index: usize, name: &str| {
        rows.iter().map(|row| row[index].chars().count()).chain([name.chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = columns.iter().enumerate().map(|(index, name)| width(index, name)).collect();
    let mut print = |cells: Vec<&str>| {
        let padded: Vec<_> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", padded.join("  ").trim_end())
    };
    print(columns.iter().map(String::as_str).collect())?;
    for row in &rows {
        print(row.iter().map(String::as_str).collect())?;
    }
    Ok(())
}

fn csv(columns: &[&str], rows: &[Vec<Option<String>>]) -> String {
    let mut text = String::new();
    header(columns.iter().copied(), &mut text);
    for row in rows {
        line(row.iter().map(Option::as_deref), &mut text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_text_and_null_are_told_apart_in_csv() {
        let cells = |item: Value| item.as_array().unwrap().iter().map(cell).collect::<Vec<_>>();
        for (item, wanted) in [
            (serde_json::json!([null, "", "a"]), ",\"\",a\r\n"),
            (serde_json::json!([1, true, "a,\"b\""]), "1,true,\"a,\"\"b\"\"\"\r\n"),
            (serde_json::json!([null, null, null]), ",,\r\n"),
        ] {
            assert_eq!(csv(&["x", "y", "z"], &[cells(item)]), format!("x,y,z\r\n{wanted}"));
        }
    }
}
