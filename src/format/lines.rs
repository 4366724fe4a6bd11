//! Cuts a text that holds many documents into its documents: NDJSON, files, and a pipe without end.
//!
//! Events stand one a line. Change documents are a sequence of JSON values, since wal2json v1 prints some over several
//! lines; and the lines of wal2json v2 from `B` to `C` are one document. YAML documents stand between their marks. A
//! document that is broken spoils no neighbour. However small the parts in which it arrives, each byte is read a bounded
//! number of times.

mod scan;
mod value;

use std::borrow::Cow;

use self::scan::Scan;
use self::value::{Fault, action, read, resume, space};
use super::yaml::{self, marks};
use crate::problem::{Problem, ProblemType};

/// One document of a text, or what stands where a document should.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece<'a> {
    /// The document's own bytes.
    pub bytes: &'a [u8],
    /// The line it begins on, counted from 1.
    pub line: usize,
    /// How many lines it takes.
    pub lines: usize,
    /// Why it is no document, when that is known already.
    pub broken: Option<Problem>,
    /// It is the beginning of a transaction that goes no further, since another one, or itself again, begins behind it.
    pub is_cut_off: bool,
}

/// How documents stand in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One a line: events.
    Lines,
    /// JSON values one after the other: changes.
    Values,
    /// YAML documents, told apart by their `---`. [`Piece::document`] gives their JSON.
    Yaml,
}

impl Layout {
    /// How the documents stand in a file whose name ends in `extension`. `is_events` says what the stream takes.
    pub fn of_file(extension: Option<&str>, is_events: bool) -> Self {
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("yaml" | "yml") => Layout::Yaml,
            Some("json") => Layout::Values,
            _ if is_events => Layout::Lines,
            _ => Layout::Values,
        }
    }
}

impl<'a> Piece<'a> {
    /// The JSON text of the document, of at most `bytes_max` bytes where it is made from YAML; or why there is none.
    pub fn document(&self, layout: Layout, bytes_max: usize) -> Result<Cow<'a, [u8]>, Problem> {
        match (&self.broken, layout) {
            (Some(problem), _) => Err(problem.clone()),
            (None, Layout::Yaml) => {
                yaml::to_json(self.bytes, self.line, bytes_max).map(|json| Cow::Owned(json.into_bytes()))
            }
            (None, _) => Ok(Cow::Borrowed(self.bytes)),
        }
    }
}

/// Cuts a text that may arrive in parts.
#[derive(Debug)]
pub struct Cutter {
    layout: Layout,
    /// The largest document in bytes. What is larger is broken, and passed over without being kept in memory.
    bytes_max: usize,
    line: usize,
    /// Whether the beginning of the text was looked at, where a byte order mark may stand.
    is_begun: bool,
    passing: Passing,
    progress: Progress,
    /// How many bytes were looked at.
    #[cfg(test)]
    work: usize,
}

/// How far the first piece of a buffer was read, so that nothing is read again when the buffer has grown.
#[derive(Debug, Default)]
struct Progress {
    /// So many bytes are done with: whole values of a transaction, or what was searched for the end of a line.
    read: usize,
    /// The value that begins there.
    scan: Scan,
    is_transaction: bool,
    /// What is wrong with the transaction.
    broken: Option<Problem>,
    /// Something is wrong with the value; the next line that can begin one is looked for.
    fault: Option<Fault>,
    marks: marks::Marks,
}

/// The end of a piece.
struct End {
    length: usize,
    broken: Option<Problem>,
    is_cut_off: bool,
}

impl End {
    fn at(length: usize, broken: Option<Problem>) -> Self {
        End { length, broken, is_cut_off: false }
    }
}

/// What is being passed over, after something too large to be looked at whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passing {
    Nothing,
    Line,
    Transaction,
    /// To the next mark of YAML.
    Document,
}

/// What [`Cutter::cut`] found at the beginning of a buffer.
#[derive(Debug, PartialEq)]
pub struct Cut<'a> {
    /// The piece; none when the buffer holds no whole one.
    pub piece: Option<Piece<'a>>,
    /// How many bytes of the buffer are done with.
    pub used: usize,
}

impl Cutter {
    /// Starts on line 1.
    pub fn new(layout: Layout, bytes_max: usize) -> Self {
        Cutter {
            layout,
            bytes_max,
            line: 1,
            is_begun: false,
            passing: Passing::Nothing,
            progress: Progress::default(),
            #[cfg(test)]
            work: 0,
        }
    }

