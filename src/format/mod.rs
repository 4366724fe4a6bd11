//! Bytes to documents: what each form looks like, and how its text becomes a change set.
//!
//! Pure and synchronous. A form is one file and one line in [`FORMS`]; it reads with a [`Reader`] and reports what is
//! wrong to a [`Judge`]. Forms do not decide what a violation means: the gate does.

mod activities;
pub mod cloud_event;
mod columns;
pub mod event;
pub mod lines;
pub mod wal2json;
pub mod yaml;

use crate::change::ChangeSet;
use crate::json::{Fault, Kind, Path, Reader};
use crate::judgement::Judge;

/// A way to write change documents.
pub struct Form {
    /// The name in records and receipts.
    pub name: &'static str,
    /// The word for it in a stream's `forms`.
    pub word: &'static str,
    /// The member of the outermost object that only this form has.
    marker: &'static str,
    /// Reads one document from where the reader stands.
    read: for<'a> fn(&mut Reader<'a>, &mut Judge<'a, '_>) -> Result<ChangeSet<'a>, Fault>,
}

impl std::fmt::Debug for Form {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name)
    }
}

/// Every form of change documents there is.
pub static FORMS: [Form; 3] = [
    Form { name: "activities", word: "activities", marker: "activities", read: activities::read },
    Form { name: "wal2json-v1", word: "wal2json", marker: "change", read: wal2json::v1::read },
    Form { name: "wal2json-v2", word: "wal2json", marker: "action", read: wal2json::v2::read },
];

/// Reads the one change document that `text` holds, in whichever of the forms named by `words` its shape shows.
///
/// Gives the form's name, or none when no form was recognised (a violation says so).
pub fn read_changes<'a>(
    text: &'a str,
    words: &[String],
    judge: &mut Judge<'a, '_>,
) -> Result<(Option<&'static str>, ChangeSet<'a>), Fault> {
    let mut reader = Reader::new(text);
    let form = recognise(text)?.filter(|form| words.iter().any(|word| word == form.word));
    let Some(form) = form else {
        unrecognised(&mut reader, words, judge)?;
        return Ok((None, ChangeSet::default()));
    };
    let changes = (form.read)(&mut reader, judge)?;
    if !reader.is_done() {
        judge.violation(&Path::ROOT, || {
            "another document follows; send one, or several as application/x-ndjson".to_string()
        });
        while !reader.is_done() {
            reader.skip(&Path::ROOT, judge)?;
        }
    }
    Ok((Some(form.name), changes))
}

/// Tells the form of the document at the beginning of `text` by the members of its outermost object.
pub(crate) fn recognise(text: &str) -> Result<Option<&'static Form>, Fault> {
    let mut reader = Reader::new(text);
    if reader.peek()? != Kind::Object {
        return Ok(None);
    }
    reader.begin_object()?;
    while let Some(name) = reader.next_member()? {
        if let Some(form) = FORMS.iter().find(|form| form.marker == name) {
            return Ok(Some(form));
        }
        reader.skip(&Path::ROOT, &mut crate::json::Judged)?;
    }
    Ok(None)
}

/// Walks over a document of no known form, so that a fault in its JSON is told before its shape.
fn unrecognised<'a>(reader: &mut Reader<'a>, words: &[String], judge: &mut Judge<'a, '_>) -> Result<(), Fault> {
    let value = reader.value(&Path::ROOT, judge)?;
    reader.finish()?;
    let members: Vec<_> = FORMS
        .iter()
        .filter(|form| words.iter().any(|word| word == form.word))
        .map(|form| format!("`{}` ({})", form.marker, form.name))
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
