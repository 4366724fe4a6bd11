//! Positions moved because a person said so.

use rusqlite::{Connection, OptionalExtension};

use super::{failed, keys};
use crate::clock;
use crate::store::books::Standing;
use crate::store::moves::{Behind, Deed, Move, Moved};
use crate::store::{Place, StoreError};

/// Moves a position that stands there now, in the transaction that looked.
pub(super) fn apply(
    connection: &Connection,
    place: &Place,
    standing: Option<&Standing>,
    how: &Move,
) -> Result<Moved, StoreError> {
    let (deeds, moved) = how.deeds(standing, behind(connection, place, how.to)?)?;
    deeds.iter().try_for_each(|deed| write(connection, place, &how.journal, *deed))?;
    Ok(moved)
}

fn behind(connection: &Connection, place: &Place, to: i64) -> Result<Behind, StoreError> {
    let sql = r#"SELECT applied_before, (SELECT count(*) FROM "_sluicegate_dead_letters"
            WHERE topic = ?2 AND "partition" = ?3 AND "offset" >= ?4 AND is_dropped = 0)
        FROM "_sluicegate_positions" WHERE stream = ?1 AND topic = ?2 AND "partition" = ?3"#;
    let at = (place.stream.as_str(), place.topic.as_str(), place.partition, to);
    let found = connection.query_row(sql, at, |row| Ok(Behind { applied_before: row.get(0)?, letters: row.get(1)? }));
    Ok(found.optional().map_err(failed)?.unwrap_or_default())
}

fn write(connection: &Connection, place: &Place, journal: &str, deed: Deed) -> Result<(), StoreError> {
    let (stream, topic, partition) = (place.stream.as_str(), place.topic.as_str(), place.partition);
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| connection.execute(sql, values).map(drop).map_err(failed);
    match deed {
        Deed::Begin { at } => run(
            r#"INSERT INTO "_sluicegate_positions"
                   (stream, topic, "partition", journal, first_offset, next_offset, epoch, owner)
               VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0, '')"#,
            &[&stream, &topic, &partition, &journal, &at],
        ),
        Deed::Lose { from, to } => run(
            r#"INSERT INTO "_sluicegate_lost" VALUES (?1, ?2, ?3, ?4, ?5, ?6)"#,
            &[&stream, &topic, &partition, &from, &to, &clock::now_ms()],
        ),
        Deed::Remove { from } => {
            let letters = r#"DELETE FROM "_sluicegate_dead_letters"
                             WHERE topic = ?1 AND "partition" = ?2 AND "offset" >= ?3"#;
            run(letters, &[&topic, &partition, &from])?;
            for table in ["lost", "duplicates"] {
                let sql = format!(r#"DELETE FROM "_sluicegate_{table}" WHERE topic = ?1 AND "partition" = ?2"#);
                run(&sql, &[&topic, &partition])?;
            }
            Ok(())
        }
        Deed::FreeKeys { from } => keys::forget_from(connection, place, from),
        Deed::DisownKeys { from } => keys::disown_from(connection, place, from),
        Deed::Forward { to, lost } => run(
            r#"UPDATE "_sluicegate_positions" SET next_offset = ?4, lost = lost + ?5, epoch = epoch + 1, halted = NULL
               WHERE stream = ?1 AND topic = ?2 AND "partition" = ?3"#,
            &[&stream, &topic, &partition, &to, &lost],
        ),
        Deed::Anew { at, applied_before } => {
            let letters = |rest: &str| {
                format!(
                    r#"(SELECT count(*) FROM "_sluicegate_dead_letters"
                        WHERE topic = ?2 AND "partition" = ?3 AND {rest})"#
                )
            };
            let (waiting, dropped) = (letters("is_dropped = 0"), letters("is_dropped = 1"));
            let sql = format!(
                r#"UPDATE "_sluicegate_positions" SET applied_before = ?6, journal = ?4, first_offset = ?5,
                       next_offset = ?5, epoch = epoch + 1, halted = NULL, applied = 0, duplicates = 0, gaps = 0,
                       lost = 0, duplicates_pruned = 0, dead_lettered = {waiting}, dropped = {dropped},
                       carried = {waiting} + {dropped}
                   WHERE stream = ?1 AND topic = ?2 AND "partition" = ?3"#
            );
            run(&sql, &[&stream, &topic, &partition, &journal, &at, &applied_before])
        }
    }
}
