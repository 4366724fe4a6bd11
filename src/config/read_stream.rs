//! One stream of the file as a `Stream`: each setting read, judged, and defaulted.
//!
//! It does not see the other streams, except what they have claimed.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::fields::{Field, Fields};
use super::problem::{Place, Problems};
use super::schema::{ALLOW, RETENTION, STREAM};
use super::stream::{Key, Stream};
use super::tree::{Name, Node};
use super::{read_action, read_columns, refuse};
use crate::action::{Content, Method};
use crate::settings::{Allow, RetentionSettings};
use crate::words::{Reply, Takes};

/// What streams have taken for themselves: each topic, route and folder, with its stream and line.
#[derive(Default)]
pub(super) struct Claims {
    topics: HashMap<String, (String, usize)>,
    routes: HashMap<String, (String, usize)>,
    directories: HashMap<String, (String, usize)>,
    /// Of the routes that query records, of which there is one pair.
    queries: Option<(String, usize)>,
}

impl Claims {
    /// A rollup's output topic, which is called like the rollup.
    pub(super) fn output(&mut self, name: &Name, problems: &mut Problems) {
        match self.topics.get(&name.text) {
            Some((owner, line)) => {
                let words = format!(
                    "the rollup `{}` has an output topic of its name, which belongs to `{owner}` (line {line}); give it \
                     another name",
                    name.text
                );
                problems.add(name.place, words);
            }
            None => drop(self.topics.insert(name.text.clone(), (name.text.clone(), name.place.line))),
        }
    }
}

/// Reads the stream called `name`; what is wrong is reported, and stands at its default in the result.
pub(super) fn read_stream(name: &Name, node: &Node, claims: &mut Claims, problems: &mut Problems) -> Stream {
    let label = format!("streams.{}", name.text);
    let mut stream = Stream::named(&name.text, Takes::Changes);
    let is_name_good = refuse::stream_name(&name.text).map_err(|words| problems.add(name.place, words)).is_ok();
    let Some(fields) = Fields::open(node, &label, &STREAM, &[], problems) else {
        return stream;
    };
    match fields.take("takes") {
        Some(field) => {
            if let Some(takes) = field.choice(problems) {
                stream.takes = takes;
                refuse_other_kind(&fields, &stream, problems);
            }
        }
        None => problems
            .add(name.place, format!("`{label}` must say what it takes; write `takes: changes` or `takes: events`")),
    }
    intake(&fields, &mut stream, problems);
    records(&fields, &mut stream, problems);
    changes(&fields, &mut stream, problems);
    read_columns::records(&fields, &mut stream, problems);
    queries(&fields, &mut stream, claims, problems);
    claim(&fields, &mut stream, is_name_good.then_some(name.place), claims, problems);
    stream
}

/// Settings of the kind of stream that this one is not.
fn refuse_other_kind(fields: &Fields<'_>, stream: &Stream, problems: &mut Problems) {
    let takes = stream.takes.word();
    for name in fields.names() {
        if let Some(only) = STREAM.only_for(&name.text).filter(|only| *only != takes) {
            let words = format!(
                "`{}` is for streams that take {only}, and `{}` takes {takes}; remove it",
                name.text, stream.name
            );
            problems.add(name.place, words);
        }
    }
}

fn intake(fields: &Fields<'_>, stream: &mut Stream, problems: &mut Problems) {
    set(&mut stream.forms, fields.take("forms"), |field| field.choices(&refuse::NOT_BUILT_FORMS, problems));
    set(&mut stream.intake.reply, fields.take("reply"), |field| field.choice(problems));
    set(&mut stream.intake.wait, fields.take("wait"), |field| {
        wait(fields, field, (stream.takes, stream.intake.reply), problems).map(Some)
    });
    set(&mut stream.intake.cors, fields.take("cors"), |field| {
        let origin = |text: &str| if text == "*" { Ok(text.to_owned()) } else { refuse::origin(text) };
        Some(field.judged("[\"https://shop.example\"]", origin, problems))
    });
    set(&mut stream.document_bytes_max, fields.take("document_bytes_max"), |field| {
        let bytes = field.size(problems)?;
        if !(1..=refuse::DOCUMENT_BYTES_MAX).contains(&bytes) {
            field.refuse(problems, format!("is {}; it can be 1B to 512MiB", field.shown()));
        }
        Some(bytes)
    });
}

