//! 300,000 events to rows with columns in PostgreSQL, beside COPY of the same rows in transactions of 5,000.
//!
//! Sluicegate judges each document, takes the columns out of it, and keeps positions and counters with the rows. The plain
//! program formats rows from values in memory. Sluicegate makes the table of both.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use sluicegate::apply::Applier;
use sluicegate::journal::Journal;
use sluicegate::journal::memory::MemoryJournal;
use sluicegate::reading::progress::Progress;
use tokio_postgres::Client;

use super::{Database, copy};
use crate::Fallible;
use crate::apply::run;
use crate::events::{age, document, people, record};
use crate::report::{Rounds, Target, head, line};
use crate::scale::Scaled;

const ROUNDS: Scaled<usize> = Scaled(3, 1);
const DOCUMENTS: Scaled<i64> = Scaled(300_000, 10_000);
const TRANSACTION: i64 = 5_000;

pub(crate) fn measure() -> Fallible {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut copied, mut applied) = (Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS.now() {
        copied.push(DOCUMENTS.now() as f64 / runtime.block_on(plain())?);
        applied.push(DOCUMENTS.now() as f64 / runtime.block_on(memory_to_rows())?);
    }
    head("documents/s");
    line("events with two columns, from the memory journal, beside COPY", &applied, &copied, Target::AtLeast(0.4));
    Ok(())
}

/// Applies a journal that was filled before. Gives the seconds from the start of the applier to its last commit.
async fn memory_to_rows() -> Fallible<f64> {
    let database = Database::new()?;
    let seconds = apply(&database, DOCUMENTS.now()).await?;
    expect_rows(&database.connect().await?).await?;
    Ok(seconds)
}

async fn apply(database: &Database, documents: i64) -> Fallible<f64> {
    let (stream, journal) = (Arc::new(people()?), Arc::new(MemoryJournal::new()));
    for first in (0..documents).step_by(TRANSACTION as usize) {
        let numbers = first..documents.min(first + TRANSACTION);
        journal.append(&stream.topic, numbers.map(record).collect()).await?;
    }
    let progress = Arc::new(Progress::default());
    let applier = Applier {
        stream,
        journal,
        store: database.store().await?,
        progress: Arc::clone(&progress),
        counts: Arc::default(),
    };
    run(applier, &progress, documents).await
}

/// COPY in transactions. Gives the seconds.
async fn plain() -> Fallible<f64> {
    let database = Database::new()?;
    // One document makes the table.
    apply(&database, 1).await?;
    let client = database.connect().await?;
    client.batch_execute("TRUNCATE people").await?;
    let begun = Instant::now();
    for first in (0..DOCUMENTS.now()).step_by(TRANSACTION as usize) {
        let row = |rows: &mut BytesMut, n| {
            let (age, document) = (age(n), document(n));
            writeln!(rows, "people-0-{n}\t2025-11-24 16:00:00+00\tperson {n}\t{age}\t{document}")
        };
        let into = "people (receipt, received_at, name, age, document)";
        copy(&client, into, first..first + TRANSACTION, row).await?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    expect_rows(&client).await?;
    Ok(seconds)
}

/// Every row holds in its columns what its document says.
async fn expect_rows(client: &Client) -> Fallible {
    let sql = "SELECT count(DISTINCT receipt) FROM people
               WHERE name = document->>'name' AND age = (document->>'age')::integer AND received_at IS NOT NULL";
    let count: i64 = client.query_one(sql, &[]).await?.get(0);
    if count != DOCUMENTS.now() {
        return Err(format!("{DOCUMENTS} documents became {count} right rows").into());
    }
    Ok(())
}
