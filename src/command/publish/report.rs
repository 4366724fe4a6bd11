//! What `publish` says: receipts on standard output when asked for, everything else on standard error.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

use super::flow::Left;
use crate::command::Failed;
use crate::command::output::Output;
use crate::document::{Position, Receipt};
use crate::format::wal2json::{Commit, Part};
use crate::problem::Problem;
use crate::query::Status;

/// What is said of a document once it is in the journal.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) line: usize,
    pub(super) lines: usize,
    pub(super) commit: Option<Commit>,
}

/// What became of a document of a source, as JSON.
#[derive(Debug, Serialize)]
struct Item<'r> {
    source: &'r str,
    line: usize,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lsn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xid: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'r Problem>,
}

/// Says how the documents of the sources fare, and counts them.
pub(super) struct Report {
    output: Option<Output>,
    out: BufWriter<io::Stdout>,
    /// Nobody reads standard output any more.
    is_deaf: bool,
    source: String,
    accepted: u64,
    rejected: u64,
    /// The receipts of the source, while they stand in a row.
    first: Option<Position>,
    last: Option<Position>,
    is_a_row: bool,
    /// The last commit that is in the journal whole.
    safe: Option<Commit>,
    /// The refused document that ended the reading: its line and its commit.
    refused: Option<(usize, Option<Commit>)>,
    is_warned: bool,
}

/// Writes a line on standard error. Whether anybody reads it is no reason to stop.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

