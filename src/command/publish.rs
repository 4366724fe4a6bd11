//! `sluicegate publish STREAM FILE…`: documents from files, or from standard input without end, into the journal.

mod flow;
mod report;
mod settle;

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use self::flow::{Flow, Left};
use self::report::{Report, say};
use super::wiring::{self, Outside, Patience};
use super::{Done, Failed, Global};
use crate::intake::files::Keys;
use crate::stream::Stream;

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
    /// Go past refused documents on standard input too, as on files
    #[arg(long)]
    keep_going: bool,
    /// An input that ends inside a document is no failure: what stands whole before it is published
    #[arg(long)]
    allow_unfinished: bool,
}

impl Publish {
    pub(super) async fn run(self, global: &Global) -> Done {
        let config = global.load()?;
        let report = Report::new(global.output)?;
        // Who hands over a pipe has nobody to try again.
        let is_pipe = self.files.iter().any(|path| path == Path::new("-"));
        let patience = if is_pipe { Patience::ForJournal } else { Patience::None };
        let outside = wiring::open_with(&config, patience).await?;
        let stream = taking(&outside, &self.stream)?;
        let mut flow = Flow::new(&**outside.log()?, stream, report)?;
        let mut is_done = true;
        for path in &self.files {
            let is_input = path == Path::new("-");
            let source = flow::Source {
                name: if is_input { "standard input".to_owned() } else { crate::disk::shown(path) },
                path,
                keys: match (self.again, is_input) {
                    (true, _) => Keys::None,
                    (false, true) => Keys::OfCommit,
                    (false, false) => Keys::OfFile,
                },
                stops_at_refusal: is_input && !self.keep_going,
                may_end_unfinished: self.allow_unfinished,
            };
            let reader = match open(path, is_input) {
                Ok(reader) => reader,
                Err(words) => {
                    say(&format!("error: {words}"));
                    is_done = false;
                    continue;
                }
            };
            match flow.publish(source, reader).await? {
                Left::AtTheEnd { is_whole } => is_done &= is_whole,
                ended => return left(ended),
            }
        }
        if is_done { Ok(()) } else { Err(Failed::Said) }
    }
}

/// Publishes documents that somebody here makes, one a line, as if they came by a pipe.
pub(super) async fn publish_made(global: &Global, stream: &str, made: Box<dyn Read + Send>) -> Done {
    let config = global.load()?;
    let report = Report::new(global.output)?;
    let outside = wiring::open_with(&config, Patience::ForJournal).await?;
    let stream = taking(&outside, stream)?;
    let mut flow = Flow::new(&**outside.log()?, stream, report)?;
    let source = flow::Source {
        name: "made up".to_owned(),
        path: Path::new("-"),
        keys: Keys::None,
        stops_at_refusal: true,
        may_end_unfinished: false,
    };
    left(flow.publish(source, made).await?)
}

/// The stream, if it takes documents.
fn taking<'o>(outside: &'o Outside, name: &str) -> Result<&'o Stream, Failed> {
    let stream = outside.stream(name)?;
    if stream.is_foreign {
        let words = format!("the stream {} reads a topic that others write, and takes nothing in", stream.name);
        return Err(Failed::Usage(words));
    }
    Ok(stream)
}

/// What is said when a source was left before its end.
fn left(left: Left) -> Done {
    match left {
        Left::AtTheEnd { is_whole: true } => Ok(()),
        Left::AtTheEnd { is_whole: false } | Left::AtRefusal => Err(Failed::Said),
        Left::BySignal { waiting: 0 } => Err(Failed::Error("interrupted; what was read whole is published".into())),
        Left::BySignal { waiting } => {
            let words = format!(
                "interrupted while {waiting} documents waited for the journal; publish them again, with their keys they \
                 are applied once"
            );
            Err(Failed::Error(words.into()))
        }
    }
}

fn open(path: &Path, is_input: bool) -> Result<Box<dyn Read + Send>, String> {
    if is_input {
        return Ok(Box::new(std::io::stdin()));
    }
    let name = crate::disk::shown(path);
    if path.is_dir() {
        return Err(format!("{name} is a folder: name its files, or have it watched by `directories` of the stream"));
    }
    match crate::disk::open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(format!("{name} cannot be read: {error}")),
    }
}
