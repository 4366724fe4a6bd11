//! Functions of ours that SQLite calls: a way into JSON that keeps digits and takes every name by its word, and `LIKE` as
//! PostgreSQL has it.
//!
//! SQLite's own `->>` reads numbers into machine floats and has a path language in which names can be misread; its own
//! `LIKE` knows letter case in ASCII only, and takes exponential time.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

use crate::json::{self, Json};
use crate::store::rows::Step;

/// `sluicegate_at(document, path, as_text)`
pub(super) const AT: &str = "sluicegate_at";

/// `sluicegate_like(text, pattern, in_any_case)`
pub(super) const LIKE: &str = "sluicegate_like";

/// Gives a connection the functions.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function(AT, 3, flags, |context| {
        let (Some(document), Some(path)) = (text(context, 0), text(context, 1)) else { return Ok(None) };
        let as_text = context.get::<bool>(2)?;
        Ok(find(document, path).and_then(|found| if as_text { as_plain(found) } else { Some(as_json(found)) }))
    })?;
    connection.create_scalar_function(LIKE, 3, flags, |context| {
        let (Some(subject), Some(pattern)) = (text(context, 0), text(context, 1)) else { return Ok(None) };
        Ok(Some(match context.get::<bool>(2)? {
            true => is_like(&subject.to_lowercase(), &pattern.to_lowercase()),
            false => is_like(subject, pattern),
        }))
    })
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

/// Whether a text is like a pattern. When the text does not match behind a `%`, the last `%` takes one character more:
/// never an earlier one, so that the time is the product of the lengths at most.
fn is_like(text: &str, pattern: &str) -> bool {
    let (mut text, mut pattern) = (text.chars(), pattern.chars());
    // Where to go on when what follows the last `%` does not match.
    let mut again: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let here = text.clone();
        let is_match = match (pattern.next(), text.next()) {
            (Some('%'), _) => {
                text = here.clone();
                again = Some((here, pattern.clone()));
                continue;
            }
            (None, None) => return true,
            (Some('_'), Some(_)) => true,
            (Some('\\'), Some(found)) => pattern.next() == Some(found),
            (Some(wanted), Some(found)) => wanted == found,
            (Some(_), None) => return false,
            (None, Some(_)) => false,
        };
        if !is_match {
            let Some((from, behind)) = &mut again else { return false };
            from.next();
            (text, pattern) = (from.clone(), behind.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_it_means_in_postgresql() {
        for (text, pattern, expected) in [
            ("", "", true),
            ("", "%", true),
            ("a", "", false),
            ("abc", "abc", true),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "%b%", true),
            ("abc", "a_c", true),
            ("ac", "a_c", false),
            ("aüc", "a_c", true),
            ("abcbcd", "a%bcd", true),
            ("abcbce", "a%bcd", false),
            ("abab", "%ab", true),
            ("a%c", "a\\%c", true),
            ("abc", "a\\%c", false),
            ("a_c", "a\\_c", true),
            ("a\\c", "a\\\\c", true),
            ("abc", "%%%", true),
            ("abc", "____", false),
            ("ABC", "abc", false),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} like {pattern}");
        }
        assert!(!is_like(&"a".repeat(3_000), &("%a".repeat(100) + "%b")), "and in no time");
    }

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
