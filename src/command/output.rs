//! Lists and objects on standard output: a table to a terminal, JSON elsewhere.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

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

/// Prints objects that have the members `columns`.
pub(super) fn list(output: Option<Output>, columns: &[&str], items: &[Value]) -> io::Result<()> {
    match Output::or_default(output) {
        Output::Json => writeln!(io::stdout().lock(), "{}", serde_json::to_string_pretty(items)?),
        Output::Ndjson => {
            let mut out = io::stdout().lock();
            items.iter().try_for_each(|item| writeln!(out, "{item}"))
        }
        kind => {
            let cells = |item: &Value| columns.iter().map(|column| cell(&item[*column])).collect();
            rows(kind, columns, &items.iter().map(cells).collect::<Vec<_>>())
        }
    }
}

/// Prints rows of cells as a table or as CSV.
pub(super) fn rows(kind: Output, columns: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match kind {
        Output::Csv => csv(&mut out, columns, rows),
        _ => table(&mut out, columns, rows),
    }
}

/// Prints one object.
pub(super) fn object(output: Option<Output>, item: &Value) -> io::Result<()> {
    match Output::or_default(output) {
        Output::Json => writeln!(io::stdout().lock(), "{}", serde_json::to_string_pretty(item)?),
        Output::Ndjson => writeln!(io::stdout().lock(), "{item}"),
        kind => {
            let members = item.as_object().into_iter().flatten();
            let cells: Vec<_> = members.map(|(name, value)| vec![name.clone(), cell(value)]).collect();
            rows(kind, &["member", "value"], &cells)
        }
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn table(out: &mut impl Write, columns: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let printable = |text: &str| text.replace(|character: char| character.is_control(), " ");
    let columns: Vec<_> = columns.iter().map(|name| printable(name)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let width = |index: usize, name: &str| {
        rows.iter().map(|row| row[index].chars().count()).chain([name.chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = columns.iter().enumerate().map(|(index, name)| width(index, name)).collect();
    let mut line = |cells: Vec<&str>| {
        let padded: Vec<_> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", padded.join("  ").trim_end())
    };
    line(columns.iter().map(String::as_str).collect())?;
    for row in &rows {
        line(row.iter().map(String::as_str).collect())?;
    }
    Ok(())
}

fn csv(out: &mut impl Write, columns: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let quoted = |text: &str| match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    let mut line = |cells: Vec<String>| match cells.join(",") {
        // Those who read it would pass over an empty line.
        line if line.is_empty() => write!(out, "\"\"\r\n"),
        line => write!(out, "{}\r\n", for_terminal(line)),
    };
    line(columns.iter().map(|name| quoted(name)).collect())?;
    rows.iter().try_for_each(|row| line(row.iter().map(|cell| quoted(cell)).collect()))
}
