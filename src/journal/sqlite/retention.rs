//! Removes old records, but none that a reader still needs.

use rusqlite::{Connection, OptionalExtension};

use super::{RetentionLimits, table, topic_id};
use crate::document::TopicName;

/// How many records one transaction removes at most.
pub(super) const STEP: u64 = 2_000;

/// Removes up to [`STEP`] records that `limits` let go at `now_ms`. Gives how many went.
pub(super) fn remove_some(
    connection: &Connection,
    topic: &TopicName,
    limits: RetentionLimits,
    is_read: bool,
    now_ms: i64,
) -> rusqlite::Result<u64> {
    let Some(id) = topic_id(connection, topic)? else { return Ok(0) };
    let needed = needed_from(connection, id, is_read)?;
    let bytes: i64 = connection.query_row("SELECT bytes FROM topics WHERE id = ?1", [id], |row| row.get(0))?;
    let oldest_ms = now_ms.saturating_sub(i64::try_from(limits.age.as_millis()).unwrap_or(i64::MAX));
    let table = table(id);
    let mut surplus = bytes.saturating_sub(i64::try_from(limits.bytes_max).unwrap_or(i64::MAX));
    let mut last = None;
    let mut removed = 0;
    let mut removed_bytes = 0;
    {
        let mut statement = connection.prepare_cached(&format!(
            "SELECT offset, timestamp_ms, length(value) + coalesce(length(key), 0) + octet_length(headers)
             FROM {table} WHERE offset < ?1 ORDER BY offset LIMIT ?2"
        ))?;
        let mut rows = statement.query((needed, STEP as i64))?;
        while let Some(row) = rows.next()? {
            let (offset, timestamp_ms, size): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if timestamp_ms >= oldest_ms && surplus <= 0 {
                break;
            }
            last = Some(offset);
            removed += 1;
            removed_bytes += size;
            surplus -= size;
        }
    }
    if let Some(last) = last {
        connection.execute(&format!("DELETE FROM {table} WHERE offset <= ?1"), [last])?;
        connection.execute(
            "UPDATE topics SET bytes = max(bytes - ?1, 0), start_offset = ?2 WHERE id = ?3",
            (removed_bytes, last + 1, id),
        )?;
    }
    Ok(removed)
}

/// The first offset that some reader still needs. A group that has not read yet needs everything; so does a topic that
/// is to be read and has no group yet.
fn needed_from(connection: &Connection, id: i64, is_read: bool) -> rusqlite::Result<i64> {
    let found: Option<(i64, Option<i64>)> = connection
        .query_row("SELECT count(*), min(coalesce(next_offset, 0)) FROM groups WHERE topic = ?1", [id], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(match found {
        Some((groups, Some(next_offset))) if groups > 0 => next_offset,
        _ if is_read => 0,
        _ => i64::MAX,
    })
}