    /// Cuts the first piece off `buffer`. `is_all` says that nothing will follow what the buffer holds.
    pub fn cut<'a>(&mut self, buffer: &'a [u8], is_all: bool) -> Cut<'a> {
        if !self.is_begun {
            match byte_order_mark(buffer, is_all) {
                Some(0) => self.is_begun = true,
                Some(length) => {
                    self.is_begun = true;
                    let Cut { piece, used } = self.cut(&buffer[length..], is_all);
                    return Cut { piece, used: used + length };
                }
                None => return Cut { piece: None, used: 0 },
            }
        }
        let mut start = self.pass(buffer, is_all);
        if self.passing != Passing::Nothing {
            return Cut { piece: None, used: start };
        }
        if self.layout == Layout::Yaml {
            return self.cut_yaml(buffer, start, is_all);
        }
        while let Some(byte) = buffer.get(start).filter(|byte| byte.is_ascii_whitespace()) {
            self.line += usize::from(*byte == b'\n');
            start += 1;
        }
        let rest = &buffer[start..];
        if rest.is_empty() {
            return Cut { piece: None, used: start };
        }
        let found = match self.layout {
            Layout::Lines => self.end_of_line(rest, is_all).map(|length| End::at(length, None)),
            _ => self.end_of_value(rest, is_all),
        };
        let Some(end) = found.or_else(|| self.too_large(rest)) else { return Cut { piece: None, used: start } };
        self.progress = Progress::default();
        let End { length, broken, is_cut_off } = end;
        let bytes = rest[..length].trim_ascii_end();
        let piece = Piece { bytes, line: self.line, lines: lines_in(bytes) + 1, broken, is_cut_off };
        self.line += lines_in(&rest[..length]);
        Cut { piece: Some(piece), used: start + length }
    }

    /// White space around a document is kept here: in YAML it means something.
    fn cut_yaml<'a>(&mut self, buffer: &'a [u8], mut start: usize, is_all: bool) -> Cut<'a> {
        while start < buffer.len() {
            let rest = &buffer[start..];
            let (length, broken) = match self.progress.marks.advance(rest, is_all) {
                Some(found) if !found.has_content => {
                    self.progress = Progress::default();
                    self.line += lines_in(&rest[..found.length]);
                    start += found.length;
                    continue;
                }
                Some(found) => (found.length, None),
                None if rest.len() > self.bytes_max => {
                    self.passing = Passing::Document;
                    // The last line is not whole yet, and may become a mark.
                    let length = rest.iter().rposition(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
                    (length, Some(too_large(self.bytes_max)))
                }
                None => break,
            };
            self.progress = Progress::default();
            let bytes = &rest[..length];
            let lines = lines_in(bytes.trim_ascii_end()) + 1;
            let piece = Piece { bytes, line: self.line, lines, broken, is_cut_off: false };
            self.line += lines_in(bytes);
            return Cut { piece: Some(piece), used: start + length };
        }
        Cut { piece: None, used: start }
    }

    /// Passes over the remains of what was too large. Gives how many bytes are done with.
    fn pass(&mut self, buffer: &[u8], is_all: bool) -> usize {
        let mut at = 0;
        while self.passing != Passing::Nothing {
            if self.passing == Passing::Document && begins_document(&buffer[at..], is_all) {
                self.passing = Passing::Nothing;
                return at;
            }
            let line = match self.end_of_line(&buffer[at..], false) {
                Some(end) => &buffer[at..=at + end],
                // A part of a line tells nothing about a transaction; of a single line it can go.
                None if is_all || self.passing == Passing::Line || buffer.len() - at > self.bytes_max => &buffer[at..],
                None => return at,
            };
            self.progress = Progress::default();
            at += line.len();
            let ended = line.ends_with(b"\n");
            self.line += usize::from(ended);
            let is_commit = || std::str::from_utf8(line).is_ok_and(|line| action(line).as_deref() == Some("C"));
            match self.passing {
                Passing::Transaction if is_commit() => self.passing = Passing::Nothing,
                Passing::Line if ended => self.passing = Passing::Nothing,
                _ if at == buffer.len() => return at,
                _ => {}
            }
        }
        at
    }

    /// Where the line at the beginning of `rest` ends.
    fn end_of_line(&mut self, rest: &[u8], is_all: bool) -> Option<usize> {
        let searched = std::mem::replace(&mut self.progress.read, rest.len()).min(rest.len());
        let end = rest[searched..].iter().position(|byte| *byte == b'\n').map(|end| searched + end);
        self.looked_at(end.unwrap_or(rest.len()) - searched);
        end.or(is_all.then_some(rest.len()))
    }

    /// Where the value at the beginning of `rest` ends, or the transaction that begins with it.
    fn end_of_value(&mut self, rest: &[u8], is_all: bool) -> Option<End> {
        loop {
            if let Some(fault) = &mut self.progress.fault {
                let next = self.progress.read + resume(&rest[self.progress.read..], fault, is_all)?;
                if !self.progress.is_transaction {
                    return Some(End::at(next, None));
                }
                self.go_on_at(next);
            }
            let begin = self.progress.read + space(&rest[self.progress.read..]);
            self.progress.read = begin;
            let value = &rest[begin..];
            if value.is_empty() {
                return is_all.then(|| End::at(rest.len(), self.progress.broken.take()));
            }
            let looked_at = self.progress.scan.offset();
            let is_ended = self.progress.scan.advance(value);
            let length = self.progress.scan.offset();
            self.looked_at(length - looked_at);
            if !is_ended && !is_all {
                return None;
            }
            self.looked_at(length);
            match read(&value[..length]) {
                Ok(value) => {
                    let end = begin + value.len();
                    match (self.progress.is_transaction, action(value).as_deref()) {
                        (false, Some("B")) => self.progress.is_transaction = true,
                        (false, _) => return Some(End::at(end, None)),
                        (true, Some("C")) => return Some(End::at(end, self.progress.broken.take())),
                        (true, Some("B")) => return Some(cut_off(begin)),
                        (true, _) => {}
                    }
                    self.go_on_at(end);
                }
                Err(fault) => {
                    self.progress.fault = Some(Fault { is_on_first: fault.is_on_first, searched: 0 });
                    // A fault inside a transaction spoils the whole of it; so the reading goes on to its end.
                    if self.progress.is_transaction && self.progress.broken.is_none() {
                        let line = self.line + lines_in(&rest[..begin]);
                        let detail = format!("{} (line {line} of the body)", fault.what);
                        self.progress.broken = Some(Problem::new(ProblemType::NotJson, detail));
                    }
                }
            }
        }
    }

    /// Goes on with the next value of a transaction.
    fn go_on_at(&mut self, offset: usize) {
        self.progress.read = offset;
        self.progress.scan = Scan::default();
        self.progress.fault = None;
    }

    #[cfg(test)]
    fn looked_at(&mut self, bytes: usize) {
        self.work += bytes;
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self, reason = "tests count")]
    fn looked_at(&self, _: usize) {}

    /// Gives up on a piece that has outgrown the limit, and passes over what follows of it.
    fn too_large(&mut self, rest: &[u8]) -> Option<End> {
        if rest.len() <= self.bytes_max {
            return None;
        }
        let first = rest.iter().position(|byte| *byte == b'\n').map_or(rest, |end| &rest[..end]);
        let is_transaction = self.layout == Layout::Values
            && std::str::from_utf8(first).is_ok_and(|line| action(line).as_deref() == Some("B"));
        self.passing = if is_transaction { Passing::Transaction } else { Passing::Line };
        let length =
            rest.iter().rposition(|byte| *byte == b'\n').filter(|_| is_transaction).map_or(rest.len(), |at| at);
        Some(End::at(length, Some(too_large(self.bytes_max))))
    }
}

