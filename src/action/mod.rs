//! Actions: a route that stands for an event, with the text it answers.
//!
//! An action's record is bare text or a JSON template. A template takes values of the request: they are put in value by
//! value, as JSON strings, as numbers that were checked to be some, or as a part of a body that was checked to be JSON; they
//! are never spliced into a text that is read as JSON later. Where the values come from is the caller's business, and so
//! is what becomes of the record.

pub mod brackets;
mod route;
mod source;
#[cfg(test)]
mod tests;

use self::brackets::Part;
pub use self::route::Route;
pub use self::source::{Given, Source, Taken, is_number};
use crate::gate::quoted;
use crate::json::pointer;
use crate::problem::Violation;

/// A route, what a call of it records, and what it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The method it is called with.
    pub method: Method,
    /// Where it is called.
    pub path: Route,
    /// What a call records.
    pub record: Content,
    /// What it answers.
    pub answer: Template,
}

/// The methods of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
}

/// What an action records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Bare text.
    Text(Template),
    /// JSON.
    Json(Node),
}

/// A JSON value with places for values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A string that is made of its template.
    Text(Template),
    /// JSON text that is always the same: a number, a boolean, null.
    Fixed(String),
    /// An array.
    List(Vec<Node>),
    /// An object, its members in order.
    Object(Vec<(String, Node)>),
}

/// A text with places for values: `{query.user}`. `{{` and `}}` stand for the brackets themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part<Taken>>);

/// What a call of an action comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// The record's value: bare text or JSON, as [`Content`] says.
    pub value: String,
    /// The answer.
    pub answer: String,
}

impl Method {
    /// The method as requests write it.
    pub fn word(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

impl Template {
    /// Reads a template; says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        brackets::parts(text, Taken::parse).map(Template)
    }

    /// The sources of its values.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.0.iter().filter_map(|part| match part {
            Part::Value(taken) => Some(&taken.source),
            Part::Fixed(_) => None,
        })
    }

    /// The value that it is made of alone, when that is put into JSON as it is: a number, or a part of the body.
    fn whole(&self) -> Option<&Taken> {
        match &self.0[..] {
            [Part::Value(taken)] if taken.is_number || matches!(taken.source, Source::Body(_)) => Some(taken),
            _ => None,
        }
    }

    fn fill(&self, pointer: &str, filling: &mut Filling<'_>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Fixed(fixed) => text.push_str(fixed),
                Part::Value(taken) => text.push_str(&filling.text(taken, pointer)),
            }
        }
        text
    }
}

/// Gives the value of a source; none when the request does not have it, a sentence when it cannot be taken.
pub type Values<'v> = dyn Fn(&Source) -> Result<Option<Given>, String> + 'v;

/// Gathers what is missing on the way.
struct Filling<'f> {
    values: &'f Values<'f>,
    violations: Vec<Violation>,
}

impl Filling<'_> {
    /// The value as text.
    fn text(&mut self, taken: &Taken, pointer: &str) -> String {
        let text = (self.values)(&taken.source).and_then(|given| taken.text(given));
        self.noted(text, pointer)
    }

    /// The value as JSON text.
    fn whole(&mut self, taken: &Taken, pointer: &str) -> String {
        let json = (self.values)(&taken.source).and_then(|given| taken.json(given));
        self.noted(json, pointer)
    }

    fn noted(&mut self, found: Result<String, String>, pointer: &str) -> String {
        found.unwrap_or_else(|detail| {
            // A value that is used twice is missing once.
            if !self.violations.iter().any(|known| known.detail == detail) {
                self.violations.push(Violation { pointer: pointer.to_owned(), detail });
            }
            String::new()
        })
    }

    /// Writes JSON text. Values become strings of it, escaped as JSON escapes them.
    fn json(&mut self, node: &Node, pointer: &str, out: &mut String) {
        match node {
            Node::Fixed(json) => out.push_str(json),
            Node::Text(template) => match template.whole() {
                Some(taken) => out.push_str(&self.whole(taken, pointer)),
                None => out.push_str(&quoted(&template.fill(pointer, self))),
            },
            Node::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    self.json(item, &format!("{pointer}/{index}"), out);
                }
                out.push(']');
            }
            Node::Object(members) => {
                out.push('{');
                for (index, (name, member)) in members.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    out.push_str(&quoted(name));
                    out.push(':');
                    self.json(member, &format!("{pointer}/{}", pointer::escaped(name)), out);
                }
                out.push('}');
            }
        }
    }
}

impl Node {
    /// Whether something may stand at a JSON Pointer in what is made of it; what a body holds is not known before.
    pub fn may_hold(&self, pointer: &str) -> bool {
        let Some((step, rest)) = pointer.strip_prefix('/').map(|steps| {
            let end = steps.find('/').unwrap_or(steps.len());
            (pointer::unescaped(&steps[..end]), &steps[end..])
        }) else {
            return true;
        };
        match self {
            Node::Object(members) => members.iter().any(|(name, member)| *name == step && member.may_hold(rest)),
            Node::List(items) => pointer::index(&step).and_then(|at| items.get(at)).is_some_and(|it| it.may_hold(rest)),
            Node::Text(template) => template.whole().is_some_and(|taken| !taken.is_number),
            Node::Fixed(_) => false,
        }
    }
}

impl Content {
    /// The sources of its values.
    pub fn sources(&self) -> Vec<&Source> {
        fn gather<'n>(node: &'n Node, found: &mut Vec<&'n Source>) {
            match node {
                Node::Fixed(_) => {}
                Node::Text(template) => found.extend(template.sources()),
                Node::List(items) => items.iter().for_each(|item| gather(item, found)),
                Node::Object(members) => members.iter().for_each(|(_, member)| gather(member, found)),
            }
        }
        let mut found = Vec::new();
        match self {
            Content::Text(template) => found.extend(template.sources()),
            Content::Json(node) => gather(node, &mut found),
        }
        found
    }
}

impl Action {
    /// Whether it takes something from the body of a request.
    pub fn reads_body(&self) -> bool {
        let is_body = |source: &Source| matches!(source, Source::Body(_));
        self.record.sources().into_iter().any(is_body) || self.answer.sources().any(is_body)
    }

    /// Puts values in. What is missing, without a default, is a violation of the record to be, at the place that wanted it.
    pub fn fill(&self, values: &Values<'_>) -> Result<Filled, Vec<Violation>> {
        let mut filling = Filling { values, violations: Vec::new() };
        let value = match &self.record {
            Content::Text(template) => template.fill("", &mut filling),
            Content::Json(node) => {
                let mut out = String::new();
                filling.json(node, "", &mut out);
                out
            }
        };
        let answer = self.answer.fill("", &mut filling);
        if filling.violations.is_empty() { Ok(Filled { value, answer }) } else { Err(filling.violations) }
    }
}
