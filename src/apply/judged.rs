//! A batch with its records judged. It is made on another thread while the store writes the batch before.

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::journal::Batch;
use crate::store::{Documents, Reads};
use crate::stream::Stream;

/// Fewer records are judged at once: handing them to another thread would take longer.
const FEW: usize = 32;

/// A batch with its documents.
pub(super) struct Judged {
    pub(super) stream: Arc<Stream>,
    pub(super) partition: i32,
    /// The offset behind it.
    pub(super) next_offset: i64,
    pub(super) documents: Arc<Documents>,
}

/// A batch that is judged, or about to be.
pub(super) enum Ahead {
    Ready(Judged),
    Running { partition: i32, task: JoinHandle<Judged> },
}

impl Ahead {
    /// Begins to judge a batch.
    pub(super) fn begin(stream: &Arc<Stream>, batch: Batch) -> Self {
        let stream = Arc::clone(stream);
        if batch.records.len() < FEW {
            return Ahead::Ready(judge(stream, batch));
        }
        let partition = batch.partition;
        Ahead::Running { partition, task: tokio::task::spawn_blocking(move || judge(stream, batch)) }
    }

    pub(super) fn partition(&self) -> i32 {
        match self {
            Ahead::Ready(judged) => judged.partition,
            Ahead::Running { partition, .. } => *partition,
        }
    }

    /// Waits until it is judged; none when that failed by a fault of ours.
    pub(super) async fn judged(self) -> Option<Judged> {
        match self {
            Ahead::Ready(judged) => Some(judged),
            Ahead::Running { task, .. } => task.await.ok(),
        }
    }
}

fn judge(stream: Arc<Stream>, batch: Batch) -> Judged {
    let Batch { partition, records, next_offset } = batch;
    let documents = Arc::new(Documents::read(Arc::clone(&stream) as Arc<dyn Reads>, records));
    Judged { stream, partition, next_offset, documents }
}
