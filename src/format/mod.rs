//! Bytes to documents: what each form looks like, and how its text becomes a change set.
//!
//! Pure and synchronous. A form is one file and one line in [`FORMS`]; it reads with a [`Reader`] and reports what is
//! wrong to a [`Judge`]. Forms do not decide what a violation means: the gate does.

mod activities;
pub mod cloud_event;
mod columns;
pub mod event;
mod glimpse;
pub mod lines;
pub mod summary;
pub mod wal2json;
pub mod yaml;

pub use self::glimpse::Glimpse;
use crate::change::ChangeSet;
use crate::json::{Fault, Path, Reader};
use crate::judgement::Judge;
use crate::record::Beside;

/// A way to write change documents.
pub struct Form {
    /// The name in records and receipts.
    pub name: &'static str,
    /// The word for it in a stream's `forms`.
    pub word: &'static str,
    /// What a document of it is told by, for whoever sent one of no form: a member of the outermost object.
    told_by: &'static str,
    /// Whether a document is of this form, as far as it was seen: asked again at each member, until some form says yes.
    is_of: fn(&Glimpse<'_, '_>) -> bool,
    /// Reads one document from where the reader stands, with what stands beside it.
    read: for<'a> fn(&mut Reader<'a>, Beside<'a>, &mut Judge<'a, '_>) -> Result<ChangeSet<'a>, Fault>,
}

impl std::fmt::Debug for Form {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name)
    }
}

/// Every form of change documents there is.
pub static FORMS: [Form; 3] = [
    Form {
        name: "activities",
        word: "activities",
        told_by: "activities",
        is_of: |seen| seen.has("activities"),
        read: |reader, _, judge| activities::read(reader, judge),
    },
    Form {
        name: "wal2json-v1",
        word: "wal2json",
        told_by: "change",
        is_of: |seen| seen.has("change"),
        read: |reader, _, judge| wal2json::v1::read(reader, judge),
    },
    Form {
        name: "wal2json-v2",
        word: "wal2json",
        told_by: "action",
        is_of: |seen| seen.has("action"),
        read: |reader, _, judge| wal2json::v2::read(reader, judge),
    },
];

/// Reads the one change document that `text` holds, in whichever of the forms named by `words` its shape shows.
///
/// Gives the form's name, or none when no form was recognised (a violation says so). None at all for a text that is empty, where
/// that is no document of any form.
pub fn read_changes<'a>(
    text: &'a str,
    beside: Beside<'a>,
    words: &[String],
    judge: &mut Judge<'a, '_>,
) -> Result<Option<(Option<&'static str>, ChangeSet<'a>)>, Fault> {
    read_in(&FORMS, text, beside, words, judge)
}

/// [`read_changes`], among the forms that are given.
fn read_in<'a>(
    forms: &'static [Form],
    text: &'a str,
    beside: Beside<'a>,
    words: &[String],
    judge: &mut Judge<'a, '_>,
) -> Result<Option<(Option<&'static str>, ChangeSet<'a>)>, Fault> {
    let mut reader = Reader::new(text);
    let form = glimpse::form_of(forms, |form, seen| (form.is_of)(seen), text, beside)?
        .filter(|form| words.iter().any(|word| word == form.word));
    let Some(form) = form else {
        if reader.is_done() {
            return Ok(None);
        }
        unrecognised(forms, &mut reader, words, judge)?;
        return Ok(Some((None, ChangeSet::default())));
    };
    let changes = (form.read)(&mut reader, beside, judge)?;
    if !reader.is_done() {
        judge.violation(&Path::ROOT, || {
            "another document follows; send one, or several as application/x-ndjson".to_string()
        });
        while !reader.is_done() {
            reader.skip(&Path::ROOT, judge)?;
        }
    }
    Ok(Some((Some(form.name), changes)))
}

/// Tells the form of the document at the beginning of `text` by its shape alone.
pub(crate) fn recognise(text: &str) -> Result<Option<&'static Form>, Fault> {
    if text.trim_ascii().is_empty() {
        return Reader::new(text).peek().map(|_| None);
    }
    glimpse::form_of(&FORMS, |form, seen| (form.is_of)(seen), text, Beside::default())
}

/// Walks over a document of no known form, so that a fault in its JSON is told before its shape.
fn unrecognised<'a>(
    forms: &[Form],
    reader: &mut Reader<'a>,
    words: &[String],
    judge: &mut Judge<'a, '_>,
) -> Result<(), Fault> {
    let value = reader.value(&Path::ROOT, judge)?;
    reader.finish()?;
    let members: Vec<_> = forms
        .iter()
        .filter(|form| words.iter().any(|word| word == form.word))
        .map(|form| format!("`{}` ({})", form.told_by, form.name))
        .collect();
    judge.violation(&Path::ROOT, || {
        format!(
            "{} of no known form was found; a change document is an object with {}",
            value.kind(),
            members.join(" or ")
        )
    });
    Ok(())
}

#[cfg(test)]
mod tests;
