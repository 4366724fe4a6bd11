//! Idempotency keys as every store keeps them: sixteen bytes that stand for a stream and a key of it, and the document's
//! digest. Where they are kept, and how they are found again, is each store's own matter.

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
