//! Idempotency keys as every store keeps them: sixteen bytes that stand for a stream and a key of it, and the document's
//! digest. Where they are kept, and how they are found again, is each store's own matter.

use super::{Fate, StoreError};
use crate::document::{Position, Receipt};
use crate::problem::ProblemType;

/// Longer keys stand for themselves by their digest. A store of an earlier version kept them so.
const KEY_BYTES_MAX: usize = 1024;

/// What stands for a key of a stream: the first half of a SHA-256, which nobody finds a second key for.
pub fn fingerprint(stream: &str, key: &str) -> [u8; 16] {
    let key = key.as_bytes();
    match key.len() <= KEY_BYTES_MAX {
        true => half(&[stream.as_bytes(), b"\0", key]),
        false => half(&[stream.as_bytes(), b"\0", &key[..1], b"\0sha256:", &crate::digest(key)]),
    }
}

/// What stands for a document: the first half of the digest of its bytes.
pub fn shortened(digest: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

/// When a key that is never forgotten for its age was noted.
pub(super) const LASTING: i64 = i64::MAX;

/// When a key counts as noted: for its age, by which it is forgotten.
pub(super) fn noted_ms(key: &str, now_ms: i64) -> i64 {
    if is_lasting(key) { LASTING } else { now_ms }
}

/// Who has a key.
#[derive(Debug)]
pub(super) struct Holder {
    /// Where its document stands.
    pub(super) position: Position,
    /// Whether its document has the digest that is asked with.
    pub(super) is_same: bool,
}

/// What becomes of the document at `position` whose key somebody has, or nobody has yet.
pub(super) fn verdict(position: &Position, key: &str, holder: Option<Holder>) -> Result<Fate, StoreError> {
    match holder {
        None => Ok(Fate::Applied),
        // A dead letter that is tried again has its key already.
        Some(holder) if holder.position == *position => Ok(Fate::Applied),
        Some(Holder { position, is_same: true }) => Ok(Fate::Duplicate { of: position }),
        Some(Holder { position, is_same: false }) => {
            let detail = format!("the idempotency key {key:?} stands for another document, {}", Receipt(position));
            Err(StoreError::document(ProblemType::IdempotencyKeyReused, detail))
        }
    }
}

/// Whether a key is never forgotten for its age: those that no sender can write, of files and of CloudEvents.
pub fn is_lasting(key: &str) -> bool {
    key.starts_with('\u{1}')
}

fn half(parts: &[&[u8]]) -> [u8; 16] {
    shortened(&crate::digest(&parts.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::TopicName;

    #[test]
    fn a_key_makes_a_new_document_a_duplicate_or_a_fault() {
        let at = |offset| Position { topic: TopicName::parse("t").unwrap(), partition: 0, offset };
        for (holder, expected) in [
            (None, Ok(Fate::Applied)),
            (Some((7, true)), Ok(Fate::Applied)),
            // A letter that was mended keeps the key of the document as it was sent.
            (Some((7, false)), Ok(Fate::Applied)),
            (Some((3, true)), Ok(Fate::Duplicate { of: at(3) })),
            (Some((3, false)), Err(ProblemType::IdempotencyKeyReused)),
            // The offset of one whose journal is gone.
            (Some((-1, true)), Ok(Fate::Duplicate { of: at(-1) })),
        ] {
            let shown = format!("{holder:?}");
            let holder = holder.map(|(offset, is_same)| Holder { position: at(offset), is_same });
            let found = verdict(&at(7), "k", holder).map_err(|error| match error {
                StoreError::Document(problem) => problem.kind,
                other => panic!("{other:?} is no document's fault"),
            });
            assert_eq!(found, expected, "{shown}");
        }
    }

    #[test]
    fn only_what_no_sender_can_write_is_never_forgotten() {
        assert_eq!(["k", "\u{1}file:k", ""].map(|key| noted_ms(key, 5)), [5, LASTING, 5]);
    }

    #[test]
    fn each_key_of_each_stream_has_a_fingerprint_of_its_own() {
        let long = ["x".repeat(1025), "x".repeat(1026), format!("x{}", "y".repeat(1024))];
        let keys = ["", "a", "b", "sa", "\u{1}file:a", &long[0], &long[1], &long[2]];
        let mut seen = std::collections::HashSet::new();
        for stream in ["s", "ss", "t"] {
            for key in keys {
                assert!(seen.insert(fingerprint(stream, key)), "{stream} {key}");
                assert_eq!(fingerprint(stream, key), fingerprint(stream, key));
            }
        }
    }
}
