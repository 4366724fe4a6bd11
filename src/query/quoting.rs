//! How questions are cut into pieces: names in quotes, lists, steps of a path, and conditions.
//!
//! What the pieces mean is for `postgrest.rs`.

use super::Unanswered;
use super::parameters::bad;
use crate::excerpt;
use crate::store::rows::Step;

/// Cuts `age=gt.20` into name and condition, at the first `=` that stands in no quotes.
pub fn cut(condition: &str) -> Option<(&str, &str)> {
    let is_outside = |(at, _): &(usize, &str)| unquoted(&condition[..*at], '=').is_some();
    let (at, _) = condition.match_indices('=').find(is_outside)?;
    Some((&condition[..at], &condition[at + 1..]))
}

/// Writes a name or a step so that `postgrest::plan` takes it by its word.
pub fn in_quotes(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Reads one step and gives what follows it. Digits are the index of an element, and a name in quotes.
pub(super) fn step_of<'t>(whole: &str, text: &'t str) -> Result<(Step, &'t str), Unanswered> {
    if text.starts_with('"') {
        let (name, rest) = quoted(text)?;
        return Ok((Step::Member(name), rest));
    }
    let (step, rest) = text.split_at(text.find("->").unwrap_or(text.len()));
    let digits = step.strip_prefix('-').unwrap_or(step);
    if step.is_empty() {
        return Err(bad(whole, "a name or an index should follow the arrow"));
    }
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let index = step.parse().map_err(|_| bad(whole, &format!("no array has an element {step}")))?;
        return Ok((Step::Element(index), rest));
    }
    Ok((Step::Member(step.to_owned()), rest))
}

/// Reads a name in double quotes, in which a backslash takes the next character by its word. Gives what follows, too.
pub(super) fn quoted(text: &str) -> Result<(String, &str), Unanswered> {
    let mut name = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((name, &text[at + 1..])),
            '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
            other => name.push(other),
        }
    }
    Err(bad(&shown(text), "a double quote has no second one"))
}

/// Where `wanted` stands outside of quotes. Quotes begin where a name or a value can; elsewhere they are characters. None
/// when quotes do not end.
pub(super) fn unquoted(text: &str, wanted: char) -> Option<Vec<usize>> {
    let mut found = Vec::new();
    let mut before = ',';
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == '"' && matches!(before, ',' | ':' | '>' | '(') {
            loop {
                match characters.next()?.1 {
                    '"' => break,
                    '\\' => drop(characters.next()),
                    _ => {}
                }
            }
        } else if character == wanted {
            found.push(at);
        }
        before = character;
    }
    Some(found)
}

/// The items of a list, divided by commas.
pub(super) fn items<'t>(name: &str, list: &'t str) -> Result<Vec<&'t str>, Unanswered> {
    let commas = unquoted(list, ',').ok_or_else(|| bad(name, "a double quote has no second one"))?;
    let mut items = Vec::with_capacity(commas.len() + 1);
    let mut from = 0;
    for at in commas.into_iter().chain([list.len()]) {
        items.push(&list[from..at]);
        from = at + 1;
    }
    Ok(items)
}

/// Somebody's text in a message, cut where it is long.
pub(super) fn shown(text: &str) -> String {
    excerpt::quoted(text, 60)
}
