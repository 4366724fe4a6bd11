//! The key of a record: documents under one key stay in order.

use bytes::Bytes;

use crate::change::ChangeSet;
use crate::json::{self, Json};

/// What a record's key is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRule {
    /// No key: no order is asked for.
    None,
    /// One key for every document: total order.
    Constant(Bytes),
    /// The first table that the document changes.
    Table,
    /// The value at a JSON Pointer (RFC 6901).
    Pointer(String),
}

impl KeyRule {
    /// The key of the document in `text`, which is well formed; a sentence when the document lacks it.
    pub fn find(&self, text: &str, changes: &ChangeSet<'_>) -> Result<Option<Bytes>, String> {
        match self {
            KeyRule::None => Ok(None),
            KeyRule::Constant(key) => Ok(Some(key.clone())),
            KeyRule::Table => Ok(changes.changes.first().map(|change| Bytes::from(change.table.to_string()))),
            KeyRule::Pointer(pointer) => match json::at(text, pointer) {
                Some(Json::Text(text)) => Ok(Some(Bytes::from(text.into_owned()))),
                Some(Json::Number(text) | Json::Array(text) | Json::Object(text)) => {
                    Ok(Some(Bytes::copy_from_slice(text.as_bytes())))
                }
                Some(Json::Boolean(value)) => Ok(Some(Bytes::from(value.to_string()))),
                Some(Json::Null) => Ok(None),
                None => Err(format!("nothing stands at {pointer}, the key of this stream")),
            },
        }
    }
}
