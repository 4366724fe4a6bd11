//! After an append of which nobody can tell: the journal itself says what of it is there.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::document::{Position, TopicName};
use crate::journal::{JournalError, Log};
use crate::record::Headers;

/// How long a wait for records that must be there lasts.
const PATIENCE: Duration = Duration::from_secs(1);

/// Records that do not come for so long are asked for anew: retention may have removed them, or the journal is away again.
const READ_MAX: Duration = Duration::from_secs(10);

/// What tells a record from all others: an event's id does so only beside its source (CloudEvents 1.0, `source`).
pub(super) type Name = (String, String);

/// The name of a record with these headers.
pub(super) fn name(headers: &Headers) -> Name {
    (headers.source.clone(), headers.id.clone())
}

/// Where the records with these names stand, of those that were appended behind `ends`.
pub(super) async fn found(
    journal: &dyn Log,
    topic: &TopicName,
    ends: &HashMap<i32, i64>,
    names: HashSet<Name>,
) -> Result<HashMap<Name, Position>, JournalError> {
    // What is on its way has arrived, or never will, once something behind it was answered.
    journal.check().await?;
    let mut found = HashMap::new();
    let extents = journal.extents(topic).await?;
    let from = |extent: &crate::journal::Extent| {
        let end = ends.get(&extent.partition).copied().unwrap_or(extent.start);
        (extent.partition, end.clamp(extent.start, extent.end), extent.end)
    };
    let mut left: Vec<_> = extents.iter().map(from).filter(|(_, from, end)| from < end).collect();
    if left.is_empty() {
        return Ok(found);
    }
    let from: Vec<_> = left.iter().map(|(partition, from, _)| (*partition, *from)).collect();
    let mut follower = journal.follow(topic, &from).await?;
    let mut heard = Instant::now();
    while !left.is_empty() {
        let Some(batch) = follower.next(PATIENCE).await? else {
            if heard.elapsed() >= READ_MAX {
                return Err(JournalError::later("what was appended last cannot be read back"));
            }
            continue;
        };
        heard = Instant::now();
        for kept in batch.records {
            let name = name(&kept.record.headers);
            if names.contains(&name) {
                found.entry(name).or_insert(kept.position);
            }
        }
        left.retain(|(partition, _, end)| *partition != batch.partition || batch.next_offset < *end);
    }
    Ok(found)
}
