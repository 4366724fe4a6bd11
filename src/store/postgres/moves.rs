//! Positions moved because a person said so.

use super::books::{Ledger, find_standing};
use super::connection::column;
use super::keys::stream_number;
use crate::clock;
use crate::store::moves::{Behind, Deed, Move, Moved};
use crate::store::{Place, StoreError};

pub(super) async fn apply(books: &Ledger<'_>, place: &Place, how: &Move) -> Result<Moved, StoreError> {
    let standing = find_standing(books, place).await?;
    let (deeds, moved) = how.deeds(standing.as_ref(), behind(books, place, how.to).await?)?;
    for deed in deeds {
        let is_written = write(books, place, &how.journal, deed).await?;
        if matches!(deed, Deed::Begin { .. }) && !is_written {
            return Ok(Moved::Stale);
        }
    }
    Ok(moved)
}

async fn behind(books: &Ledger<'_>, place: &Place, to: i64) -> Result<Behind, StoreError> {
    let sql = r#"SELECT applied_before, (SELECT count(*) FROM {s}."_sluicegate_dead_letters"
            WHERE topic = $2 AND "partition" = $3 AND "offset" >= $4 AND NOT is_dropped)
        FROM {s}."_sluicegate_positions" WHERE stream = $1 AND topic = $2 AND "partition" = $3"#;
    let at = (place.stream.as_str(), place.topic.as_str(), place.partition);
    let rows = books.rows(sql, &[&at.0, &at.1, &at.2, &to]).await?;
    let Some(row) = rows.first() else { return Ok(Behind::default()) };
    Ok(Behind { applied_before: column(row, 0)?, letters: column(row, 1)? })
}

/// Whether a row was written.
async fn write(books: &Ledger<'_>, place: &Place, journal: &str, deed: Deed) -> Result<bool, StoreError> {
    let (stream, topic, partition) = (&place.stream.as_str(), &place.topic.as_str(), &place.partition);
    let number = &stream_number(stream);
    let written = match deed {
        Deed::Begin { at } => {
            let sql = r#"INSERT INTO {s}."_sluicegate_positions"
                (stream, topic, "partition", journal, first_offset, next_offset, epoch, owner)
                VALUES ($1, $2, $3, $4, $5, $5, 0, '') ON CONFLICT DO NOTHING"#;
            books.run(sql, &[stream, topic, partition, &journal, &at]).await
        }
        Deed::Lose { from, to } => {
            let sql = r#"INSERT INTO {s}."_sluicegate_lost" VALUES ($1, $2, $3, $4, $5, $6)"#;
            books.run(sql, &[stream, topic, partition, &from, &to, &clock::now_ms()]).await
        }
        Deed::Remove { from } => {
            for table in ["lost", "duplicates"] {
                let sql = format!(r#"DELETE FROM {{s}}."_sluicegate_{table}" WHERE topic = $1 AND "partition" = $2"#);
                books.run(&sql, &[topic, partition]).await?;
            }
            let letters = r#"DELETE FROM {s}."_sluicegate_dead_letters"
                             WHERE topic = $1 AND "partition" = $2 AND "offset" >= $3"#;
            books.run(letters, &[topic, partition, &from]).await
        }
        Deed::FreeKeys { from } => {
            let sql =
                r#"DELETE FROM {s}."_sluicegate_key_rows" WHERE stream = $1 AND "partition" = $2 AND "offset" >= $3"#;
            books.run(sql, &[number, partition, &from]).await
        }
        Deed::DisownKeys { from } => {
            let sql = r#"UPDATE {s}."_sluicegate_key_rows" SET "offset" = -1
                         WHERE stream = $1 AND "partition" = $2 AND "offset" >= $3"#;
            books.run(sql, &[number, partition, &from]).await
        }
        Deed::Forward { to, lost } => {
            let sql = r#"UPDATE {s}."_sluicegate_positions"
                SET next_offset = $4, lost = lost + $5, epoch = epoch + 1, halted = NULL
                WHERE stream = $1 AND topic = $2 AND "partition" = $3"#;
            books.run(sql, &[stream, topic, partition, &to, &lost]).await
        }
        Deed::Anew { at, applied_before } => {
            let letters = |rest: &str| {
                format!(
                    r#"(SELECT count(*) FROM {{s}}."_sluicegate_dead_letters"
                        WHERE topic = $2 AND "partition" = $3 AND {rest})"#
                )
            };
            let (waiting, dropped) = (letters("NOT is_dropped"), letters("is_dropped"));
            let sql = format!(
                r#"UPDATE {{s}}."_sluicegate_positions" SET applied_before = $6, journal = $4, first_offset = $5,
                       next_offset = $5, epoch = epoch + 1, halted = NULL, applied = 0, duplicates = 0, gaps = 0,
                       lost = 0, duplicates_pruned = 0, dead_lettered = {waiting}, dropped = {dropped},
                       carried = {waiting} + {dropped}
                   WHERE stream = $1 AND topic = $2 AND "partition" = $3"#
            );
            books.run(&sql, &[stream, topic, partition, &journal, &at, &applied_before]).await
        }
    };
    Ok(written? > 0)
}
