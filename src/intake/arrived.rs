//! The documents of a request on their way to the gate: cut from the body, read from YAML, taken out of events.

use bytes::Bytes;

use super::record;
use crate::format::lines::{Layout, pieces, too_large};
use crate::problem::Problem;
use crate::record::Record;
use crate::stream::Stream;

/// A document before the gate.
#[derive(Debug)]
pub(super) struct Arrived {
    /// Its JSON.
    pub(super) bytes: Bytes,
}

/// One of the documents of a body.
#[derive(Debug)]
pub(super) struct Part {
    /// The line it begins on, counted from 1.
    pub(super) line: usize,
    /// How many lines it takes.
    pub(super) lines: usize,
    /// The document, or why it is none.
    pub(super) document: Result<Arrived, Problem>,
}

/// The documents that stand in a body.
pub(super) fn parts(body: &Bytes, layout: Layout, bytes_max: usize) -> impl Iterator<Item = Part> {
    pieces(body, layout, bytes_max).map(move |piece| {
        let document = match layout {
            Layout::Yaml => piece.document(layout, bytes_max).map(|json| Bytes::from(json.into_owned())),
            _ => piece.document(layout, bytes_max).map(|_| body.slice_ref(piece.bytes)),
        };
        Part { line: piece.line, lines: piece.lines, document: document.map(|bytes| Arrived { bytes }) }
    })
}

/// Judges a document: its record, which may take `record_bytes_max` bytes, and how many changes it makes.
pub(super) fn judge(
    stream: &Stream,
    arrived: Arrived,
    idempotency_key: Option<String>,
    record_bytes_max: usize,
) -> Result<(Record, usize), Problem> {
    let accepted = stream.gate.judge(&arrived.bytes)?;
    let (form, key, changes) = (accepted.form, accepted.key, accepted.changes.changes.len());
    let record = record(stream, form, key, arrived.bytes, idempotency_key);
    if record.size() > record_bytes_max {
        return Err(too_large(record_bytes_max));
    }
    Ok((record, changes))
}
