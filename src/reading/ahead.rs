//! A batch that is made ready on another thread while the one before it is handled.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::Handling;
use crate::journal::Batch;

/// Fewer records are made ready at once: handing them to another thread would take longer.
const FEW: usize = 32;

/// A batch that is ready, or about to be.
pub(super) enum Ahead<Ready> {
    Ready(Box<Ready>),
    Running(JoinHandle<Ready>),
}

impl<Ready: Send + 'static> Ahead<Ready> {
    /// Begins to make a batch ready.
    pub(super) fn begin<H: Handling<Ready = Ready>>(handling: &Arc<H>, batch: Batch) -> Self {
        if batch.records.len() < FEW {
            return Ahead::Ready(Box::new(handling.prepare(batch)));
        }
        let handling = Arc::clone(handling);
        Ahead::Running(tokio::task::spawn_blocking(move || handling.prepare(batch)))
    }

    /// Waits until it is ready; none when that failed by a fault of ours.
    pub(super) async fn ready(self) -> Option<Ready> {
        match self {
            Ahead::Ready(ready) => Some(*ready),
            Ahead::Running(task) => task.await.ok(),
        }
    }
}
