//! Reads a topic outside of any group: it writes nothing, so that retention knows nothing of it.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::records::Records;
use crate::journal::{Batch, Follower, JournalError};

pub(super) struct SqliteFollower {
    records: Records,
    next_offset: i64,
}

impl SqliteFollower {
    pub(super) fn new(records: Records, next_offset: i64) -> Self {
        SqliteFollower { records, next_offset }
    }
}

#[async_trait]
impl Follower for SqliteFollower {
    async fn next(&mut self, patience: Duration) -> Result<Option<Batch>, JournalError> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(batch) = self.records.batch(self.next_offset).await? {
                self.next_offset = batch.next_offset;
                return Ok(Some(batch));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.records.wait(self.next_offset, left).await?;
        }
    }
}
