//! The text of the file as a tree in which everything knows its line and column.
//!
//! YAML 1.2 with its core schema: `no` is text. Variables are put in here, members named twice and tags are reported here.
//! It does not know a single setting.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use super::problem::{Place, Problems};
use super::substitute::substitute;
use super::url::shown;

/// Nesting past this is a mistake or an attack; settings need six levels.
const DEPTH_MAX: usize = 32;

/// A value and where it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub place: Place,
    pub value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Rc<Node>>),
    Map(Vec<(Name, Rc<Node>)>),
}

/// A key of a mapping, always text.
#[derive(Debug)]
pub(super) struct Name {
    pub place: Place,
    pub text: String,
}

/// A scalar after its variables were put in.
#[derive(Debug)]
pub(super) struct Scalar {
    pub text: String,
    pub kind: Kind,
    /// What the file says, where variables were put in: only this is shown.
    written: Option<String>,
}

/// What a scalar is in the core schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Boolean(bool),
    Number,
    Text,
    /// A variable is missing, which is reported already: whoever reads it stays silent.
    Unknown,
}

impl Scalar {
    /// The text as it may be shown: as it stands in the file, without passwords, and not without end.
    pub(super) fn shown(&self) -> String {
        shown(self.written.as_deref().unwrap_or(&self.text))
    }
}

impl Node {
    /// What was found, in words.
    pub(super) fn found(&self) -> String {
        match &self.value {
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
            Value::Scalar(scalar) => match scalar.kind {
                Kind::Null => "nothing".to_owned(),
                Kind::Boolean(_) => format!("`{}`", scalar.shown()),
                Kind::Number => format!("the number {}", scalar.shown()),
                Kind::Text | Kind::Unknown => format!("the text \"{}\"", scalar.shown()),
            },
        }
    }

    /// A missing variable stands here, and was reported.
    pub(super) fn is_reported(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.kind == Kind::Unknown)
    }
}

/// Reads the one YAML document of `source`; `None` when it is empty.
pub(super) fn parse(
    source: &str,
    variable: &dyn Fn(&str) -> Option<String>,
    problems: &mut Problems,
) -> Result<Option<Rc<Node>>, ScanError> {
    let mut builder = Builder { source, variable, problems, open: Vec::new(), anchors: HashMap::new(), root: None };
    for event in Parser::new_from_str(source) {
        let (event, span) = event?;
        builder.take(event, span)?;
    }
    Ok(builder.root.filter(|root| !matches!(&root.value, Value::Scalar(scalar) if scalar.kind == Kind::Null)))
}

/// A list or mapping whose end has not come.
struct Open {
    place: Place,
    anchor: usize,
    value: Value,
    /// The key whose value comes next; a key that is no text has no name.
    key: Option<Option<Name>>,
}

