//! YAML to JSON: one document's text becomes the JSON text of the same data, which is what the gate judges and the journal
//! keeps.
//!
//! YAML 1.2 with its core schema: `no` is text, and numbers keep their digits. What JSON's data model does not have is
//! refused: tags, keys that are no text, infinity. An alias repeats the JSON of what it names, so the limit on the result
//! bounds what aliases can blow up. It cuts no text into documents (`marks` does, for the cutter) and judges no meaning.

mod ahead;
pub(super) mod marks;
mod scalar;

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use self::ahead::{Ahead, MARKS_AHEAD_MAX};
use self::scalar::Plain;
use crate::excerpt::{self, VALUE_CHARS};
use crate::json::{DEPTH_MAX, pointer};
use crate::judgement::Violations;
use crate::problem::{Problem, ProblemType, Violation};

/// The JSON text of the one YAML document in `source`, which begins on the line `first_line` of what the sender sees. The
/// JSON takes at most `bytes_max` bytes.
pub fn to_json(source: &[u8], first_line: usize, bytes_max: usize) -> Result<String, Problem> {
    let text = std::str::from_utf8(source).map_err(|error| {
        let line = first_line + source[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        Problem::new(ProblemType::NotJson, format!("a byte on line {line} is not UTF-8"))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut writer = Writer {
        out: String::with_capacity(text.len()),
        open: Vec::new(),
        anchors: HashMap::new(),
        bytes_max,
        first_line,
        is_begun: false,
        violations: Violations::default(),
    };
    let ahead = Ahead::default();
    for event in Parser::new_from_iter(ahead.chars(text)) {
        let (event, span) = event.map_err(|error| match ahead.is_too_far() {
            true => too_many_ahead(),
            false => {
                let place = place(*error.marker(), first_line);
                let (words, mend) = (error.info(), mend(error.info()));
                Problem::new(ProblemType::NotJson, format!("this is not YAML: {words} at {place}{mend}"))
            }
        })?;
        ahead.begin_anew();
        writer.take(event, span)?;
    }
    if ahead.is_too_far() {
        return Err(too_many_ahead());
    }
    writer.finish()
}

/// What would be right in the place of what YAML does not have, and other notations do.
fn mend(words: &str) -> &'static str {
    match words {
        _ if words.contains("Unicode character escape") => {
            "; YAML has no surrogate pairs: write a character beyond U+FFFF as itself, or with `\\U` and eight digits \
             (`\\U0001F600`), or send JSON as `application/json`"
        }
        _ if words.contains("unknown escape") => {
            "; in double quotes a backslash begins an escape: write two of them, or take single quotes"
        }
        _ if words.contains("tab") || words.contains("must be followed by a valid YAML whitespace") => {
            "; write spaces in place of the tab"
        }
        _ => "",
    }
}

fn too_many_ahead() -> Problem {
    let detail = format!(
        "a list or mapping in brackets has more than {MARKS_AHEAD_MAX} marks (`,` `:` `[` and their like); write it as lines, or \
         send the document as JSON"
    );
    Problem::new(ProblemType::DocumentTooLarge, detail)
}

/// Line and column, in words.
fn place(marker: Marker, first_line: usize) -> String {
    format!("line {}, column {}", marker.line() + first_line - 1, marker.col() + 1)
}

/// A list or a mapping whose end has not come.
struct Open {
    is_mapping: bool,
    anchor: usize,
    /// Where its JSON begins.
    start: usize,
    /// How many elements or members there are.
    count: usize,
    /// In a mapping: whether the next node is a key.
    expects_key: bool,
    /// The keys so far, as JSON.
    keys: HashSet<String>,
    /// The last key, for pointers.
    key: String,
}

struct Writer {
    out: String,
    open: Vec<Open>,
    /// Where the JSON of each anchored node stands in `out`.
    anchors: HashMap<usize, (usize, usize)>,
    bytes_max: usize,
    first_line: usize,
    is_begun: bool,
    violations: Violations,
}

impl Writer {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let at = span.start;
        match event {
            Event::DocumentStart(_) if std::mem::replace(&mut self.is_begun, true) => {
                let detail = format!("a second document begins at {}", place(at, self.first_line));
                return Err(Problem::new(ProblemType::NotJson, detail));
            }
            Event::SequenceStart(anchor, tag) => self.enter(false, anchor, tag.as_deref(), at)?,
            Event::MappingStart(anchor, tag) => self.enter(true, anchor, tag.as_deref(), at)?,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.out.push(if open.is_mapping { '}' } else { ']' });
                    self.end_node(open.anchor, open.start);
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                let start = self.begin_node(at);
                self.scalar(&text, style == ScalarStyle::Plain, start, at);
                self.end_node(anchor, start);
            }
            Event::Alias(anchor) => {
                let start = self.begin_node(at);
                match self.anchors.get(&anchor).copied() {
                    Some((from, to)) if to - from > self.bytes_max => {}
                    Some((from, to)) => {
                        let json = self.out[from..to].to_owned();
                        self.node_text(&json, start, at);
                    }
                    None => self.violation(at, "this alias stands inside of what it names"),
                }
                self.end_node(0, start);
            }
            _ => {}
        }
        if self.out.len() > self.bytes_max {
            let detail = format!(
                "the document takes more than {} bytes as JSON, aliases written out; `document_bytes_max` of the stream \
                 sets the limit",
                self.bytes_max
            );
            return Err(Problem::new(ProblemType::DocumentTooLarge, detail));
        }
        Ok(())
    }

    fn finish(self) -> Result<String, Problem> {
        if self.violations.count() == 0 { Ok(self.out) } else { Err(self.violations.into_problem()) }
    }

    fn enter(&mut self, is_mapping: bool, anchor: usize, tag: Option<&Tag>, at: Marker) -> Result<(), Problem> {
        self.refuse_tag(tag, at);
        if self.open.len() == DEPTH_MAX {
            let place = place(at, self.first_line);
            let mut problem = Problem::new(ProblemType::InvalidDocument, "1 violation");
            let detail = format!("lists and mappings stand more than {DEPTH_MAX} deep at {place}");
            problem.errors.push(Violation { pointer: String::new(), detail });
            return Err(problem);
        }
        if self.is_key_next() {
            self.violation(at, "a key must be text, and this is a list or a mapping");
        }
        let start = self.begin_node(at);
        self.out.push(if is_mapping { '{' } else { '[' });
        let (keys, key) = (HashSet::new(), String::new());
        self.open.push(Open { is_mapping, anchor, start, count: 0, expects_key: is_mapping, keys, key });
        Ok(())
    }

    fn is_key_next(&self) -> bool {
        self.open.last().is_some_and(|open| open.is_mapping && open.expects_key)
    }

    /// Writes what stands before a node. Gives where the node begins.
    fn begin_node(&mut self, _: Marker) -> usize {
        if let Some(open) = self.open.last_mut() {
            let is_value = open.is_mapping && !open.expects_key;
            if is_value {
                self.out.push(':');
            } else if open.count > 0 {
                self.out.push(',');
            }
        }
        self.out.len()
    }

    fn end_node(&mut self, anchor: usize, start: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, (start, self.out.len()));
        }
        let Some(open) = self.open.last_mut() else { return };
        match (open.is_mapping, open.expects_key) {
            (true, true) => open.expects_key = false,
            (true, false) => {
                open.expects_key = true;
                open.count += 1;
            }
            (false, _) => open.count += 1,
        }
    }

    fn scalar(&mut self, text: &str, is_plain: bool, start: usize, at: Marker) {
        let is_key = self.is_key_next();
        match scalar::read(text, is_plain) {
            Plain::Text if is_key && is_plain && text == "<<" => {
                self.note_key(text.to_owned());
                self.violation(at, "`<<` merges nothing in YAML 1.2: write the members out, or the key in quotes");
                self.out.push_str("\"\"");
            }
            Plain::Text => self.node_text(&scalar::quoted(text), start, at),
            Plain::Null | Plain::Boolean(_) | Plain::Number(_) | Plain::NoNumber if is_key => {
                self.note_key(text.to_owned());
                self.violation(at, &format!("a key must be text, and {text:?} is not; write it in quotes"));
                self.out.push_str("\"\"");
            }
            Plain::Null => self.out.push_str("null"),
            Plain::Boolean(value) => self.out.push_str(if value { "true" } else { "false" }),
            Plain::Number(digits) => self.out.push_str(&digits),
            Plain::NoNumber => {
                self.violation(at, &format!("JSON has no number for {text}; in quotes it is text"));
                self.out.push_str("null");
            }
        }
    }

    /// Writes a node that is JSON already: a text, or what an alias names.
    fn node_text(&mut self, json: &str, _: usize, at: Marker) {
        self.out.push_str(json);
        if !self.is_key_next() {
            return;
        }
        if !json.starts_with('"') {
            return self.violation(at, "a key must be text, and this alias names something else");
        }
        self.note_key(serde_json::from_str(json).unwrap_or_default());
        if let Some(open) = self.open.last_mut()
            && !open.keys.insert(json.to_owned())
        {
            let key = excerpt::quoted(&open.key, VALUE_CHARS);
            self.violation(at, &format!("the key {key} stands twice in its mapping"));
        }
    }

    fn note_key(&mut self, key: String) {
        if let Some(open) = self.open.last_mut() {
            open.key = key;
        }
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, at: Marker) {
        if let Some(tag) = tag {
            let tag = tag.to_string();
            let tag = excerpt::cut(&tag, VALUE_CHARS);
            self.violation(at, &format!("the tag `{tag}` has no meaning in JSON; remove it"));
        }
    }

    #[cold]
    fn violation(&mut self, at: Marker, what: &str) {
        let mut violations = std::mem::take(&mut self.violations);
        violations.add(|| self.pointer(), || format!("{what} ({})", place(at, self.first_line)));
        self.violations = violations;
    }

    /// Where the present node stands, as a JSON Pointer.
    fn pointer(&self) -> String {
        let mut pointer = String::new();
        for open in &self.open {
            pointer.push('/');
            match open.is_mapping {
                true => pointer.push_str(&pointer::escaped(&open.key)),
                false => pointer.push_str(&open.count.to_string()),
            }
        }
        pointer
    }
}

#[cfg(test)]
mod tests;
