//! Files of documents: cut and judged as their bytes arrive, each document with the key under which it is applied once.
//!
//! Where the bytes come from, and what becomes of the records, is the business of `publish` and of watched directories.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use bytes::Bytes;

use super::record;
use crate::format::lines::{Cutter, Layout, Piece, too_large};
use crate::gate::{Takes, judging};
use crate::problem::Problem;
use crate::record::{FILE_KEY, Record};
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

/// What stands in a file.
#[derive(Debug)]
pub enum Found {
    /// A document that the gate accepts.
    Document {
        /// As the journal will keep it.
        record: Box<Record>,
        /// Its key; none when documents may repeat.
        key: Option<FileKey>,
    },
    /// What the gate refuses.
    Refused {
        /// The line it begins on, counted from 1.
        line: usize,
        /// How many lines it takes.
        lines: usize,
        /// Everything that is wrong with it.
        problem: Box<Problem>,
    },
}

/// The documents of one file, whose bytes are pushed in as they arrive.
#[derive(Debug)]
pub struct Documents<'s> {
    stream: &'s Stream,
    record_bytes_max: usize,
    layout: Layout,
    cutter: Cutter,
    /// How often each document was met; none when documents may repeat.
    met: Option<HashMap<[u8; 16], u32>>,
    buffer: Vec<u8>,
    /// How much of the buffer is done with.
    done: usize,
}

impl<'s> Documents<'s> {
    /// Reads for `stream` what `path` names. `may_repeat` gives documents no key.
    pub fn new(stream: &'s Stream, record_bytes_max: usize, path: &Path, may_repeat: bool) -> Self {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let layout = Layout::of_file(extension, matches!(stream.gate.takes, Takes::Events { .. }));
        Documents {
            stream,
            record_bytes_max,
            layout,
            cutter: Cutter::new(layout, stream.gate.document_bytes_max),
            met: (!may_repeat).then(HashMap::new),
            buffer: Vec::new(),
            done: 0,
        }
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..std::mem::take(&mut self.done));
        self.buffer.extend_from_slice(bytes);
    }

    /// What stands next in the file; none when more bytes are needed, or nothing is left. `is_all` says that no more
    /// bytes will follow.
    pub fn next(&mut self, is_all: bool) -> Option<Found> {
        let cut = self.cutter.cut(&self.buffer[self.done..], is_all);
        self.done += cut.used;
        let piece = cut.piece?;
        let (line, lines) = (piece.line, piece.lines);
        let judged = judging(|| judge(self.stream, self.record_bytes_max, self.layout, &mut self.met, &piece));
        Some(match judged {
            Ok((record, key)) => Found::Document { record: Box::new(record), key },
            Err(problem) => Found::Refused { line, lines, problem: Box::new(problem) },
        })
    }

    /// Whether something stands at the end that more bytes might complete.
    pub fn is_unfinished(&self) -> bool {
        !self.buffer[self.done..].trim_ascii().is_empty()
    }
}

fn judge(
    stream: &Stream,
    record_bytes_max: usize,
    layout: Layout,
    met: &mut Option<HashMap<[u8; 16], u32>>,
    piece: &Piece<'_>,
) -> Result<(Record, Option<FileKey>), Problem> {
    let document = piece.document(layout, stream.gate.document_bytes_max)?;
    let accepted = stream.gate.judge(&document)?;
    let key = met.as_mut().map(|met| file_key(met, &document));
    let value = Bytes::copy_from_slice(&document);
    let record = record(stream, accepted.form, accepted.key, value, key.map(|key| key.to_string()));
    if record.size() > record_bytes_max {
        return Err(too_large(record_bytes_max));
    }
    Ok((record, key))
}

fn file_key(met: &mut HashMap<[u8; 16], u32>, document: &[u8]) -> FileKey {
    let mut digest = [0; 16];
    digest.copy_from_slice(&crate::digest(document)[..16]);
    let occurrence = met.entry(digest).or_insert(0);
    *occurrence += 1;
    FileKey { digest, occurrence: *occurrence }
}

#[cfg(test)]
mod tests {
    use super::*;

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
