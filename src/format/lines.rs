//! Cuts a text that holds many documents into its documents: NDJSON, files, and a pipe without end.
//!
//! Events stand one a line. Change documents are a sequence of JSON values, since wal2json v1 prints some over several
//! lines; and the lines of wal2json v2 from `B` to `C` are one document. YAML documents stand between their marks. A
//! document that is broken spoils no neighbour.

use std::borrow::Cow;

use super::recognise;
use super::yaml::{self, marks};
use crate::json::{Fault, FaultKind, Json, Judged, Path, Reader};
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
    passing: Passing,
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
        Cutter { layout, bytes_max, line: 1, passing: Passing::Nothing }
    }

    /// Cuts the first piece off `buffer`. `is_all` says that nothing will follow what the buffer holds.
    pub fn cut<'a>(&mut self, buffer: &'a [u8], is_all: bool) -> Cut<'a> {
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
            Layout::Lines => self.line_of(rest, is_all),
            _ => self.value_of(rest, is_all),
        };
        let found = found.or_else(|| self.too_large(rest));
        let Some((length, broken)) = found else { return Cut { piece: None, used: start } };
        let bytes = rest[..length].trim_ascii_end();
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
        let piece = Piece { bytes, line: self.line, lines, broken };
        self.line += rest[..length].iter().filter(|byte| **byte == b'\n').count();
        Cut { piece: Some(piece), used: start + length }
    }

    /// White space around a document is kept here: in YAML it means something.
    fn cut_yaml<'a>(&mut self, buffer: &'a [u8], mut start: usize, is_all: bool) -> Cut<'a> {
        while start < buffer.len() {
            let rest = &buffer[start..];
            let (length, broken) = match marks::document(rest, is_all) {
                Some(found) if !found.has_content => {
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
            let bytes = &rest[..length];
            let lines = lines_in(bytes.trim_ascii_end()) + 1;
            let piece = Piece { bytes, line: self.line, lines, broken };
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
            let line = match buffer[at..].iter().position(|byte| *byte == b'\n') {
                Some(end) => &buffer[at..=at + end],
                // A part of a line tells nothing about a transaction; of a single line it can go.
                None if is_all || self.passing == Passing::Line || buffer.len() - at > self.bytes_max => &buffer[at..],
                None => return at,
            };
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

    fn line_of(&self, rest: &[u8], is_all: bool) -> Option<(usize, Option<Problem>)> {
        let end = rest.iter().position(|byte| *byte == b'\n').or(is_all.then_some(rest.len()))?;
        Some((end, None))
    }

    fn value_of(&self, rest: &[u8], is_all: bool) -> Option<(usize, Option<Problem>)> {
        let (text, is_cut) = match std::str::from_utf8(rest) {
            Ok(text) => (text, false),
            Err(error) => match error.valid_up_to() {
                0 => return self.line_of(rest, is_all),
                sound => (std::str::from_utf8(&rest[..sound]).unwrap_or_default(), error.error_len().is_some()),
            },
        };
        let mut reader = Reader::new(text);
        let first = match reader.skip(&Path::ROOT, &mut Judged) {
            Ok(()) => &text[..reader.offset()],
            Err(fault) if fault.kind == FaultKind::Unfinished && !is_all && !is_cut => return None,
            Err(fault) => return Some((resume(rest, &fault), None)),
        };
        if action(first).as_deref() != Some("B") {
            return Some((first.len(), None));
        }
        // A fault inside a transaction spoils the whole of it; so the reading goes on to its end.
        let mut broken = None;
        loop {
            let begin = reader.offset();
            if reader.is_done() {
                if is_cut {
                    return self.line_of(rest, is_all);
                }
                return is_all.then_some((text.len(), None));
            }
            match reader.skip(&Path::ROOT, &mut Judged) {
                Ok(()) => match action(&text[begin..reader.offset()]).as_deref() {
                    Some("C") => return Some((reader.offset(), broken)),
                    Some("B") => {
                        let problem = Problem::new(
                            ProblemType::InvalidDocument,
                            "the transaction has no end: another begins (`B`) before the line with action `C`",
                        );
                        return Some((begin, Some(problem)));
                    }
                    _ => {}
                },
                Err(fault) if fault.kind == FaultKind::Unfinished && !is_all && !is_cut => return None,
                Err(fault) => {
                    let at = text[begin..].len() - text[begin..].trim_start().len() + begin;
                    let next = at + resume(&text.as_bytes()[at..], &fault);
                    let line = self.line + text[..at].matches('\n').count();
                    broken.get_or_insert_with(|| {
                        let detail = format!("{} (line {line} of the body)", fault.what);
                        Problem::new(ProblemType::NotJson, detail)
                    });
                    reader = Reader::starting(text, next);
                }
            }
        }
    }

    /// Gives up on a piece that has outgrown the limit, and passes over what follows of it.
    fn too_large(&mut self, rest: &[u8]) -> Option<(usize, Option<Problem>)> {
        if rest.len() <= self.bytes_max {
            return None;
        }
        let first = rest.iter().position(|byte| *byte == b'\n').map_or(rest, |end| &rest[..end]);
        let is_transaction = self.layout == Layout::Values
            && std::str::from_utf8(first).is_ok_and(|line| action(line).as_deref() == Some("B"));
        self.passing = if is_transaction { Passing::Transaction } else { Passing::Line };
        let length =
            rest.iter().rposition(|byte| *byte == b'\n').filter(|_| is_transaction).map_or(rest.len(), |at| at);
        Some((length, Some(too_large(self.bytes_max))))
    }
}

/// Whether a YAML document begins with the first line of `rest`, of which there must be enough to tell.
fn begins_document(rest: &[u8], is_all: bool) -> bool {
    /// A mark, and the white space behind it.
    const ENOUGH: usize = 4;
    let line = rest.iter().position(|byte| *byte == b'\n').map_or(rest, |end| &rest[..end]);
    (is_all || rest.len() >= ENOUGH) && marks::is_begin(line)
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

/// Where to go on reading after a broken value at the beginning of `rest`: the next line that can begin one.
fn resume(rest: &[u8], fault: &Fault) -> usize {
    let mut at = 0;
    let mut is_first = true;
    while let Some(end) = rest[at..].iter().position(|byte| *byte == b'\n') {
        at += end + 1;
        // A fault on the first line leaves the second alone. One further down lies in a value over several lines, and
        // the rest of that value is indented, or closes a bracket.
        if is_first && fault.line == 1 || matches!(rest.get(at), Some(b'{' | b'[')) {
            return at;
        }
        is_first = false;
    }
    rest.len()
}

/// The `action` of a wal2json v2 line.
fn action(text: &str) -> Option<String> {
    if recognise(text).ok()??.name != "wal2json-v2" {
        return None;
    }
    let mut reader = Reader::new(text);
    reader.begin_object().ok()?;
    while let Some(name) = reader.next_member().ok()? {
        match reader.value(&Path::ROOT, &mut Judged).ok()? {
            Json::Text(text) if name == "action" => return Some(text.into_owned()),
            _ => {}
        }
    }
    None
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
