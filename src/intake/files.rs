//! Files and pipes of documents: cut and judged as their bytes arrive, each document with the key under which it is
//! applied once.
//!
//! Where the bytes come from, and what becomes of the records, is the business of `publish` and of watched directories.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use bytes::Bytes;

use super::record;
use crate::format::lines::{Cutter, Layout, Piece, too_large};
use crate::format::recognise;
use crate::format::wal2json::{Commit, Part, commit};
use crate::gate::{DocumentKind, judging};
use crate::problem::Problem;
use crate::record::{COMMIT_KEY, FILE_KEY, Record};
use crate::stream::Stream;

/// So much of a file is read at once.
pub const CHUNK_BYTES: usize = 256 << 10;

/// What tells a document of a file from every other: its digest, and which occurrence of it in the file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileKey {
    /// The first half of the SHA-256 of the document's bytes.
    pub digest: [u8; 16],
    /// Counted from 1.
    pub occurrence: u32,
}

impl fmt::Display for FileKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{FILE_KEY}{:032x}:{}", u128::from_be_bytes(self.digest), self.occurrence)
    }
}

impl FileKey {
    /// Reads the idempotency key of a record; none when it is not that of a document of a file.
    pub fn parse(text: &str) -> Option<Self> {
        let (digest, occurrence) = text.strip_prefix(FILE_KEY)?.split_once(':')?;
        let digest = u128::from_str_radix(digest, 16).ok()?.to_be_bytes();
        Some(FileKey { digest, occurrence: occurrence.parse().ok()? })
    }
}

/// What the documents of a source are known by when they come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// By nothing: each is published as often as it stands there.
    None,
    /// By their bytes, and which occurrence of them in the file they are.
    OfFile,
    /// Those of wal2json by their commit, where they say it; others by nothing.
    OfCommit,
}

/// What stands in a file.
#[derive(Debug)]
pub struct Found {
    /// The line it begins on, counted from 1.
    pub line: usize,
    /// How many lines it takes.
    pub lines: usize,
    /// The commit of its source, where it says one.
    pub commit: Option<Commit>,
    /// The document, or why it is refused.
    pub judged: Result<Document, Refused>,
}

/// A document that the gate accepts.
#[derive(Debug)]
pub struct Document {
    /// As the journal will keep it.
    pub record: Box<Record>,
    /// Its key; none when it is not known by its bytes.
    pub key: Option<FileKey>,
}

/// A document that the gate refuses.
#[derive(Debug)]
pub struct Refused {
    /// Everything that is wrong with it.
    pub problem: Box<Problem>,
    /// Whether it is the beginning of one only.
    pub unfinished: Option<Unfinished>,
}

/// Why a document has a beginning only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// The file ends inside of it.
    AtTheEnd,
    /// Its source lost the connection, and sent it again from its beginning, or from an earlier one on.
    SentAgain,
}

/// The documents of one file, whose bytes are pushed in as they arrive.
#[derive(Debug)]
pub struct Documents<'s> {
    stream: &'s Stream,
    record_bytes_max: usize,
    layout: Layout,
    cutter: Cutter,
    keys: Keys,
    /// How often each document was met.
    met: HashMap<[u8; 16], u32>,
    /// The place in the source's log of the last change that was a document by itself, and which one of that place it was.
    last: Option<(Commit, u32)>,
    buffer: Vec<u8>,
    /// How much of the buffer is done with.
    done: usize,
}

impl<'s> Documents<'s> {
    /// Reads for `stream` what `path` names.
    pub fn new(stream: &'s Stream, record_bytes_max: usize, path: &Path, keys: Keys) -> Self {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let layout = Layout::of_file(extension, matches!(stream.gate.takes, DocumentKind::Events { .. }));
        Documents {
            stream,
            record_bytes_max,
            layout,
            cutter: Cutter::new(layout, stream.gate.document_bytes_max),
            keys,
            met: HashMap::new(),
            last: None,
            buffer: Vec::new(),
            done: 0,
        }
    }

    /// DocumentKind the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..std::mem::take(&mut self.done));
        self.buffer.extend_from_slice(bytes);
    }

    /// What stands next in the file; none when more bytes are needed, or nothing is left. `is_all` says that no more
    /// bytes will follow.
    pub fn next(&mut self, is_all: bool) -> Option<Found> {
        let mut cut = self.cutter.cut(&self.buffer[self.done..], false);
        self.done += cut.used;
        let is_tail = is_all && cut.piece.is_none();
        if is_tail {
            cut = self.cutter.cut(&self.buffer[self.done..], true);
            self.done += cut.used;
        }
        let piece = cut.piece?;
        let commit = self.commit(piece.bytes);
        let number = commit.map(|commit| number(&mut self.last, commit));
        let key = match self.keys {
            Keys::None => Key::None,
            Keys::OfFile => Key::OfFile(&mut self.met, number),
            Keys::OfCommit => commit.zip(number).map_or(Key::None, |(commit, number)| Key::OfCommit(commit, number)),
        };
        let judged = judging(|| judge(self.stream, self.record_bytes_max, self.layout, key, &piece));
        let is_sent_again = || self.is_sent_again(&piece, commit);
        let judged = judged.map_err(|problem| {
            let unfinished = match is_tail {
                true => Some(Unfinished::AtTheEnd),
                false => is_sent_again().then_some(Unfinished::SentAgain),
            };
            Refused { problem: Box::new(problem), unfinished }
        });
        Some(Found { line: piece.line, lines: piece.lines, commit, judged })
    }

    /// The commit of a piece, which may be broken.
    fn commit(&self, bytes: &[u8]) -> Option<Commit> {
        if !matches!(self.stream.gate.takes, DocumentKind::Changes { .. }) || self.layout == Layout::Yaml {
            return None;
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        };
        // What is broken may still say in its beginning which one it is.
        let is_wal2json = recognise(text).ok()??.word == "wal2json";
        is_wal2json.then(|| commit(text))?
    }

    /// Whether a transaction was cut off, and what follows goes back to where that one, or an earlier one, begins.
    fn is_sent_again(&self, piece: &Piece<'_>, commit: Option<Commit>) -> bool {
        let next = || self.commit(&self.buffer[self.done..]);
        piece.is_cut_off && commit.zip(next()).is_some_and(|(commit, next)| next.lsn <= commit.lsn)
    }

    /// Whether something stands at the end that more bytes might complete.
    pub fn is_unfinished(&self) -> bool {
        !self.buffer[self.done..].trim_ascii().is_empty()
    }
}

