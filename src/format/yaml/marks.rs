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

/// The first document of `text`; none when its end is not there yet. `is_all` says that nothing follows.
pub(in crate::format) fn document(text: &[u8], is_all: bool) -> Option<Found> {
    let mut at = 0;
    let mut is_begun = false;
    let mut has_content = false;
    while at < text.len() {
        let end = match text[at..].iter().position(|byte| *byte == b'\n') {
            Some(end) => at + end + 1,
            None if is_all => text.len(),
            None => return None,
        };
        match line(&text[at..end]) {
            Line::Begin(_) if is_begun || has_content => return Some(Found { length: at, has_content }),
            Line::Begin(content) => {
                is_begun = true;
                has_content = content;
            }
            Line::End => return Some(Found { length: end, has_content }),
            Line::Directive => has_content |= is_begun,
            Line::Content => has_content = true,
            Line::Nothing => {}
        }
        at = end;
    }
    is_all.then_some(Found { length: text.len(), has_content })
}
