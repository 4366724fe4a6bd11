//! The JSON reader.

use sluicegate::json::{self, Json, Reader, elements, members};

/// What we take, serde_json takes as well, and the other way round, but for what we refuse on purpose.
pub(crate) fn json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let ours = json::check(text);
    let theirs = serde_json::from_str::<serde_json::Value>(text);
    match (&ours, &theirs) {
        (Ok(()), Err(error)) => panic!("taken, and serde_json says {error}"),
        // Depth, and escapes of halves of a pair, are refused by each in its own way.
        (Err(fault), Ok(_)) if fault.to_string().contains("deep") => {}
        (Err(fault), Ok(_)) => panic!("refused ({fault}), and serde_json takes it"),
        _ => {}
    }
    if ours.is_ok() {
        let mut reader = Reader::new(text);
        let value = reader.value(&json::Path::ROOT, &mut json::Judged);
        match value {
            Ok(Json::Array(array)) => drop(elements(array)),
            Ok(Json::Object(object)) => drop(members(object)),
            Ok(_) => {}
            Err(fault) => panic!("checked, and cannot be read: {fault}"),
        }
    }
}

/// A pointer and a document: both looked up the same way as serde_json does.
pub(crate) fn pointers(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((pointer, document)) = text.split_once('\n') else { return };
    if json::check(document).is_err() || !(pointer.is_empty() || pointer.starts_with('/')) {
        return;
    }
    let Ok(theirs) = serde_json::from_str::<serde_json::Value>(document) else { return };
    let (ours, theirs) = (json::at(document, pointer), theirs.pointer(pointer));
    // Of members named twice each takes another one.
    if let (None, Some(found)) = (&ours, theirs) {
        panic!("{pointer:?} is not found, and there is {found}");
    }
}
