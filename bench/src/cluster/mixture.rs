//! Random inserts, updates and deletes by key on a table of 1,000,000 rows in PostgreSQL, a change a document, beside the
//! same statements prepared and pipelined by hand in transactions of 5,000.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::try_join_all;
use sluicegate::apply::Applier;
use sluicegate::journal::Journal;
use sluicegate::journal::memory::MemoryJournal;
use sluicegate::reading::progress::Progress;

use super::Database;
use crate::Fallible;
use crate::apply::run;
use crate::documents::{record, stream};
use crate::report::{Rounds, Target, head, line};
use crate::scale::Scaled;

const ROUNDS: Scaled<usize> = Scaled(3, 1);
const ROWS: Scaled<i64> = Scaled(1_000_000, 10_000);
const DOCUMENTS: Scaled<i64> = Scaled(100_000, 3_000);
const TRANSACTION: usize = 5_000;

#[derive(Debug, Clone, Copy)]
enum Change {
    Insert(i64),
    Update(i64),
    Delete(i64),
}

pub(crate) fn measure() -> Fallible {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut ours, mut theirs) = (Rounds::default(), Rounds::default());
    for round in 0..ROUNDS.now() {
        let changes = changes(round as u64);
        theirs.push(DOCUMENTS.now() as f64 / runtime.block_on(by_hand(&changes))?);
        ours.push(DOCUMENTS.now() as f64 / runtime.block_on(by_documents(&changes))?);
    }
    head("documents/s");
    line("random insert, update, delete by key", &ours, &theirs, Target::AtLeast(0.8));
    Ok(())
}

/// The same changes for both: a generator of Knuth's that needs no more than this.
fn changes(round: u64) -> Vec<Change> {
    let mut state = round + 1;
    let mut random = |below: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % below.unsigned_abs()) as i64
    };
    let change = |n| match random(3) {
        0 => Change::Insert(ROWS.now() + n),
        1 => Change::Update(random(ROWS.now())),
        _ => Change::Delete(random(ROWS.now())),
    };
    (0..DOCUMENTS.now()).map(change).collect()
}

fn table() -> String {
    format!(
        "CREATE TABLE item (id bigint PRIMARY KEY, name text, price numeric);
         INSERT INTO item SELECT id, 'item ' || id, id * 0.25 FROM generate_series(0, {ROWS} - 1) AS id;
         ANALYZE item; CHECKPOINT"
    )
}

async fn by_hand(changes: &[Change]) -> Fallible<f64> {
    let database = Database::new()?;
    let mut client = database.connect().await?;
    client.batch_execute(&table()).await?;
    let begun = Instant::now();
    let insert = client.prepare("INSERT INTO item (id, name, price) VALUES ($1, $2, $3::text::numeric)").await?;
    let update = client.prepare("UPDATE item SET name = $1 WHERE id = $2").await?;
    let delete = client.prepare("DELETE FROM item WHERE id = $1").await?;
    for some in changes.chunks(TRANSACTION) {
        let transaction = client.transaction().await?;
        let run = async |change: &Change| match change {
            Change::Insert(id) => transaction.execute(&insert, &[id, &format!("item {id}"), &"12.50"]).await,
            Change::Update(id) => transaction.execute(&update, &[&format!("new {id}"), id]).await,
            Change::Delete(id) => transaction.execute(&delete, &[id]).await,
        };
        try_join_all(some.iter().map(run)).await?;
        transaction.commit().await?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

fn document(change: &Change) -> String {
    match change {
        Change::Insert(id) => format!(
            r#"{{"activities":[{{"operation":"insert","table":"item","col_names":["id","name","price"],"col_types":["BIGINT","TEXT","NUMERIC"],"col_values":[{id},"item {id}",12.50]}}]}}"#
        ),
        Change::Update(id) => format!(
            r#"{{"activities":[{{"operation":"update","table":"item","col_names":["name"],"col_types":["TEXT"],"col_values":["new {id}"],"old_value":{{"col_names":["id"],"col_types":["BIGINT"],"col_values":[{id}]}}}}]}}"#
        ),
        Change::Delete(id) => format!(
            r#"{{"activities":[{{"operation":"delete","table":"item","old_value":{{"col_names":["id"],"col_types":["BIGINT"],"col_values":[{id}]}}}}]}}"#
        ),
    }
}

async fn by_documents(changes: &[Change]) -> Fallible<f64> {
    let database = Database::new()?;
    database.connect().await?.batch_execute(&table()).await?;
    let stream = Arc::new(stream([].into())?);
    let journal = Arc::new(MemoryJournal::new());
    for some in changes.chunks(TRANSACTION) {
        journal.append(&stream.topic, some.iter().map(document).map(record).collect()).await?;
    }
    let progress = Arc::new(Progress::default());
    let applier = Applier {
        stream,
        journal,
        store: database.store().await?,
        progress: Arc::clone(&progress),
        counts: Arc::default(),
    };
    run(applier, &progress, DOCUMENTS.now()).await
}
