//! What the journal keeps: a key, the document's own bytes, and headers that say what the document is.

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

/// The headers of a record: the attributes of CloudEvents 1.0 that every document gets, and what a sender asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Headers {
    /// `ce_id`: a UUID of the document, of version 7; one made from the stream and the idempotency key where there is one,
    /// so that a repeated key repeats it.
    #[serde(rename = "ce_id")]
    pub id: String,
    /// `ce_source`: the stream.
    #[serde(rename = "ce_source")]
    pub source: String,
    /// `ce_type`: the form, such as `activities` or `event`.
    #[serde(rename = "ce_type")]
    pub form: String,
    /// The sender's `Idempotency-Key`, if any.
    #[serde(rename = "idempotency-key", default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// Idempotency keys of documents from files begin so. No sender can write one: a header's value holds no control
/// character.
pub const FILE_KEY: &str = "\u{1}file:";

/// The form of an event that is bare text and no JSON. It is judged, and kept in a table, as the JSON string of it.
pub const TEXT: &str = "text";

impl Headers {
    /// Whether the value is bare text.
    pub fn is_text(&self) -> bool {
        self.form == TEXT
    }

    fn size(&self) -> usize {
        self.id.len()
            + self.source.len()
            + self.form.len()
            + self.idempotency_key.as_ref().map_or(0, String::len)
            + "ce_idce_sourcece_type".len()
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
