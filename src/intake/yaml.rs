//! Bodies of YAML: their documents become JSON, which takes room of its own.

use bytes::Bytes;

use super::arrived::{Arrived, Part, parts};
use super::batch::DOCUMENTS_MAX;
use crate::aside::{self, Slice};
use crate::budget::Share;
use crate::format::lines::Layout;
use crate::http::answer::Failure;
use crate::problem::{Problem, ProblemType};

/// Reading YAML takes so many times what judging the same bytes of JSON does.
const YAML_WEIGHT: usize = 16;

/// So much JSON is made of YAML before it has room.
const YAML_BYTES_ROOMLESS: usize = 1 << 20;

/// The documents of a body, as JSON: one more than are taken, at most. They have room in the body's share.
pub(super) async fn read(body: &Bytes, one_max: usize, share: &mut Share) -> Result<Vec<Part>, Failure> {
    let (mut left, mut read) = (parts(body, Layout::Yaml, one_max), Vec::new());
    let (mut bytes, mut is_done) = (share.bytes(), false);
    while !is_done {
        let work = |slice: &Slice| {
            while read.len() <= DOCUMENTS_MAX && bytes < share.bytes() + YAML_BYTES_ROOMLESS {
                let Some(part) = left.next() else { return Some(true) };
                bytes += size_of::<Part>() + part.document.as_ref().map_or(0, |arrived| arrived.bytes.len());
                read.push(part);
                if slice.is_over() {
                    return None;
                }
            }
            Some(read.len() > DOCUMENTS_MAX)
        };
        is_done = aside::in_slices(body.len().saturating_mul(YAML_WEIGHT), work).await?;
        share.hold(bytes, bytes).await?;
    }
    Ok(read)
}

/// The document of a body that has one.
pub(super) fn only(parts: &mut Vec<Part>) -> Result<Arrived, Problem> {
    let none = |what| Err(Problem::new(ProblemType::NotJson, format!("the body holds {what}")));
    match (parts.len(), parts.pop()) {
        (1, Some(part)) => part.document,
        (0, _) => none("no YAML document"),
        _ => none("several YAML documents, and an event has one as its data"),
    }
}
