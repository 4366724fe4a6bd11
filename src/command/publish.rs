//! `sluicegate publish STREAM FILE…`: documents from files, or from standard input without end, into the journal.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::sync::mpsc;

use super::wiring::{self, Outside};
use super::{Done, Failed, Global};
use crate::intake::files::{CHUNK_BYTES, Documents, Found};
use crate::journal::AppendError;
use crate::problem::Problem;
use crate::record::Record;
use crate::stream::Stream;

/// So many documents go to the journal together.
const GROUP_MAX: usize = 500;

/// An overloaded journal is tried again so often before publishing gives up.
const TRIES: u32 = 20;

#[derive(Debug, Args)]
pub(super) struct Publish {
    /// The stream
    stream: String,
    /// The files, by their names: .json and .ndjson (also several values in one), .yaml and .yml; - is standard input, JSON
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Publish documents again that were published before
    #[arg(long)]
    again: bool,
}

/// Documents of one source on their way into the journal.
struct Source<'p> {
    name: String,
    outside: &'p Outside,
    stream: &'p Stream,
    documents: Documents<'p>,
    group: Vec<Record>,
    accepted: u64,
    rejected: u64,
}

impl Publish {
    pub(super) async fn run(self, global: &Global) -> Done {
        let config = global.load()?;
        let outside = wiring::open(&config).await?;
        let stream = outside.stream(&self.stream)?;
        if stream.is_foreign {
            let words = format!("the stream {} reads a topic that others write, and takes nothing in", stream.name);
            return Err(Failed::Usage(words));
        }
        let mut rejected = 0;
        let mut unreadable = false;
        for path in &self.files {
            let is_input = path == Path::new("-");
            let name = if is_input { "standard input".to_owned() } else { path.display().to_string() };
            let opened: std::io::Result<Box<dyn Read + Send>> = match is_input {
                true => Ok(Box::new(std::io::stdin())),
                false => File::open(path).map(|file| Box::new(file) as Box<dyn Read + Send>),
            };
            let record_bytes_max = outside.journal.record_bytes_max();
            let mut source = Source {
                name,
                outside: &outside,
                stream,
                documents: Documents::new(stream, record_bytes_max, path, is_input || self.again),
                group: Vec::new(),
                accepted: 0,
                rejected: 0,
            };
            match opened {
                Ok(reader) => source.publish(reader).await?,
                Err(error) => {
                    eprintln!("error: {} cannot be read: {error}", source.name);
                    unreadable = true;
                    continue;
                }
            }
            eprintln!("{}: {} accepted, {} rejected", source.name, source.accepted, source.rejected);
            rejected += source.rejected;
        }
        if rejected == 0 && !unreadable { Ok(()) } else { Err(Failed::Said) }
    }
}

/// Reads on a thread of its own, since a pipe may say nothing for hours.
fn chunks(mut reader: Box<dyn Read + Send>) -> mpsc::Receiver<std::io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(2);
    std::thread::spawn(move || {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read = reader.read(&mut chunk).map(|length| {
                chunk.truncate(length);
                chunk
            });
            let is_end = !matches!(&read, Ok(chunk) if !chunk.is_empty());
            if sender.blocking_send(read).is_err() || is_end {
                return;
            }
        }
    });
    receiver
}

impl Source<'_> {
    async fn publish(&mut self, reader: Box<dyn Read + Send>) -> Done {
        let mut signals = crate::shutdown::Signals::listen()?;
        let mut chunks = chunks(reader);
        let shows_progress = std::io::stderr().is_terminal();
        loop {
            let chunk = tokio::select! {
                chunk = chunks.recv() => chunk.transpose()?.unwrap_or_default(),
                () = signals.next() => {
                    self.flush().await?;
                    return Err(Failed::Error("interrupted; what was read whole is published".into()));
                }
            };
            let is_all = chunk.is_empty();
            self.documents.push(&chunk);
            while let Some(found) = self.documents.next(is_all) {
                match found {
                    Found::Document { record, .. } => self.group.push(*record),
                    Found::Refused { line, lines, problem } => {
                        self.rejected += 1;
                        report(&self.name, line, lines, &problem);
                    }
                }
                if self.group.len() >= GROUP_MAX {
                    self.flush().await?;
                }
            }
            self.flush().await?;
            if shows_progress {
                eprint!("\r{}: {} documents\r", self.name, self.accepted + self.rejected);
            }
            if is_all {
                return Ok(());
            }
        }
    }

    /// Appends what was judged. An overloaded journal gets time.
    async fn flush(&mut self) -> Done {
        if self.group.is_empty() {
            return Ok(());
        }
        let records = std::mem::take(&mut self.group);
        let count = records.len() as u64;
        for attempt in 1.. {
            match self.outside.journal.append(&self.stream.topic, records.clone()).await {
                Ok(_) => break,
                Err(AppendError::Overloaded { retry_after, .. }) if attempt < TRIES => {
                    tokio::time::sleep(retry_after).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.accepted += count;
        Ok(())
    }
}

/// Prints a rejection as a compiler prints an error.
fn report(name: &str, line: usize, lines: usize, problem: &Problem) {
    eprintln!("error[{}]: {}", problem.kind.name(), problem.detail);
    let lines = if lines > 1 { format!("-{}", line + lines - 1) } else { String::new() };
    eprintln!("  --> {name}:{line}{lines}");
    for violation in &problem.errors {
        let pointer = if violation.pointer.is_empty() { "/" } else { &violation.pointer };
        eprintln!("   | {pointer}: {}", violation.detail);
    }
}
