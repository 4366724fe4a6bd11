//! The books in PostgreSQL: positions, outcomes, what is pruned and counted.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::catalogue::quote;
use super::connection::{Connection, column};
use super::schema::{LOCK, lock_of};
use super::{PostgresStore, keys, letters, moves};
use crate::document::{BadName, Position, StreamName, TopicName};
use crate::reason::Reason;
use crate::store::books::{Audit, Books, Counters, LetterFilter, Listed, Outcome, Standing};
use crate::store::moves::{Move, Moved};
use crate::store::{Letter, Place, StoreError};

const STANDING: &str = r#"SELECT stream, topic, "partition", journal, first_offset, next_offset, epoch, owner, halted,
    applied, duplicates, dead_lettered, dropped, lost, gaps, carried, duplicates_pruned FROM {s}."_sluicegate_positions""#;

/// A name in the books that is none was written by others.
pub(super) fn bad_name(error: BadName) -> StoreError {
    StoreError::stop(Reason::of("a row of the store's books cannot be read", error))
}

pub(super) fn stream_of(row: &Row, at: usize) -> Result<StreamName, StoreError> {
    StreamName::parse(column(row, at)?).map_err(bad_name)
}

pub(super) fn topic_of(row: &Row, at: usize) -> Result<TopicName, StoreError> {
    TopicName::parse(column(row, at)?).map_err(bad_name)
}

fn standing(row: &Row) -> Result<Standing, StoreError> {
    let counters = Counters {
        applied: column(row, 9)?,
        duplicates: column(row, 10)?,
        dead_lettered: column(row, 11)?,
        dropped: column(row, 12)?,
        lost: column(row, 13)?,
        gaps: column(row, 14)?,
        carried: column(row, 15)?,
        duplicates_pruned: column(row, 16)?,
    };
    Ok(Standing {
        place: Place { stream: stream_of(row, 0)?, topic: topic_of(row, 1)?, partition: column(row, 2)? },
        journal: column(row, 3)?,
        first_offset: column(row, 4)?,
        next_offset: column(row, 5)?,
        epoch: column(row, 6)?,
        owner: column(row, 7)?,
        halted: column(row, 8)?,
        counters,
    })
}

pub(super) async fn find_standing(books: &Ledger<'_>, place: &Place) -> Result<Option<Standing>, StoreError> {
    let sql = format!(r#"{STANDING} WHERE stream = $1 AND topic = $2 AND "partition" = $3 FOR UPDATE"#);
    let at = (place.stream.as_str(), place.topic.as_str(), place.partition);
    books.rows(&sql, &[&at.0, &at.1, &at.2]).await?.first().map(standing).transpose()
}

type Values<'v> = &'v [&'v (dyn tokio_postgres::types::ToSql + Sync)];

/// The books as statements see them: `{s}` in their SQL stands for the schema.
pub(super) struct Ledger<'c> {
    connection: &'c Connection,
    schema: String,
}

impl Ledger<'_> {
    pub(super) async fn rows(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        self.connection.query(&sql.replace("{s}", &self.schema), values).await
    }

    pub(super) async fn run(&self, sql: &str, values: Values<'_>) -> Result<u64, StoreError> {
        self.connection.execute(&sql.replace("{s}", &self.schema), values).await
    }

    pub(super) async fn count(&self, sql: &str, values: Values<'_>) -> Result<i64, StoreError> {
        match self.rows(sql, values).await?.first() {
            Some(row) => column(row, 0),
            None => Ok(0),
        }
    }
}

impl PostgresStore {
    /// Runs `work` in a transaction: one that only reads sees one moment.
    pub(super) async fn with_books<T>(
        &self,
        is_writing: bool,
        work: impl AsyncFnOnce(&Ledger<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.pool.lend().await?;
        connection.note_transaction(true);
        connection
            .run(match is_writing {
                true => "BEGIN ISOLATION LEVEL READ COMMITTED",
                false => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '20s'",
            })
            .await?;
        let ledger = Ledger { connection: &connection, schema: quote(&self.settings.schema) };
        let value = work(&ledger).await?;
        connection.run("COMMIT").await?;
        connection.note_transaction(false);
        Ok(value)
    }
}

#[async_trait]
impl Books for PostgresStore {
    async fn positions(&self, stream: Option<&StreamName>) -> Result<Vec<Standing>, StoreError> {
        let sql = format!(
            r#"{STANDING} WHERE $1::text IS NULL OR stream = $1 ORDER BY stream COLLATE "C", topic COLLATE "C", "partition""#
        );
        let stream = stream.map(StreamName::as_str);
        let sql = sql.replace("{s}", &quote(&self.settings.schema));
        self.pool.lend().await?.query(&sql, &[&stream]).await?.iter().map(standing).collect()
    }

