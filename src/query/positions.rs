//! Where each stream stands.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Unanswered, log, rollups, store};
use crate::apply::group_of;
use crate::journal::{Extent, JournalError};
use crate::service::Service;
use crate::store::StoreError;
use crate::store::books::Standing;

/// Where a partition of a stream stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Position {
    /// The stream.
    pub stream: String,
    /// Its topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset that is not applied yet.
    pub position: i64,
    /// The first offset that the journal still has.
    pub begin: i64,
    /// The offset that the next document gets.
    pub end: i64,
    /// How many offsets are not applied yet.
    pub lag: i64,
    /// How many other stores read the topic.
    pub other_readers: usize,
    /// Which process has claimed it last.
    pub owner: String,
    /// How it stands, in words.
    pub state: String,
}

/// The partitions of all streams that are applied.
pub async fn list(service: &Service) -> Result<Vec<Position>, Unanswered> {
    let (store, log) = (store(service)?, log(service)?);
    let later = |error: JournalError| StoreError::later(error.reason());
    let standings = store.books().positions(None).await?;
    let mut positions = Vec::new();
    for stream in service.streams.iter().map(|served| &served.stream).filter(|stream| stream.is_applied()) {
        let own = group_of(stream, &**store);
        let readers = log.groups(&stream.topic).await.map_err(later)?;
        for extent in log.extents(&stream.topic).await.map_err(later)? {
            let is_it = |standing: &&Standing| {
                standing.place.stream == stream.name && standing.place.partition == extent.partition
            };
            let standing = standings.iter().find(is_it);
            let position = standing.map_or(extent.start, |standing| standing.next_offset);
            positions.push(Position {
                stream: stream.name.to_string(),
                topic: stream.topic.to_string(),
                partition: extent.partition,
                position,
                begin: extent.start,
                end: extent.end,
                lag: (extent.end - position).max(0),
                other_readers: readers.iter().filter(|group| **group != own).count(),
                owner: standing.map_or_else(String::new, |standing| standing.owner.clone()),
                state: state(standing, &extent, service.journal.identity()),
            });
        }
    }
    for rolled in &service.rollups {
        for standing in rollups::standings(service, rolled).await? {
            let state = match (standing.read, standing.lag) {
                (0, lag) if lag > 0 => "not begun",
                (_, 0) => "has everything",
                _ => "behind",
            };
            positions.push(Position {
                stream: format!("rollup {}", standing.rollup),
                topic: rolled.plan.input.to_string(),
                partition: standing.partition,
                position: standing.position,
                begin: standing.begin,
                end: standing.end,
                lag: standing.lag,
                other_readers: 0,
                owner: String::new(),
                state: state.into(),
            });
        }
    }
    Ok(positions)
}

fn state(standing: Option<&Standing>, extent: &Extent, journal: &str) -> String {
    let Some(standing) = standing else { return "not begun".into() };
    match standing.next_offset {
        _ if standing.journal != journal => "another journal".into(),
        _ if standing.halted.is_some() => {
            format!("stands still: {}", standing.halted.as_deref().unwrap_or_default())
        }
        position if position < extent.start => {
            format!("the journal begins at {}: {} are gone", extent.start, extent.start - position)
        }
        position if position > extent.end => "the journal ends before".into(),
        position if position == extent.end => "has everything".into(),
        _ => "behind".into(),
    }
}
