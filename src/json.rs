//! Reads JSON (RFC 8259) once, where it enters: numbers keep every digit, strings borrow from the text, members named
//! twice are found (RFC 7493), and every fault knows its line and column.
//!
//! It builds no tree: a format asks for what it expects, and containers nobody asked about come back as the checked
//! slice of the text they stood in.

mod exponent;
mod look;
mod path;
pub mod pointer;
mod tree;

use std::borrow::Cow;

pub use self::exponent::{zeros_added, zeros_in};
pub use self::look::{at, check, elements, members};
pub use self::path::Path;
pub use self::tree::Tree;

/// How deep arrays and objects may stand in each other. Deeper documents exhaust the stack of some reader on the way.
pub const DEPTH_MAX: usize = 64;

/// One JSON value as it stands in the text.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// The digits of a number, exactly as written.
    Number(&'a str),
    /// A string, unescaped.
    Text(Cow<'a, str>),
    /// The text of an array, checked to be well formed.
    Array(&'a str),
    /// The text of an object, checked to be well formed.
    Object(&'a str),
}

impl Json<'_> {
    /// What a sentence calls this value: `a string`, `null`, …
    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Boolean(_) => "a boolean",
            Json::Number(_) => "a number",
            Json::Text(_) => "a string",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        }
    }
}

/// The kind of the value that comes next, told by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number.
    Number,
    /// A string.
    Text,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// Why a text is not JSON, and where. Boxed, so that the many calls that succeed hand no room for it about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct Fault(Box<Flaw>);

impl std::ops::Deref for Fault {
    type Target = Flaw;

    fn deref(&self) -> &Flaw {
        &self.0
    }
}

/// What is said of a [`Fault`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at line {line}, column {column}")]
pub struct Flaw {
    /// What was found, and what would be right.
    pub what: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What kind of fault.
    pub kind: FaultKind,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The text is not JSON.
    Syntax,
    /// The text ends too early; more of it might be JSON.
    Unfinished,
    /// Only [`DEPTH_MAX`] stands in the way.
    TooDeep,
}

impl Fault {
    /// Says that more text might mend it.
    fn unfinished_if(mut self, is_unfinished: bool) -> Self {
        if is_unfinished {
            self.0.kind = FaultKind::Unfinished;
        }
        self
    }
}

/// Told of every member that is named twice in a container the reader walks through by itself, and of exponents.
pub trait Duplicates {
    /// `path` is the place of the second one.
    fn duplicate(&mut self, path: &Path<'_>);

    /// The number `digits`, at `path`, is written with an exponent.
    fn exponent(&mut self, path: &Path<'_>, digits: &str) {
        let _ = (path, digits);
    }
}

/// Looks away: for text that was judged before.
#[derive(Debug)]
pub struct Judged;

impl Duplicates for Judged {
    fn duplicate(&mut self, _: &Path<'_>) {}
}

/// Walks over a text, value by value.
///
/// After `begin_array` call `next_element` before each element until it says false; after `begin_object` call
/// `next_member` until it gives none. Each value must be taken: with `value`, `begin_…`, or `skip`.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// True directly after an opening bracket.
    fresh: bool,
}

type Read<T> = Result<T, Fault>;

impl<'a> Reader<'a> {
    /// Starts at the beginning of `text`.
    pub fn new(text: &'a str) -> Self {
        Reader { text, at: 0, depth: 0, fresh: false }
    }

    /// Starts at the byte `offset` of `text`, which must be the first of a character.
    pub fn starting(text: &'a str, offset: usize) -> Self {
        Reader { text, at: offset, depth: 0, fresh: false }
    }

    /// How many bytes have been read.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// True when nothing but white space is left.
    pub fn is_done(&mut self) -> bool {
        self.skip_space();
        self.at >= self.text.len()
    }