    async fn outcome(&self, stream: &StreamName, position: &Position) -> Result<Outcome, StoreError> {
        let connection = self.pool.lend().await?;
        letters::outcome(&connection, &quote(&self.settings.schema), stream, position).await
    }

    async fn letters(&self, filter: &LetterFilter) -> Result<Vec<Listed>, StoreError> {
        let connection = self.pool.lend().await?;
        letters::list(&connection, &quote(&self.settings.schema), filter).await
    }

    async fn letter(&self, position: &Position) -> Result<Option<Letter>, StoreError> {
        let connection = self.pool.lend().await?;
        letters::find(&connection, &quote(&self.settings.schema), position).await
    }

    async fn begin(&self, journal: &str, places: &[(Place, i64)]) -> Result<(), StoreError> {
        let Some((Place { stream, topic, .. }, _)) = places.first() else { return Ok(()) };
        let partitions: Vec<_> = places.iter().map(|(place, _)| place.partition).collect();
        let offsets: Vec<_> = places.iter().map(|(_, offset)| *offset).collect();
        self.with_books(true, async |books| {
            // Two processes that begin at once agree on where.
            let lock = "SELECT pg_advisory_xact_lock($1, $2)";
            books.rows(lock, &[&LOCK, &(lock_of(&self.settings.schema) ^ 2)]).await?;
            let sql = r#"INSERT INTO {s}."_sluicegate_positions"
                    (stream, topic, "partition", journal, first_offset, next_offset, epoch, owner)
                SELECT $1, $2, u.part, $3, u.place, u.place, 0, '' FROM unnest($4::int4[], $5::int8[]) AS u (part, place)
                WHERE NOT EXISTS (SELECT 1 FROM {s}."_sluicegate_positions" WHERE stream = $1 AND topic = $2)"#;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
                [&stream.as_str(), &topic.as_str(), &journal, &partitions, &offsets];
            books.run(sql, &values).await.map(drop)
        })
        .await
    }

    async fn move_position(&self, place: &Place, how: &Move) -> Result<Moved, StoreError> {
        self.with_books(true, async |books| moves::apply(books, place, how).await).await
    }

    async fn note_halt(&self, place: &Place, reason: Option<&str>) -> Result<(), StoreError> {
        let sql = r#"UPDATE {s}."_sluicegate_positions" SET halted = $4
                     WHERE stream = $1 AND topic = $2 AND "partition" = $3"#;
        let at = (place.stream.as_str(), place.topic.as_str(), place.partition);
        self.with_books(true, async |books| books.run(sql, &[&at.0, &at.1, &at.2, &reason]).await.map(drop)).await
    }

    async fn prune(&self, place: &Place, before_ms: i64, journal_start: i64) -> Result<u64, StoreError> {
        let (stream, topic) = (place.stream.as_str(), place.topic.as_str());
        let number = keys::stream_number(stream);
        self.with_books(true, async |books| {
            let forgotten = books
                .run(
                    r#"DELETE FROM {s}."_sluicegate_key_rows" WHERE stream = $1 AND "partition" = $2 AND noted_ms < $3"#,
                    &[&number, &place.partition, &before_ms],
                )
                .await?;
            let duplicates = books
                .run(
                    r#"DELETE FROM {s}."_sluicegate_duplicates"
                       WHERE topic = $1 AND "partition" = $2 AND at_ms < $3 AND "offset" < $4"#,
                    &[&topic, &place.partition, &before_ms, &journal_start],
                )
                .await?;
            if duplicates > 0 {
                books
                    .run(
                        r#"UPDATE {s}."_sluicegate_positions" SET duplicates_pruned = duplicates_pruned + $4
                           WHERE stream = $1 AND topic = $2 AND "partition" = $3"#,
                        &[&stream, &topic, &place.partition, &(duplicates as i64)],
                    )
                    .await?;
            }
            Ok(forgotten + duplicates)
        })
        .await
    }

    async fn audit(&self, place: &Place) -> Result<Audit, StoreError> {
        let (topic, partition) = (place.topic.as_str(), place.partition);
        self.with_books(false, async |books| {
            let by = r#"WHERE topic = $1 AND "partition" = $2"#;
            let count = async |what: &str| books.count(&format!("SELECT {what}"), &[&topic, &partition]).await;
            let letters = |rest: &str| format!(r#"count(*) FROM {{s}}."_sluicegate_dead_letters" {by} AND {rest}"#);
            let lost = r#"coalesce(sum(to_offset - from_offset), 0)::bigint FROM {s}."_sluicegate_lost""#;
            Ok(Audit {
                dead_lettered: count(&letters("NOT is_dropped")).await?,
                dropped: count(&letters("is_dropped")).await?,
                duplicates: count(&format!(r#"count(*) FROM {{s}}."_sluicegate_duplicates" {by}"#)).await?,
                lost: count(&format!("{lost} {by}")).await?,
            })
        })
        .await
    }
}
