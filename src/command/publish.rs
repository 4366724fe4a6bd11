//! `sluicegate publish STREAM FILE…`: documents from files, or from standard input without end, into the journal.

use std::collections::HashMap;
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use tokio::sync::mpsc;

use super::wiring::{self, Outside};
use super::{Done, Failed, Global};
use crate::format::lines::{Cutter, Layout, Piece};
use crate::gate::Takes;
use crate::intake;
use crate::journal::AppendError;
use crate::problem::Problem;
use crate::record::{FILE_KEY, Record};
use crate::stream::Stream;

/// So much of a file is read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// So many documents go to the journal together.
const GROUP_MAX: usize = 500;

/// An overloaded journal is tried again so often before publishing gives up.
const TRIES: u32 = 20;

#[derive(Debug, Args)]
pub(super) struct Publish {
    /// The stream
    stream: String,
    /// The files; `-` is standard input
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
    cutter: Cutter,
    /// How often each document of the file was met, by its digest; none when documents may repeat.
    met: Option<HashMap<[u8; 16], u32>>,
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
            let layout = match stream.gate.takes {
                Takes::Events { .. } if is_lines(path) => Layout::Lines,
                _ => Layout::Values,
            };
            let mut source = Source {
                name,
                outside: &outside,
                stream,
                cutter: Cutter::new(layout, stream.gate.document_bytes_max),
                met: (!is_input && !self.again).then(HashMap::new),
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

/// Whether a file of events holds one a line, by its name.
fn is_lines(path: &Path) -> bool {
    path.extension().is_none_or(|extension| extension != "json")
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
        let mut buffer: Vec<u8> = Vec::new();
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
            buffer.extend_from_slice(&chunk);
            let mut done = 0;
            loop {
                let cut = self.cutter.cut(&buffer[done..], is_all);
                let Some(piece) = cut.piece else {
                    done += cut.used;
                    break;
                };
                match judge(self.stream, &piece) {
                    Ok((form, key)) => {
                        let value = Bytes::copy_from_slice(piece.bytes);
                        let key_of_file = self.met.as_mut().map(|met| file_key(met, piece.bytes));
                        self.group.push(intake::record(self.stream, form, key, value, key_of_file));
                    }
                    Err(problem) => {
                        self.rejected += 1;
                        report(&self.name, &piece, &problem);
                    }
                }
                done += cut.used;
                if self.group.len() >= GROUP_MAX {
                    self.flush().await?;
                }
            }
            buffer.drain(..done);
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

fn judge(stream: &Stream, piece: &Piece<'_>) -> Result<(&'static str, Option<Bytes>), Problem> {
    if let Some(problem) = &piece.broken {
        return Err(problem.clone());
    }
    let accepted = stream.gate.judge(piece.bytes)?;
    Ok((accepted.form, accepted.key))
}

/// The key under which a document of a file is applied once: its digest, and which occurrence of it in the file it is.
fn file_key(met: &mut HashMap<[u8; 16], u32>, document: &[u8]) -> String {
    let mut short = [0; 16];
    short.copy_from_slice(&crate::digest(document)[..16]);
    let occurrence = met.entry(short).or_insert(0);
    *occurrence += 1;
    let hex: String = short.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{FILE_KEY}{hex}:{occurrence}")
}

/// Prints a rejection as a compiler prints an error.
fn report(name: &str, piece: &Piece<'_>, problem: &Problem) {
    eprintln!("error[{}]: {}", problem.kind.name(), problem.detail);
    let lines = if piece.lines > 1 { format!("-{}", piece.line + piece.lines - 1) } else { String::new() };
    eprintln!("  --> {name}:{}{lines}", piece.line);
    for violation in &problem.errors {
        let pointer = if violation.pointer.is_empty() { "/" } else { &violation.pointer };
        eprintln!("   | {pointer}: {}", violation.detail);
    }
}
