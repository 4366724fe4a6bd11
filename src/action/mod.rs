//! Actions: a route that stands for an event, with the text it answers.
//!
//! An action's record is bare text or a JSON template. A template takes values of the request: they are put in as JSON
//! strings, value by value, and never spliced into a text that is read as JSON later. Where the values come from is the
//! caller's business, and so is what becomes of the record.

mod route;

pub use self::route::Route;
use crate::gate::quoted;
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
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Fixed(String),
    Value(Source),
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// `{query.NAME}`: a parameter of the query string.
    Query(String),
    /// `{path.NAME}`: a parameter of the route.
    Path(String),
    /// `{header.NAME}`: a request header, its name in small letters.
    Header(String),
    /// `{address}`: the caller's IP address.
    Address,
}

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

impl Source {
    fn parse(text: &str) -> Result<Self, String> {
        let known = "there are {query.NAME}, {path.NAME}, {header.NAME} and {address}, and `{{` for the bracket itself";
        if text == "address" {
            return Ok(Source::Address);
        }
        let (kind, name) =
            text.split_once('.').ok_or_else(|| format!("`{{{text}}}` is no source of a value; {known}"))?;
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        match kind {
            _ if name.is_empty() => Err(format!("`{{{text}}}` names nothing after the point; {known}")),
            "query" => Ok(Source::Query(name.to_owned())),
            "path" => Ok(Source::Path(name.to_owned())),
            "header" if name.bytes().all(is_token) => Ok(Source::Header(name.to_ascii_lowercase())),
            "header" => Err(format!("`{name}` is not the name of a header: letters, digits, `-` and `_`")),
            _ => Err(format!("`{{{text}}}` is no source of a value; {known}")),
        }
    }

    /// What a sentence calls it.
    pub fn words(&self) -> String {
        match self {
            Source::Query(name) => format!("the query parameter `{name}`"),
            Source::Path(name) => format!("the path parameter `{name}`"),
            Source::Header(name) => format!("the header `{name}`"),
            Source::Address => "the caller's address".to_owned(),
        }
    }
}

impl Template {
    /// Reads a template; says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut fixed = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            fixed.push_str(&rest[..at]);
            let bracket = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(bracket) {
                fixed.push_str(bracket);
                rest = after;
                continue;
            }
            let end = rest.find('}').filter(|_| bracket == "{");
            let Some(end) = end else {
                return Err(format!("`{bracket}` stands alone; write `{bracket}{bracket}` for the bracket itself"));
            };
            if !fixed.is_empty() {
                parts.push(Part::Fixed(std::mem::take(&mut fixed)));
            }
            parts.push(Part::Value(Source::parse(&rest[..end])?));
            rest = &rest[end + 1..];
        }
        fixed.push_str(rest);
        if !fixed.is_empty() || parts.is_empty() {
            parts.push(Part::Fixed(fixed));
        }
        Ok(Template(parts))
    }

    /// The sources of its values.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.0.iter().filter_map(|part| match part {
            Part::Value(source) => Some(source),
            Part::Fixed(_) => None,
        })
    }

    fn fill(&self, pointer: &str, filling: &mut Filling<'_>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Fixed(fixed) => text.push_str(fixed),
                Part::Value(source) => text.push_str(&filling.value(source, pointer)),
            }
        }
        text
    }
}

/// Gathers what is missing on the way.
struct Filling<'f> {
    value: &'f dyn Fn(&Source) -> Result<String, String>,
    violations: Vec<Violation>,
}

impl Filling<'_> {
    fn value(&mut self, source: &Source, pointer: &str) -> String {
        match (self.value)(source) {
            Ok(value) => value,
            Err(detail) => {
                // A value that is used twice is missing once.
                if !self.violations.iter().any(|known| known.detail == detail) {
                    self.violations.push(Violation { pointer: pointer.to_owned(), detail });
                }
                String::new()
            }
        }
    }

    /// Writes JSON text. Values become strings of it, escaped as JSON escapes them.
    fn json(&mut self, node: &Node, pointer: &str, out: &mut String) {
        match node {
            Node::Fixed(json) => out.push_str(json),
            Node::Text(template) => out.push_str(&quoted(&template.fill(pointer, self))),
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
                    let step = name.replace('~', "~0").replace('/', "~1");
                    self.json(member, &format!("{pointer}/{step}"), out);
                }
                out.push('}');
            }
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
    /// Puts values in. `value` gives that of a source, or says in a sentence why there is none; every such sentence is a
    /// violation of the record to be, at the place that wanted the value.
    pub fn fill(&self, value: &dyn Fn(&Source) -> Result<String, String>) -> Result<Filled, Vec<Violation>> {
        let mut filling = Filling { value, violations: Vec::new() };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::parse(text).unwrap()
    }

    fn given(source: &Source) -> Result<String, String> {
        match source {
            Source::Query(name) if name == "nasty" => Ok("\",\"admin\":true,\"x\":\"\\\u{0}\n{path.item}".into()),
            Source::Query(name) if name == "user" => Ok("george".into()),
            Source::Address => Ok("127.0.0.1".into()),
            other => Err(format!("{} is missing", other.words())),
        }
    }

    fn action(record: Content) -> Action {
        let path = Route::parse("/buy/{item}").unwrap();
        Action { method: Method::Get, path, record, answer: template("Hello {query.user}!") }
    }

    #[test]
    fn templates_are_read() {
        let table: [(&str, &[Part]); 6] = [
            ("plain", &[Part::Fixed("plain".into())]),
            ("", &[Part::Fixed(String::new())]),
            ("{query.user}", &[Part::Value(Source::Query("user".into()))]),
            ("a{{b}}c", &[Part::Fixed("a{b}c".into())]),
            ("{header.X-Y}!", &[Part::Value(Source::Header("x-y".into())), Part::Fixed("!".into())]),
            ("{{{address}}}", &[Part::Fixed("{".into()), Part::Value(Source::Address), Part::Fixed("}".into())]),
        ];
        for (text, expected) in table {
            assert_eq!(template(text).0, expected, "{text}");
        }
        for text in ["{", "}", "a{b", "{}", "{query}", "{query.}", "{body.x}", "{header.a b}", "{adress}", "}{"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_template_cannot_be_broken_out_of() {
        let member = |name: &str, text: &str| (name.to_owned(), Node::Text(template(text)));
        let node = Node::Object(vec![member("a\"b", "<{query.nasty}>"), member("n", "{query.user}")]);
        let filled = action(Content::Json(node)).fill(&given).unwrap();
        let value: serde_json::Value = serde_json::from_str(&filled.value).unwrap();
        let nasty = given(&Source::Query("nasty".into())).unwrap();
        assert_eq!(value, serde_json::json!({"a\"b": format!("<{nasty}>"), "n": "george"}));
        assert_eq!(filled.answer, "Hello george!");
    }

    #[test]
    fn everything_that_is_missing_is_named_once_and_where_it_is_wanted() {
        let list = Node::List(vec![
            Node::Fixed("1".into()),
            Node::Text(template("{header.x}")),
            Node::Text(template("{header.x}{query.b}")),
        ]);
        let node = Node::Object(vec![("a/b".into(), list)]);
        let violations = action(Content::Json(node)).fill(&given).unwrap_err();
        let found: Vec<_> = violations.iter().map(|found| (found.pointer.as_str(), found.detail.as_str())).collect();
        let expected = [("/a~1b/1", "the header `x` is missing"), ("/a~1b/2", "the query parameter `b` is missing")];
        assert_eq!(found, expected);
    }
}
