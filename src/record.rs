//! What the journal keeps: a key, the document's own bytes, and headers that say what the document is.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::document::Position;

/// One document in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What must stay in order stays under one key. None: no order is asked for.
    pub key: Option<Bytes>,
    /// The document's own bytes.
    pub value: Bytes,
    /// What is said about the document beside it.
    pub headers: Headers,
    /// When the document was accepted, in milliseconds since 1970 (UTC).
    pub timestamp_ms: i64,
}

impl Record {
    /// How many bytes the record takes, key and headers included.
    pub fn size(&self) -> usize {
        self.value.len() + self.key.as_ref().map_or(0, Bytes::len) + self.headers.size()
    }
}

/// The headers of a record: the attributes of CloudEvents 1.0 that every document has, those that a CloudEvent brought,
/// and what a sender asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Headers {
    /// `ce_id`: that of the CloudEvent; else a UUID of the document, of version 7, or one made from the stream and the
    /// idempotency key where there is one, so that a repeated key repeats it.
    #[serde(rename = "ce_id")]
    pub id: String,
    /// `ce_source`: that of the CloudEvent; else the stream.
    #[serde(rename = "ce_source")]
    pub source: String,
    /// `ce_type`: that of the CloudEvent; else the form, such as `activities` or `event`.
    #[serde(rename = "ce_type")]
    pub form: String,
    /// The sender's `Idempotency-Key`, if any; see also [`FILE_KEY`], [`COMMIT_KEY`] and [`EVENT_KEY`].
    #[serde(rename = "idempotency-key", default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The further attributes of a CloudEvent by name: `time`, `subject`, `dataschema`, `datacontenttype` and extensions.
    /// Values are plain text, as CloudEvents writes any attribute (`true`, `7`). Empty for every other document.
    #[serde(rename = "attributes", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub further: BTreeMap<String, String>,
}

/// Idempotency keys of documents from files begin so. No sender can write one: a header's value holds no control
/// character.
pub const FILE_KEY: &str = "\u{1}file:";

/// Idempotency keys of wal2json documents that came by a pipe, and say their commit, begin so. No sender can write one, see
/// [`FILE_KEY`]; other than those of files they are forgotten by their age, since no file's end says when.
pub const COMMIT_KEY: &str = "\u{2}commit:";

/// Idempotency keys of CloudEvents begin so. See [`FILE_KEY`].
pub const EVENT_KEY: &str = "\u{1}event:";

/// The only version of CloudEvents there is.
pub const SPECVERSION: &str = "1.0";

/// The form of an event that is bare text and no JSON. It is judged, and kept in a table, as the JSON string of it.
pub const TEXT: &str = "text";

/// The `datacontenttype` of bare text, by which it is known: of CloudEvents the gate takes JSON only.
const TEXT_MEDIA: &str = "text/plain; charset=utf-8";

impl Headers {
    /// Whether the value is bare text.
    pub fn is_text(&self) -> bool {
        let essence =
            self.further.get("datacontenttype").map(|media| media.split(';').next().unwrap_or_default().trim());
        essence.is_some_and(|essence| essence.eq_ignore_ascii_case("text/plain"))
    }

    /// Says that the value is bare text.
    pub fn mark_text(&mut self) {
        self.further.insert("datacontenttype".to_owned(), TEXT_MEDIA.to_owned());
    }

    /// Takes back that the value is bare text: it is JSON of the form `form` from now on.
    pub fn unmark_text(&mut self, form: &str) {
        if self.is_text() {
            self.further.remove("datacontenttype");
            form.clone_into(&mut self.form);
        }
    }

    /// The attribute of CloudEvents called `name`, such as `type` or an extension.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        match name {
            "id" => Some(&self.id),
            "source" => Some(&self.source),
            "type" => Some(&self.form),
            "specversion" => Some(SPECVERSION),
            _ => self.further.get(name).map(String::as_str),
        }
    }

    /// Every attribute of CloudEvents with its name, as plain text. How a journal writes them down is its own matter.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let required =
            [("id", &*self.id), ("source", &*self.source), ("specversion", SPECVERSION), ("type", &*self.form)];
        required.into_iter().chain(self.further.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// The headers whose attributes these are; `specversion` is left out. There is no idempotency key among attributes.
    pub fn from_attributes(attributes: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut headers = Headers::default();
        for (name, value) in attributes {
            match name.as_str() {
                "id" => headers.id = value,
                "source" => headers.source = value,
                "type" => headers.form = value,
                "specversion" => {}
                _ => drop(headers.further.insert(name, value)),
            }
        }
        headers
    }

    fn size(&self) -> usize {
        let further: usize = self.further.iter().map(|(name, value)| name.len() + value.len() + 6).sum();
        self.id.len()
            + self.source.len()
            + self.form.len()
            + self.idempotency_key.as_ref().map_or(0, String::len)
            + "ce_idce_sourcece_type".len()
            + further
    }
}

/// What stands beside the body of a document, and may say what the body does not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    /// The key that the sender gave it: that of a record which another program wrote, or the `partitionkey` of a CloudEvent.
    /// A key that was made of the document, by its stream's rule, says nothing more about it and is left out.
    pub key: Option<&'a [u8]>,
    /// The headers of the record, or the attributes of the CloudEvent.
    pub headers: Option<&'a Headers>,
}

impl<'a> Beside<'a> {
    /// What stands beside the data of a CloudEvent.
    pub fn of_event(headers: &'a Headers) -> Self {
        Beside { key: headers.attribute("partitionkey").map(str::as_bytes), headers: Some(headers) }
    }

    /// What stands beside the value of a record. One with an id came by a gate, which made its key.
    pub fn of_record(record: &'a Record) -> Self {
        match &record.headers {
            headers if headers.id.is_empty() => Beside { key: record.key.as_deref(), headers: Some(headers) },
            headers => Self::of_event(headers),
        }
    }
}

/// A record as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where it stands.
    pub position: Position,
    /// What was appended.
    pub record: Record,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_back_as_they_were() {
        let pairs = [("id", "1"), ("source", "/s ü"), ("type", "t"), ("time", "2026-01-31T00:00:00Z"), ("tenant", "")];
        let headers = Headers::from_attributes(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        assert_eq!(Headers::from_attributes(headers.attributes().map(owned)), headers);
        for (name, value) in pairs {
            assert_eq!(headers.attribute(name), Some(value));
        }
        assert_eq!((headers.attribute("specversion"), headers.attribute("subject")), (Some("1.0"), None));
    }

    #[test]
    fn headers_of_earlier_versions_are_read() {
        let old = r#"{"ce_id":"1","ce_source":"s","ce_type":"event","idempotency-key":"k"}"#;
        let headers: Headers = serde_json::from_str(old).unwrap();
        assert_eq!((headers.id.as_str(), headers.idempotency_key.as_deref()), ("1", Some("k")));
        assert_eq!(serde_json::to_string(&headers).unwrap(), old);
    }
}
