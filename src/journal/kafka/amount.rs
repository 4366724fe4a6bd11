//! How much waits for Kafka, or is under way: bytes and records.

use std::ops::{AddAssign, SubAssign};

/// A group that has so much is full, and leaves without waiting for the one before: several requests are under way at once.
pub(super) const GROUP_BYTES: usize = 256 << 10;
pub(super) const GROUP_RECORDS: usize = 1000;

/// How much something is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) bytes: usize,
    pub(super) records: usize,
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Amount) {
        self.bytes += other.bytes;
        self.records += other.records;
    }
}

impl SubAssign for Amount {
    fn sub_assign(&mut self, other: Amount) {
        self.bytes -= other.bytes;
        self.records -= other.records;
    }
}

impl Amount {
    /// Whether it fills so many groups.
    pub(super) fn is_full(self, groups: usize) -> bool {
        self.bytes >= groups * GROUP_BYTES || self.records >= groups * GROUP_RECORDS
    }
}