/// Which document of its place in the source's log this one is, counted from 0. A transaction and a message stand alone;
/// the changes of one COPY share a place, one after the other.
fn number(last: &mut Option<(Commit, u32)>, commit: Commit) -> u32 {
    if commit.part != Part::Change {
        return 0;
    }
    let number = match last {
        Some((at, number)) if *at == commit => *number + 1,
        _ => 0,
    };
    *last = Some((commit, number));
    number
}

/// What the key of a document is made of.
enum Key<'m> {
    None,
    /// How often each document was met, and which one of its place in its source's log it is, where it says that.
    OfFile(&'m mut HashMap<[u8; 16], u32>, Option<u32>),
    OfCommit(Commit, u32),
}

fn judge(
    stream: &Stream,
    record_bytes_max: usize,
    layout: Layout,
    key: Key<'_>,
    piece: &Piece<'_>,
) -> Result<Document, Problem> {
    let document = piece.document(layout, stream.gate.document_bytes_max)?;
    let accepted = stream.gate.judge(&document)?;
    let (key, words) = match key {
        Key::None => (None, None),
        Key::OfFile(met, number) => {
            let key = file_key(met, &document, number);
            (Some(key), Some(key.to_string()))
        }
        Key::OfCommit(commit, number) => (None, Some(commit_key(commit, number))),
    };
    let value = Bytes::copy_from_slice(&document);
    let record = record(stream, accepted.form, accepted.key, value, words);
    if record.size() > record_bytes_max {
        return Err(too_large(record_bytes_max));
    }
    Ok(Document { record: Box::new(record), key })
}

/// A document that says its commit is not another one because it stands there again: that is how a source repeats itself.
fn file_key(met: &mut HashMap<[u8; 16], u32>, document: &[u8], number: Option<u32>) -> FileKey {
    let mut digest = [0; 16];
    digest.copy_from_slice(&crate::digest(document)[..16]);
    let occurrence = match number {
        Some(number) => number + 1,
        None => {
            let met = met.entry(digest).or_insert(0);
            *met += 1;
            *met
        }
    };
    FileKey { digest, occurrence }
}

/// Digits of a fixed length, so that keys of neighbours are neighbours. The plug-in gives a message the place of what comes
/// behind it, so the two are told apart.
fn commit_key(commit: Commit, number: u32) -> String {
    let xid = commit.xid.map_or_else(String::new, |xid| xid.to_string());
    let kind = if commit.part == Part::Message { "m" } else { "" };
    format!("{COMMIT_KEY}{:016X}:{xid}:{kind}{number}", commit.lsn.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::wal2json::Lsn;

    #[test]
    fn documents_of_one_place_in_the_log_are_numbered() {
        let commit = |lsn, part| Commit { lsn: Lsn(lsn), xid: Some(7), part };
        let change = |lsn| commit(lsn, Part::Change);
        let steps = [
            (change(1), 0),
            (change(2), 0),
            (change(2), 1),
            // A message of somebody else stands between them.
            (commit(9, Part::Message), 0),
            (change(2), 2),
            // Sent again from the beginning.
            (change(1), 0),
            (change(2), 0),
            (change(2), 1),
            (commit(5, Part::Whole), 0),
            (commit(5, Part::Whole), 0),
        ];
        let mut last = None;
        for (index, (commit, expected)) in steps.into_iter().enumerate() {
            assert_eq!(number(&mut last, commit), expected, "{index}");
        }
        assert_eq!(commit_key(change(0x16_b374_d848), 2), format!("{COMMIT_KEY}00000016B374D848:7:2"));
        assert_eq!(commit_key(commit(10, Part::Message), 0), format!("{COMMIT_KEY}000000000000000A:7:m0"));
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        let key = FileKey { digest: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255], occurrence: 7 };
        assert_eq!(key.to_string(), format!("{FILE_KEY}000102030405060708090a0b0c0d0eff:7"));
        assert_eq!(FileKey::parse(&key.to_string()), Some(key));
        for text in ["", "a key of a sender", "\u{1}file:xyz:1", "\u{1}file:00"] {
            assert_eq!(FileKey::parse(text), None, "{text}");
        }
    }
}