/// Whether a YAML document begins with the first line of `rest`, of which there must be enough to tell.
fn begins_document(rest: &[u8], is_all: bool) -> bool {
    /// A mark, and the white space behind it.
    const ENOUGH: usize = 4;
    let line = rest.iter().position(|byte| *byte == b'\n').map_or(rest, |end| &rest[..end]);
    (is_all || rest.len() >= ENOUGH) && marks::is_begin(line)
}

/// The byte order mark of UTF-8, which some editors write. It says nothing (RFC 8259, §8.1, lets readers ignore it).
pub const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// How long the byte order mark at the beginning of `buffer` is; none when there are too few bytes to tell.
fn byte_order_mark(buffer: &[u8], is_all: bool) -> Option<usize> {
    match buffer {
        _ if buffer.starts_with(BYTE_ORDER_MARK) => Some(BYTE_ORDER_MARK.len()),
        _ if BYTE_ORDER_MARK.starts_with(buffer) && !is_all => None,
        _ => Some(0),
    }
}

fn lines_in(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// The problem of a document of more than `bytes_max` bytes.
pub fn too_large(bytes_max: usize) -> Problem {
    Problem::new(
        ProblemType::DocumentTooLarge,
        format!(
            "the document takes more than {bytes_max} bytes; `document_bytes_max` of the stream sets the limit, and \
             with wal2json v2 `include-transaction=false` makes each change a document of its own"
        ),
    )
}

/// The end of a transaction behind which another begins before its own end has come.
fn cut_off(length: usize) -> End {
    let problem = Problem::new(
        ProblemType::InvalidDocument,
        "the transaction has no end: another begins (`B`) before the line with action `C`",
    );
    End { length, broken: Some(problem), is_cut_off: true }
}

/// Cuts a text that is there whole.
pub fn pieces(text: &[u8], layout: Layout, bytes_max: usize) -> impl Iterator<Item = Piece<'_>> {
    let mut cutter = Cutter::new(layout, bytes_max.max(text.len()));
    let mut rest = text;
    std::iter::from_fn(move || {
        let cut = cutter.cut(rest, true);
        rest = &rest[cut.used..];
        cut.piece
    })
}

#[cfg(test)]
mod tests;
