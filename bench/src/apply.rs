//! Journal to rows, beside plain prepared statements that write the same rows in transactions of the same size.
//!
//! Sluicegate reads records from the journal's file, judges each document again, and keeps positions and counters with
//! the rows. The plain program has the values in memory.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use sluicegate::apply::Applier;
use sluicegate::journal::Journal;
use sluicegate::journal::sqlite::SqliteJournal;
use sluicegate::reading::progress::Progress;
use sluicegate::shutdown;
use sluicegate::store::sqlite::SqliteStore;

use crate::Fallible;
use crate::documents::{AT, FIRST, NAME, SECOND_AT, SECOND_NAME, one_insert, record, stream, three_changes};
use crate::report::{Rounds, Target, head, line};
use crate::scale::Scaled;
use crate::scratch::Scratch;

const ROUNDS: Scaled<usize> = Scaled(5, 1);
const DOCUMENTS: Scaled<i64> = Scaled(60_000, 1_000);

/// As many documents as apply puts into one transaction.
const TRANSACTION: i64 = 500;

const DEADLINE: Duration = Duration::from_secs(60);

/// What the store sets, too.
pub(crate) const PRAGMAS: &str = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16384; PRAGMA foreign_keys=ON; \
     PRAGMA journal_size_limit=67108864; PRAGMA wal_autocheckpoint=4000;";

/// Writes document `n` with plain statements.
type Write = fn(&Connection, i64) -> rusqlite::Result<()>;

pub(crate) fn measure() -> Fallible {
    head("documents/s");
    compare("documents of 1 insert", one_insert, insert)?;
    compare("documents of 3 changes", three_changes, insert_delete_insert)
}

fn compare(what: &str, document: fn(i64) -> String, write: Write) -> Fallible {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut ours, mut theirs) = (Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS.now() {
        let scratch = Scratch::new()?;
        let store = scratch.path().join("store.db");
        let seconds = runtime.block_on(journal_to_rows(scratch.path(), &store, document))?;
        ours.push(DOCUMENTS.now() as f64 / seconds);
        let seconds = plain(&scratch.path().join("plain.db"), &schema(&store)?, write)?;
        theirs.push(DOCUMENTS.now() as f64 / seconds);
    }
    line(what, &ours, &theirs, Target::AtLeast(0.5));
    Ok(())
}

/// Applies a journal that was filled before. Gives the seconds from the start of the applier to its last commit.
async fn journal_to_rows(folder: &Path, store: &Path, document: fn(i64) -> String) -> Fallible<f64> {
    let stream = Arc::new(stream([].into())?);
    let journal = Arc::new(SqliteJournal::open(&folder.join("journal.db"))?);
    journal.open_topic(&stream.topic, stream.retention.size).await?;
    for first in (0..DOCUMENTS.now()).step_by(TRANSACTION as usize) {
        let records = (first..first + TRANSACTION).map(|n| record(document(n))).collect();
        journal.append(&stream.topic, records).await?;
    }
    let progress = Arc::new(Progress::default());
    let store = Arc::new(SqliteStore::open(store)?);
    let applier = Applier { stream, journal, store, progress: Arc::clone(&progress), counts: Arc::default() };
    run(applier, &progress, DOCUMENTS.now()).await
}

/// Runs an applier of one partition until everything before `end` is applied, and gives the seconds.
pub(crate) async fn run(applier: Applier, progress: &Progress, end: i64) -> Fallible<f64> {
    let (stopper, stop) = shutdown::channel();
    let runtime = tokio::runtime::Handle::current();
    let begun = Instant::now();
    let thread = std::thread::Builder::new().name("apply".into()).spawn(move || runtime.block_on(applier.run(stop)))?;
    let mut reached = None;
    while reached != Some(end) {
        reached = tokio::time::timeout(DEADLINE, progress.when(0, |now| now != reached)).await?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    stopper.stop();
    thread.join().map_err(|_| "apply panicked")?;
    Ok(seconds)
}

/// The statements that made the store's table and its index.
fn schema(store: &Path) -> Fallible<String> {
    let connection = Connection::open(store)?;
    let mut statement = connection
        .prepare("SELECT sql FROM sqlite_master WHERE tbl_name = 'table1' AND sql IS NOT NULL ORDER BY rootpage")?;
    let parts: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(parts.join(";"))
}

fn plain(path: &Path, schema: &str, write: Write) -> Fallible<f64> {
    let mut connection = Connection::open(path)?;
    connection.execute_batch(PRAGMAS)?;
    connection.execute_batch(schema)?;
    let begun = Instant::now();
    for first in (0..DOCUMENTS.now()).step_by(TRANSACTION as usize) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for n in first..first + TRANSACTION {
            write(&transaction, n)?;
        }
        transaction.commit()?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

const INSERT: &str = "INSERT INTO table1 (a, b, c) VALUES (?1, ?2, ?3)";

fn insert(connection: &Connection, n: i64) -> rusqlite::Result<()> {
    connection.prepare_cached(INSERT)?.execute((FIRST + n, NAME, AT)).map(drop)
}

fn insert_delete_insert(connection: &Connection, n: i64) -> rusqlite::Result<()> {
    let number = FIRST + 2 * n;
    connection.prepare_cached(INSERT)?.execute((number, NAME, AT))?;
    connection.prepare_cached("DELETE FROM table1 WHERE a IS ?1 AND c IS ?2")?.execute((number, AT))?;
    connection.prepare_cached(INSERT)?.execute((number + 1, SECOND_NAME, SECOND_AT)).map(drop)
}
