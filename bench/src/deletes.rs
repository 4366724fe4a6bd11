//! Deletes by key: a table of a million rows beside one of a thousand, with a primary key and without.

use std::path::PathBuf;
use std::time::Instant;

use rusqlite::Connection;
use sluicegate::store::Store;
use sluicegate::store::sqlite::SqliteStore;
use sluicegate::stream::Stream;

use crate::Fallible;
use crate::documents::{kept, stream};
use crate::report::{Rounds, Target, head, line_of_times};
use crate::scratch::Scratch;

const ROUNDS: usize = 9;
const LARGE: i64 = 1_000_000;
const SMALL: i64 = 1_000;

/// Deletes in a round, each a document of its own.
const DELETES: i64 = 250;

pub(crate) fn measure() -> Fallible {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let scratch = Scratch::new()?;
    let keys = ["keyed_large", "keyed_small"].map(|table| (table.to_owned(), vec!["id".to_owned()]));
    let path = scratch.path().join("store.db");
    let bench = Bench { stream: stream(keys.into())?, store: SqliteStore::open(&path)?, path };
    head("µs a delete");
    for transaction in [DELETES, 1] {
        for kind in ["keyed", "keyless"] {
            let (large, small) = (format!("{kind}_large"), format!("{kind}_small"));
            if transaction == DELETES {
                runtime.block_on(bench.make(&large, LARGE))?;
                runtime.block_on(bench.make(&small, SMALL))?;
            }
            let (mut ours, mut theirs) = (Rounds::default(), Rounds::default());
            for round in 0..ROUNDS {
                ours.push(runtime.block_on(bench.delete(&large, LARGE, round as i64, transaction))?);
                theirs.push(runtime.block_on(bench.delete(&small, SMALL, round as i64, transaction))?);
            }
            let key = if kind == "keyed" { "by primary key" } else { "without a primary key" };
            let what = format!("deletes {key}, {transaction} a transaction: 1,000,000 rows, beside 1,000");
            line_of_times(&what, &ours, &theirs, Target::AtLeast(0.5));
        }
    }
    Ok(())
}

struct Bench {
    stream: Stream,
    store: SqliteStore,
    path: PathBuf,
}

impl Bench {
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
        self.apply(vec![delete(table, 0)], 1).await?;
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

    /// Deletes rows that stand all over the table, and gives the microseconds each took. The rows are put back.
    async fn delete(&self, table: &str, rows: i64, round: i64, transaction: i64) -> Fallible<f64> {
        // A step that shares no factor with the sizes meets each row once.
        let ids: Vec<_> = (0..DELETES).map(|n| (n + round * DELETES) * 777_767 % rows).collect();
        let documents = ids.iter().map(|id| delete(table, *id)).collect();
        let seconds = self.apply(documents, transaction as usize).await?;
        self.insert_again(table, &ids)?;
        Ok(seconds * 1e6 / DELETES as f64)
    }

    /// Applies documents in transactions of `size`. Gives the seconds that the store took, without reading them.
    async fn apply(&self, documents: Vec<String>, size: usize) -> Fallible<f64> {
        let kept: Vec<_> = documents.into_iter().zip(0..).map(|(text, at)| kept(&self.stream, at, text)).collect();
        let read = |kept| self.stream.read(kept).map_err(|problem| problem.detail);
        let documents: Vec<_> = kept.iter().map(read).collect::<Result<_, _>>()?;
        let begun = Instant::now();
        for some in documents.chunks(size) {
            let mut transaction = self.store.begin(&self.stream.apply).await?;
            transaction.apply(some).await.map_err(|refusal| refusal.error)?;
            transaction.commit().await?;
        }
        Ok(begun.elapsed().as_secs_f64())
    }
}

fn delete(table: &str, id: i64) -> String {
    format!(
        r#"{{"activities":[{{"operation":"delete","table":"{table}","old_value":{{"col_names":["id"],"col_types":["BIGINT"],"col_values":[{id}]}}}}]}}"#
    )
}
