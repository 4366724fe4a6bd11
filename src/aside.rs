//! Work on the processor that takes long with a body's size, unpacking and judging: done aside, in turns, so that the threads
//! that answer go on answering.
//!
//! Nothing else belongs here: what waits for a disk or a server is awaited where it is asked.

use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

/// So many pieces of long work run at once, unpacking and judging large bodies: more would be no faster, and would keep
/// the threads that answer from the processor.
const ASIDE_MAX: usize = 2;

/// Who waits longer for a turn is told to come back.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// Work on so many bytes is done at once …
const ASIDE_BYTES_MIN: usize = 64 << 10;

/// … as far as it takes no longer than this.
const AT_ONCE: Duration = Duration::from_millis(1);

/// Work in slices gives its turn back after this time, for as long as others take theirs.
const SLICE: Duration = Duration::from_millis(100);

/// Work in slices is given up after this time, in which waiting does not count; 16 MiB of documents take a fifth of a second.
const WORK_TIMEOUT: Duration = Duration::from_secs(5);

static TURNS: Semaphore = Semaphore::const_new(ASIDE_MAX);

/// No turn came within the time that one waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// Why work was not done to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// No turn came.
    Busy,
    /// It takes longer than so many seconds.
    TooLong(u64),
}

impl From<Busy> for Unfinished {
    fn from(Busy: Busy) -> Self {
        Unfinished::Busy
    }
}

/// A piece of time.
#[derive(Debug)]
pub struct Slice(Instant);

impl Slice {
    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.0
    }
}

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

/// Does work that can be interrupted: `work` goes on until it is done or the slice of time is over, then it gives nothing.
/// Between slices others have their turn, and work for a client that has gone ends, since what waits for it is dropped.
pub async fn in_slices<T>(bytes: usize, mut work: impl FnMut(&Slice) -> Option<T>) -> Result<T, Unfinished> {
    let mut spent = Duration::ZERO;
    if bytes <= ASIDE_BYTES_MIN {
        let begin = Instant::now();
        if let Some(done) = work(&Slice(begin + AT_ONCE)) {
            return Ok(done);
        }
        spent += begin.elapsed();
    }
    while spent < WORK_TIMEOUT {
        let turn = turn().await?;
        let begin = Instant::now();
        let done = tokio::task::block_in_place(|| work(&Slice(begin + SLICE)));
        drop(turn);
        if let Some(done) = done {
            return Ok(done);
        }
        spent += begin.elapsed();
        // Here the connection is looked at.
        tokio::task::yield_now().await;
    }
    Err(Unfinished::TooLong(WORK_TIMEOUT.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn work_in_slices_lets_others_in_and_ends_with_whoever_waits_for_it() {
        let endless = || {
            in_slices(usize::MAX, |slice| -> Option<()> {
                while !slice.is_over() {
                    std::hint::spin_loop();
                }
                None
            })
        };
        let busy: Vec<_> = (0..2 * ASIDE_MAX).map(|_| tokio::spawn(endless())).collect();
        let others = async {
            for _ in 0..3 {
                run(usize::MAX, || ()).await.unwrap();
            }
        };
        tokio::time::timeout(WORK_TIMEOUT / 2, others).await.unwrap();
        busy.iter().for_each(|task| task.abort());
        let free = async {
            let mut turns = Vec::new();
            for _ in 0..ASIDE_MAX {
                turns.push(turn().await.unwrap());
            }
        };
        tokio::time::timeout(WORK_TIMEOUT / 2, free).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn small_work_that_takes_long_is_cut_into_slices_too() {
        let (mut left, mut slices) = (300, 0);
        let work = |slice: &Slice| {
            slices += 1;
            while left > 0 && !slice.is_over() {
                std::thread::sleep(Duration::from_millis(1));
                left -= 1;
            }
            (left == 0).then_some("done")
        };
        assert_eq!(in_slices(1, work).await, Ok("done"));
        assert!(slices >= 3, "{slices}");
    }
}
