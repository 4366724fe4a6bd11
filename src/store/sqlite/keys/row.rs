//! A remembered key, as 56 bytes.

/// The bytes of a row.
pub(super) const BYTES: usize = 56;

pub(super) use crate::store::keys::LASTING;

/// A key, the document it stands for, and where that one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// The fingerprint of stream and key.
    pub(super) key: u128,
    /// The digest of the document.
    pub(super) digest: u128,
    /// The number of the stream.
    pub(super) stream: u32,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// When it was noted, in milliseconds since 1970; [`LASTING`] where age does not matter.
    pub(super) noted_ms: i64,
}

impl Row {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.to_be_bytes());
        out.extend_from_slice(&self.digest.to_be_bytes());
        out.extend_from_slice(&self.stream.to_be_bytes());
        out.extend_from_slice(&self.partition.to_be_bytes());
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.extend_from_slice(&self.noted_ms.to_be_bytes());
    }

    pub(super) fn read(bytes: &[u8; BYTES]) -> Self {
        Row {
            key: u128::from_be_bytes(part(bytes, 0)),
            digest: u128::from_be_bytes(part(bytes, 16)),
            stream: u32::from_be_bytes(part(bytes, 32)),
            partition: i32::from_be_bytes(part(bytes, 36)),
            offset: i64::from_be_bytes(part(bytes, 40)),
            noted_ms: i64::from_be_bytes(part(bytes, 48)),
        }
    }
}

/// The bytes of a row from `at` on.
fn part<const N: usize>(bytes: &[u8; BYTES], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}

/// The rows in a blob.
pub(super) fn rows(blob: &[u8]) -> impl Iterator<Item = Row> {
    blob.as_chunks::<BYTES>().0.iter().map(Row::read)
}

/// The row with a key in a blob whose rows are in order.
pub(super) fn find(blob: &[u8], key: u128) -> Option<Row> {
    let sorted = blob.as_chunks::<BYTES>().0;
    let at = sorted.binary_search_by_key(&key, |bytes| u128::from_be_bytes(part(bytes, 0))).ok()?;
    Some(Row::read(&sorted[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_are_written_and_found_by_their_keys() {
        let row =
            |key| Row { key, digest: u128::MAX - key, stream: 7, partition: -1, offset: i64::MIN, noted_ms: LASTING };
        let keys = [0, 1, 5, u128::from(u64::MAX), u128::MAX];
        let mut blob = Vec::new();
        keys.iter().for_each(|key| row(*key).write(&mut blob));
        assert_eq!(blob.len(), keys.len() * BYTES);
        assert!(rows(&blob).eq(keys.map(row)));
        for key in keys {
            assert_eq!(find(&blob, key), Some(row(key)));
        }
        for key in [2, 4, 6, u128::MAX - 1] {
            assert_eq!(find(&blob, key), None);
        }
    }
}
