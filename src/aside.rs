//! Work on the processor that takes long with a body's size, unpacking and judging: done aside, in turns, so that the threads
//! that answer go on answering.
//!
//! Nothing else belongs here: what waits for a disk or a server is awaited where it is asked.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// So many pieces of long work run at once, unpacking and judging large bodies: more would be no faster, and would keep
/// the threads that answer from the processor.
const ASIDE_MAX: usize = 2;

/// Who waits longer for a turn is told to come back.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// Work on so many bytes takes less than a millisecond, and is done at once.
const ASIDE_BYTES_MIN: usize = 64 << 10;

static TURNS: Semaphore = Semaphore::const_new(ASIDE_MAX);

/// No turn came within the time that one waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// Waits for a turn at long work.
pub async fn turn() -> Result<SemaphorePermit<'static>, Busy> {
    match tokio::time::timeout(TURN_TIMEOUT, TURNS.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => Err(Busy),
    }
}

/// Does work whose time goes with `bytes`: at once when they are few, else when it is its turn, while another thread
/// takes over what this one had to answer.
pub async fn run<T>(bytes: usize, work: impl FnOnce() -> T) -> Result<T, Busy> {
    if bytes <= ASIDE_BYTES_MIN {
        return Ok(work());
    }
    let _turn = turn().await?;
    Ok(tokio::task::block_in_place(work))
}
