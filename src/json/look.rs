//! Looks into texts that were checked before: their elements, their members, a value by its pointer.

use std::borrow::Cow;

use super::{Fault, Json, Judged, Kind, Path, Reader, pointer};

/// The elements of an array whose text was checked before.
pub fn elements(array: &str) -> Vec<Json<'_>> {
    let mut reader = Reader::new(array);
    let mut found = Vec::new();
    if reader.begin_array().is_err() {
        return found;
    }
    while let Ok(true) = reader.next_element() {
        match reader.value(&Path::ROOT, &mut Judged) {
            Ok(value) => found.push(value),
            Err(_) => break,
        }
    }
    found
}

/// The members of an object whose text was checked before.
pub fn members(object: &str) -> Vec<(Cow<'_, str>, Json<'_>)> {
    let mut reader = Reader::new(object);
    let mut found = Vec::new();
    if reader.begin_object().is_err() {
        return found;
    }
    while let Ok(Some(name)) = reader.next_member() {
        match reader.value(&Path::ROOT, &mut Judged) {
            Ok(value) => found.push((name, value)),
            Err(_) => break,
        }
    }
    found
}

/// Checks that `text` is one JSON value, for text that came inside a string.
pub fn check(text: &str) -> Result<(), Fault> {
    let mut reader = Reader::new(text);
    reader.skip(&Path::ROOT, &mut Judged)?;
    reader.finish()
}

/// The value at a JSON Pointer (RFC 6901) in a text that was checked before.
pub fn at<'a>(text: &'a str, pointer: &str) -> Option<Json<'a>> {
    let mut reader = Reader::new(text);
    if pointer.is_empty() {
        return reader.value(&Path::ROOT, &mut Judged).ok();
    }
    if !pointer.starts_with('/') {
        return None;
    }
    for step in pointer::steps(pointer) {
        match reader.peek().ok()? {
            Kind::Object => {
                reader.begin_object().ok()?;
                while reader.next_member().ok()?? != step {
                    reader.skip(&Path::ROOT, &mut Judged).ok()?;
                }
            }
            Kind::Array => {
                let index = pointer::index(&step)?;
                reader.begin_array().ok()?;
                for passed in 0..=index {
                    if !reader.next_element().ok()? {
                        return None;
                    }
                    if passed < index {
                        reader.skip(&Path::ROOT, &mut Judged).ok()?;
                    }
                }
            }
            _ => return None,
        }
    }
    reader.value(&Path::ROOT, &mut Judged).ok()
}
