//! Which idempotency keys were summed up already, so that what apply would call a duplicate is not counted twice.

use std::collections::{HashSet, VecDeque};

use crate::record::Kept;

/// So many keys are remembered at most, 32 bytes each: beyond that the oldest are forgotten, whatever their age.
const KEYS_MAX: usize = 1_000_000;

/// The first half of the SHA-256 of an idempotency key.
type Digest = [u8; 16];

/// The keys that were met, in the order of their records. They are forgotten by the time of records, never by the clock, so
/// that a replay gives the same.
#[derive(Debug, Clone)]
pub struct Seen {
    kept_ms: i64,
    known: HashSet<Digest>,
    oldest: VecDeque<(i64, Digest)>,
    /// The last so many were met by a batch that is not committed yet.
    fresh: usize,
}

impl Seen {
    /// Remembers keys for so long.
    pub fn new(kept_ms: i64) -> Self {
        Seen { kept_ms, known: HashSet::new(), oldest: VecDeque::new(), fresh: 0 }
    }

    /// Whether a record repeats a key.
    pub fn knows(&self, kept: &Kept) -> bool {
        digest(kept).is_some_and(|digest| self.known.contains(&digest))
    }

    /// Whether a record repeats a key; a new one is remembered.
    pub fn is_repeated(&mut self, kept: &Kept) -> bool {
        let Some(digest) = digest(kept) else { return false };
        if !self.known.insert(digest) {
            return true;
        }
        self.oldest.push_back((kept.record.timestamp_ms, digest));
        self.fresh += 1;
        false
    }

    /// Puts back what was written down before a restart, in its order.
    pub fn restore(&mut self, at_ms: i64, digest: [u8; 16]) {
        if self.known.insert(digest) {
            self.oldest.push_back((at_ms, digest));
        }
    }

    /// The keys that were met since the last commit, to be written down with it.
    pub fn fresh(&self) -> impl Iterator<Item = (i64, [u8; 16])> {
        self.oldest.iter().skip(self.oldest.len() - self.fresh).copied()
    }

    /// Says that the batch is committed, and forgets what is too old by now. Gives how many of the oldest were forgotten.
    pub fn commit(&mut self, now_ms: i64) -> usize {
        self.fresh = 0;
        let mut forgotten = 0;
        while let Some((at, digest)) = self.oldest.front().copied() {
            if self.oldest.len() <= KEYS_MAX && at.saturating_add(self.kept_ms) > now_ms {
                break;
            }
            self.oldest.pop_front();
            self.known.remove(&digest);
            forgotten += 1;
        }
        forgotten
    }
}

fn digest(kept: &Kept) -> Option<Digest> {
    let key = kept.record.headers.idempotency_key.as_ref()?;
    let mut digest = [0; 16];
    digest.copy_from_slice(&crate::digest(key.as_bytes())[..16]);
    Some(digest)
}
