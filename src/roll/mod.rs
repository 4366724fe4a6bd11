//! Running rollups: a stream's topic is read, and changed summaries are appended to an output topic, each document in them
//! once.
//!
//! [`Roller::run`] reads as a member of the rollup's own group. `handler` is what the reading is for: it claims a partition,
//! folds its batches into `summaries`, and has them published. The journal moves the group's position in the same step in
//! which the records are appended, so either both are there or neither. The summaries themselves are in memory and in a file
//! (`state_file`), which is a copy: `recovery` decides what of it can be believed, and makes it anew from the output topic.

mod asking;
mod handler;
mod note;
mod plan;
mod recovery;
mod state_file;
mod summaries;
mod trouble;

use std::sync::Arc;

pub use self::asking::{Asking, LateShown, Shown};
use self::handler::RollHandler;
pub use self::handler::Work;
pub use self::note::Note;
pub use self::plan::{FORM, Plan, state_path};
use self::summaries::Prepared;
use crate::journal::{Batch, JournalError, Log};
use crate::reading::progress::Progress;
use crate::reading::{Handling, Reader, Title};
use crate::shutdown::Stop;
use async_trait::async_trait;

/// A batch has at most so many records.
const RECORDS_MAX: usize = 10_000;

/// How many partitions are summed up at the same time.
const WORKERS: usize = 2;

/// Runs one rollup.
#[derive(Clone)]
pub struct Roller {
    /// What it does, and where.
    pub work: Work,
    /// Where others see how far it is.
    pub progress: Arc<Progress>,
}

impl Roller {
    /// Runs until it is stopped.
    pub async fn run(self, stop: Stop) {
        let reader = Reader {
            title: Title { what: "The rollup", stream: self.work.plan.name.to_string() },
            log: Arc::clone(&self.work.journal) as Arc<dyn Log>,
            topic: self.work.plan.input.clone(),
            group: self.work.plan.group(),
            records_max: RECORDS_MAX,
            workers: WORKERS,
            progress: Arc::clone(&self.progress),
            handling: Arc::new(self),
        };
        reader.run(stop).await;
    }
}

#[async_trait]
impl Handling for Roller {
    type Ready = Prepared;
    type Handler = RollHandler;

    /// Makes the output topic.
    async fn begin(&self) -> Result<(), JournalError> {
        self.work.journal.open_output(&self.work.plan.output, &self.work.plan.input).await
    }

    fn is_noted(&self) -> bool {
        false
    }

    fn handler(&self) -> RollHandler {
        RollHandler::new(self.work.clone())
    }

    fn prepare(&self, batch: Batch) -> Prepared {
        let rollup = &self.work.plan.rollup;
        let read = |kept| {
            let reading = rollup.read(&kept);
            (kept, reading)
        };
        Prepared { records: batch.records.into_iter().map(read).collect(), next_offset: batch.next_offset }
    }
}
