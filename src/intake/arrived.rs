//! The documents of a request on their way to the gate: cut from the body, or read from YAML.

use bytes::Bytes;

use super::{events, record};
use crate::format::event::ATTRIBUTE;
use crate::format::lines::{BYTE_ORDER_MARK, Layout, pieces, too_large};
use crate::gate::judging;
use crate::problem::Problem;
use crate::record::{Beside, Headers, Record};
use crate::stream::Stream;

/// The documents of one YAML body, as JSON with their aliases written out.
const YAML_BYTES_MAX: usize = 16 << 20;

/// A document before the gate.
#[derive(Debug)]
pub(super) struct Arrived {
    /// Its JSON.
    pub(super) bytes: Bytes,
    /// The attributes of the CloudEvent whose data it is.
    pub(super) event: Option<Headers>,
    /// Where it stands in what was sent, for the pointers of violations: `/data` of an event.
    pub(super) within: &'static str,
}

impl Arrived {
    /// A document that is no event's data.
    pub(super) fn plain(bytes: Bytes) -> Self {
        Arrived { bytes, event: None, within: "" }
    }
}

/// One of the documents of a body.
#[derive(Debug)]
pub(super) struct Part {
    /// The line it begins on, counted from 1.
    pub(super) line: usize,
    /// How many lines it takes.
    pub(super) lines: usize,
    /// Which one it is in a batch of events, counted from 0.
    pub(super) index: Option<usize>,
    /// The document, or why it is none.
    pub(super) document: Result<Arrived, Problem>,
}

/// A body without the byte order mark that may stand at its beginning.
pub(super) fn without_mark(body: Bytes) -> Bytes {
    if body.starts_with(BYTE_ORDER_MARK) { body.slice(BYTE_ORDER_MARK.len()..) } else { body }
}

/// The documents that stand in a body.
pub(super) fn parts(body: &Bytes, layout: Layout, bytes_max: usize) -> impl Iterator<Item = Part> {
    // What aliases make of a body is bounded as the body is.
    let mut left = YAML_BYTES_MAX.max(bytes_max);
    pieces(body, layout, bytes_max).map(move |piece| {
        let document = judging(|| match layout {
            Layout::Yaml => piece.document(layout, bytes_max.min(left)).map(|json| {
                left -= json.len();
                Bytes::from(json.into_owned())
            }),
            _ => piece.document(layout, bytes_max).map(|_| body.slice_ref(piece.bytes)),
        });
        Part { line: piece.line, lines: piece.lines, index: None, document: document.map(Arrived::plain) }
    })
}

/// Judges a document: its record, which may take `record_bytes_max` bytes, and how many changes it makes.
pub(super) fn judge(
    stream: &Stream,
    arrived: Arrived,
    idempotency_key: Option<String>,
    record_bytes_max: usize,
) -> Result<(Record, usize), Problem> {
    let Arrived { bytes, event, within } = arrived;
    let beside = event.as_ref().map_or(Beside::default(), Beside::of_event);
    let accepted = stream.gate.judge_with(&bytes, beside).map_err(|mut problem| {
        for error in &mut problem.errors {
            error.pointer = match error.pointer.strip_prefix(ATTRIBUTE) {
                Some(name) => format!("/{name}"),
                None => format!("{within}{}", error.pointer),
            };
        }
        problem
    })?;
    let (form, key, changes) = (accepted.form, accepted.key, accepted.changes.changes.len());
    let record = match event {
        Some(event) => events::record(stream, event, key, bytes),
        None => record(stream, form, key, bytes, idempotency_key),
    };
    if record.size() > record_bytes_max {
        return Err(too_large(record_bytes_max));
    }
    Ok((record, changes))
}
