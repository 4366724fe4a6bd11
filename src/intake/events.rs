//! CloudEvents over HTTP: one in headers and body (binary), one in a body (structured), many in a body (batch).

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;

use super::arrived::{Arrived, Part};
use crate::clock;
use crate::format::cloud_event::{self, CloudEvent, NO_DATA};
use crate::gate::KeyRule;
use crate::problem::{Problem, ProblemType};
use crate::record::{EVENT_KEY, Headers, Record};
use crate::stream::Stream;

/// What an event may take besides its data: its attributes, and the names of its members.
pub(super) const ATTRIBUTES_BYTES_MAX: usize = 64 << 10;

/// Longer sources and ids are told apart by their digest: each key is kept for as long as `duplicates_kept` says.
const KEY_BYTES_MAX: usize = 255;

/// What the headers of binary events begin with.
const PREFIX: &str = "ce-";

/// Whether a request is a binary event.
pub(super) fn is_binary(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with(PREFIX))
}

/// The event that headers and body are together; `document` is the body as JSON.
pub(super) fn binary(headers: &HeaderMap, document: Bytes) -> Result<Arrived, Problem> {
    let attributes =
        headers.iter().filter_map(|(name, value)| Some((name.as_str().strip_prefix(PREFIX)?, value.as_bytes())));
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut event = cloud_event::binary(attributes, content_type)?;
    // A document of YAML is JSON by now.
    if let Some(media) = event.further.get_mut("datacontenttype").filter(|media| !cloud_event::is_json_media(media)) {
        "application/json".clone_into(media);
    }
    let bytes = if document.is_empty() { Bytes::from_static(NO_DATA.as_bytes()) } else { document };
    Ok(Arrived { bytes, event: Some(event), within: "" })
}

/// The event that is the whole body.
pub(super) fn structured(body: &Bytes) -> Result<Arrived, Problem> {
    arrived(body, text(body)?)
}

/// The events of a body that is a batch of them.
pub(super) fn batch(body: &Bytes) -> Result<impl Iterator<Item = Part>, Problem> {
    let text = text(body)?;
    let events = cloud_event::batch(text)?;
    let lines_in = |text: &str| text.bytes().filter(|byte| *byte == b'\n').count();
    let (mut line, mut seen) = (1, 0);
    Ok(events.into_iter().enumerate().map(move |(index, event)| {
        let begin = event.as_ptr().addr() - text.as_ptr().addr();
        line += lines_in(&text[seen..begin]);
        seen = begin;
        Part { line, lines: lines_in(event) + 1, index: Some(index), document: arrived(body, event) }
    }))
}

fn text(body: &Bytes) -> Result<&str, Problem> {
    std::str::from_utf8(body).map_err(|_| Problem::new(ProblemType::NotJson, "the body is not UTF-8"))
}

fn arrived(body: &Bytes, event: &str) -> Result<Arrived, Problem> {
    let CloudEvent { headers, data, within } = cloud_event::structured(event)?;
    let bytes = match data {
        std::borrow::Cow::Borrowed(data) if within == "/data" => body.slice_ref(data),
        data => Bytes::from(data.into_owned()),
    };
    Ok(Arrived { bytes, event: Some(headers), within })
}

/// The record of an event whose data was found valid. Its source and id make it one event, however often it is sent.
pub(super) fn record(stream: &Stream, mut event: Headers, key: Option<Bytes>, value: Bytes) -> Record {
    let name = format!("{}\u{1}{}", event.source, event.id);
    let name = match name.len() {
        0..=KEY_BYTES_MAX => name,
        _ => crate::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    event.idempotency_key = Some(format!("{EVENT_KEY}{name}"));
    // What the stream says of order stands over what a sender says.
    let key = match stream.gate.key {
        KeyRule::None => event.further.get("partitionkey").map(|key| Bytes::from(key.clone())),
        _ => key,
    };
    Record { key, value, headers: event, timestamp_ms: clock::now_ms() }
}
