//! Removes old records, but none that a reader still needs.

use rusqlite::{Connection, OptionalExtension};

use super::topics::{table, topic_id};
use crate::document::TopicName;
use crate::journal::RetentionLimits;

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

/// A step of a compaction.
pub(super) struct Compacted {
    /// How many records went.
    pub(super) removed: u64,
    /// How many were looked at and stayed.
    pub(super) kept: u64,
    /// Where the next step begins; none behind the last.
    pub(super) next: Option<i64>,
}

/// How many records a step looks at.
const LOOK: i64 = 5_000;

/// A topic is not looked through for fewer new records than this.
const NEW_MIN: i64 = 1_000;

/// The end of an output topic that has more new records than it kept when it was looked through last. None for one with
/// fewer: so each record is looked at a few times at most.
pub(super) fn compaction_due(connection: &Connection, topic: &TopicName) -> rusqlite::Result<Option<i64>> {
    let Some(id) = topic_id(connection, topic)? else { return Ok(None) };
    let found: Option<(i64, i64, i64)> = connection
        .query_row(
            "SELECT next_offset, until, kept FROM compacted JOIN topics ON id = topic WHERE topic = ?1",
            [id],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    Ok(found.and_then(|(end, until, kept)| (end - until >= kept.max(NEW_MIN)).then_some(end)))
}

/// Notes that an output topic was looked through up to `until`, and how many records stayed.
pub(super) fn note_compaction(
    connection: &Connection,
    topic: &TopicName,
    until: i64,
    kept: u64,
) -> rusqlite::Result<()> {
    let kept = i64::try_from(kept).unwrap_or(i64::MAX);
    let sql = "UPDATE compacted SET until = ?2, kept = ?3 WHERE topic = (SELECT id FROM topics WHERE name = ?1)";
    connection.execute(sql, (topic.as_str(), until, kept)).map(drop)
}

/// Removes, of the next [`LOOK`] records from the offset `from` on and before `end`, those that others of the same key
/// follow.
pub(super) fn compact_some(
    connection: &Connection,
    topic: &TopicName,
    from: i64,
    end: i64,
) -> rusqlite::Result<Compacted> {
    let done = Compacted { removed: 0, kept: 0, next: None };
    let Some(id) = topic_id(connection, topic)? else { return Ok(done) };
    let end = end.min(needed_from(connection, id, false)?);
    let table = table(id);
    let looked = format!(
        "SELECT max(offset), count(*) FROM
         (SELECT offset FROM {table} WHERE offset >= ?1 AND offset < ?2 ORDER BY offset LIMIT ?3)"
    );
    let (last, count): (Option<i64>, i64) =
        connection.query_row(&looked, (from, end, LOOK), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(last) = last else { return Ok(done) };
    let followed = format!(
        "offset BETWEEN ?1 AND ?2 AND key IS NOT NULL
         AND EXISTS (SELECT 1 FROM {table} AS later WHERE later.key = {table}.key AND later.offset > {table}.offset)"
    );
    let size = "length(value) + coalesce(length(key), 0) + octet_length(headers)";
    let sizes = format!("SELECT coalesce(sum({size}), 0) FROM {table} WHERE {followed}");
    let bytes: i64 = connection.query_row(&sizes, (from, last), |row| row.get(0))?;
    let removed = connection.execute(&format!("DELETE FROM {table} WHERE {followed}"), (from, last))?;
    if removed > 0 {
        connection.execute("UPDATE topics SET bytes = max(bytes - ?1, 0) WHERE id = ?2", (bytes, id))?;
    }
    let kept = u64::try_from(count).unwrap_or_default().saturating_sub(removed as u64);
    Ok(Compacted { removed: removed as u64, kept, next: Some(last + 1) })
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
