//! A batch that is made ready on another thread while the one before it is handled.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::Handling;
use crate::journal::Batch;

/// Fewer records are made ready at once, if they are small: handing them to another thread would take longer.
const FEW: usize = 32;

/// So many bytes take less than a millisecond.
const SMALL: usize = 64 << 10;

/// A batch that is ready, or about to be.
pub(super) struct Ahead<Ready> {
    /// The offset behind the batch.
    pub(super) end: i64,
    state: State<Ready>,
}

enum State<Ready> {
    Ready(Box<Ready>),
    Running(JoinHandle<Ready>),
}

impl<Ready: Send + 'static> Ahead<Ready> {
    /// Begins to make a batch ready.
    pub(super) fn begin<H: Handling<Ready = Ready>>(handling: &Arc<H>, batch: Batch) -> Self {
        let end = batch.next_offset;
        let bytes = || batch.records.iter().map(|kept| kept.record.size()).sum::<usize>();
        if batch.records.len() < FEW && bytes() <= SMALL {
            return Ahead { end, state: State::Ready(Box::new(handling.prepare(batch))) };
        }
        let handling = Arc::clone(handling);
        Ahead { end, state: State::Running(tokio::task::spawn_blocking(move || handling.prepare(batch))) }
    }

    /// Waits until it is ready; none when that failed by a fault of ours.
    pub(super) async fn ready(self) -> Option<Ready> {
        match self.state {
            State::Ready(ready) => Some(*ready),
            State::Running(task) => task.await.ok(),
        }
    }
}
