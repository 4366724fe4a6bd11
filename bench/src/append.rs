//! Appends to the journal, beside plain inserts of the same bytes into the same columns with the same settings.

use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, TransactionBehavior};
use sluicegate::document::TopicName;
use sluicegate::journal::Journal;
use sluicegate::journal::sqlite::SqliteJournal;
use sluicegate::record::Record;

use crate::Fallible;
use crate::documents::{record, three_changes};
use crate::report::{Rounds, Target, head, line};
use crate::scale::Scaled;
use crate::scratch::Scratch;

const ROUNDS: Scaled<usize> = Scaled(7, 1);

/// Batch sizes, and how many batches a round appends.
const BATCHES: [(usize, usize); 3] = [(1, 600), (64, 120), (500, 30)];

/// What the journal sets, too.
const PRAGMAS: &str = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-4096; \
                       PRAGMA journal_size_limit=67108864; PRAGMA wal_autocheckpoint=2000;";

const TABLE: &str = "CREATE TABLE records (offset INTEGER PRIMARY KEY, timestamp_ms INTEGER NOT NULL, key BLOB, \
                     headers TEXT NOT NULL, value BLOB NOT NULL)";

pub(crate) fn measure() -> Fallible {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let scratch = Scratch::new()?;
    let topic = TopicName::parse("activities")?;
    let journal = SqliteJournal::open(&scratch.path().join("journal.db"))?;
    runtime.block_on(journal.open_topic(&topic, 10 << 30))?;
    let mut plain = Plain::open(&scratch.path().join("plain.db"))?;
    head("documents/s");
    for (size, count) in BATCHES {
        let (mut ours, mut theirs) = (Rounds::default(), Rounds::default());
        for _ in 0..ROUNDS.now() {
            let documents = (size * count) as f64;
            let appended = batches(size, count);
            let begun = Instant::now();
            runtime.block_on(async {
                for batch in appended {
                    journal.append(&topic, batch).await?;
                }
                Fallible::Ok(())
            })?;
            ours.push(documents / begun.elapsed().as_secs_f64());

            let inserted = batches(size, count);
            let headers = serde_json::to_string(&record(String::new()).headers)?;
            let begun = Instant::now();
            for batch in &inserted {
                plain.insert(batch, &headers)?;
            }
            theirs.push(documents / begun.elapsed().as_secs_f64());
        }
        line(&format!("append, batches of {size}"), &ours, &theirs, Target::AtLeast(0.7));
    }
    Ok(())
}

fn batches(size: usize, count: usize) -> Vec<Vec<Record>> {
    let batch = |at: usize| (0..size).map(|within| record(three_changes((at * size + within) as i64))).collect();
    (0..count).map(batch).collect()
}

/// A table like the journal's.
struct Plain {
    connection: Connection,
    next_offset: i64,
}

impl Plain {
    fn open(path: &Path) -> Fallible<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(PRAGMAS)?;
        connection.execute_batch(TABLE)?;
        Ok(Plain { connection, next_offset: 0 })
    }

    fn insert(&mut self, batch: &[Record], headers: &str) -> Fallible {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut statement = transaction.prepare_cached("INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for record in batch {
            let key = record.key.as_deref();
            statement.execute((self.next_offset, record.timestamp_ms, key, headers, &record.value[..]))?;
            self.next_offset += 1;
        }
        drop(statement);
        transaction.commit()?;
        Ok(())
    }
}
