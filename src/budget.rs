//! The memory that request bodies share: bytes count when they come, not when they are declared.
//!
//! Small bodies have a part of it that large ones cannot take, and no address takes all of the other part.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// The bytes of large bodies that may be in memory at one time, in KiB.
const LARGE_KIB_MAX: usize = 40 << 10;

/// What one address may have of them, in KiB: three quarters.
const ADDRESS_KIB_MAX: usize = 30 << 10;

/// The bytes of small bodies that may be in memory at one time, in KiB. Every connection may have a KiB at once.
const SMALL_KIB_MAX: usize = 8 << 10;

/// A larger body is a large one.
const SMALL_BYTES_MAX: usize = 16 << 10;

/// A body waits so long for its next bytes to have room.
const ROOM_TIMEOUT: Duration = Duration::from_secs(2);

/// So many addresses are remembered before those that have no body any more are forgotten.
const ADDRESSES_KEPT: usize = 64;

/// The memory for bodies.
#[derive(Debug)]
pub struct Budget {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    addresses: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

impl Default for Budget {
    fn default() -> Self {
        let (small, large) = (Semaphore::new(SMALL_KIB_MAX), Semaphore::new(LARGE_KIB_MAX));
        Budget { small: Arc::new(small), large: Arc::new(large), addresses: Mutex::default() }
    }
}

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowded;

impl From<AcquireError> for Crowded {
    fn from(_: AcquireError) -> Self {
        Crowded
    }
}

/// What one body has of the budget. It goes back when it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    caller: Option<IpAddr>,
    bytes: usize,
    small: Option<OwnedSemaphorePermit>,
    large: Option<[OwnedSemaphorePermit; 2]>,
}

impl Budget {
    /// Nothing yet, for a body that comes from `caller`.
    pub fn share(self: &Arc<Self>, caller: Option<IpAddr>) -> Share {
        Share { budget: Arc::clone(self), caller, bytes: 0, small: None, large: None }
    }

    /// How many bytes of it are taken, and how many there are.
    pub fn fill(&self) -> (usize, usize) {
        let most = SMALL_KIB_MAX + LARGE_KIB_MAX;
        let free = self.small.available_permits() + self.large.available_permits();
        (most.saturating_sub(free) * 1024, most * 1024)
    }

    fn of_address(&self, address: Option<IpAddr>) -> Arc<Semaphore> {
        // What has no address, such as a test's request, shares one.
        let address = address.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)).to_canonical();
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = addresses.get(&address).and_then(Weak::upgrade) {
            return known;
        }
        if addresses.len() >= ADDRESSES_KEPT {
            addresses.retain(|_, known| known.strong_count() > 0);
        }
        let fresh = Arc::new(Semaphore::new(ADDRESS_KIB_MAX));
        addresses.insert(address, Arc::downgrade(&fresh));
        fresh
    }
}

impl Share {
    /// How many bytes it has room for.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes room for `bytes` in all. A large body takes double of what it has, so that it need not come often, but no
    /// more than `most`, which is what it can become.
    pub async fn hold(&mut self, bytes: usize, most: usize) -> Result<(), Crowded> {
        if bytes <= self.bytes {
            return Ok(());
        }
        if bytes <= SMALL_BYTES_MAX && self.large.is_none() {
            let kib = in_kib(bytes) - in_kib(self.bytes);
            if kib > 0 {
                let more = take(&self.budget.small, kib).await?;
                match &mut self.small {
                    Some(permit) => permit.merge(more),
                    none => *none = Some(more),
                }
            }
            self.bytes = in_kib(bytes) as usize * 1024;
            return Ok(());
        }
        let target = bytes.max((2 * bytes).min(most));
        let has = self.large.as_ref().map_or(0, |_| in_kib(self.bytes));
        let kib = in_kib(target) - has;
        // Its own address first: who waits there takes nothing from others.
        let of_address = match &self.large {
            Some([of_address, _]) => Arc::clone(of_address.semaphore()),
            None => self.budget.of_address(self.caller),
        };
        let more = [take(&of_address, kib).await?, take(&self.budget.large, kib).await?];
        match &mut self.large {
            Some(permits) => permits.iter_mut().zip(more).for_each(|(permit, more)| permit.merge(more)),
            none => *none = Some(more),
        }
        self.small = None;
        self.bytes = in_kib(target) as usize * 1024;
        Ok(())
    }
}

fn in_kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

async fn take(from: &Arc<Semaphore>, kib: u32) -> Result<OwnedSemaphorePermit, Crowded> {
    if let Ok(permit) = Arc::clone(from).try_acquire_many_owned(kib) {
        return Ok(permit);
    }
    match tokio::time::timeout(ROOM_TIMEOUT, Arc::clone(from).acquire_many_owned(kib)).await {
        Ok(permit) => Ok(permit?),
        Err(_) => Err(Crowded),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const KIB: usize = 1024;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::V4([10, 0, 0, last].into()))
    }

    /// What comes of it without waiting.
    fn hold(share: &mut Share, bytes: usize, most: usize) -> Option<Result<(), Crowded>> {
        share.hold(bytes, most).now_or_never()
    }

    const HELD: Option<Result<(), Crowded>> = Some(Ok(()));

    #[tokio::test]
    async fn large_bodies_leave_room_for_small_ones_and_for_those_of_other_addresses() {
        let budget = Arc::new(Budget::default());
        let mut mine = Vec::new();
        loop {
            let mut share = budget.share(address(1));
            if hold(&mut share, 1 << 20, 1 << 20).is_none() {
                break;
            }
            mine.push(share);
        }
        assert_eq!(mine.len(), ADDRESS_KIB_MAX / KIB);
        let mut other = budget.share(address(2));
        assert_eq!(hold(&mut other, 10 << 20, 16 << 20), None, "doubled it is too much");
        assert_eq!(hold(&mut other, 10 << 20, 10 << 20), HELD);
        assert_eq!(hold(&mut budget.share(address(3)), 17 * KIB, 17 * KIB), None);
        let mut small = Vec::new();
        for _ in 0..SMALL_KIB_MAX {
            let mut share = budget.share(address(1));
            assert_eq!(hold(&mut share, 1, 1 << 20), HELD);
            small.push(share);
        }
        assert_eq!(hold(&mut small[0], 2 * KIB, 2 * KIB), None);
        mine.clear();
        assert_eq!(hold(&mut small[0], 17 * KIB, 1 << 20), HELD);
        assert_eq!(hold(&mut small[1], 16 * KIB, 1 << 20), None, "the one KiB that went back is not enough");
    }

    #[tokio::test]
    async fn a_share_grows_with_its_body_and_goes_back_whole() {
        let budget = Arc::new(Budget::default());
        let mut share = budget.share(address(1));
        for bytes in [1, 1000, 5000, 16 * KIB, 16 * KIB + 1, 100 * KIB, 1 << 20, 9 << 20] {
            assert_eq!(hold(&mut share, bytes, 16 << 20), HELD);
            assert!((bytes..=2 * bytes + KIB).contains(&share.bytes()), "{bytes}: {}", share.bytes());
        }
        drop(share);
        assert_eq!(budget.small.available_permits(), SMALL_KIB_MAX);
        assert_eq!(budget.large.available_permits(), LARGE_KIB_MAX);
    }
}