struct Builder<'a> {
    source: &'a str,
    variable: &'a dyn Fn(&str) -> Option<String>,
    problems: &'a mut Problems,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), ScanError> {
        let place = place(span.start);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                self.problems.add(place, "a second YAML document begins here; write everything into one");
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), place);
                self.enter(Open { place, anchor, value: Value::List(Vec::new()), key: None }, span)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), place);
                self.enter(Open { place, anchor, value: Value::Map(Vec::new()), key: None }, span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { place, anchor, value, .. }) = self.open.pop() {
                    self.put(Node { place, value }, anchor);
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.as_deref().is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                if !is_text {
                    self.refuse_tag(tag.as_deref(), place);
                }
                self.scalar(&text, style == ScalarStyle::Plain && !is_text, anchor, span);
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => self.put_shared(node, place),
                None => self.problems.add(place, "this alias stands inside of what it names"),
            },
            _ => {}
        }
        Ok(())
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, place: Place) {
        if let Some(tag) = tag.filter(|tag| !(tag.is_yaml_core_schema() && ["seq", "map"].contains(&&*tag.suffix))) {
            self.problems.add(place, format!("the tag `{tag}` means nothing here; remove it"));
        }
    }

    fn enter(&mut self, open: Open, span: Span) -> Result<(), ScanError> {
        if self.open.len() == DEPTH_MAX {
            return Err(ScanError::new(span.start, format!("more than {DEPTH_MAX} levels of lists and mappings")));
        }
        self.open.push(open);
        Ok(())
    }

    fn scalar(&mut self, text: &str, is_plain: bool, anchor: usize, span: Span) {
        let place = place(span.start);
        if self.expects_key() {
            return self.key(Some(Name { place, text: text.to_owned() }), place);
        }
        let scalar = match substitute(text, self.variable) {
            Ok(None) => Scalar { text: text.to_owned(), kind: kind(text, is_plain), written: None },
            Ok(Some(put_in)) => Scalar { kind: kind(&put_in, is_plain), text: put_in, written: Some(text.to_owned()) },
            Err(failures) => {
                for failure in failures {
                    let place = self.place_of_variable(span, failure.nth);
                    self.problems.add(place, failure.words);
                }
                Scalar { text: text.to_owned(), kind: Kind::Unknown, written: None }
            }
        };
        self.put(Node { place, value: Value::Scalar(scalar) }, anchor);
    }

    /// Where the `nth` `${` of the scalar stands in the file.
    fn place_of_variable(&self, span: Span, nth: usize) -> Place {
        let mut place = place(span.start);
        let mut left = nth;
        let mut rest = self.source.chars().skip(span.start.index()).take(span.len()).peekable();
        while let Some(char) = rest.next() {
            if char == '$' && rest.peek() == Some(&'{') {
                if left == 0 {
                    return place;
                }
                left -= 1;
            }
            place = match char {
                '\n' => Place { line: place.line + 1, column: 1 },
                _ => Place { column: place.column + 1, ..place },
            };
        }
        self::place(span.start)
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { value: Value::Map(_), key: None, .. }))
    }

    fn key(&mut self, name: Option<Name>, place: Place) {
        let Some(open) = self.open.last_mut() else { return };
        match &name {
            None => self.problems.add(place, "a key must be text, and this is a list or a mapping"),
            Some(name) => {
                let Value::Map(entries) = &open.value else { return };
                if let Some((first, _)) = entries.iter().find(|(first, _)| first.text == name.text) {
                    let words =
                        format!("the key `{}` stands here again; it is on line {}", name.text, first.place.line);
                    self.problems.add(place, words);
                }
            }
        }
        open.key = Some(name);
    }

    fn put(&mut self, node: Node, anchor: usize) {
        let (place, node) = (node.place, Rc::new(node));
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.put_shared(node, place);
    }

    fn put_shared(&mut self, node: Rc<Node>, place: Place) {
        if self.expects_key() {
            let name = match &node.value {
                Value::Scalar(scalar) => Some(Name { place, text: scalar.text.clone() }),
                _ => None,
            };
            return self.key(name, place);
        }
        match self.open.last_mut() {
            None => self.root = self.root.take().or(Some(node)),
            Some(Open { value: Value::List(items), .. }) => items.push(node),
            Some(Open { value: Value::Map(entries), key, .. }) => {
                if let Some(Some(name)) = key.take() {
                    entries.push((name, node));
                }
            }
            Some(_) => {}
        }
    }
}

fn place(marker: Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

/// What a plain scalar is in the core schema of YAML 1.2 (§10.3.2).
fn kind(text: &str, is_plain: bool) -> Kind {
    match text {
        _ if !is_plain => Kind::Text,
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Boolean(true),
        "false" | "False" | "FALSE" => Kind::Boolean(false),
        _ if is_number(text) => Kind::Number,
        _ => Kind::Text,
    }
}

fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let has_base = |prefix: &str, base: u32| {
        let digits = text.strip_prefix(prefix);
        digits.is_some_and(|digits| !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(base)))
    };
    // Rust's floats are the core schema's but for their names of infinity and NaN.
    let is_decimal =
        unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') && unsigned.parse::<f64>().is_ok();
    is_decimal
        || has_base("0x", 16)
        || has_base("0o", 8)
        || [".inf", ".Inf", ".INF"].contains(&unsigned)
        || [".nan", ".NaN", ".NAN"].contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_what_the_core_schema_says() {
        let table = [
            ("no", Kind::Text),
            ("yes", Kind::Text),
            ("on", Kind::Text),
            ("True", Kind::Boolean(true)),
            ("false", Kind::Boolean(false)),
            ("~", Kind::Null),
            ("", Kind::Null),
            ("12", Kind::Number),
            ("-1.5e3", Kind::Number),
            ("0x1F", Kind::Number),
            ("-.inf", Kind::Number),
            ("inf", Kind::Text),
            ("1MiB", Kind::Text),
            ("127.0.0.1:8080", Kind::Text),
        ];
        for (text, expected) in table {
            assert_eq!(kind(text, true), expected, "{text:?}");
            assert_eq!(kind(text, false), Kind::Text, "{text:?}");
        }
    }
}
