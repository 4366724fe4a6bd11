//! What is seen of a change document before it is read, by which its form is told.

use std::borrow::Cow;

use crate::json::{Fault, Judged, Kind, Path, Reader};
use crate::record::Beside;

/// So many names of members are remembered: a form is told by a few, and a sender can write a million.
const MEMBERS_MAX: usize = 32;

/// A document as far as it was seen.
pub struct Glimpse<'g, 'a> {
    /// What the body is; none when it is empty.
    pub kind: Option<Kind>,
    /// The first names of the outermost object's members, as far as they were met.
    members: &'g [Cow<'a, str>],
    /// The name that was met last.
    last: Option<&'g str>,
    /// What stands beside the body.
    pub beside: Beside<'a>,
}

impl Glimpse<'_, '_> {
    /// Whether the outermost object has this member, and it was met.
    pub fn has(&self, name: &str) -> bool {
        self.last == Some(name) || self.members.iter().any(|member| member == name)
    }
}

/// Tells the form of the document at the beginning of `text`, by what `is_of` says of each; none when no form knows it.
pub(super) fn form_of<F>(
    forms: &'static [F],
    is_of: impl Fn(&F, &Glimpse<'_, '_>) -> bool,
    text: &str,
    beside: Beside<'_>,
) -> Result<Option<&'static F>, Fault> {
    let mut reader = Reader::new(text);
    let kind = if reader.is_done() { None } else { Some(reader.peek()?) };
    let mut members: Vec<Cow<'_, str>> = Vec::new();
    let told = |members: &[Cow<'_, str>], last: Option<&str>| {
        let seen = Glimpse { kind, members, last, beside };
        forms.iter().find(|form| is_of(form, &seen))
    };
    let mut form = told(&members, None);
    if form.is_some() || kind != Some(Kind::Object) {
        return Ok(form);
    }
    reader.begin_object()?;
    while let Some(name) = reader.next_member()? {
        form = told(&members, Some(&name));
        if form.is_some() {
            break;
        }
        reader.skip(&Path::ROOT, &mut Judged)?;
        if members.len() < MEMBERS_MAX {
            members.push(name);
        }
    }
    Ok(form)
}
