//! Numbers that look random and are the same for one seed (Vigna, "splitmix64"). Nobody's secret may come from them.

/// A sequence of numbers.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next 64 bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number below `bound`, which is not zero (Lemire's multiplication; its bias is below `bound` in 2^64).
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        match high.abs_diff(low).checked_add(1) {
            Some(count) => low.wrapping_add_unsigned(self.below(count)),
            None => self.bits() as i64,
        }
    }

    /// Appends a random UUID (version 4).
    pub(super) fn write_uuid(&mut self, out: &mut Vec<u8>) {
        let bits = (u128::from(self.bits()) << 64) | u128::from(self.bits());
        let uuid = uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid();
        out.extend_from_slice(uuid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).as_bytes());
    }
}
