//! Positions moved because a person said so.

use rusqlite::Connection;

use super::{failed, keys};
use crate::clock;
use crate::store::books::Standing;
use crate::store::moves::{Move, Moved, Step};
use crate::store::{Place, StoreError};

pub(super) fn apply(
    connection: &Connection,
    place: &Place,
    how: &Move,
    standing: Option<&Standing>,
) -> Result<Moved, StoreError> {
    let Move { start, to, journal, .. } = how;
    let at = (place.stream.as_str(), place.topic.as_str(), place.partition);
    let applied_before = match how.step(standing) {
        Step::Stale => return Ok(Moved::Stale),
        Step::Passed { at } => return Ok(Moved::Done { to: at, lost: 0 }),
        Step::Skip { from } => return skip(connection, place, from, *to),
        Step::Begin => {
            let sql = r#"INSERT INTO "_sluicegate_positions"
                (stream, topic, "partition", journal, first_offset, next_offset, epoch, owner)
                VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0, '')"#;
            connection.execute(sql, (at.0, at.1, at.2, journal, start)).map_err(failed)?;
            return skip(connection, place, *start, *to);
        }
        Step::Again => {
            forget_from(connection, place, *to)?;
            "max(applied_before, next_offset)"
        }
        Step::Anew => {
            disown_from(connection, place, *to)?;
            // Other documents stand behind the new position than those that were applied.
            "CASE WHEN journal = ?4 THEN min(applied_before, ?5) ELSE 0 END"
        }
    };
    // The counting begins anew.
    connection
        .execute(
            &format!(
                r#"UPDATE "_sluicegate_positions" SET applied_before = {applied_before}, journal = ?4, first_offset = ?5, next_offset = ?5,
                   epoch = epoch + 1, halted = NULL, applied = 0, duplicates = 0, gaps = 0, lost = 0,
                   duplicates_pruned = 0,
                   dead_lettered = (SELECT count(*) FROM "_sluicegate_dead_letters"
                       WHERE topic = ?2 AND "partition" = ?3 AND is_dropped = 0),
                   dropped = (SELECT count(*) FROM "_sluicegate_dead_letters"
                       WHERE topic = ?2 AND "partition" = ?3 AND is_dropped = 1)
               WHERE stream = ?1 AND topic = ?2 AND "partition" = ?3"#
            ),
            (at.0, at.1, at.2, journal, to),
        )
        .map_err(failed)?;
    connection
        .execute(
            r#"UPDATE "_sluicegate_positions" SET carried = dead_lettered + dropped
               WHERE stream = ?1 AND topic = ?2 AND "partition" = ?3"#,
            at,
        )
        .map_err(failed)?;
    Ok(Moved::Done { to: *to, lost: 0 })
}

/// Moves a position forwards: what is skipped is lost, because a person said so.
fn skip(connection: &Connection, place: &Place, from: i64, to: i64) -> Result<Moved, StoreError> {
    let at = (place.stream.as_str(), place.topic.as_str(), place.partition);
    if to > from {
        connection
            .execute(
                r#"INSERT INTO "_sluicegate_lost" VALUES (?1, ?2, ?3, ?4, ?5, ?6)"#,
                (at.0, at.1, at.2, from, to, clock::now_ms()),
            )
            .map_err(failed)?;
    }
    connection
        .execute(
            r#"UPDATE "_sluicegate_positions" SET next_offset = ?4, lost = lost + ?5, epoch = epoch + 1, halted = NULL
               WHERE stream = ?1 AND topic = ?2 AND "partition" = ?3"#,
            (at.0, at.1, at.2, to, to - from),
        )
        .map_err(failed)?;
    Ok(Moved::Done { to, lost: to - from })
}

/// What will be applied again is no longer a letter or a duplicate, and its idempotency keys are free.
fn forget_from(connection: &Connection, place: &Place, to: i64) -> Result<(), StoreError> {
    let run = |sql: &str, owner: &str| connection.execute(sql, (owner, place.partition, to)).map(drop).map_err(failed);
    let topic = place.topic.as_str();
    run(r#"DELETE FROM "_sluicegate_dead_letters" WHERE topic = ?1 AND "partition" = ?2 AND "offset" >= ?3"#, topic)?;
    run(r#"DELETE FROM "_sluicegate_lost" WHERE topic = ?1 AND "partition" = ?2 AND ?3 >= 0"#, topic)?;
    run(r#"DELETE FROM "_sluicegate_duplicates" WHERE topic = ?1 AND "partition" = ?2 AND ?3 >= 0"#, topic)?;
    keys::forget_from(connection, place, to)
}

/// The offsets from `to` on will be other documents' than those the books know. Idempotency keys still count, but point
/// nowhere; a dead letter must not give its receipt to another document.
fn disown_from(connection: &Connection, place: &Place, to: i64) -> Result<(), StoreError> {
    let (topic, stream) = (place.topic.as_str(), place.stream.as_str());
    let letters: i64 = connection
        .query_row(
            r#"SELECT count(*) FROM "_sluicegate_dead_letters"
               WHERE topic = ?1 AND "partition" = ?2 AND "offset" >= ?3 AND is_dropped = 0"#,
            (topic, place.partition, to),
            |row| row.get(0),
        )
        .map_err(failed)?;
    if letters > 0 {
        return Err(StoreError::Stop(format!(
            "{letters} dead letters of {stream} would share their receipts with new documents; retry or drop them first"
        )));
    }
    let run = |sql: &str, owner: &str| connection.execute(sql, (owner, place.partition, to)).map(drop).map_err(failed);
    run(r#"DELETE FROM "_sluicegate_dead_letters" WHERE topic = ?1 AND "partition" = ?2 AND "offset" >= ?3"#, topic)?;
    run(r#"DELETE FROM "_sluicegate_lost" WHERE topic = ?1 AND "partition" = ?2 AND ?3 >= 0"#, topic)?;
    run(r#"DELETE FROM "_sluicegate_duplicates" WHERE topic = ?1 AND "partition" = ?2 AND ?3 >= 0"#, topic)?;
    keys::disown_from(connection, place, to)
}
