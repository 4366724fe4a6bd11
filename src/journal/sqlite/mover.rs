//! Appends what comes of a topic's records, and moves the position of who read them, in one transaction of the file.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Transaction};

use super::group;
use super::topics::{create_topic, table};
use super::writer::Writer;
use crate::document::TopicName;
use crate::journal::{JournalError, Mover, Standing, another_moves};
use crate::record::Record;

pub(super) struct SqliteMover {
    writer: Writer,
    topic_id: i64,
    group: String,
    /// Who became mover later has a higher one.
    epoch: i64,
    standing: Option<Standing>,
}

/// Makes the topic `name` one of which the last record of each key is kept.
pub(super) fn open_output(transaction: &Transaction<'_>, name: &TopicName) -> rusqlite::Result<()> {
    let id = create_topic(transaction, name)?;
    transaction.execute("INSERT OR IGNORE INTO compacted (topic) VALUES (?1)", [id])?;
    let table = table(id);
    transaction.execute_batch(&format!("CREATE INDEX IF NOT EXISTS {table}_key ON {table} (key, offset)"))
}

/// Where the group `name` stands.
pub(super) fn standing(connection: &Connection, topic_id: i64, name: &str) -> rusqlite::Result<Option<Standing>> {
    connection
        .prepare_cached(
            "SELECT next_offset, note FROM movers WHERE topic = ?1 AND name = ?2 AND next_offset IS NOT NULL",
        )?
        .query_row((topic_id, name), |row| Ok(Standing { partition: 0, next_offset: row.get(0)?, note: row.get(1)? }))
        .optional()
}

impl SqliteMover {
    pub(super) async fn open(writer: &Writer, topic: &TopicName, group: &str) -> Result<Self, JournalError> {
        let (topic, name) = (topic.clone(), group.to_owned());
        let become_mover = move |transaction: &Transaction<'_>| {
            let id = create_topic(transaction, &topic)?;
            let epoch: i64 = transaction.query_row(
                "INSERT INTO movers (topic, name, epoch) VALUES (?1, ?2, 1)
                 ON CONFLICT (topic, name) DO UPDATE SET epoch = epoch + 1 RETURNING epoch",
                (id, &name),
                |row| row.get(0),
            )?;
            Ok((id, epoch, standing(transaction, id, &name)?))
        };
        let (topic_id, epoch, standing) = writer.run(become_mover).await?;
        Ok(SqliteMover { writer: writer.clone(), topic_id, group: group.to_owned(), epoch, standing })
    }
}

#[async_trait]
impl Mover for SqliteMover {
    fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    async fn advance(
        &mut self,
        output: &TopicName,
        records: Vec<Record>,
        next_offset: i64,
        note: String,
    ) -> Result<(), JournalError> {
        let (topic, name, epoch, output) = (self.topic_id, self.group.clone(), self.epoch, output.clone());
        let step = move |transaction: &Transaction<'_>| {
            let moved = transaction
                .prepare_cached(
                    "UPDATE movers SET next_offset = ?4, note = ?5 WHERE topic = ?1 AND name = ?2 AND epoch = ?3",
                )?
                .execute((topic, &name, epoch, next_offset, &note))?;
            if moved != 1 {
                return Ok(None);
            }
            // For retention.
            transaction
                .prepare_cached("UPDATE groups SET next_offset = ?3 WHERE topic = ?1 AND name = ?2")?
                .execute((topic, &name, next_offset))?;
            group::append(transaction, &output, &records).map(Some)
        };
        let output_end = self.writer.run_durably(step).await?.ok_or_else(another_moves)?;
        self.writer.tell_end(output_end);
        Ok(())
    }
}
