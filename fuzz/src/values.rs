//! Values by their declared types.

use sluicegate::change::{ColumnType, decimal, moment};
use sluicegate::json::{self, Judged, Path, Reader};
use std::borrow::Cow;

/// A type's name on the first line, a JSON value behind it.
pub(crate) fn values(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((name, document)) = text.split_once('\n') else { return };
    let kind = ColumnType::parse(name);
    // What a type is called is read as that type again.
    assert_eq!(ColumnType::parse(&kind.to_string()), kind, "{name:?}");
    if json::check(document).is_err() {
        return;
    }
    let Ok(value) = Reader::new(document).value(&Path::ROOT, &mut Judged) else { return };
    let Ok(read) = kind.read(value) else { return };
    let text = read.text().into_owned();
    if kind.is_array() || text.is_empty() {
        return;
    }
    // A value fits the column of its own type, and stays what it is.
    match kind.admit(read.clone()) {
        Ok(admitted) => assert_eq!(admitted.text(), text, "{name:?}"),
        Err(misfit) => panic!("{text:?} was read as {name:?}, and does not fit: {misfit}"),
    }
}

/// Decimals: what is canonical stays as it is, and is equal to what it was.
pub(crate) fn decimals(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(canonical) = decimal::canonical(Cow::Borrowed(text), None, 0) else { return };
    let again = decimal::canonical(Cow::Owned(canonical.to_string()), None, 0);
    assert_eq!(again.ok().as_deref(), Some(&*canonical), "{text:?}");
    assert_eq!(decimal::compare(&canonical, &canonical), std::cmp::Ordering::Equal);
    let _ = decimal::whole(text);
}

/// Dates, times and intervals: what is canonical stays as it is. The first byte says which.
pub(crate) fn moments(data: &[u8]) {
    let Some((how, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let names = ["date", "time", "time with time zone", "timestamp", "timestamp with time zone", "interval"];
    let kind = ColumnType::parse(names[usize::from(*how) % names.len()]);
    let Ok(read) = kind.read(json::Json::Text(Cow::Borrowed(text))) else { return };
    let written = read.text().into_owned();
    match kind.read(json::Json::Text(Cow::Borrowed(&written))) {
        Ok(again) => assert_eq!(again.text(), written, "{kind} {text:?}"),
        Err(misfit) => panic!("{kind} {text:?} became {written:?}, which is none: {misfit}"),
    }
    let _ = moment::canonical;
}
