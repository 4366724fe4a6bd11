//! Dead letters and outcomes, read.

use bytes::Bytes;
use tokio_postgres::Row;

use super::books::{stream_of, topic_of};
use super::connection::{Connection, column};
use crate::document::{Position, StreamName};
use crate::problem::Problem;
use crate::record::Record;
use crate::store::books::{Found, LetterFilter, Listed, Outcome, read_problem};
use crate::store::{Letter, StoreError};

const LETTER: &str = r#"SELECT stream, topic, "partition", "offset", key, value, headers, timestamp_ms, problem,
    set_aside_ms, attempts FROM {s}."_sluicegate_dead_letters" WHERE NOT is_dropped"#;

const LISTED: &str = r#"SELECT stream, topic, "partition", "offset", problem, set_aside_ms, attempts,
    octet_length(value)::int8 FROM {s}."_sluicegate_dead_letters" WHERE NOT is_dropped"#;

/// Asks whether the position could be moved now, without a row that somebody could wait for.
pub(super) const NOTHING_MOVED: &str =
    r#"UPDATE {s}."_sluicegate_positions" SET next_offset = next_offset WHERE FALSE"#;

/// Notes a letter.
pub(super) const SET_ASIDE: &str = r#"INSERT INTO {s}."_sluicegate_dead_letters"
    (topic, "partition", "offset", stream, key, value, headers, timestamp_ms, reason, problem, set_aside_ms, attempts)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"#;

/// Notes that a letter's retry failed.
pub(super) const FAILED_AGAIN: &str = r#"UPDATE {s}."_sluicegate_dead_letters"
    SET reason = $4, problem = $5, attempts = attempts + 1
    WHERE topic = $1 AND "partition" = $2 AND "offset" = $3 AND NOT is_dropped"#;

fn listed(row: &Row) -> Result<Listed, StoreError> {
    Ok(Listed {
        stream: stream_of(row, 0)?,
        position: Position { topic: topic_of(row, 1)?, partition: column(row, 2)?, offset: column(row, 3)? },
        problem: Problem { errors: Vec::new(), ..read_problem(column(row, 4)?) },
        set_aside_ms: column(row, 5)?,
        attempts: column(row, 6)?,
        bytes: column::<i64>(row, 7)?.unsigned_abs(),
    })
}

fn letter(row: &Row) -> Result<Letter, StoreError> {
    Ok(Letter {
        stream: stream_of(row, 0)?,
        position: Position { topic: topic_of(row, 1)?, partition: column(row, 2)?, offset: column(row, 3)? },
        record: Record {
            key: column::<Option<Vec<u8>>>(row, 4)?.map(Bytes::from),
            value: Bytes::from(column::<Vec<u8>>(row, 5)?),
            headers: serde_json::from_str(column(row, 6)?).unwrap_or_default(),
            timestamp_ms: column(row, 7)?,
        },
        problem: read_problem(column(row, 8)?),
        set_aside_ms: column(row, 9)?,
        attempts: column(row, 10)?,
    })
}

pub(super) async fn list(
    connection: &Connection,
    schema: &str,
    filter: &LetterFilter,
) -> Result<Vec<Listed>, StoreError> {
    let sql = format!(
        r#"{LISTED} AND ($1::text IS NULL OR stream = $1) AND ($2::text IS NULL OR reason = $2)
           AND ($3::text IS NULL OR (topic COLLATE "C", "partition", "offset") > ($3, $4::int4, $5::int8))
           ORDER BY topic COLLATE "C", "partition", "offset" LIMIT $6"#
    );
    let after = filter.after.as_ref();
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let rows = connection
        .query(
            &sql.replace("{s}", schema),
            &[
                &filter.stream.as_ref().map(StreamName::as_str),
                &filter.reason.as_deref(),
                &after.map(|position| position.topic.as_str()),
                &after.map(|position| position.partition),
                &after.map(|position| position.offset),
                &limit,
            ],
        )
        .await?;
    rows.iter().map(listed).collect()
}

pub(super) async fn find(
    connection: &Connection,
    schema: &str,
    position: &Position,
) -> Result<Option<Letter>, StoreError> {
    let sql = format!(r#"{LETTER} AND topic = $1 AND "partition" = $2 AND "offset" = $3"#).replace("{s}", schema);
    let at = (position.topic.as_str(), position.partition, position.offset);
    connection.row(&sql, &[&at.0, &at.1, &at.2]).await?.as_ref().map(letter).transpose()
}

/// What became of a document, seen at one moment.
pub(super) async fn outcome(
    connection: &Connection,
    schema: &str,
    stream: &StreamName,
    position: &Position,
) -> Result<Outcome, StoreError> {
    let sql = r#"SELECT l.problem, l.is_dropped, d.of_partition, d.of_offset,
            (SELECT next_offset FROM {s}."_sluicegate_positions"
                WHERE topic = $1 AND "partition" = $2 AND stream = $4) AS next_offset,
            EXISTS (SELECT 1 FROM {s}."_sluicegate_lost"
                WHERE topic = $1 AND "partition" = $2 AND $3 >= from_offset AND $3 < to_offset) AS is_lost
        FROM (SELECT 1) AS one
        LEFT JOIN {s}."_sluicegate_dead_letters" l ON l.topic = $1 AND l."partition" = $2 AND l."offset" = $3
        LEFT JOIN {s}."_sluicegate_duplicates" d ON d.topic = $1 AND d."partition" = $2 AND d."offset" = $3"#;
    let at = (position.topic.as_str(), position.partition, position.offset);
    let row = connection.row(&sql.replace("{s}", schema), &[&at.0, &at.1, &at.2, &stream.as_str()]).await?;
    let Some(row) = row else { return Ok(Outcome::Accepted) };
    let letter = column::<Option<String>>(&row, 0)?.zip(column(&row, 1)?);
    let duplicate_of = column::<Option<i32>>(&row, 2)?.zip(column(&row, 3)?);
    let (next_offset, is_lost) = (column(&row, 4)?, column(&row, 5)?);
    Ok(Found { letter, next_offset, duplicate_of, is_lost }.outcome(position))
}

/// The statement that ends a dead letter, which was dropped or applied after all: one unit moves between the counters. The
/// letter's own row decides between two who close it at once.
pub(super) fn closing(is_dropped: bool) -> String {
    let find = r#"topic = $1 AND "partition" = $2 AND "offset" = $3"#;
    let (counter, sql) = match is_dropped {
        // What was dropped is gone, but its receipt still says so.
        true => (
            "dropped",
            format!(
                r#"UPDATE {{s}}."_sluicegate_dead_letters" SET is_dropped = TRUE, value = '', key = NULL
                   WHERE {find} AND NOT is_dropped RETURNING stream"#
            ),
        ),
        false => (
            "applied",
            format!(r#"DELETE FROM {{s}}."_sluicegate_dead_letters" WHERE {find} AND NOT is_dropped RETURNING stream"#),
        ),
    };
    format!(
        r#"WITH closed AS ({sql})
           UPDATE {{s}}."_sluicegate_positions" p SET dead_lettered = dead_lettered - 1, {counter} = {counter} + 1
           FROM closed WHERE p.topic = $1 AND p."partition" = $2 AND p.stream = closed.stream"#
    )
}
