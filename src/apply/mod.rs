//! Journal to store: one transaction holds rows, position, dead letters and deduplication.
//!
//! [`Applier::run`] reads a stream's topic as a member of its group. `handler` is what the reading is for: it claims a
//! partition in the store and has its batches settled there. `settle` isolates a bad document.

mod handler;
mod judged;
pub mod letters;
mod run;
mod settle;
mod suspicion;
pub mod verify;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use self::handler::PartitionHandler;
use self::judged::Judged;
use crate::journal::{Batch, Extent, JournalError, Log};
use crate::metrics::Applied;
use crate::reading::progress::Progress;
use crate::reading::{Handling, Reader, Title};
use crate::reason::Reason;
use crate::shutdown::Stop;
use crate::store::{Place, Store};
use crate::stream::Stream;
use crate::words::Where;

/// Applies the documents of one stream.
#[derive(Clone)]
pub struct Applier {
    /// The stream.
    pub stream: Arc<Stream>,
    /// Where its documents are kept.
    pub journal: Arc<dyn Log>,
    /// Where they go.
    pub store: Arc<dyn Store>,
    /// Where others see how far it is.
    pub progress: Arc<Progress>,
    /// What counts them.
    pub counts: Arc<Applied>,
}

/// The name of the consumer group that reads a stream for a store. Two stores never share one.
pub fn group_of(stream: &Stream, store: &dyn Store) -> String {
    format!("sluicegate.{}.{}", stream.name, store.identity())
}

impl Applier {
    /// Runs until it is stopped.
    pub async fn run(self, stop: Stop) {
        let limits = self.store.limits();
        let reader = Reader {
            title: Title { what: "Apply", stream: self.stream.name.to_string() },
            log: Arc::clone(&self.journal),
            topic: self.stream.topic.clone(),
            group: group_of(&self.stream, &*self.store),
            records_max: limits.batch_records_max,
            workers: limits.writers_max,
            progress: Arc::clone(&self.progress),
            handling: Arc::new(self),
        };
        reader.run(stop).await;
    }
}

#[async_trait]
impl Handling for Applier {
    type Ready = Judged;
    type Handler = PartitionHandler;

    /// Notes where the stream begins, if that is where its topic ends now.
    async fn begin(&self) -> Result<(), JournalError> {
        let Stream { name, topic, apply, .. } = &*self.stream;
        if apply.settings.from == Where::Beginning {
            return Ok(());
        }
        let mut extents = self.journal.extents(topic).await?;
        if extents.is_empty() {
            // There is no such topic yet, and everything in it will be new. It has a partition with this number.
            extents.push(Extent { partition: 0, start: 0, end: 0 });
        }
        let place = |partition| Place { stream: name.clone(), topic: topic.clone(), partition };
        let places: Vec<_> = extents.iter().map(|extent| (place(extent.partition), extent.end)).collect();
        let noted = self.store.books().begin(self.journal.identity(), &places).await;
        noted.map_err(|error| {
            JournalError::later(Reason::of(format!("where the stream begins cannot be noted: {error}"), error))
        })
    }

    fn handler(&self) -> PartitionHandler {
        PartitionHandler {
            stream: Arc::clone(&self.stream),
            journal: Arc::clone(&self.journal),
            store: Arc::clone(&self.store),
            counts: Arc::clone(&self.counts),
            claims: HashMap::new(),
            suspicions: HashMap::new(),
        }
    }

    fn prepare(&self, batch: Batch) -> Judged {
        Judged::read(&self.stream, batch)
    }
}
