//! The headers of a record as Kafka carries them: CloudEvents 1.0 in Kafka's binary mode, and the idempotency key.
//!
//! Values are UTF-8 as they are: Kafka's binding encodes nothing, unlike HTTP's. Versions before encoded them, and are told by
//! the order of their headers. Records of other writers may have none of these, or others: what is not known is not read.

use std::panic::{AssertUnwindSafe, catch_unwind};

use percent_encoding::percent_decode;
use rdkafka::message::{BorrowedHeaders, Header, Headers as _, OwnedHeaders};

use crate::clock;
use crate::record::{Headers, Record};

const ID: &str = "ce_id";
const SOURCE: &str = "ce_source";
const FORM: &str = "ce_type";
const SPEC_VERSION: &str = "ce_specversion";
const TIME: &str = "ce_time";
const CONTENT_TYPE: &str = "content-type";

/// What the headers of a record begin with whose values are percent-encoded: one of a version before. Now the version of
/// the specification is first.
const ENCODED: [&str; 4] = [ID, SOURCE, FORM, SPEC_VERSION];

/// What every attribute's header begins with; that of the data's media type alone is `content-type`.
const PREFIX: &str = "ce_";
const MEDIA: &str = "datacontenttype";
const JSON: &str = "application/json";
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// When the document was accepted, where Kafka's own timestamp cannot say it.
const ACCEPTED_MS: &str = "accepted-ms";

/// Brokers refuse timestamps that are more than an hour ahead of their clock.
const AHEAD_MS_MAX: i64 = 30 * 60 * 1000;

/// More headers than this are another writer's mistake, and none of ours is behind them.
const COUNT_MAX: usize = 64;

/// What a record is sent with: its headers, and its timestamp if Kafka can carry it.
pub(super) fn of(record: &Record) -> (OwnedHeaders, Option<i64>) {
    let Headers { id, source, form, idempotency_key, further } = &record.headers;
    let mut headers = OwnedHeaders::new_with_capacity(8 + further.len());
    headers = with(headers, SPEC_VERSION, "1.0");
    headers = with(headers, ID, id);
    headers = with(headers, SOURCE, source);
    headers = with(headers, FORM, form);
    headers = with(headers, CONTENT_TYPE, further.get(MEDIA).map_or(JSON, String::as_str));
    for (name, value) in further.iter().filter(|(name, _)| *name != MEDIA) {
        headers = with(headers, &format!("{PREFIX}{name}"), value);
    }
    if let Some(key) = idempotency_key {
        headers = with(headers, IDEMPOTENCY_KEY, key);
    }
    let timestamp_ms = record.timestamp_ms;
    if timestamp_ms > 0 && timestamp_ms <= clock::now_ms().saturating_add(AHEAD_MS_MAX) {
        if !further.contains_key("time") {
            headers = with(headers, TIME, &clock::rfc3339(timestamp_ms));
        }
        (headers, Some(timestamp_ms))
    } else {
        (with(headers, ACCEPTED_MS, &timestamp_ms.to_string()), None)
    }
}

fn with(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
    headers.insert(Header { key, value: Some(value.as_bytes()) })
}

/// What the headers of a record say, whose timestamp in Kafka is `timestamp_ms`, and when it was accepted if they say so.
pub(super) fn read(headers: Option<&BorrowedHeaders>, timestamp_ms: Option<i64>) -> (Headers, Option<i64>) {
    let Some(headers) = headers else { return Default::default() };
    // The binding panics at a header whose name is not UTF-8, and anybody may write one.
    catch_unwind(AssertUnwindSafe(|| read_all(headers, timestamp_ms))).unwrap_or_default()
}

fn read_all(headers: &BorrowedHeaders, timestamp_ms: Option<i64>) -> (Headers, Option<i64>) {
    let (mut found, mut accepted_ms, mut time) = (Headers::default(), None, None);
    let is_encoded = (0..ENCODED.len()).all(|index| headers.try_get(index).is_some_and(|it| it.key == ENCODED[index]));
    let text = |value: &[u8]| match is_encoded {
        true => percent_decode(value).decode_utf8_lossy().into_owned(),
        false => String::from_utf8_lossy(value).into_owned(),
    };
    for index in 0..headers.count().min(COUNT_MAX) {
        let Some(Header { key, value: Some(value) }) = headers.try_get(index) else { continue };
        match key {
            ID => found.id = text(value),
            SOURCE => found.source = text(value),
            FORM => found.form = text(value),
            TIME => time = Some(text(value)),
            IDEMPOTENCY_KEY => found.idempotency_key = Some(text(value)),
            ACCEPTED_MS => accepted_ms = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()),
            CONTENT_TYPE if value != JSON.as_bytes() => drop(found.further.insert(MEDIA.to_owned(), text(value))),
            _ => {
                let name = key.strip_prefix(PREFIX).filter(|name| !matches!(*name, "specversion" | MEDIA));
                if let Some(name) = name.filter(|name| is_attribute(name)) {
                    found.further.insert(name.to_owned(), text(value));
                }
            }
        }
    }
    if let Some(time) = time {
        // The time that `of` gives to a document that came without one is the record's own, and no attribute of it.
        // A stream's name has no `/` and no `:`, and the source of an event that is a URI has one.
        let is_ours = !found.source.contains(['/', ':']);
        if !(is_ours && timestamp_ms.is_some_and(|ms| clock::rfc3339(ms) == time)) {
            found.further.insert("time".to_owned(), time);
        }
    }
    (found, accepted_ms)
}

