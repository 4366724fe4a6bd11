//! Deletes by key: a table of a million rows beside one of a thousand, with a primary key and without.
//!
//! One document a transaction shows whether finding the row depends on the table's size. Many in a transaction show what
//! the pages cost, too: rows that stand all over a large table each dirty a page of their own, whoever deletes them, so
//! a plain program does the same beside.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;
use sluicegate::store::sqlite::SqliteStore;
use sluicegate::store::{Documents, Store};
use sluicegate::stream::Stream;

use crate::Fallible;
use crate::apply::PRAGMAS;
use crate::documents::{kept, stream};
use crate::report::{Rounds, Target, line_of_times};
use crate::scale::Scaled;
use crate::scratch::Scratch;

const ROUNDS: Scaled<usize> = Scaled(9, 1);
const LARGE: Scaled<i64> = Scaled(1_000_000, 10_007);
const SMALL: i64 = 1_000;

/// Deletes in a round, each a document of its own.
const DELETES: i64 = 250;

/// Which rows a round deletes, by how far each stands from the one before. A step that shares no factor with the sizes
/// of the tables meets each row once.
const SCATTERED: i64 = 777_767;
const NEIGHBOURS: i64 = 1;

pub(crate) fn measure() -> Fallible {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let scratch = Scratch::new()?;
    let keys = ["keyed_large", "keyed_small"].map(|table| (table.to_owned(), vec!["id".to_owned()]));
    let path = scratch.path().join("store.db");
    let bench = Bench { stream: stream(keys.into())?, store: SqliteStore::open(&path)?, path };
    println!(
        "| measured | 1,000,000 rows, µs a delete | 1,000 rows, µs a delete | ratio | target | |\n|---|---|---|---|---|---|"
    );
    for (kind, key) in [("keyed", "primary key"), ("keyless", "no primary key")] {
        let (large, small) = (format!("{kind}_large"), format!("{kind}_small"));
        runtime.block_on(bench.make(&large, LARGE.now()))?;
        runtime.block_on(bench.make(&small, SMALL))?;
        let ours = |table: &str, ids: &[i64], size| runtime.block_on(bench.delete(table, ids, size));
        let plain = |table: &str, ids: &[i64], size| bench.delete_plainly(table, ids, size);
        let target = Target::AtLeast(0.5);
        let cases: [(&str, i64, i64, Delete<'_>, Target); 4] = [
            ("scattered", SCATTERED, 1, &ours, target),
            ("neighbours", NEIGHBOURS, DELETES, &ours, target),
            ("scattered", SCATTERED, DELETES, &ours, target),
            ("scattered, by a plain program", SCATTERED, DELETES, &plain, Target::None),
        ];
        for (rows, step, size, delete, target) in cases {
            let [in_large, in_small] = bench.compare([&large, &small], step, size, delete)?;
            line_of_times(&format!("{key}, {size} a transaction, {rows}"), &in_large, &in_small, target);
        }
    }
    Ok(())
}

struct Bench {
    stream: Stream,
    store: SqliteStore,
    path: PathBuf,
}

/// Deletes rows of a table in transactions of a size, and gives the seconds it took.
type Delete<'d> = &'d dyn Fn(&str, &[i64], usize) -> Fallible<f64>;

impl Bench {
    /// The microseconds of a delete in either table, round by round. Rows that went are put back.
    fn compare(&self, [large, small]: [&str; 2], step: i64, size: i64, delete: Delete<'_>) -> Fallible<[Rounds; 2]> {
        let micros = |table: &str, rows: i64, round: usize| {
            let first = round as i64 * DELETES;
            let ids: Vec<_> = (first..first + DELETES).map(|n| n * step % rows).collect();
            let seconds = delete(table, &ids, size as usize)?;
            self.insert_again(table, &ids)?;
            Fallible::Ok(seconds * 1e6 / DELETES as f64)
        };
        let (mut in_large, mut in_small) = (Rounds::default(), Rounds::default());
        for round in 0..ROUNDS.now() {
            in_large.push(micros(large, LARGE.now(), round)?);
            in_small.push(micros(small, SMALL, round)?);
        }
        Ok([in_large, in_small])
    }

    /// Makes a table as a first document does, fills it, and deletes a row, which makes the index if one is missing.
    async fn make(&self, table: &str, rows: i64) -> Fallible {
        let insert = format!(
            r#"{{"activities":[{{"operation":"insert","table":"{table}","col_names":["id","name","at"],"col_types":["BIGINT","TEXT","TEXT"],"col_values":[0,"item 0","2018-03-27 11:58:28.988414"]}}]}}"#
        );
        self.apply(vec![insert], 1).await?;
        let connection = Connection::open(&self.path)?;
        connection.execute_batch(&format!(
            "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {})
             INSERT INTO {table} SELECT id, 'item ' || id, '2018-03-27 11:58:28.988414' FROM n",
            rows - 1
        ))?;
        self.delete(table, &[0], 1).await?;
        self.insert_again(table, &[0])
    }

    fn insert_again(&self, table: &str, ids: &[i64]) -> Fallible {
        let mut connection = Connection::open(&self.path)?;
        let transaction = connection.transaction()?;
        for id in ids {
            let sql = format!("INSERT INTO {table} VALUES (?1, 'item ' || ?1, '2018-03-27 11:58:28.988414')");
            transaction.prepare_cached(&sql)?.execute([id])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Deletes rows by documents.
    async fn delete(&self, table: &str, ids: &[i64], size: usize) -> Fallible<f64> {
        let document = |id| {
            format!(
                r#"{{"activities":[{{"operation":"delete","table":"{table}","old_value":{{"col_names":["id"],"col_types":["BIGINT"],"col_values":[{id}]}}}}]}}"#
            )
        };
        self.apply(ids.iter().map(document).collect(), size).await
    }

    /// Deletes rows by a prepared statement.
    fn delete_plainly(&self, table: &str, ids: &[i64], size: usize) -> Fallible<f64> {
        let mut connection = Connection::open(&self.path)?;
        connection.execute_batch(PRAGMAS)?;
        let sql = format!("DELETE FROM {table} WHERE id IS ?1");
        let begun = Instant::now();
        for some in ids.chunks(size) {
            let transaction = connection.transaction()?;
            for id in some {
                transaction.prepare_cached(&sql)?.execute([id])?;
            }
            transaction.commit()?;
        }
        Ok(begun.elapsed().as_secs_f64())
    }

    /// Applies documents in transactions of `size`. Gives the seconds that the store took, without reading them.
    async fn apply(&self, documents: Vec<String>, size: usize) -> Fallible<f64> {
        let kept: Vec<_> = documents.into_iter().zip(0..).map(|(text, at)| kept(&self.stream, at, text)).collect();
        let count = kept.len();
        let documents = Arc::new(Documents::read(Arc::new(self.stream.clone()), kept));
        if let Some((_, problem)) = documents.unreadable().first() {
            return Err(problem.detail.clone().into());
        }
        let begun = Instant::now();
        for first in (0..count).step_by(size) {
            let some = documents.part(first..count.min(first + size));
            let mut transaction = self.store.begin(&self.stream.apply.rules, None).await?;
            transaction.apply(&some).await.map_err(|refusal| refusal.error)?;
            transaction.commit().await?;
        }
        Ok(begun.elapsed().as_secs_f64())
    }
}
