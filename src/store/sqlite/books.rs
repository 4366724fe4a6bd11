//! The books in SQLite.

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{SqliteStore, failed, keys, moves};
use crate::document::{Position, StreamName, TopicName};
use crate::problem::Problem;
use crate::record::Record;
use crate::store::books::{Audit, Books, Counters, Found, LetterFilter, Listed, Outcome, Standing, read_problem};
use crate::store::moves::{Move, Moved};
use crate::store::{Letter, Place, StoreError};

const STANDING: &str = r#"SELECT stream, topic, "partition", journal, first_offset, next_offset, epoch, owner, halted,
    applied, duplicates, dead_lettered, dropped, lost, gaps, carried, duplicates_pruned FROM "_sluicegate_positions""#;

/// The length of a document is known without reading it.
const LISTED: &str = r#"SELECT stream, topic, "partition", "offset", problem, set_aside_ms, attempts, length(value)
    FROM "_sluicegate_dead_letters" WHERE is_dropped = 0"#;

const LETTER: &str = r#"SELECT stream, topic, "partition", "offset", key, value, headers, timestamp_ms, problem,
    set_aside_ms, attempts FROM "_sluicegate_dead_letters" WHERE is_dropped = 0"#;

fn bad_name(error: crate::document::BadName) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
}

fn standing(row: &Row<'_>) -> rusqlite::Result<Standing> {
    let place = Place {
        stream: StreamName::parse(row.get_ref(0)?.as_str()?).map_err(bad_name)?,
        topic: TopicName::parse(row.get_ref(1)?.as_str()?).map_err(bad_name)?,
        partition: row.get(2)?,
    };
    let counters = Counters {
        applied: row.get(9)?,
        duplicates: row.get(10)?,
        dead_lettered: row.get(11)?,
        dropped: row.get(12)?,
        lost: row.get(13)?,
        gaps: row.get(14)?,
        carried: row.get(15)?,
        duplicates_pruned: row.get(16)?,
    };
    Ok(Standing {
        place,
        journal: row.get(3)?,
        first_offset: row.get(4)?,
        next_offset: row.get(5)?,
        epoch: row.get(6)?,
        owner: row.get(7)?,
        halted: row.get(8)?,
        counters,
    })
}

/// The position in the second column and the two behind it.
fn position(row: &Row<'_>) -> rusqlite::Result<Position> {
    let topic = TopicName::parse(row.get_ref(1)?.as_str()?).map_err(bad_name)?;
    Ok(Position { topic, partition: row.get(2)?, offset: row.get(3)? })
}

fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    Ok(Listed {
        stream: StreamName::parse(row.get_ref(0)?.as_str()?).map_err(bad_name)?,
        position: position(row)?,
        problem: Problem { errors: Vec::new(), ..read_problem(row.get_ref(4)?.as_str()?) },
        set_aside_ms: row.get(5)?,
        attempts: row.get(6)?,
        bytes: row.get::<_, i64>(7)?.unsigned_abs(),
    })
}

fn letter(row: &Row<'_>) -> rusqlite::Result<Letter> {
    let headers: String = row.get(6)?;
    Ok(Letter {
        stream: StreamName::parse(row.get_ref(0)?.as_str()?).map_err(bad_name)?,
        position: position(row)?,
        record: Record {
            key: row.get::<_, Option<Vec<u8>>>(4)?.map(Bytes::from),
            value: Bytes::from(row.get::<_, Vec<u8>>(5)?),
            headers: serde_json::from_str(&headers).unwrap_or_default(),
            timestamp_ms: row.get(7)?,
        },
        problem: read_problem(row.get_ref(8)?.as_str()?),
        set_aside_ms: row.get(9)?,
        attempts: row.get(10)?,
    })
}

