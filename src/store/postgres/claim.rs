//! Claims: one owner a partition, each with a connection of its own.
//!
//! A claimer first ends the backend of the owner before it. A client that was frozen in the middle of a COPY holds its
//! locks past every timeout, and a COMMIT whose answer was lost may still be on its way: once the backend is gone, both
//! are settled, and the position says what happened.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::catalogue::quote;
use super::connection::{Connection, column};
use super::plans::Plans;
use super::url::Settings;
use crate::store::claims::Former;
use crate::store::{Claim, ClaimRequest, Place, StoreError};

/// A backend that was told to end does so at its next breath; one that waits for a disk takes longer.
const END_MAX: Duration = Duration::from_secs(10);
const END_LOOK: Duration = Duration::from_millis(5);

/// A connection that writes, and what it knows about the tables.
pub(super) struct Seat {
    pub(super) connection: Connection,
    pub(super) plans: Plans,
    /// The claim it belongs to; 0 before that.
    epoch: i64,
}

impl Seat {
    pub(super) fn new(connection: Connection) -> Self {
        Seat { connection, plans: Plans::default(), epoch: 0 }
    }
}

/// The seats of the partitions that this process has claimed.
#[derive(Default)]
pub(super) struct Seats {
    by_place: Mutex<HashMap<Place, Arc<Turn<Seat>>>>,
}

impl Seats {
    fn of(&self, place: &Place) -> Option<Arc<Turn<Seat>>> {
        self.by_place.lock().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
    }

    fn keep(&self, place: &Place, seat: Arc<Turn<Seat>>) {
        self.by_place.lock().unwrap_or_else(PoisonError::into_inner).insert(place.clone(), seat);
    }

    fn forget(&self, place: &Place) {
        self.by_place.lock().unwrap_or_else(PoisonError::into_inner).remove(place);
    }

    /// The connection of a claim. A new one would be unknown to the books, and so could not be ended by the next owner:
    /// a broken one means that the partition must be claimed again.
    pub(super) async fn take(&self, claim: &Claim) -> Result<OwnedMutexGuard<Seat>, StoreError> {
        let Some(seat) = self.of(&claim.place) else { return Err(gone()) };
        let seat = seat.lock_owned().await;
        if seat.epoch != claim.epoch {
            return Err(StoreError::Fenced);
        }
        if seat.connection.is_broken() {
            self.forget(&claim.place);
            return Err(gone());
        }
        Ok(seat)
    }

    /// Claims a partition.
    pub(super) async fn claim(&self, settings: &Settings, request: ClaimRequest<'_>) -> Result<Claim, StoreError> {
        // An idle connection is kept. One that is in use may be stuck: the books' way ends it.
        let kept = self.of(request.place).and_then(|seat| seat.try_lock_owned().ok());
        let mut seat = match kept.filter(|seat| !seat.connection.is_broken()) {
            Some(seat) => seat,
            None => {
                let seat = Arc::new(Turn::new(Seat::new(Connection::open(settings).await?)));
                seat.lock_owned().await
            }
        };
        let claimed = take_over(&seat.connection, &settings.schema, request).await;
        seat.connection.abandon();
        match claimed {
            Ok(claim) => {
                seat.epoch = claim.epoch;
                self.keep(request.place, Arc::clone(OwnedMutexGuard::mutex(&seat)));
                Ok(claim)
            }
            Err(error) => Err(error),
        }
    }
}

fn gone() -> StoreError {
    StoreError::later("the partition's connection to PostgreSQL was lost; it is claimed anew")
}

/// What the books say about the owner before.
struct Known {
    former: Former,
    backend: Option<i32>,
    /// Whether a backend that is not this one still runs for it.
    is_alive: bool,
}

async fn known(connection: &Connection, schema: &str, place: &Place, tail: &str) -> Result<Option<Known>, StoreError> {
    let sql = format!(
        r#"SELECT p.journal, p.next_offset, p.epoch, p.backend_pid, p.backend_pid <> pg_backend_pid() AND EXISTS
               (SELECT 1 FROM pg_stat_activity a WHERE a.pid = p.backend_pid AND a.backend_start = p.backend_start),
               p.applied_before
           FROM {}."_sluicegate_positions" p WHERE stream = $1 AND topic = $2 AND "partition" = $3{tail}"#,
        quote(schema)
    );
    let at: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&place.stream.as_str(), &place.topic.as_str(), &place.partition];
    let Some(row) = connection.row(&sql, &at).await? else { return Ok(None) };
    let (journal, next_offset, epoch) = (column(&row, 0)?, column(&row, 1)?, column(&row, 2)?);
    Ok(Some(Known {
        former: Former { journal, next_offset, epoch, applied_before: column(&row, 5)? },
        backend: column(&row, 3)?,
        is_alive: column::<Option<bool>>(&row, 4)?.unwrap_or_default(),
    }))
}

async fn take_over(connection: &Connection, schema: &str, request: ClaimRequest<'_>) -> Result<Claim, StoreError> {
    let ClaimRequest { place, journal, start, owner } = request;
    if let Some(known) = known(connection, schema, place, "").await? {
        request.check_journal(&known.former)?;
        end(connection, schema, place, &known).await?;
    }
    connection.note_transaction(true);
    connection.run("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    let at = (place.stream.as_str(), place.topic.as_str(), place.partition);
    let new = format!(
        r#"INSERT INTO {}."_sluicegate_positions"
               (stream, topic, "partition", journal, first_offset, next_offset, epoch, owner)
           VALUES ($1, $2, $3, $4, $5, $5, 0, $6) ON CONFLICT DO NOTHING"#,
        quote(schema)
    );
    connection.execute(&new, &[&at.0, &at.1, &at.2, &journal, &start, &owner]).await?;
    let known = known(connection, schema, place, " FOR UPDATE").await?;
    let known = known.ok_or_else(|| StoreError::later("the position was removed while it was claimed"))?;
    let claim = request.granted(Some(&known.former))?;
    if known.is_alive {
        // Somebody was faster, and is at work.
        return Err(StoreError::later("another process claims the partition at this moment"));
    }
    let sql = format!(
        r#"UPDATE {}."_sluicegate_positions" SET epoch = $4, owner = $5, backend_pid = pg_backend_pid(), backend_start =
               (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
           WHERE stream = $1 AND topic = $2 AND "partition" = $3"#,
        quote(schema)
    );
    connection.execute(&sql, &[&at.0, &at.1, &at.2, &claim.epoch, &owner]).await?;
    connection.run("COMMIT").await?;
    connection.note_transaction(false);
    Ok(claim)
}

/// Ends the backend of the owner before, and waits until it is gone.
async fn end(connection: &Connection, schema: &str, place: &Place, former: &Known) -> Result<(), StoreError> {
    if !former.is_alive {
        return Ok(());
    }
    connection.query("SELECT pg_terminate_backend($1)", &[&former.backend]).await?;
    let until = Instant::now() + END_MAX;
    while known(connection, schema, place, "").await?.is_some_and(|now| now.backend == former.backend && now.is_alive) {
        if until <= Instant::now() {
            let backend = former.backend.unwrap_or_default();
            return Err(StoreError::later(format!("the former owner's backend {backend} does not end")));
        }
        tokio::time::sleep(END_LOOK).await;
    }
    Ok(())
}
