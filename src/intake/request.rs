//! What a request says beside its body: media type, `Prefer`, `Idempotency-Key`, `dry_run`.

use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::request::Parts;

use super::events;
use crate::http::answer::{Failure, TAKEN};
use crate::media_type::{self, Kind};
use crate::problem::ProblemType;
use crate::query_string;

/// RFC 7240 leaves the limit to us: a request that waits holds memory.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Keys are stored for every document that has one.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// What a request asks for.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) media: Media,
    /// Whether headers make it a binary CloudEvent.
    pub(super) is_event: bool,
    /// How long to wait for the outcome.
    pub(super) wait: Option<Duration>,
    pub(super) is_dry_run: bool,
    /// When its head was read.
    pub(super) begun: Instant,
    pub(super) idempotency_key: Option<String>,
}

/// How documents stand in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// One document.
    Json,
    /// `application/x-ndjson`
    Lines,
    /// `application/yaml`: one document, or several.
    Yaml,
    /// `application/cloudevents+json`: one CloudEvent.
    Event,
    /// `application/cloudevents-batch+json`: many.
    Events,
}

impl Ask {
    pub(super) fn read(head: &Parts) -> Result<Self, Failure> {
        let media = media(&head.headers)?;
        let is_event = events::is_binary(&head.headers) && matches!(media, Media::Json | Media::Yaml | Media::Lines);
        if is_event && media == Media::Lines {
            let detail = "an event has one document as its data; send several as application/cloudevents-batch+json";
            let accept = "application/cloudevents-batch+json, application/json";
            return Err(Failure::new(ProblemType::UnsupportedMediaType, detail).with("accept", accept));
        }
        Ok(Ask {
            media,
            is_event,
            wait: wait(&head.headers),
            begun: Instant::now(),
            is_dry_run: is_dry_run(head.uri.query().unwrap_or(""))?,
            idempotency_key: idempotency_key(&head.headers)?,
        })
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Failure> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let unreadable = |_| Failure::new(ProblemType::BadHeader, format!("{name} holds bytes that are not ASCII"));
    value.to_str().map(Some).map_err(unreadable)
}

pub(super) fn media(headers: &HeaderMap) -> Result<Media, Failure> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Media::Json) };
    if value == "application/json" {
        return Ok(Media::Json);
    }
    let value = value.to_str().unwrap_or_default();
    let refused = |why: &str| {
        let detail = format!("Content-Type is {value:?}: {why}");
        Err(Failure::new(ProblemType::UnsupportedMediaType, detail).with("accept", TAKEN))
    };
    let said = media_type::read(value);
    if !said.is_utf8 {
        return refused("the charset must be utf-8");
    }
    match said.kind {
        Kind::Json => Ok(Media::Json),
        Kind::Lines => Ok(Media::Lines),
        Kind::Yaml => Ok(Media::Yaml),
        Kind::Event => Ok(Media::Event),
        Kind::Events => Ok(Media::Events),
        Kind::EventOfOther => refused("CloudEvents are taken as JSON"),
        Kind::Csv | Kind::Other => refused("send application/json, or application/x-ndjson for one document a line"),
    }
}

pub(super) fn is_dry_run(query: &str) -> Result<bool, Failure> {
    let mut is_dry_run = false;
    for (name, value) in query_string::pairs(query) {
        let decoded = (query_string::decode(name), query_string::decode(value));
        match (decoded.0.as_deref(), decoded.1.as_deref()) {
            (Some("dry_run"), Some("true" | "1" | "")) => is_dry_run = true,
            (Some("dry_run"), Some("false" | "0")) => is_dry_run = false,
            _ => {
                let pair = if value.is_empty() { name.to_owned() } else { format!("{name}={value}") };
                let detail = format!("{pair:?} is not understood here; there is `dry_run=true`");
                return Err(Failure::new(ProblemType::BadQuery, detail));
            }
        }
    }
    Ok(is_dry_run)
}

