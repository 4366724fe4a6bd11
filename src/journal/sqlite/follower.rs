//! Reads a topic outside of any group: it writes nothing, so that retention knows nothing of it.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::watch;

use super::consumer::POLL;
use super::records::Records;
use crate::journal::{Batch, Follower, JournalError};

/// A batch ends at so many records.
const BATCH_RECORDS_MAX: usize = 500;

pub(super) struct SqliteFollower {
    records: Records,
    end: watch::Receiver<i64>,
    next_offset: i64,
}

impl SqliteFollower {
    pub(super) fn new(records: Records, next_offset: i64) -> Self {
        SqliteFollower { end: records.end(), records, next_offset }
    }
}

#[async_trait]
impl Follower for SqliteFollower {
    async fn next(&mut self, patience: Duration) -> Result<Option<Batch>, JournalError> {
        let deadline = Instant::now() + patience;
        loop {
            self.records.check_file()?;
            self.end.mark_unchanged();
            let records = self.records.read(self.next_offset, BATCH_RECORDS_MAX)?;
            if let Some(last) = records.last() {
                let next_offset = last.position.offset + 1;
                self.next_offset = next_offset;
                return Ok(Some(Batch { partition: 0, records, next_offset }));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            // Woken by this process's appends, or after the pause to see those of others.
            let _ = tokio::time::timeout(left.min(POLL), self.end.changed()).await;
        }
    }
}
