//! Standard error as a log needs it: an event is one line, and nothing in it moves a cursor or changes a title.
//!
//! Names of files and tables and values of headers come from others. A line break in one would forge a line of the log, and
//! a terminal obeys what stands behind an escape character.

use std::io::{self, Stderr, Write};

/// Writes whole events to standard error.
#[derive(Debug)]
pub(super) struct Plain(Stderr);

impl Plain {
    pub(super) fn stderr() -> Self {
        Plain(io::stderr())
    }
}

impl Write for Plain {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        // Nobody reads it any more, most likely: that is no reason to fail, or to say so in the same place.
        let _ = match escaped(event) {
            Some(escaped) => self.0.lock().write_all(escaped.as_bytes()),
            None => self.0.lock().write_all(event),
        };
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// The event without control characters; none when there are none but the colours and the end of the line.
fn escaped(event: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(event);
    let body = text.strip_suffix('\n').unwrap_or(&text);
    let mut escaped = String::new();
    let (mut is_same, mut rest) = (true, body);
    while let Some(at) = rest.find(is_harmful) {
        escaped.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(length) = color(rest) {
            escaped.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        is_same = false;
        let length = rest.chars().next().map_or(0, char::len_utf8);
        rest[..length].chars().for_each(|char| escape(char, &mut escaped));
        rest = &rest[length..];
    }
    if is_same {
        return None;
    }
    escaped.push_str(rest);
    escaped.push_str(&text[body.len()..]);
    Some(escaped)
}

/// As JSON writes it, so that a line of JSON stays one.
fn escape(char: char, to: &mut String) {
    match char {
        '\n' => to.push_str("\\n"),
        '\r' => to.push_str("\\r"),
        '\t' => to.push_str("\\t"),
        _ => to.push_str(&format!("\\u{:04x}", u32::from(char))),
    }
}

/// Controls, and what turns the direction or the lines of text around it.
fn is_harmful(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The length of a change of colour that `text` begins with: the formatter makes them for terminals.
fn color(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|char: char| !char.is_ascii_digit() && char != ';')?;
    parameters[end..].starts_with('m').then_some("\u{1b}[".len() + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_without_controls() {
        for (event, expected) in [
            ("plain ä\n", None),
            ("\u{1b}[32mINFO\u{1b}[0m text\n", None),
            ("\u{1b}[2;3m\n", None),
            ("a\nb\n", Some("a\\nb\n")),
            ("a\r\n", Some("a\\r\n")),
            ("\u{1b}]0;title\u{7}\n", Some("\\u001b]0;title\\u0007\n")),
            ("\u{1b}[2J\u{1b}[31mred\n", Some("\\u001b[2J\u{1b}[31mred\n")),
            ("\u{9b}31m\u{0}", Some("\\u009b31m\\u0000")),
            ("\u{1b}[", Some("\\u001b[")),
            ("a\u{202e}b\u{2028}\n", Some("a\\u202eb\\u2028\n")),
        ] {
            assert_eq!(escaped(event.as_bytes()).as_deref(), expected, "{event:?}");
        }
    }
}
