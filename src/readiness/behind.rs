//! How far behind apply is, and how many dead letters wait, as journal and store tell.

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::journal::{Extent, Log};
use crate::service::Service;
use crate::store::Store;
use crate::store::books::Standing;
use crate::stream::Stream;

/// The first record that waits is looked at for so long; else its age is not told.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// A partition of a stream that is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The stream.
    pub stream: String,
    /// The partition.
    pub partition: i32,
    /// Documents without an outcome.
    pub documents: i64,
    /// How long ago the first of these was accepted; none when that cannot be told.
    pub age: Option<Duration>,
    /// Documents of the partition that are set aside.
    pub dead_letters: i64,
    /// Why it stands still, if it does.
    pub is_halted: bool,
}

/// Every partition of every stream that is applied; nothing where there is no store, and less where something fails.
pub(super) async fn look(service: &Service) -> Vec<Behind> {
    let (Some(store), Some(log)) = (service.store(), service.log.as_ref()) else { return Vec::new() };
    let Ok(standings) = standings(store).await else { return Vec::new() };
    let mut found = Vec::new();
    for stream in service.streams.iter().map(|served| &served.stream).filter(|stream| stream.is_applied()) {
        let Ok(extents) = log.extents(&stream.topic).await else { continue };
        for extent in extents {
            let is_it = |standing: &&Standing| {
                standing.place.stream == stream.name && standing.place.partition == extent.partition
            };
            let standing = standings.iter().find(is_it);
            let next = standing.map_or(extent.start, |standing| standing.next_offset);
            let documents = (extent.end - next).max(0);
            let age = match documents {
                0 => Some(Duration::ZERO),
                _ => age(&**log, stream, &extent, next).await,
            };
            found.push(Behind {
                stream: stream.name.to_string(),
                partition: extent.partition,
                documents,
                age,
                dead_letters: standing.map_or(0, |standing| standing.counters.dead_lettered),
                is_halted: standing.is_some_and(|standing| standing.halted.is_some()),
            });
        }
    }
    found
}

async fn standings(store: &Arc<dyn Store>) -> Result<Vec<Standing>, crate::store::StoreError> {
    store.books().positions(None).await
}

/// The age of the record at `next`, or of the first one behind it.
async fn age(log: &dyn Log, stream: &Stream, extent: &Extent, next: i64) -> Option<Duration> {
    let from = [(extent.partition, next.max(extent.start))];
    let look = async {
        let mut follower = log.follow(&stream.topic, &from).await.ok()?;
        let batch = follower.next(LOOK_TIMEOUT).await.ok()??;
        Some(batch.records.first()?.record.timestamp_ms)
    };
    let accepted_ms = tokio::time::timeout(LOOK_TIMEOUT, look).await.ok()??;
    let age_ms = clock::now_ms().saturating_sub(accepted_ms).max(0);
    Some(Duration::from_millis(age_ms.unsigned_abs()))
}