    /// Fails unless nothing but white space is left.
    pub fn finish(&mut self) -> Read<()> {
        if self.is_done() { Ok(()) } else { Err(self.fault("something follows the end of the JSON value")) }
    }

    /// Tells the kind of the next value without taking it.
    #[inline]
    pub fn peek(&mut self) -> Read<Kind> {
        self.skip_space();
        match self.byte() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::Text),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Boolean),
            Some(b'n') => Ok(Kind::Null),
            None => Err(self.fault("the text ends where a value should stand")),
            Some(_) => Err(self.fault(&format!("{} stands where a value should", self.here()))),
        }
    }

    /// Enters an object, which must come next (see [`Reader::peek`]).
    #[inline]
    pub fn begin_object(&mut self) -> Read<()> {
        self.open(b'{', "an object should begin")
    }

    /// Enters an array, which must come next (see [`Reader::peek`]).
    #[inline]
    pub fn begin_array(&mut self) -> Read<()> {
        self.open(b'[', "an array should begin")
    }

    /// The name of the next member, whose value then comes next; none at the end of the object.
    #[inline]
    pub fn next_member(&mut self) -> Read<Option<Cow<'a, str>>> {
        if !self.step(b'}', "an object")? {
            return Ok(None);
        }
        if self.byte() != Some(b'"') {
            return Err(self.fault("a member's name in double quotes should stand here"));
        }
        let name = self.string()?;
        self.skip_space();
        if self.byte() != Some(b':') {
            return Err(self.fault("a colon should follow a member's name"));
        }
        self.at += 1;
        Ok(Some(name))
    }

    /// True when another element comes next; false at the end of the array.
    #[inline]
    pub fn next_element(&mut self) -> Read<bool> {
        self.step(b']', "an array")
    }

    /// Takes the next value if it is a string.
    #[inline]
    pub fn text(&mut self) -> Read<Option<Cow<'a, str>>> {
        self.skip_space();
        if self.byte() == Some(b'"') { self.string().map(Some) } else { Ok(None) }
    }

    /// Takes the next value whole.
    #[inline]
    pub fn value(&mut self, path: &Path<'_>, duplicates: &mut impl Duplicates) -> Read<Json<'a>> {
        let kind = self.peek()?;
        let start = self.at;
        Ok(match kind {
            Kind::Null => {
                self.word("null")?;
                Json::Null
            }
            Kind::Boolean if self.byte() == Some(b't') => {
                self.word("true")?;
                Json::Boolean(true)
            }
            Kind::Boolean => {
                self.word("false")?;
                Json::Boolean(false)
            }
            Kind::Number => Json::Number(self.counted(path, duplicates)?),
            Kind::Text => Json::Text(self.string()?),
            Kind::Array => {
                self.skip(path, duplicates)?;
                Json::Array(&self.text[start..self.at])
            }
            Kind::Object => {
                self.skip(path, duplicates)?;
                Json::Object(&self.text[start..self.at])
            }
        })
    }

    /// Takes the next value, looking only for what is wrong in it.
    pub fn skip(&mut self, path: &Path<'_>, duplicates: &mut impl Duplicates) -> Read<()> {
        match self.peek()? {
            Kind::Null => self.word("null"),
            Kind::Boolean if self.byte() == Some(b't') => self.word("true"),
            Kind::Boolean => self.word("false"),
            Kind::Number => self.counted(path, duplicates).map(drop),
            Kind::Text => self.string().map(drop),
            Kind::Array => {
                self.begin_array()?;
                let mut index = 0;
                while self.next_element()? {
                    self.skip(&path.element(index), duplicates)?;
                    index += 1;
                }
                Ok(())
            }
            Kind::Object => {
                self.begin_object()?;
                let mut names = Names::default();
                while let Some(name) = self.next_member()? {
                    let place = path.member(&name);
                    self.skip(&place, duplicates)?;
                    if !names.is_new(&name) {
                        duplicates.duplicate(&place);
                    }
                    names.keep(name);
                }
                Ok(())
            }
        }
    }

    fn open(&mut self, bracket: u8, wanted: &str) -> Read<()> {
        self.skip_space();
        if self.byte() != Some(bracket) {
            return Err(self.fault(wanted));
        }
        if self.depth == DEPTH_MAX {
            let mut fault = self.fault(&format!("arrays and objects stand more than {DEPTH_MAX} deep"));
            fault.0.kind = FaultKind::TooDeep;
            return Err(fault);
        }
        self.depth += 1;
        self.at += 1;
        self.fresh = true;
        Ok(())
    }

    /// Moves to the next member or element: true when there is one, false when the container closed.
    #[inline]
    fn step(&mut self, close: u8, container: &str) -> Read<bool> {
        self.skip_space();
        let fresh = std::mem::take(&mut self.fresh);
        match self.byte() {
            Some(byte) if byte == close => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(b',') if !fresh => {
                self.at += 1;
                self.skip_space();
                if self.byte() == Some(close) {
                    return Err(self.fault(&format!("a comma stands before the end of {container}")));
                }
                Ok(true)
            }
            Some(_) if fresh => Ok(true),
            Some(_) => {
                Err(self.fault(&format!("a comma or the end of {container} should stand where {} does", self.here())))
            }
            None => Err(self.fault(&format!("the text ends inside {container}"))),
        }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        // Most often there is none, and every other character is greater.
        while self.byte().is_some_and(|byte| byte <= b' ' && matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str) -> Read<()> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            let fault = self.fault(&format!("{} begins no JSON value; {word} would be one", self.here()));
            Err(fault.unfinished_if(word.as_bytes().starts_with(&self.text.as_bytes()[self.at..])))
        }
    }

    /// Reads a number, and tells of its exponent.
    #[inline]
    fn counted(&mut self, path: &Path<'_>, duplicates: &mut impl Duplicates) -> Read<&'a str> {
        let (digits, has_exponent) = self.number()?;
        if has_exponent {
            duplicates.exponent(path, digits);
        }
        Ok(digits)
    }

    /// Reads a number: its text, and whether it has an exponent.
    fn number(&mut self) -> Read<(&'a str, bool)> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut at = start + usize::from(bytes[start] == b'-');
        let whole = at;
        at = digits(at);
        let mut sound = at > whole && (bytes[whole] != b'0' || at == whole + 1);
        if bytes.get(at) == Some(&b'.') {
            let end = digits(at + 1);
            sound &= end > at + 1;
            at = end;
        }
        let has_exponent = matches!(bytes.get(at), Some(b'e' | b'E'));
        if has_exponent {
            let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let end = digits(at + 1 + sign);
            sound &= end > at + 1 + sign;
            at = end;
        }
        if !sound {
            let fault = self.fault("this is not a JSON number (digits, no leading zero, digits after a point)");
            return Err(fault.unfinished_if(at == bytes.len()));
        }
        self.at = at;
        Ok((&self.text[start..at], has_exponent))
    }

    /// Reads a string, whose opening quote comes next. Borrows unless something is escaped.
    fn string(&mut self) -> Read<Cow<'a, str>> {
        let start = self.at + 1;
        let end = self.plain(start);
        if self.text.as_bytes().get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(Cow::Borrowed(&self.text[start..end]));
        }
        let mut text = String::with_capacity(end - start + 16);
        let mut at = start;
        loop {
            let end = self.plain(at);
            text.push_str(&self.text[at..end]);
            self.at = end;
            match self.byte() {
                Some(b'"') => {
                    self.at = end + 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => {
                    text.push(self.escape()?);
                    at = self.at;
                }
                Some(byte) => {
                    return Err(self.fault(&format!("the control character {byte:#04x} in a string must be escaped")));
                }
                None => return Err(self.fault("the text ends inside a string")),
            }
        }
    }

    /// Where the run of characters that need no attention ends: at a quote, a backslash, a control character, or the end.
    fn plain(&self, from: usize) -> usize {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        let bytes = self.text.as_bytes();
        let mut at = from;
        // Eight bytes at a time; the classic "has a zero byte" test finds the stops.
        while let Some(chunk) = bytes.get(at..at + 8) {
            let word =
                u64::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7]]);
            let quote = word ^ (ONES * u64::from(b'"'));
            let slash = word ^ (ONES * u64::from(b'\\'));
            let stops = (quote.wrapping_sub(ONES) & !quote)
                | (slash.wrapping_sub(ONES) & !slash)
                | (word.wrapping_sub(ONES * 0x20) & !word);
            let stops = stops & HIGH;
            if stops != 0 {
                return at + (stops.trailing_zeros() / 8) as usize;
            }
            at += 8;
        }
        while bytes.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)) {
            at += 1;
        }
        at
    }

    /// Reads one escape, whose backslash comes next.
    fn escape(&mut self) -> Read<char> {
        let kind = self.text.as_bytes().get(self.at + 1).copied();
        let plain = match kind {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            None => return Err(self.fault("the text ends inside a string").unfinished_if(true)),
            Some(_) => return Err(self.fault("no such escape in JSON")),
        };
        self.at += 2;
        Ok(plain)
    }

    fn unicode(&mut self) -> Read<char> {
        let first = self.hex(self.at + 2)?;
        let lone = "half of a surrogate pair stands alone; it is no character";
        let code = match first {
            0xD800..0xDC00 => {
                let next = &self.text.as_bytes()[self.at + 6..];
                if !next.starts_with(b"\\u") {
                    return Err(self.fault(lone).unfinished_if(b"\\u".starts_with(next)));
                }
                let second = self.hex(self.at + 8)?;
                if !(0xDC00..0xE000).contains(&second) {
                    return Err(self.fault(lone));
                }
                self.at += 12;
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            _ => {
                self.at += 6;
                first
            }
        };
        char::from_u32(code).ok_or_else(|| self.fault(lone))
    }

    fn hex(&self, from: usize) -> Read<u32> {
        let bytes = self.text.as_bytes();
        bytes
            .get(from..from + 4)
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| self.fault("\\u takes four hexadecimal digits").unfinished_if(bytes.len() < from + 4))
    }

    fn here(&self) -> String {
        match self.text[self.at..].chars().next() {
            Some(found) => format!("{found:?}"),
            None => "the end".into(),
        }
    }

    #[cold]
    fn fault(&self, what: &str) -> Fault {
        let at = self.at.min(self.text.len());
        let (line, column) = place(self.text, at);
        let kind = if at == self.text.len() { FaultKind::Unfinished } else { FaultKind::Syntax };
        Fault(Box::new(Flaw { what: what.into(), line, column, kind }))
    }
}

/// Line and column, both counted from 1, of the byte at `offset`.
pub fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before[line_start..].iter().filter(|byte| **byte & 0xC0 != 0x80).count() + 1;
    (line, column)
}

/// The names met in one object so far. A short list is searched; a long one is hashed, so that nobody can buy quadratic
/// time with a wide object.
#[derive(Debug, Default)]
pub struct Names<'a> {
    few: Vec<Cow<'a, str>>,
    many: std::collections::HashSet<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    const FEW: usize = 16;

    /// True when `name` was not kept before.
    pub fn is_new(&self, name: &str) -> bool {
        if self.many.is_empty() { !self.few.iter().any(|known| known == name) } else { !self.many.contains(name) }
    }

    /// Remembers `name`.
    pub fn keep(&mut self, name: Cow<'a, str>) {
        if self.many.is_empty() && self.few.len() < Self::FEW {
            self.few.push(name);
            return;
        }
        self.many.extend(self.few.drain(..));
        self.many.insert(name);
    }
}
