//! Where one YAML document of a text ends and the next begins.
//!
//! A line that begins with `---` or `...` and goes on with white space or not at all is a mark wherever it stands, within
//! texts in quotes and blocks too (YAML 1.2.2, §9.1.2). So the documents of a text can be told apart without reading
//! them, and a broken one spoils no neighbour.

/// What a line is to the documents around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// `---`; `true` when content follows on the line.
    Begin(bool),
    /// `...`
    End,
    /// `%YAML 1.2`, where it stands before a document.
    Directive,
    Content,
    /// White space, or a comment.
    Nothing,
}

fn line(bytes: &[u8]) -> Line {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let marked = |mark: &[u8]| {
        let rest = bytes.strip_prefix(mark)?;
        rest.first().is_none_or(u8::is_ascii_whitespace).then_some(rest)
    };
    let is_content = |text: &[u8]| !matches!(text.trim_ascii().first(), None | Some(b'#'));
    if let Some(rest) = marked(b"---") {
        return Line::Begin(is_content(rest));
    }
    match bytes.first() {
        _ if marked(b"...").is_some() => Line::End,
        Some(b'%') => Line::Directive,
        _ if is_content(bytes) => Line::Content,
        _ => Line::Nothing,
    }
}

/// Whether a document begins with this line.
pub(in crate::format) fn is_begin(bytes: &[u8]) -> bool {
    matches!(line(bytes), Line::Begin(_))
}

/// The first document at the beginning of a text.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::format) struct Found {
    /// How many bytes belong to it.
    pub(in crate::format) length: usize,
    /// False when there is nothing in it but marks and comments.
    pub(in crate::format) has_content: bool,
}

/// How far the first document of a text was looked at.
#[derive(Debug, Default)]
pub(in crate::format) struct Marks {
    at: usize,
    /// So much of the line that begins there was searched for its end.
    searched: usize,
    is_begun: bool,
    has_content: bool,
}

impl Marks {
    /// Goes on over a text that may have grown; none when the end of its first document is not there yet. `is_all` says
    /// that nothing follows.
    pub(in crate::format) fn advance(&mut self, text: &[u8], is_all: bool) -> Option<Found> {
        while self.at < text.len() {
            let end = match text[self.at + self.searched..].iter().position(|byte| *byte == b'\n') {
                Some(end) => self.at + self.searched + end + 1,
                None if is_all => text.len(),
                None => {
                    self.searched = text.len() - self.at;
                    return None;
                }
            };
            let found = |length, has_content| Some(Found { length, has_content });
            match line(&text[self.at..end]) {
                Line::Begin(_) if self.is_begun || self.has_content => return found(self.at, self.has_content),
                Line::Begin(content) => {
                    self.is_begun = true;
                    self.has_content = content;
                }
                Line::End => return found(end, self.has_content),
                Line::Directive => self.has_content |= self.is_begun,
                Line::Content => self.has_content = true,
                Line::Nothing => {}
            }
            self.at = end;
            self.searched = 0;
        }
        is_all.then_some(Found { length: text.len(), has_content: self.has_content })
    }
}
