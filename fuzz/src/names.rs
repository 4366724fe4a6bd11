//! Small texts that name things: receipts, streams, topics, URLs of backends, tables.

use std::borrow::Cow;

use sluicegate::change::TableName;
use sluicegate::config::BackendUrl;
use sluicegate::document::{Receipt, StreamName, TopicName};

/// What is read is written as it was; a password is never shown.
pub(crate) fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(receipt) = Receipt::parse(text) {
        assert_eq!(receipt.to_string(), text);
    }
    if let Ok(name) = StreamName::parse(text) {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(name) = TopicName::parse(text) {
        assert_eq!(name.as_str(), text);
    }
    assert_eq!(TableName::parse(Cow::Borrowed(text)).to_string(), text);
    let secret = "f2s9-secret-q7w1";
    if !text.contains(secret) {
        for url in [
            format!("postgres://user:{secret}@{text}"),
            format!("kafka://user:{secret}{text}@host:9092"),
            format!("postgres://host/db?password={secret}&{text}"),
        ] {
            let shown = BackendUrl::new(url.as_str()).to_string();
            assert!(!shown.contains(secret), "{url} is shown as {shown}");
        }
    }
}