/// RFC 7240: a preference that is not understood is ignored.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|preference| preference.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, seconds)| seconds.trim().trim_matches('"').parse().ok())
        .map(|seconds| Duration::from_secs(seconds).min(WAIT_MAX))
}

/// A quoted string of RFC 8941; a bare one is accepted.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let name = HeaderName::from_static("idempotency-key");
    let Some(value) = text(headers, &name)?.map(str::trim) else { return Ok(None) };
    let wrong = |why: &str| Err(Failure::new(ProblemType::BadHeader, format!("Idempotency-Key {why}")));
    let key = match value.strip_prefix('"') {
        None => value.to_owned(),
        Some(rest) => {
            let Some(inner) = rest.strip_suffix('"') else {
                return wrong("begins with a quote and does not end with one");
            };
            let mut key = String::with_capacity(inner.len());
            let mut characters = inner.chars();
            while let Some(character) = characters.next() {
                match character {
                    '\\' => match characters.next() {
                        Some(escaped @ ('"' | '\\')) => key.push(escaped),
                        _ => return wrong("holds a backslash that escapes nothing"),
                    },
                    '"' => return wrong("holds a quote that is not escaped"),
                    _ => key.push(character),
                }
            }
            key
        }
    };
    if key.is_empty() {
        return wrong("is empty; leave it out, or send a text that stands for this document");
    }
    if key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        return wrong(&format!("takes {} bytes; {IDEMPOTENCY_KEY_BYTES_MAX} is the most", key.len()));
    }
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), axum::http::HeaderValue::from_static(value))])
    }

    #[test]
    fn media_types_are_told_apart() {
        for (value, expected) in [
            ("application/json", Some(Media::Json)),
            ("Application/JSON; charset=UTF-8", Some(Media::Json)),
            ("application/vnd.debezium+json", Some(Media::Json)),
            ("application/x-ndjson", Some(Media::Lines)),
            ("image/x+json", Some(Media::Json)),
            ("application/json; what", Some(Media::Json)),
            ("application/yaml", Some(Media::Yaml)),
            ("Text/YAML; charset=utf-8", Some(Media::Yaml)),
            ("application/vnd.x+yaml", Some(Media::Yaml)),
            ("application/json; charset=latin1", None),
            ("text/plain", None),
            ("application/x-www-form-urlencoded", None),
            ("application/cloudevents+json", Some(Media::Event)),
            ("application/cloudevents-batch+json; charset=UTF-8", Some(Media::Events)),
            ("Application/CloudEvents-Batch+JSON", Some(Media::Events)),
            ("application/cloudevents+avro", None),
        ] {
            assert_eq!(media(&headers("content-type", value)).ok(), expected, "{value}");
        }
        assert_eq!(media(&HeaderMap::new()).ok(), Some(Media::Json));
    }

    #[test]
    fn dry_runs_are_asked_for_in_any_encoding() {
        for (query, expected) in [
            ("", Some(false)),
            ("dry_run", Some(true)),
            ("dry_run=1&", Some(true)),
            ("dry%5Frun=tru%65", Some(true)),
            ("dry_run=false", Some(false)),
            ("dry_run=perhaps", None),
            ("%FF", None),
            ("limit=1", None),
        ] {
            assert_eq!(is_dry_run(query).ok(), expected, "{query}");
        }
    }

    #[test]
    fn idempotency_keys_are_quoted_or_bare() {
        for (value, expected) in [
            ("\"a b\"", Some("a b")),
            ("a-b", Some("a-b")),
            (r#""a\"b\\""#, Some(r#"a"b\"#)),
            ("\"\"", None),
            ("\"a", None),
            (r#""a\n""#, None),
        ] {
            let found = idempotency_key(&headers("idempotency-key", value)).ok().flatten();
            assert_eq!(found.as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn waiting_is_bounded_and_what_is_not_understood_ignored() {
        for (value, expected) in
            [("wait=5", Some(5)), ("respond-async, wait=100", Some(60)), ("wait=x", None), ("x", None)]
        {
            assert_eq!(wait(&headers("prefer", value)), expected.map(Duration::from_secs), "{value}");
        }
    }
}
