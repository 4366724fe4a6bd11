//! The names by which senders and operators speak of documents: streams, topics, positions, receipts.
//!
//! Each is parsed once; inside the program the type is the proof. Nothing here reads or writes.

use std::fmt;
use std::sync::Arc;

/// The name of a stream: letters, digits, `_`, `.` and `-`, not starting with `.` or `-`, at most 200 characters.
///
/// Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName(Arc<str>);

/// The name of a topic, as Kafka allows them: `[a-zA-Z0-9._-]`, 1 to 249 characters. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName(Arc<str>);

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} cannot name a {what}: use {rule}")]
pub struct BadName {
    text: String,
    what: &'static str,
    rule: String,
}

impl BadName {
    /// What a name can be, to be read after "use" or "write".
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

fn is_name(text: &str, length_max: usize) -> bool {
    !text.is_empty() && text.len() <= length_max && text.chars().all(is_name_char)
}

/// Whether names may hold it.
pub fn is_name_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '_' | '.' | '-')
}

impl StreamName {
    /// Stream names become parts of paths, topics, consumer groups and metric labels.
    const LENGTH_MAX: usize = 200;

    /// Checks `text`.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        if is_name(text, Self::LENGTH_MAX) && !text.starts_with(['.', '-']) {
            return Ok(StreamName(text.into()));
        }
        let rule = format!(
            "up to {} letters (a-z, A-Z), digits, `_`, `.` and `-`, and begin with a letter, a digit or `_`",
            Self::LENGTH_MAX
        );
        Err(BadName { text: text.into(), what: "stream", rule })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TopicName {
    /// Kafka's limit, which its file names set.
    const LENGTH_MAX: usize = 249;

    /// Checks `text`.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        if is_name(text, Self::LENGTH_MAX) && text != "." && text != ".." {
            return Ok(TopicName(text.into()));
        }
        let rule =
            format!("1 to {} letters (a-z, A-Z), digits, `.`, `_` and `-`, and not `.` or `..`", Self::LENGTH_MAX);
        Err(BadName { text: text.into(), what: "topic", rule })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Where a record stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The topic that keeps the record.
    pub topic: TopicName,
    /// The partition of the topic, counted from 0.
    pub partition: i32,
    /// The place in the partition, counted from 0.
    pub offset: i64,
}

/// The id of an accepted document: its position, written `TOPIC-PARTITION-OFFSET`. Opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Receipt(pub Position);

impl Receipt {
    /// Reads a receipt from the right, since a topic's name may hold hyphens. None when `text` can be no receipt.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, offset) = text.rsplit_once('-')?;
        let (topic, partition) = rest.rsplit_once('-')?;
        // As it was written: `00` would be a second text for the same document.
        let is_plain = |digits: &str| digits == "0" || !digits.starts_with('0');
        let number =
            |digits: &str| (is_plain(digits) && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(());
        number(offset)?;
        number(partition)?;
        Some(Receipt(Position {
            topic: TopicName::parse(topic).ok()?,
            partition: partition.parse().ok()?,
            offset: offset.parse().ok()?,
        }))
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}-{}", self.0.topic, self.0.partition, self.0.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_are_read_from_the_right() {
        let receipt = Receipt::parse("my-topic-1-0-42").unwrap();
        assert_eq!(receipt.0.topic.as_str(), "my-topic-1");
        assert_eq!((receipt.0.partition, receipt.0.offset), (0, 42));
        assert_eq!(receipt.to_string(), "my-topic-1-0-42");
        for text in [
            "",
            "x",
            "x-1",
            "x-1-",
            "x--1-2-",
            "x-0-+4",
            "x-0-99999999999999999999",
            "-0-1",
            "a b-0-1",
            "x-00-1",
            "x-0-042",
        ] {
            assert_eq!(Receipt::parse(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_checked() {
        let long = "x".repeat(250);
        let streams: (&[&str], &[&str]) =
            (&["a", "People", "_x", "0.a-b_c", &long[..200]], &["", ".a", "-a", "a b", "\u{e4}", "a/b", &long[..201]]);
        let topics: (&[&str], &[&str]) = (&["a", "-a", ".a", &long[..249]], &["", ".", "..", "a/b", "a b", &long]);
        let stream = |text: &str| StreamName::parse(text).map(|name| name.to_string());
        let topic = |text: &str| TopicName::parse(text).map(|name| name.to_string());
        check(stream, streams, &["stream", "up to 200 letters"]);
        check(topic, topics, &["topic", "1 to 249 letters"]);
    }

    fn check(parse: fn(&str) -> Result<String, BadName>, (good, bad): (&[&str], &[&str]), words: &[&str]) {
        for text in good {
            assert_eq!(parse(text).as_deref(), Ok(*text));
        }
        for text in bad {
            let refused = parse(text).expect_err(text).to_string();
            assert!(words.iter().all(|word| refused.contains(word)), "{refused}");
        }
    }
}