fn is_attribute(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn record(headers: Headers, timestamp_ms: i64) -> Record {
        Record { key: None, value: Bytes::new(), headers, timestamp_ms }
    }

    #[test]
    fn headers_come_back_as_they_went() {
        let table = [
            ("", "", "", None),
            ("0197", "people", "activities", Some("k")),
            ("ü %41", "a \"b\"", "\n\u{1}", Some("\u{1}file:ä")),
        ];
        for (id, source, form, key) in table {
            let headers = Headers {
                id: id.into(),
                source: source.into(),
                form: form.into(),
                idempotency_key: key.map(str::to_owned),
                ..Headers::default()
            };
            let (sent, timestamp) = of(&record(headers.clone(), 1_767_315_845_678));
            assert_eq!(timestamp, Some(1_767_315_845_678));
            assert_eq!(read(Some(sent.as_borrowed()), timestamp), (headers, None));
        }
        assert_eq!(read(None, None), (Headers::default(), None));
    }

    #[test]
    fn the_attributes_of_an_event_come_back() {
        let attributes = [
            ("id", "1"),
            ("source", "/shop"),
            ("type", "bought"),
            ("time", "2026-01-02T01:04:05.678Z"),
            ("datacontenttype", "application/vnd.x+json"),
            ("subject", "ü %"),
            ("partitionkey", "p"),
        ];
        let pairs = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let headers = Headers::from_attributes(pairs);
        let (sent, timestamp) = of(&record(headers.clone(), 1_767_315_845_678));
        assert_eq!(read(Some(sent.as_borrowed()), timestamp), (headers, None));
        let sent: Vec<_> = sent.as_borrowed().iter().map(|header| header.key.to_owned()).collect();
        let expected = [
            "ce_specversion",
            "ce_id",
            "ce_source",
            "ce_type",
            "content-type",
            "ce_partitionkey",
            "ce_subject",
            "ce_time",
        ];
        assert_eq!(sent, expected);
    }

    #[test]
    fn values_are_as_they_are_and_the_event_says_what_it_is() {
        let pairs =
            [("id", "ä \"%"), ("source", "/%41"), ("type", "t"), ("datacontenttype", "text/plain; charset=utf-8")];
        let headers = Headers::from_attributes(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let (sent, _) = of(&record(headers, 1_767_315_845_678));
        let found: Vec<_> = sent
            .as_borrowed()
            .iter()
            .map(|header| format!("{}={}", header.key, String::from_utf8_lossy(header.value.unwrap_or_default())))
            .collect();
        let expected = [
            "ce_specversion=1.0",
            "ce_id=ä \"%",
            "ce_source=/%41",
            "ce_type=t",
            "content-type=text/plain; charset=utf-8",
            "ce_time=2026-01-02T01:04:05.678Z",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn encoded_values_of_versions_before_are_read_and_those_of_others_are_not_decoded() {
        let sent = |pairs: &[(&str, &str)]| {
            let headers = pairs.iter().fold(OwnedHeaders::new(), |headers, (key, value)| with(headers, key, value));
            read(Some(headers.as_borrowed()), None).0
        };
        let before = sent(&[
            ("ce_id", "%C3%A4%20%22%25"),
            ("ce_source", "/shop"),
            ("ce_type", "a%41"),
            ("ce_specversion", "1.0"),
            ("content-type", "text/plain;%20charset=utf-8"),
            ("ce_subject", "ü %25"),
            ("idempotency-key", "%01k"),
        ]);
        assert_eq!((before.id.as_str(), before.form.as_str()), ("ä \"%", "aA"));
        assert_eq!(before.further["datacontenttype"], "text/plain; charset=utf-8");
        assert_eq!((before.further["subject"].as_str(), before.idempotency_key.as_deref()), ("ü %", Some("\u{1}k")));
        for order in [["ce_specversion", "ce_id"], ["ce_id", "ce_specversion"]] {
            let other = sent(&[(order[0], "%41"), (order[1], "%41"), ("ce_source", "%41"), ("ce_type", "%41")]);
            assert_eq!((other.id.as_str(), other.source.as_str(), other.form.as_str()), ("%41", "%41", "%41"));
        }
    }

    #[test]
    fn a_time_that_kafka_cannot_carry_comes_back_all_the_same() {
        for ms in [i64::MIN, -1, 0, clock::now_ms() + 86_400_000, i64::MAX] {
            let (sent, timestamp) = of(&record(Headers::default(), ms));
            assert_eq!((timestamp, read(Some(sent.as_borrowed()), None).1), (None, Some(ms)));
        }
    }
}