/// How long answers wait: where there is an outcome to wait for, and a form of answer that asks for it.
fn wait(
    fields: &Fields<'_>,
    field: &Field<'_>,
    (takes, reply): (Takes, Reply),
    problems: &mut Problems,
) -> Option<Duration> {
    let wait = field.period(problems)?;
    if !(Duration::from_millis(1)..=refuse::WAIT_MAX).contains(&wait) {
        field.refuse(problems, format!("is {}; it can be up to 60s", field.shown()));
    }
    if reply == Reply::Receipt {
        let words = "is for `reply: echo` and `reply: created`; with receipts the sender asks, by `Prefer: wait=5`";
        field.refuse(problems, words);
    }
    if takes == Takes::Events && fields.take("table").is_none() {
        field.refuse(problems, "has no outcome to wait for: the stream has no `table`; write `table`, or remove it");
    }
    Some(wait)
}

fn records(fields: &Fields<'_>, stream: &mut Stream, problems: &mut Problems) {
    let takes = stream.takes;
    set(&mut stream.key, fields.take("key"), |field| key(field, takes, problems).map(Some));
    set(&mut stream.apply.on_failure, fields.take("on_failure"), |field| field.choice(problems));
    set(&mut stream.retention, fields.take("retention"), |field| {
        let fields = Fields::open(field.node, &field.label, &RETENTION, &[], problems)?;
        let mut retention = RetentionSettings::default();
        set(&mut retention.age, fields.take("age"), |field| field.period(problems));
        set(&mut retention.size, fields.take("size"), |field| field.size(problems));
        Some(retention)
    });
    set(&mut stream.apply.duplicates_kept, fields.take("duplicates_kept"), |field| field.period(problems));
}

fn key(field: &Field<'_>, takes: Takes, problems: &mut Problems) -> Option<Key> {
    let text = field.text("`table` or a JSON Pointer such as /userId", problems)?;
    match (text, takes) {
        ("table", Takes::Changes) => Some(Key::Table),
        ("table", Takes::Events) => {
            field.refuse(problems, "cannot be `table`: events name no table; write a JSON Pointer such as /userId");
            None
        }
        (pointer, _) => match refuse::pointer(pointer) {
            Ok(()) => Some(Key::Pointer(pointer.to_owned())),
            Err(words) => {
                field.refuse(problems, words);
                None
            }
        },
    }
}

fn changes(fields: &Fields<'_>, stream: &mut Stream, problems: &mut Problems) {
    set(&mut stream.keys, fields.take("keys"), |field| field.lists_by_name("[id]", problems));
    set(&mut stream.changes.key_columns, fields.take("key_columns"), |field| {
        let columns = field.texts("[id]", problems)?;
        Some(columns.into_iter().map(|(column, _)| column.to_owned()).collect())
    });
    set(&mut stream.changes.unknown_types, fields.take("unknown_types"), |field| field.choice(problems));
    set(&mut stream.changes.allow, fields.take("allow"), |field| {
        let fields = Fields::open(field.node, &field.label, &ALLOW, &[], problems)?;
        let mut allow = Allow::default();
        set(&mut allow.tables, fields.take("tables"), |field| {
            let patterns = field.texts("[\"game.*\"]", problems)?;
            Some(patterns.into_iter().map(|(pattern, _)| pattern.to_owned()).collect())
        });
        set(&mut allow.operations, fields.take("operations"), |field| field.choices(&[], problems));
        set(&mut allow.create, fields.take("create"), |field| field.boolean(problems));
        Some(allow)
    });
}

/// Whether records are queried here, which one stream alone can say.
fn queries(fields: &Fields<'_>, stream: &mut Stream, claims: &mut Claims, problems: &mut Problems) {
    let Some(field) = fields.take("queries") else { return };
    let Some(true) = field.boolean(problems) else { return };
    stream.queries = true;
    if fields.take("table").is_none() && stream.takes == Takes::Events {
        let words =
            format!("`{}` reads the rows of `table`, and there is none; write `table`, or remove it", field.label);
        problems.add(field.key_place, words);
    }
    match &claims.queries {
        Some((owner, line)) => problems.add(
            field.key_place,
            format!("`{}` is said by `{owner}` already (line {line}); one stream answers queries", field.label),
        ),
        None => claims.queries = Some((stream.name.clone(), field.key_place.line)),
    }
}

