//! What is PostgreSQL's own: its types, tables that others made, backends that end, and answers that never come.

mod order;
mod others;
mod owners;
mod records;
mod refusals;
mod rights;
mod tls;
mod values;

use sluicegate::record::Kept;
use sluicegate::store::postgres::PostgresStore;
use sluicegate::store::{Refusal, StoreError};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::bench::{Bench, documents};
use crate::support::PATIENCE;
use crate::support::services::{self, Database};

/// Enough changes of one shape to be made at once.
const MANY: usize = 9;

async fn open() -> Option<(Bench, Database)> {
    let (store, database) = super::open_postgres().await?;
    Some((Bench::new(store).await, database))
}

/// The rows that a query finds, the columns of each joined by `|`, NULL as `∅`.
async fn ask(database: &Database, sql: &str) -> Vec<String> {
    let (client, connection) = tokio_postgres::connect(&database.url(), NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    let messages = client.simple_query(sql).await.unwrap();
    driver.abort();
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.map(|row| (0..row.len()).map(|at| row.get(at).unwrap_or("∅")).collect::<Vec<_>>().join("|")).collect()
}

/// Waits until a query finds something.
async fn until(database: &Database, sql: &str) {
    let wait = async {
        let mut pace = tokio::time::interval(std::time::Duration::from_millis(5));
        while ask(database, sql).await.is_empty() {
            pace.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("nothing is found by {sql}"));
}

/// A document of inserts, one a row; each cell has a name, a type and a value.
fn rows(table: &str, rows: &[&[(&str, &str, serde_json::Value)]]) -> String {
    let insert = |row: &&[(&str, &str, serde_json::Value)]| crate::support::insert(table, row);
    crate::support::activities(rows.iter().map(insert))
}

/// Applies documents in a transaction that is dropped, and gives the refusal.
async fn refusal(bench: &Bench, sent: &[String]) -> Refusal {
    let sent: Vec<_> = sent.iter().map(|text| (None, text.as_str())).collect();
    let kept: Vec<Kept> = bench.append(&sent).await;
    let documents = documents(&bench.stream, &kept);
    let mut transaction = bench.store.begin(&bench.stream.apply.rules, None).await.unwrap();
    transaction.apply(&documents.whole()).await.unwrap_err()
}

/// Applies documents as they are, and forgets those that others refused.
async fn apply(bench: &mut Bench, sent: &[String]) {
    let sent: Vec<_> = sent.iter().map(String::as_str).collect();
    bench.apply(&sent).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_begin_at_once_agree_on_one_store() {
    let Some(database) = services::postgres() else { return };
    let url = format!("{}?schema=The%20books", database.url());
    let opened = futures_util::future::join_all((0..4).map(|_| PostgresStore::open(&url))).await;
    let identities: std::collections::BTreeSet<_> =
        opened.into_iter().map(|store| sluicegate::store::Store::identity(&store.unwrap()).to_owned()).collect();
    assert_eq!(identities.len(), 1);
    database.execute(r#"UPDATE "The books"."_sluicegate_store" SET version = 99"#);
    match PostgresStore::open(&url).await {
        Err(StoreError::Stop(reason)) => assert!(reason.words().contains("newer"), "{reason}"),
        _ => panic!("books of a newer version are opened"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_may_come_and_one_that_refuses_may_not() {
    let Some(database) = services::postgres() else { return };
    let url = database.url();
    let (before, _) = url.rsplit_once('/').unwrap();
    // A port that nobody listens on: it was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (url, is_stop) in
        [(format!("postgres://nobody:s3cret@127.0.0.1:{port}/x"), false), (format!("{before}/no_such_database"), true)]
    {
        let error = PostgresStore::open(&url).await.err().unwrap();
        assert_eq!(matches!(error, StoreError::Stop(_)), is_stop, "{error}");
        assert!(!sluicegate::reason::chain(&error).contains("s3cret"), "{error}");
    }
}
