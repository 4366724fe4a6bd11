//! A Bloom filter of 64-byte blocks: it answers "surely not there" for all but a hundredth of the keys that are not, with
//! a look at one line of the processor's cache. Keys are digests, so their own bits are the hashes.

/// Bits for each key. With [`PROBES`] of them set, 7 in 1,000 keys that are not there seem to be.
const BITS_PER_KEY: usize = 12;

const PROBES: u32 = 7;

/// The words of a block.
const WORDS: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    blocks: Vec<[u64; WORDS]>,
}

impl Filter {
    /// An empty one for so many keys.
    pub(super) fn for_keys(count: usize) -> Self {
        let blocks = (count * BITS_PER_KEY).div_ceil(64 * WORDS).max(1);
        Filter { blocks: vec![[0; WORDS]; blocks] }
    }

    pub(super) fn insert(&mut self, key: u128) {
        let block = self.block(key);
        for bit in bits(key) {
            self.blocks[block][bit / 64] |= 1 << (bit % 64);
        }
    }

    /// False when the key was surely never inserted.
    pub(super) fn may_have(&self, key: u128) -> bool {
        let block = &self.blocks[self.block(key)];
        bits(key).all(|bit| block[bit / 64] & (1 << (bit % 64)) != 0)
    }

    /// The bytes that it takes.
    pub(super) fn size(&self) -> usize {
        self.blocks.len() * WORDS * 8
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.blocks.iter().flatten().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Reads it again; none when these bytes are no filter.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let (blocks, more) = words.as_chunks::<WORDS>();
        let is_whole = rest.is_empty() && more.is_empty() && !blocks.is_empty();
        is_whole.then(|| Filter { blocks: blocks.to_vec() })
    }

    /// The first half of a key chooses the block …
    fn block(&self, key: u128) -> usize {
        let high = (key >> 64) as u64;
        ((u128::from(high) * self.blocks.len() as u128) >> 64) as usize
    }
}

/// … and the second the bits: nine of its bits for each.
fn bits(key: u128) -> impl Iterator<Item = usize> {
    let low = key as u64;
    (0..PROBES).map(move |probe| ((low >> (9 * probe)) & 511) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> u128 {
        u128::from_be_bytes(crate::store::keys::fingerprint("s", &n.to_string()))
    }

    #[test]
    fn what_is_in_it_is_found_and_hardly_anything_else() {
        let mut filter = Filter::for_keys(10_000);
        (0..10_000).for_each(|n| filter.insert(key(n)));
        let again = Filter::from_bytes(&filter.to_bytes()).unwrap();
        assert_eq!(again, filter);
        assert!((0..10_000).all(|n| again.may_have(key(n))));
        let wrong = (10_000..110_000).filter(|n| again.may_have(key(*n))).count();
        assert!(wrong < 1_500, "{wrong} of 100,000");
        for bytes in [&[][..], &[0; 63], &[0; 65], &[0; 8]] {
            assert_eq!(Filter::from_bytes(bytes), None);
        }
    }
}
