//! Positions moved because a person said so.

use super::books::{Ledger, find_standing};
use super::keys::stream_number;
use crate::clock;
use crate::store::moves::{Move, Moved, Step};
use crate::store::{Place, StoreError};

pub(super) async fn apply(books: &Ledger<'_>, place: &Place, how: &Move) -> Result<Moved, StoreError> {
    let Move { start, to, journal, .. } = how;
    let at = (place.stream.as_str(), place.topic.as_str(), place.partition);
    let standing = find_standing(books, place).await?;
    let applied_before = match how.step(standing.as_ref()) {
        Step::Stale => return Ok(Moved::Stale),
        Step::Passed { at } => return Ok(Moved::Done { to: at, lost: 0 }),
        Step::Skip { from } => return skip(books, place, from, *to).await,
        Step::Begin => {
            let sql = r#"INSERT INTO {s}."_sluicegate_positions"
                (stream, topic, "partition", journal, first_offset, next_offset, epoch, owner)
                VALUES ($1, $2, $3, $4, $5, $5, 0, '') ON CONFLICT DO NOTHING"#;
            let is_new = books.run(sql, &[&at.0, &at.1, &at.2, journal, start]).await? == 1;
            return if is_new { skip(books, place, *start, *to).await } else { Ok(Moved::Stale) };
        }
        Step::Again => {
            forget_from(books, place, *to).await?;
            "greatest(applied_before, next_offset)"
        }
        Step::Anew => {
            disown_from(books, place, *to).await?;
            // Other documents stand behind the new position than those that were applied.
            "CASE WHEN journal = $4 THEN least(applied_before, $5) ELSE 0 END"
        }
    };
    // The counting begins anew.
    let letters = |rest: &str| {
        format!(
            r#"(SELECT count(*) FROM {{s}}."_sluicegate_dead_letters"
                WHERE topic = $2 AND "partition" = $3 AND {rest})"#
        )
    };
    let (waiting, dropped) = (letters("NOT is_dropped"), letters("is_dropped"));
    let sql = format!(
        r#"UPDATE {{s}}."_sluicegate_positions" SET applied_before = {applied_before}, journal = $4, first_offset = $5, next_offset = $5,
               epoch = epoch + 1, halted = NULL, applied = 0, duplicates = 0, gaps = 0, lost = 0,
               duplicates_pruned = 0, dead_lettered = {waiting}, dropped = {dropped}, carried = {waiting} + {dropped}
           WHERE stream = $1 AND topic = $2 AND "partition" = $3"#
    );
    books.run(&sql, &[&at.0, &at.1, &at.2, journal, to]).await?;
    Ok(Moved::Done { to: *to, lost: 0 })
}

/// Moves a position forwards: what is skipped is lost, because a person said so.
async fn skip(books: &Ledger<'_>, place: &Place, from: i64, to: i64) -> Result<Moved, StoreError> {
    let at = (place.stream.as_str(), place.topic.as_str(), place.partition);
    if to > from {
        let sql = r#"INSERT INTO {s}."_sluicegate_lost" VALUES ($1, $2, $3, $4, $5, $6)"#;
        books.run(sql, &[&at.0, &at.1, &at.2, &from, &to, &clock::now_ms()]).await?;
    }
    let sql = r#"UPDATE {s}."_sluicegate_positions" SET next_offset = $4, lost = lost + $5, epoch = epoch + 1, halted = NULL
                 WHERE stream = $1 AND topic = $2 AND "partition" = $3"#;
    books.run(sql, &[&at.0, &at.1, &at.2, &to, &(to - from)]).await?;
    Ok(Moved::Done { to, lost: to - from })
}

/// The rows of a partition from an offset on, in the tables that name them by topic.
async fn remove_from(books: &Ledger<'_>, place: &Place, to: i64) -> Result<(), StoreError> {
    let (topic, partition) = (place.topic.as_str(), place.partition);
    let letters = r#"DELETE FROM {s}."_sluicegate_dead_letters"
                     WHERE topic = $1 AND "partition" = $2 AND "offset" >= $3"#;
    books.run(letters, &[&topic, &partition, &to]).await?;
    for table in ["lost", "duplicates"] {
        let sql = format!(r#"DELETE FROM {{s}}."_sluicegate_{table}" WHERE topic = $1 AND "partition" = $2"#);
        books.run(&sql, &[&topic, &partition]).await?;
    }
    Ok(())
}

/// What will be applied again is no longer a letter or a duplicate, and its idempotency keys are free.
async fn forget_from(books: &Ledger<'_>, place: &Place, to: i64) -> Result<(), StoreError> {
    remove_from(books, place, to).await?;
    let sql = r#"DELETE FROM {s}."_sluicegate_key_rows" WHERE stream = $1 AND "partition" = $2 AND "offset" >= $3"#;
    books.run(sql, &[&stream_number(place.stream.as_str()), &place.partition, &to]).await.map(drop)
}

/// The offsets from `to` on will be other documents' than those the books know. Idempotency keys still count, but point
/// nowhere; a dead letter must not give its receipt to another document.
async fn disown_from(books: &Ledger<'_>, place: &Place, to: i64) -> Result<(), StoreError> {
    let (topic, stream) = (place.topic.as_str(), &place.stream);
    let sql = r#"SELECT count(*) FROM {s}."_sluicegate_dead_letters"
                 WHERE topic = $1 AND "partition" = $2 AND "offset" >= $3 AND NOT is_dropped"#;
    let letters = books.count(sql, &[&topic, &place.partition, &to]).await?;
    if letters > 0 {
        return Err(StoreError::Stop(format!(
            "{letters} dead letters of {stream} would share their receipts with new documents; retry or drop them first"
        )));
    }
    remove_from(books, place, to).await?;
    let sql = r#"UPDATE {s}."_sluicegate_key_rows" SET "offset" = -1
                 WHERE stream = $1 AND "partition" = $2 AND "offset" >= $3"#;
    books.run(sql, &[&stream_number(stream.as_str()), &place.partition, &to]).await.map(drop)
}
