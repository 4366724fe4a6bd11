//! Functions of ours that SQLite calls: a way into JSON that keeps digits and takes every name by its word, and `LIKE` as
//! PostgreSQL has it.
//!
//! SQLite's own `->>` reads numbers into machine floats and has a path language in which names can be misread; its own
//! `LIKE` knows letter case in ASCII only, takes exponential time, and cannot be stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

use super::clock::Clock;
use super::like::is_like;
use crate::json::{self, Json};
use crate::store::rows::{ROW_BYTES_MAX, Step};

/// `sluicegate_at(document, path, as_text)`
pub(super) const AT: &str = "sluicegate_at";

/// `sluicegate_like(text, pattern, in_any_case)`
pub(super) const LIKE: &str = "sluicegate_like";

/// `sluicegate_row(place)`: gives its argument; a row begins behind it.
pub(super) const ROW: &str = "sluicegate_row";

/// `sluicegate_room(bytes)`: true while the row is not too large, with so many bytes more.
pub(super) const ROOM: &str = "sluicegate_room";

/// `sluicegate_give(text)`: gives its argument, and counts it like [`ROOM`].
pub(super) const GIVE: &str = "sluicegate_give";

/// What a statement fails with at a row that is too large.
pub(super) const TOO_LARGE: &str = "the row is too large";

/// Gives a connection the functions that count what a row takes.
fn register_counting(connection: &Connection) -> rusqlite::Result<()> {
    // Not deterministic: each call counts.
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
    let bytes = Arc::new(AtomicUsize::new(0));
    let count = |bytes: &AtomicUsize, more: usize| match bytes.fetch_add(more, Ordering::Relaxed) + more {
        0..=ROW_BYTES_MAX => Ok(()),
        _ => Err(rusqlite::Error::UserFunctionError(TOO_LARGE.into())),
    };
    let row = Arc::clone(&bytes);
    connection.create_scalar_function(ROW, 1, flags, move |context| {
        row.store(0, Ordering::Relaxed);
        context.get::<rusqlite::types::Value>(0)
    })?;
    let room = Arc::clone(&bytes);
    connection.create_scalar_function(ROOM, 1, flags, move |context| {
        let more = context.get::<Option<i64>>(0)?.unwrap_or(0);
        count(&room, usize::try_from(more).unwrap_or(0)).map(|()| true)
    })?;
    connection.create_scalar_function(GIVE, 1, flags, move |context| {
        count(&bytes, text(context, 0).map_or(0, str::len))?;
        context.get::<rusqlite::types::Value>(0)
    })
}

/// Gives a connection the functions.
pub(super) fn register(connection: &Connection, clock: &Clock) -> rusqlite::Result<()> {
    register_counting(connection)?;
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function(AT, 3, flags, |context| {
        let (Some(document), Some(path)) = (text(context, 0), text(context, 1)) else { return Ok(None) };
        let as_text = context.get::<bool>(2)?;
        Ok(find(document, path).and_then(|found| if as_text { as_plain(found) } else { Some(as_json(found)) }))
    })?;
    let clock = clock.clone();
    connection.create_scalar_function(LIKE, 3, flags, move |context| {
        let (Some(subject), Some(pattern)) = (text(context, 0), text(context, 1)) else { return Ok(None) };
        let is_late = || clock.is_late();
        let is_like = match context.get::<bool>(2)? {
            true => is_like(&subject.to_lowercase(), &pattern.to_lowercase(), &is_late),
            false => is_like(subject, pattern, &is_late),
        };
        is_like.map(Some).ok_or_else(interrupted)
    })
}

/// What SQLite says of a statement that was stopped.
fn interrupted() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_INTERRUPT), None)
}

fn text<'c>(context: &'c Context<'_>, index: usize) -> Option<&'c str> {
    match context.get_raw(index) {
        ValueRef::Text(text) => std::str::from_utf8(text).ok(),
        _ => None,
    }
}

/// A path as one text: its steps behind one another, each behind a NUL, which no name in a stored document holds.
pub(super) fn path(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Member(name) => path.extend(["\0m", name]),
            Step::Element(index) => path.push_str(&format!("\0e{index}")),
        }
    }
    path
}

/// What stands in a document at a path.
fn find<'d>(document: &'d str, path: &str) -> Option<Json<'d>> {
    let mut here = json::at(document, "")?;
    for step in path.split('\0').skip(1) {
        here = match (here, step.split_at_checked(1)?) {
            (Json::Object(text), ("m", wanted)) => {
                json::members(text).into_iter().find(|(name, _)| name == wanted).map(|(_, value)| value)?
            }
            (Json::Array(text), ("e", index)) => {
                let index: i64 = index.parse().ok()?;
                let mut elements = json::elements(text);
                let from_end = i64::try_from(elements.len()).ok()? + index;
                let index = usize::try_from(if index < 0 { from_end } else { index }).ok()?;
                if index >= elements.len() {
                    return None;
                }
                elements.swap_remove(index)
            }
            _ => return None,
        };
    }
    Some(here)
}

fn as_plain(found: Json<'_>) -> Option<String> {
    match found {
        Json::Null => None,
        Json::Text(text) => Some(text.into_owned()),
        other => Some(as_json(other)),
    }
}

fn as_json(found: Json<'_>) -> String {
    match found {
        Json::Null => "null".to_owned(),
        Json::Boolean(value) => value.to_string(),
        Json::Number(text) | Json::Array(text) | Json::Object(text) => text.to_owned(),
        Json::Text(text) => serde_json::Value::from(text.as_ref()).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_takes_names_by_their_word() {
        let document =
            r#"{"a":{"0":"zero","b.c":[1,{"d":12345678901234567890.10}],"$":null,"\"":"quote","":"none"},"t":"x"}"#;
        let member = |name: &str| Step::Member(name.into());
        for (steps, as_text, expected) in [
            (vec![member("t")], true, Some("x")),
            (vec![member("t")], false, Some("\"x\"")),
            (vec![member("a"), member("0")], true, Some("zero")),
            (vec![member("a"), Step::Element(0)], true, None),
            (vec![member("a"), member("b.c"), Step::Element(-1), member("d")], true, Some("12345678901234567890.10")),
            (vec![member("a"), member("b.c"), Step::Element(0)], false, Some("1")),
            (vec![member("a"), member("b.c"), Step::Element(2)], false, None),
            (vec![member("a"), member("b.c"), Step::Element(-3)], false, None),
            (vec![member("a"), member("$")], false, Some("null")),
            (vec![member("a"), member("$")], true, None),
            (vec![member("a"), member("\"")], true, Some("quote")),
            (vec![member("a"), member("")], true, Some("none")),
            (vec![member("a"), member("b")], true, None),
            (vec![member("t"), member("x")], true, None),
        ] {
            let found = find(document, &path(&steps));
            let found = found.and_then(|found| if as_text { as_plain(found) } else { Some(as_json(found)) });
            assert_eq!(found.as_deref(), expected, "{steps:?}");
        }
    }
}