/// Topic and routes, which no other stream may have. A name that was refused claims nothing.
fn claim(fields: &Fields<'_>, stream: &mut Stream, name: Option<Place>, claims: &mut Claims, problems: &mut Problems) {
    let mut place = name;
    for setting in ["topic", "source"] {
        let Some(field) = fields.take(setting) else { continue };
        place = None;
        if let Some(topic) = field.text("the name of a topic", problems)
            && judged(&field, refuse::topic(topic), problems)
        {
            stream.topic = topic.to_owned();
            place = Some(field.node.place);
            stream.source = (setting == "source").then(|| topic.to_owned());
        }
    }
    refuse_beside_source(fields, stream, problems);
    if let Some(place) = place {
        claim_one(&mut claims.topics, "topic", &stream.topic, stream, place, problems);
    }
    claim_actions(fields, stream, claims, problems);
    if let Some(field) = fields.take("directories") {
        for (folder, place) in field.texts("[inbox]", problems).unwrap_or_default() {
            let plain: PathBuf = Path::new(folder).components().filter(|part| *part != Component::CurDir).collect();
            claim_one(&mut claims.directories, "folder", &plain.display().to_string(), stream, place, problems);
            stream.intake.directories.push(plain);
        }
    }
    let Some(field) = fields.take("routes") else { return };
    for (route, place) in field.texts("[/api/orders]", problems).unwrap_or_default() {
        match refuse::route(route) {
            Ok(()) if stream.intake.routes.iter().any(|other| other == route) => {}
            Ok(()) => {
                claim_route(claims, Method::Post, route, route, stream, place, problems);
                stream.intake.routes.push(route.to_owned());
            }
            Err(words) => problems.add(place, format!("a route in `{}` {words}", field.label)),
        }
    }
}

/// Settings of intake, which a topic of others does not have, and `from`, which only it has.
fn refuse_beside_source(fields: &Fields<'_>, stream: &mut Stream, problems: &mut Problems) {
    let from = fields.take("from");
    if fields.take("source").is_some() {
        for setting in ["topic", "routes", "reply", "actions", "cors", "directories"] {
            if let Some(field) = fields.take(setting) {
                let words =
                    format!("`{}` is not for a stream with `source`, which takes nothing in; remove it", field.label);
                problems.add(field.key_place, words);
            }
        }
    } else if let Some(field) = &from {
        let words = format!("`{}` is for streams with `source`, a topic that others write; remove it", field.label);
        problems.add(field.key_place, words);
    }
    set(&mut stream.apply.from, from, |field| field.choice(problems));
}

/// Actions and their routes. Two routes of one shape are one, whatever their parameters are called.
fn claim_actions(fields: &Fields<'_>, stream: &mut Stream, claims: &mut Claims, problems: &mut Problems) {
    let Some(field) = fields.take("actions") else { return };
    for (action, place) in read_action::actions(&field, problems) {
        let shown = format!("{} {}", action.method.word(), action.path.as_str());
        claim_route(claims, action.method, &action.path.shape(), &shown, stream, place, problems);
        if let Some(Key::Pointer(pointer)) = &stream.key {
            match &action.record {
                Content::Text(_) => problems.add(
                    place,
                    format!(
                        "`{shown}` records bare text, in which the `key` of `{}` names no place; record JSON, such as `{{user: \"{{query.user}}\"}}`",
                        stream.name
                    ),
                ),
                Content::Json(record) if !record.may_hold(pointer) => problems.add(
                    place,
                    format!("`{shown}` records nothing at {pointer}, the `key` of `{}`; add it to `record`", stream.name),
                ),
                Content::Json(_) => {}
            }
        }
        stream.intake.actions.push(action);
    }
}

fn claim_route(
    claims: &mut Claims,
    method: Method,
    shape: &str,
    shown: &str,
    stream: &Stream,
    place: Place,
    problems: &mut Problems,
) {
    let wanted = format!("{} {shape}", method.word());
    claim_shown(&mut claims.routes, "route", &wanted, shown, stream, place, problems);
}

fn claim_one(
    claimed: &mut HashMap<String, (String, usize)>,
    what: &str,
    wanted: &str,
    stream: &Stream,
    place: Place,
    problems: &mut Problems,
) {
    claim_shown(claimed, what, wanted, wanted, stream, place, problems);
}

fn claim_shown(
    claimed: &mut HashMap<String, (String, usize)>,
    what: &str,
    wanted: &str,
    shown: &str,
    stream: &Stream,
    place: Place,
    problems: &mut Problems,
) {
    match claimed.get(wanted) {
        Some((owner, line)) => problems.add(
            place,
            format!(
                "the {what} `{shown}` of `{}` belongs to `{owner}` (line {line}); a {what} belongs to one stream",
                stream.name
            ),
        ),
        None => {
            claimed.insert(wanted.to_owned(), (stream.name.clone(), place.line));
        }
    }
}

/// Puts what was read into its place; the default stays when it is not there or wrong.
pub(super) fn set<'n, T>(target: &mut T, field: Option<Field<'n>>, read: impl FnOnce(&Field<'n>) -> Option<T>) {
    if let Some(value) = field.as_ref().and_then(read) {
        *target = value;
    }
}

pub(super) fn judged(field: &Field<'_>, judgement: Result<(), String>, problems: &mut Problems) -> bool {
    judgement.map_err(|words| field.refuse(problems, words)).is_ok()
}