pub(super) fn find_standing(connection: &Connection, place: &Place) -> Result<Option<Standing>, StoreError> {
    let sql = format!(r#"{STANDING} WHERE stream = ?1 AND topic = ?2 AND "partition" = ?3"#);
    connection
        .query_row(&sql, (place.stream.as_str(), place.topic.as_str(), place.partition), standing)
        .optional()
        .map_err(failed)
}

/// What the books know of a document.
const FOUND: &str = r#"SELECT l.problem, l.is_dropped, d.of_partition, d.of_offset,
        (SELECT next_offset FROM "_sluicegate_positions" WHERE topic = ?1 AND "partition" = ?2 AND stream = ?4),
        EXISTS (SELECT 1 FROM "_sluicegate_lost"
            WHERE topic = ?1 AND "partition" = ?2 AND ?3 >= from_offset AND ?3 < to_offset)
    FROM (SELECT 1) AS one
    LEFT JOIN "_sluicegate_dead_letters" l ON l.topic = ?1 AND l."partition" = ?2 AND l."offset" = ?3
    LEFT JOIN "_sluicegate_duplicates" d ON d.topic = ?1 AND d."partition" = ?2 AND d."offset" = ?3"#;

fn found(row: &Row<'_>) -> rusqlite::Result<Found> {
    let letter = row.get::<_, Option<String>>(0)?.zip(row.get(1)?);
    let duplicate_of = row.get::<_, Option<i32>>(2)?.zip(row.get(3)?);
    Ok(Found { letter, duplicate_of, next_offset: row.get(4)?, is_lost: row.get(5)? })
}

#[async_trait]
impl Books for SqliteStore {
    async fn positions(&self, stream: Option<&StreamName>) -> Result<Vec<Standing>, StoreError> {
        let stream = stream.map(ToString::to_string);
        self.readers
            .read(move |connection| {
                let sql = format!(r#"{STANDING} WHERE ?1 IS NULL OR stream = ?1 ORDER BY stream, topic, "partition""#);
                let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
                let found = statement.query_map([stream], standing).map_err(failed)?;
                found.collect::<rusqlite::Result<_>>().map_err(failed)
            })
            .await
    }

    async fn outcome(&self, stream: &StreamName, position: &Position) -> Result<Outcome, StoreError> {
        let (stream, position) = (stream.clone(), position.clone());
        self.readers
            .read(move |connection| {
                let at = (position.topic.as_str(), position.partition, position.offset, stream.as_str());
                let found = connection.prepare_cached(FOUND).and_then(|mut asked| asked.query_row(at, found));
                Ok(found.map_err(failed)?.outcome(&position))
            })
            .await
    }

    async fn letters(&self, filter: &LetterFilter) -> Result<Vec<Listed>, StoreError> {
        let filter = filter.clone();
        self.readers
            .read(move |connection| {
                let sql = format!(
                    r#"{LISTED} AND (?1 IS NULL OR stream = ?1) AND (?2 IS NULL OR reason = ?2)
                       AND (?3 IS NULL OR (topic, "partition", "offset") > (?3, ?4, ?5))
                       ORDER BY topic, "partition", "offset" LIMIT ?6"#
                );
                let after = filter.after.as_ref();
                let parameters = (
                    filter.stream.as_ref().map(StreamName::as_str),
                    filter.reason.as_deref(),
                    after.map(|position| position.topic.as_str()),
                    after.map(|position| position.partition),
                    after.map(|position| position.offset),
                    i64::try_from(filter.limit).unwrap_or(i64::MAX),
                );
                let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
                let found = statement.query_map(parameters, listed).map_err(failed)?;
                found.collect::<rusqlite::Result<_>>().map_err(failed)
            })
            .await
    }

    async fn letter(&self, position: &Position) -> Result<Option<Letter>, StoreError> {
        let position = position.clone();
        self.readers
            .read(move |connection| {
                let sql = format!(r#"{LETTER} AND topic = ?1 AND "partition" = ?2 AND "offset" = ?3"#);
                let at = (position.topic.as_str(), position.partition, position.offset);
                connection.query_row(&sql, at, letter).optional().map_err(failed)
            })
            .await
    }

    async fn begin(&self, journal: &str, places: &[(Place, i64)]) -> Result<(), StoreError> {
        let (journal, places) = (journal.to_owned(), places.to_vec());
        let begin = move |connection: &Connection| {
            let Some((Place { stream, topic, .. }, _)) = places.first() else { return Ok(()) };
            let begun: bool = connection
                .query_row(
                    r#"SELECT count(*) > 0 FROM "_sluicegate_positions" WHERE stream = ?1 AND topic = ?2"#,
                    (stream.as_str(), topic.as_str()),
                    |row| row.get(0),
                )
                .map_err(failed)?;
            for (place, offset) in places.iter().filter(|_| !begun) {
                let sql = r#"INSERT INTO "_sluicegate_positions"
                    (stream, topic, "partition", journal, first_offset, next_offset, epoch, owner)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0, '')"#;
                let row = (stream.as_str(), topic.as_str(), place.partition, &journal, offset);
                connection.execute(sql, row).map_err(failed)?;
            }
            Ok(())
        };
        self.writer.write(begin).await
    }

    async fn move_position(&self, place: &Place, how: &Move) -> Result<Moved, StoreError> {
        let (place, how) = (place.clone(), how.clone());
        let step = move |connection: &Connection| {
            let standing = find_standing(connection, &place)?;
            moves::apply(connection, &place, standing.as_ref(), &how)
        };
        self.writer.write(step).await
    }

    async fn note_halt(&self, place: &Place, reason: Option<&str>) -> Result<(), StoreError> {
        let (place, reason) = (place.clone(), reason.map(str::to_owned));
        let note = move |connection: &Connection| {
            let sql = r#"UPDATE "_sluicegate_positions" SET halted = ?4
                         WHERE stream = ?1 AND topic = ?2 AND "partition" = ?3"#;
            let parameters = (place.stream.as_str(), place.topic.as_str(), place.partition, reason);
            connection.execute(sql, parameters).map(drop).map_err(failed)
        };
        self.writer.write(note).await
    }

    async fn prune(&self, place: &Place, before_ms: i64, journal_start: i64) -> Result<u64, StoreError> {
        let place = place.clone();
        let prune = move |connection: &Connection| {
            let keys = keys::prune(connection, &place, before_ms)?;
            let duplicates = connection
                .execute(
                    r#"DELETE FROM "_sluicegate_duplicates"
                       WHERE topic = ?1 AND "partition" = ?2 AND at_ms < ?3 AND "offset" < ?4"#,
                    (place.topic.as_str(), place.partition, before_ms, journal_start),
                )
                .map_err(failed)?;
            connection
                .execute(
                    r#"UPDATE "_sluicegate_positions" SET duplicates_pruned = duplicates_pruned + ?4
                       WHERE stream = ?1 AND topic = ?2 AND "partition" = ?3"#,
                    (place.stream.as_str(), place.topic.as_str(), place.partition, duplicates as i64),
                )
                .map_err(failed)?;
            Ok(keys + duplicates as u64)
        };
        self.writer.write(prune).await
    }

    async fn audit(&self, place: &Place) -> Result<Audit, StoreError> {
        let place = place.clone();
        self.readers
            .read(move |connection| {
                let at = (place.topic.as_str(), place.partition);
                let count = |sql: &str| connection.query_row(sql, at, |row| row.get(0)).map_err(failed);
                let by = r#"WHERE topic = ?1 AND "partition" = ?2"#;
                Ok(Audit {
                    dead_lettered: count(&format!(
                        r#"SELECT count(*) FROM "_sluicegate_dead_letters" {by} AND is_dropped = 0"#
                    ))?,
                    dropped: count(&format!(
                        r#"SELECT count(*) FROM "_sluicegate_dead_letters" {by} AND is_dropped = 1"#
                    ))?,
                    duplicates: count(&format!(r#"SELECT count(*) FROM "_sluicegate_duplicates" {by}"#))?,
                    lost: count(&format!(
                        r#"SELECT coalesce(sum(to_offset - from_offset), 0) FROM "_sluicegate_lost" {by}"#
                    ))?,
                })
            })
            .await
    }
}
