//! 1,000,000 documents of one insert to rows in PostgreSQL, beside COPY of the same rows in transactions of 5,000.
//!
//! Sluicegate judges each document and keeps positions and counters with the rows. The plain program has the values in
//! memory and formats them. From Kafka, the real binary reads four partitions that were filled before.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use sluicegate::apply::Applier;
use sluicegate::journal::Journal;
use sluicegate::journal::memory::MemoryJournal;
use sluicegate::reading::progress::Progress;
use tokio_postgres::Client;

use super::{Database, copy, journal, journal_url, unique};
use crate::Fallible;
use crate::apply::run;
use crate::documents::{AT, FIRST, NAME, one_insert, record, stream};
use crate::report::{Rounds, Target, head, line, value};
use crate::scale::Scaled;
use crate::scratch::Scratch;
use crate::server::Server;

const ROUNDS: Scaled<usize> = Scaled(3, 1);
const DOCUMENTS: Scaled<i64> = Scaled(1_000_000, 10_000);
const TRANSACTION: i64 = 5_000;
const PARTITIONS: u32 = 4;

const DEADLINE: Duration = Duration::from_secs(180);

pub(crate) fn measure() -> Fallible {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut copied, mut from_memory, mut from_kafka) = (Rounds::default(), Rounds::default(), Rounds::default());
    let mut mib = Rounds::default();
    for _ in 0..ROUNDS.now() {
        copied.push(DOCUMENTS.now() as f64 / runtime.block_on(plain())?);
        from_memory.push(DOCUMENTS.now() as f64 / runtime.block_on(memory_to_rows())?);
        from_kafka.push(DOCUMENTS.now() as f64 / runtime.block_on(kafka_to_rows(&mut mib))?);
    }
    head("documents/s");
    line("from the memory journal, beside COPY", &from_memory, &copied, Target::AtLeast(0.4));
    line("from Kafka, 4 partitions, beside COPY", &from_kafka, &copied, Target::AtLeast(0.2));
    println!();
    value("resident memory of `up --role apply` from Kafka, worst round", mib.max(), "MiB", Target::AtMost(150.0));
    Ok(())
}

/// COPY in transactions. Gives the seconds.
async fn plain() -> Fallible<f64> {
    let database = Database::new()?;
    let client = database.connect().await?;
    client.batch_execute("CREATE TABLE table1 (a integer, b text, c text)").await?;
    let begun = Instant::now();
    for first in (0..DOCUMENTS.now()).step_by(TRANSACTION as usize) {
        let row = |rows: &mut BytesMut, n| writeln!(rows, "{}\t{NAME}\t{AT}", FIRST + n);
        copy(&client, "table1 (a, b, c)", first..first + TRANSACTION, row).await?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// Applies a journal that was filled before. Gives the seconds from the start of the applier to its last commit.
async fn memory_to_rows() -> Fallible<f64> {
    let database = Database::new()?;
    let stream = Arc::new(stream([].into())?);
    let journal = Arc::new(MemoryJournal::new());
    for first in (0..DOCUMENTS.now()).step_by(TRANSACTION as usize) {
        let records = (first..first + TRANSACTION).map(|n| record(one_insert(n))).collect();
        journal.append(&stream.topic, records).await?;
    }
    let progress = Arc::new(Progress::default());
    let applier = Applier {
        stream,
        journal,
        store: database.store().await?,
        progress: Arc::clone(&progress),
        counts: Arc::default(),
    };
    let seconds = run(applier, &progress, DOCUMENTS.now()).await?;
    expect_rows(&database.connect().await?).await?;
    Ok(seconds)
}

async fn expect_rows(client: &Client) -> Fallible {
    let row = client.query_one("SELECT count(*), count(DISTINCT a) FROM table1", &[]).await?;
    let counts: (i64, i64) = (row.get(0), row.get(1));
    if counts != (DOCUMENTS.now(), DOCUMENTS.now()) {
        return Err(format!("{DOCUMENTS} documents became (rows, different ones) {counts:?}").into());
    }
    Ok(())
}

/// The real binary, from its start to the last row.
async fn kafka_to_rows(mib: &mut Rounds) -> Fallible<f64> {
    let (database, scratch, url) = (Database::new()?, Scratch::new()?, journal_url(PARTITIONS)?);
    let topic = format!("rows-{}", unique());
    fill(&url, scratch.path(), &topic).await?;
    let config =
        format!("streams: {{activities: {{takes: changes, topic: {topic}, key: /activities/0/col_values/0}}}}\n");
    std::fs::write(scratch.path().join("sluicegate.yaml"), config)?;
    let client = database.connect().await?;
    let begun = Instant::now();
    let server = Server::up(scratch.path(), &["--role", "apply", "--journal", &url, "--store", &database.url()])?;
    let applied = r#"SELECT coalesce(sum(applied), 0)::bigint FROM "_sluicegate_positions""#;
    loop {
        // The table is not there at first.
        let count = client.query_one(applied, &[]).await.map_or(0, |row| row.get::<_, i64>(0));
        if count == DOCUMENTS.now() {
            break;
        }
        if begun.elapsed() > DEADLINE {
            return Err(format!("{count} of {DOCUMENTS} documents were applied within {DEADLINE:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    mib.push(server.peak_memory_mib()?);
    expect_rows(&client).await?;
    Ok(seconds)
}

/// Fills a topic, spread over its partitions.
async fn fill(url: &str, data: &Path, topic: &str) -> Fallible {
    let mut stream = stream(HashMap::new())?;
    stream.topic = sluicegate::document::TopicName::parse(topic)?;
    let journal = journal(url, data).await?;
    journal.open_topic(&stream.topic, u64::MAX).await?;
    for first in (0..DOCUMENTS.now()).step_by(TRANSACTION as usize) {
        let keyed = |n: i64| {
            let mut record = record(one_insert(n));
            record.key = Some(Bytes::from((FIRST + n).to_string()));
            // Old records would leave the topic by its retention.
            record.timestamp_ms = sluicegate::clock::now_ms();
            record
        };
        journal.append(&stream.topic, (first..first + TRANSACTION).map(keyed).collect()).await?;
    }
    Ok(())
}