impl Item<'_> {
    fn text(&self) -> String {
        // Text and numbers: it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Report {
    pub(super) fn new(output: Option<Output>) -> Result<Self, Failed> {
        if output == Some(Output::Csv) {
            return Err(Failed::Usage("`publish` prints receipts as `--output json` or `--output table`".into()));
        }
        Ok(Report {
            output,
            out: BufWriter::new(io::stdout()),
            is_deaf: false,
            source: String::new(),
            accepted: 0,
            rejected: 0,
            first: None,
            last: None,
            is_a_row: true,
            safe: None,
            refused: None,
            is_warned: false,
        })
    }

    /// Goes on with another source.
    pub(super) fn begin(&mut self, source: &str) {
        let (output, is_deaf) = (self.output, self.is_deaf);
        if let Ok(fresh) = Report::new(output) {
            *self = Report { source: source.to_owned(), is_deaf, ..fresh };
        }
    }

    /// Whether nothing of the source was refused.
    pub(super) fn is_whole(&self) -> bool {
        self.rejected == 0
    }

    /// Documents are in the journal, each at its position.
    pub(super) fn accepted(&mut self, kept: Vec<Kept>, positions: &[Position]) {
        for (kept, position) in kept.into_iter().zip(positions) {
            self.accepted += 1;
            if kept.commit.is_some_and(|commit| commit.part == Part::Whole) {
                self.safe = kept.commit;
            }
            let follows = |last: &Position| last.partition == position.partition && last.offset < position.offset;
            self.is_a_row &= self.last.as_ref().is_none_or(follows);
            if self.output.is_some() {
                let receipt = Receipt(position.clone()).to_string();
                let item = self.item(kept.line, kept.lines, kept.commit, Status::Accepted);
                let item = self.is_json().then(|| Item { receipt: Some(&receipt), ..item }.text());
                self.print(item, &format!("{receipt}  {}", self.place(kept.line, kept.lines)));
            }
            self.first.get_or_insert_with(|| position.clone());
            self.last = Some(position.clone());
        }
        self.flush();
    }

    /// Prints a rejection as a compiler prints an error.
    pub(super) fn refused(&mut self, line: usize, lines: usize, commit: Option<Commit>, problem: &Problem) {
        self.rejected += 1;
        self.refused = Some((line, commit));
        say(&format!("error[{}]: {}", problem.kind.name(), problem.detail));
        say(&format!("  --> {}", self.place(line, lines)));
        for violation in &problem.errors {
            let pointer = if violation.pointer.is_empty() { "/" } else { &violation.pointer };
            say(&format!("   | {pointer}: {}", violation.detail));
        }
        if self.is_json() {
            let item = Item { problem: Some(problem), ..self.item(line, lines, commit, Status::Rejected) }.text();
            self.print(Some(item), "");
            self.flush();
        }
    }

    /// The input ends inside the document that begins on `line`, as it may.
    pub(super) fn unfinished(&self, line: usize) {
        say(&format!("{}: the document that begins on line {line} has no end, and is not published", self.source));
    }

    /// The transaction that begins on `line` goes no further, and begins again.
    pub(super) fn sent_again(&self, line: usize) {
        say(&format!("{}: the transaction that begins on line {line} was cut off, and is sent again", self.source));
    }

    /// Says once what the sender must switch on.
    pub(super) fn warn_of_no_commit(&mut self) {
        if !std::mem::replace(&mut self.is_warned, true) {
            say(&format!(
                "warning: {}: these wal2json documents do not say their commit, so one that is sent again is applied again; \
                 give the sender `-o include-lsn=on -o include-xids=on`",
                self.source
            ));
        }
    }

    pub(super) fn progress(&self) {
        let _ = write!(io::stderr().lock(), "\r{}: {} documents\r", self.source, self.accepted + self.rejected);
    }

    /// Sums up the source, and says where the slot that it comes from stands.
    pub(super) fn end(&self, left: Option<Left>) {
        let receipt = |position: &Position| Receipt(position.clone()).to_string();
        let receipts = match (&self.first, &self.last) {
            (Some(first), Some(last)) if first == last => format!("; receipt {}", receipt(first)),
            (Some(first), Some(last)) if self.is_a_row => {
                format!("; receipts {} to {}", receipt(first), receipt(last))
            }
            _ => String::new(),
        };
        say(&format!("{}: {} accepted, {} rejected{receipts}", self.source, self.accepted, self.rejected));
        let knows = self.safe.is_some() || matches!(self.refused, Some((_, Some(_))));
        if knows {
            let safe = self.safe.map_or("no commit".to_owned(), |commit| format!("everything up to {}", words(commit)));
            say(&format!("{}: of the slot, {safe} is in the journal", self.source));
        }
        if let (Some(Left::AtRefusal), Some((line, commit))) = (left, self.refused) {
            let what = commit.map_or_else(String::new, |commit| format!(", {},", words(commit)));
            say(&format!(
                "{}: stopped at the refused document on line {line}{what} and read no further; mend what it is refused for, \
                 or pass over refused documents with --keep-going",
                self.source
            ));
        }
    }

    fn place(&self, line: usize, lines: usize) -> String {
        let lines = if lines > 1 { format!("-{}", line + lines - 1) } else { String::new() };
        format!("{}:{line}{lines}", self.source)
    }

    fn item(&self, line: usize, lines: usize, commit: Option<Commit>, status: Status) -> Item<'_> {
        Item {
            source: &self.source,
            line,
            status,
            lines: (lines > 1).then_some(lines),
            lsn: commit.map(|commit| commit.lsn.to_string()),
            xid: commit.and_then(|commit| commit.xid),
            receipt: None,
            problem: None,
        }
    }

    fn is_json(&self) -> bool {
        self.output == Some(Output::Json)
    }

    /// Prints the item, if there is one, else the line.
    fn print(&mut self, item: Option<String>, line: &str) {
        if self.output.is_some() && !self.is_deaf {
            self.is_deaf |= writeln!(self.out, "{}", item.as_deref().unwrap_or(line)).is_err();
        }
    }

    fn flush(&mut self) {
        if self.output.is_some() && !self.is_deaf {
            self.is_deaf |= self.out.flush().is_err();
        }
    }
}

fn words(commit: Commit) -> String {
    let Commit { lsn, xid, .. } = commit;
    xid.map_or_else(|| lsn.to_string(), |xid| format!("{lsn} (transaction {xid})"))
}
