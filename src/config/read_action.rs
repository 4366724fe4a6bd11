//! The actions of a stream: routes with what they record and answer, each judged where it stands.
//!
//! It does not know what other streams claim; `read_stream.rs` does.

use super::fields::{Field, Fields};
use super::problem::{Place, Problems};
use super::refuse;
use super::schema::ACTION;
use super::tree::{Kind, Node, Scalar, Value};
use crate::action::{Action, Content, Method, Node as Made, Route, Source, Template, is_number};

/// The answer of an action that says none.
const ANSWER: &str = "OK";

/// Reads `actions`: each with the place of its route.
pub(super) fn actions(field: &Field<'_>, problems: &mut Problems) -> Vec<(Action, Place)> {
    let what = "a mapping such as `{GET /join_guild: {record: joined_guild, answer: \"Guild Joined!\"}}`";
    let mut actions = Vec::new();
    for (name, node) in field.members(what, problems).into_iter().flatten() {
        let (method, path) = match route(&name.text) {
            Ok(route) => route,
            Err(words) => {
                problems.add(name.place, format!("a route in `{}` {words}", field.label));
                continue;
            }
        };
        let label = format!("{}.{}", field.label, name.text);
        let Some(fields) = Fields::open(node, &label, &ACTION, &[], problems) else { continue };
        let Some(said) = fields.take("record") else {
            let words = format!("`{label}` must say what it records; write `record: joined_guild`");
            problems.add(name.place, words);
            continue;
        };
        let record = content(&said, &path, problems);
        let answer = match fields.take("answer") {
            Some(field) => {
                field.text("text", problems).and_then(|text| template(&field, field.node, text, &path, problems))
            }
            None => Template::parse(ANSWER).ok(),
        };
        if let (Some(record), Some(answer)) = (record, answer) {
            let action = Action { method, path, record, answer };
            if method == Method::Get && action.reads_body() {
                let words =
                    format!("`{label}`: a GET has no body to take a value from; write `POST {}`", action.path.as_str());
                problems.add(name.place, words);
            }
            actions.push((action, name.place));
        }
    }
    actions
}

/// Reads `GET /buy/{item}`.
fn route(text: &str) -> Result<(Method, Route), String> {
    let method = |word: &str| [Method::Get, Method::Post].into_iter().find(|method| method.word() == word);
    let Some((method, path)) = text.split_once(' ').and_then(|(word, path)| Some((method(word)?, path.trim_start())))
    else {
        return Err(format!(
            "cannot be \"{}\"; write a method and a path, such as `GET /join_guild`; the methods are GET and POST",
            super::url::shown(text)
        ));
    };
    let route = Route::parse(path).map_err(|words| format!("cannot be \"{path}\": {words}"))?;
    refuse::route(&route.shape().replace(['{', '}'], ""))?;
    Ok((method, route))
}

fn template(field: &Field<'_>, node: &Node, text: &str, path: &Route, problems: &mut Problems) -> Option<Template> {
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(words) => {
            problems.add(node.place, format!("`{}`: {words}", field.label));
            return None;
        }
    };
    for source in template.sources() {
        if let Source::Path(name) = source
            && !path.has(name)
        {
            let words = format!("`{}`: the route {} has no parameter `{name}`", field.label, path.as_str());
            problems.add(node.place, words);
        }
    }
    Some(template)
}

fn content(field: &Field<'_>, path: &Route, problems: &mut Problems) -> Option<Content> {
    match &field.node.value {
        Value::Scalar(Scalar { kind: Kind::Text, .. }) => {
            let text = field.text("text or a JSON template", problems)?;
            template(field, field.node, text, path, problems).map(Content::Text)
        }
        Value::Scalar(Scalar { kind: Kind::Null, .. }) => {
            field.text("text or a JSON template", problems);
            None
        }
        _ => made(field, field.node, path, problems).map(Content::Json),
    }
}

/// A part of a JSON template.
fn made(field: &Field<'_>, node: &Node, path: &Route, problems: &mut Problems) -> Option<Made> {
    Some(match &node.value {
        _ if node.is_reported() => return None,
        Value::List(items) => {
            Made::List(items.iter().map(|item| made(field, item, path, problems)).collect::<Option<_>>()?)
        }
        Value::Map(members) => {
            let member = |(name, node): &(super::tree::Name, std::rc::Rc<Node>)| {
                Some((name.text.clone(), made(field, node, path, problems)?))
            };
            Made::Object(members.iter().map(member).collect::<Option<_>>()?)
        }
        Value::Scalar(scalar) => match scalar.kind {
            Kind::Text => Made::Text(template(field, node, &scalar.text, path, problems)?),
            Kind::Null => Made::Fixed("null".to_owned()),
            Kind::Boolean(value) => Made::Fixed(value.to_string()),
            Kind::Number if is_number(&scalar.text) => Made::Fixed(scalar.text.clone()),
            Kind::Number | Kind::Unknown => {
                let shown = scalar.shown();
                let words = format!("`{}`: JSON has no such number as {shown}; as text it is \"{shown}\"", field.label);
                problems.add(node.place, words);
                return None;
            }
        },
    })
}
