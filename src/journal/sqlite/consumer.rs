//! Reads a topic for a group. The reader holds a lease row in the file; others stand by until it is given up, runs out,
//! or its process is gone.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::OptionalExtension;

use super::records::Records;
use super::writer::Writer;
use crate::clock;
use crate::journal::{Consumer, Delivery, JournalError};

/// How often a reader without a lease looks whether it is free.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// How long a lease lasts without being renewed.
const LEASE_MS: i64 = 3_000;

/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(1);

pub(super) struct SqliteConsumer {
    records: Records,
    writer: Writer,
    topic_id: i64,
    group: String,
    owner: String,
    /// When the lease was renewed last; none without a lease.
    renewed: Option<Instant>,
    next_offset: Option<i64>,
    is_paused: bool,
    committed: i64,
}

impl SqliteConsumer {
    pub(super) fn new(records: Records, writer: Writer, topic_id: i64, group: &str) -> Self {
        let owner = format!("{}:{}:{}", pid_namespace(), std::process::id(), uuid::Uuid::now_v7());
        SqliteConsumer {
            records,
            writer,
            topic_id,
            group: group.to_owned(),
            owner,
            renewed: None,
            next_offset: None,
            is_paused: false,
            committed: 0,
        }
    }

    /// Takes, keeps or gives up the lease. Gives whether it is held afterwards.
    async fn lease(&mut self, until_ms: i64) -> Result<bool, JournalError> {
        let (id, group, owner) = (self.topic_id, self.group.clone(), self.owner.clone());
        let committed = self.committed;
        self.writer
            .run(move |transaction| {
                let holder: Option<(Option<String>, i64)> = transaction
                    .prepare_cached("SELECT owner, leased_until_ms FROM groups WHERE topic = ?1 AND name = ?2")?
                    .query_row((id, &group), |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                if let Some((Some(holder), leased_until_ms)) = holder
                    && holder != owner
                    && is_live(leased_until_ms, clock::now_ms())
                    && !is_gone(&holder)
                {
                    return Ok(false);
                }
                let new_owner = (until_ms > 0).then_some(&owner);
                transaction
                    .prepare_cached(
                        "INSERT INTO groups (topic, name, next_offset, owner, leased_until_ms)
                         VALUES (?1, ?2, nullif(?3, 0), ?4, ?5)
                         ON CONFLICT (topic, name) DO UPDATE SET owner = ?4, leased_until_ms = ?5,
                         next_offset = CASE WHEN ?3 = 0 THEN next_offset ELSE ?3 END",
                    )?
                    .execute((id, &group, committed, new_owner, until_ms))?;
                Ok(until_ms > 0)
            })
            .await
    }
}

#[async_trait]
impl Consumer for SqliteConsumer {
    async fn next(&mut self, patience: Duration) -> Result<Delivery, JournalError> {
        let deadline = Instant::now() + patience;
        loop {
            if self.renewed.is_none_or(|renewed| renewed.elapsed() >= RENEW) {
                let until_ms = clock::now_ms() + LEASE_MS;
                let before = Instant::now();
                let held = self.lease(until_ms).await?;
                match (held, self.renewed.is_some()) {
                    (true, false) => {
                        self.renewed = Some(before);
                        self.next_offset = None;
                        return Ok(Delivery::Assigned(0));
                    }
                    (true, true) => self.renewed = Some(before),
                    (false, true) => {
                        self.renewed = None;
                        return Ok(Delivery::Lost(0));
                    }
                    (false, false) => {}
                }
            }
            if let (Some(_), Some(from), false) = (self.renewed, self.next_offset, self.is_paused)
                && let Some(batch) = self.records.batch(from).await?
            {
                self.next_offset = Some(batch.next_offset);
                return Ok(Delivery::Records(batch));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Delivery::Nothing);
            }
            let pause = self.renewed.map_or(ASK_EVERY, |renewed| RENEW.saturating_sub(renewed.elapsed()));
            let pause = left.min(pause);
            match self.next_offset.filter(|_| self.renewed.is_some() && !self.is_paused) {
                Some(from) => self.records.wait(from, pause).await?,
                None => tokio::time::sleep(pause).await,
            }
        }
    }

    async fn seek(&mut self, _partition: i32, offset: i64) -> Result<(), JournalError> {
        self.records.check_range(offset).await?;
        self.next_offset = Some(offset);
        Ok(())
    }

    fn suspend(&mut self, _partition: i32) {
        self.next_offset = None;
    }

    fn pause(&mut self, _partition: i32) {
        self.is_paused = true;
    }

    fn resume(&mut self, _partition: i32) {
        self.is_paused = false;
    }

    async fn commit(&mut self, _partition: i32, next_offset: i64) {
        self.committed = next_offset;
    }

    async fn leave(mut self: Box<Self>) {
        if self.renewed.is_some() {
            // At worst the lease runs out by itself.
            let _ = self.lease(0).await;
        }
    }
}

/// Whether some process reads for a group now.
pub(super) fn is_read(connection: &rusqlite::Connection, topic: i64, group: &str) -> rusqlite::Result<bool> {
    let holder: Option<(Option<String>, i64)> = connection
        .prepare_cached("SELECT owner, leased_until_ms FROM groups WHERE topic = ?1 AND name = ?2")?
        .query_row((topic, group), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(matches!(holder, Some((Some(holder), until_ms)) if is_live(until_ms, clock::now_ms()) && !is_gone(&holder)))
}

/// The namespace in which this process's id means something. Containers that share the file do not share it.
fn pid_namespace() -> String {
    std::fs::read_link("/proc/self/ns/pid").map_or_else(|_| "?".into(), |link| link.to_string_lossy().into_owned())
}

/// Whether a lease holds. One that ends later than any can was given by a clock that is ahead, or was: it would keep others
/// out until ours is there, too.
fn is_live(leased_until_ms: i64, now_ms: i64) -> bool {
    let latest = now_ms.saturating_add(LEASE_MS);
    (now_ms + 1..=latest).contains(&leased_until_ms)
}

/// Whether the process that `owner` names is certain to be gone.
fn is_gone(owner: &str) -> bool {
    let mut parts = owner.rsplitn(3, ':');
    let (Some(_), Some(pid), Some(namespace)) = (parts.next(), parts.next(), parts.next()) else { return false };
    namespace != "?" && namespace == pid_namespace() && !std::path::Path::new("/proc").join(pid).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_holds_until_it_ends_and_only_if_it_could_have_been_given_by_now() {
        for (leased_until_ms, is_held) in [
            (0, false),
            (9_999, false),
            (10_000, false),
            (10_001, true),
            (13_000, true),
            (13_001, false),
            (i64::MAX, false),
        ] {
            assert_eq!(is_live(leased_until_ms, 10_000), is_held, "{leased_until_ms}");
        }
    }
}
