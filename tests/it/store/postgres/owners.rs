//! Owners of partitions: ended, frozen, cut off, and two at once. Nothing is lost, and nothing doubles.

use std::sync::Arc;

use bytes::Bytes;
use sluicegate::document::Position;
use sluicegate::record::{Headers, Kept, Record};
use sluicegate::store::postgres::PostgresStore;
use sluicegate::store::{Claim, ClaimRequest, Fate, Place, Store, StoreError, Tally};
use sluicegate::stream::Stream;

use super::{MANY, ask, open, until};
use crate::store::bench::documents;
use crate::store::{insert, stream};
use crate::support::services::Database;
use crate::support::{PATIENCE, Proxy, Trap};

const JOURNAL: &str = "journal";

fn place(partition: i32) -> Place {
    let Stream { name, topic, .. } = stream();
    Place { stream: name, topic, partition }
}

/// A record of a partition; with an idempotency key if given.
fn kept(partition: i32, offset: i64, value: String, key: Option<&str>) -> Kept {
    let headers = Headers { idempotency_key: key.map(str::to_owned), ..Headers::default() };
    let position = Position { topic: stream().topic, partition, offset };
    Kept { position, record: Record { key: None, value: Bytes::from(value), headers, timestamp_ms: 0 } }
}

fn inserts(partition: i32, count: i64) -> Vec<Kept> {
    let text = "x".repeat(200);
    (0..count)
        .map(|offset| kept(partition, offset, insert("t", &format!("id INTEGER {offset}, v TEXT \"{text}\"")), None))
        .collect()
}

async fn claim(store: &dyn Store, partition: i32) -> Result<Claim, StoreError> {
    let place = place(partition);
    store.claim(ClaimRequest { place: &place, journal: JOURNAL, start: 0, owner: "test" }).await
}

/// Applies the records that the claim has not seen, in one transaction.
async fn apply(store: &dyn Store, claim: &Claim, records: &[Kept]) -> Result<Vec<Fate>, StoreError> {
    let stream = stream();
    let records: Vec<_> = records.iter().filter(|kept| kept.position.offset >= claim.next_offset).cloned().collect();
    let documents = documents(&stream, &records);
    let mut transaction = store.begin(&stream.apply.rules, Some(claim)).await?;
    let fates = transaction.apply(&documents.whole()).await.map_err(|refusal| refusal.error)?;
    let next_offset = claim.next_offset + records.len() as i64;
    let applied = fates.iter().filter(|fate| **fate == Fate::Applied).count() as i64;
    let duplicates = fates.len() as i64 - applied;
    transaction.advance(claim, next_offset, Tally { applied, duplicates, ..Tally::default() }).await?;
    transaction.commit().await?;
    Ok(fates)
}

/// Claims and applies one record after the other, again after every failure that time heals.
async fn deliver(store: Arc<dyn Store>, partition: i32, records: Vec<Kept>) {
    let deliver = async {
        loop {
            let Ok(mut claim) = claim(&*store, partition).await else { continue };
            loop {
                let next = claim.next_offset as usize;
                let Some(record) = records.get(next) else { return };
                match apply(&*store, &claim, std::slice::from_ref(record)).await {
                    Ok(_) => claim.next_offset += 1,
                    Err(StoreError::Later(_) | StoreError::Lost(_) | StoreError::Fenced) => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE * 3, deliver).await.unwrap();
}

/// The URL of a database by way of a proxy, which reads no TLS.
fn through(proxy: &Proxy, database: &Database) -> String {
    format!("{}?sslmode=disable", proxy.url(&database.url()))
}

async fn count(database: &Database) -> Vec<String> {
    ask(database, "SELECT count(*), count(DISTINCT id) FROM t").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_whose_backend_is_ended_claims_anew_and_goes_on() {
    let Some((bench, database)) = open().await else { return };
    let (store, records) = (&*bench.store, inserts(0, 20));
    let mine = claim(store, 7).await.unwrap();
    apply(store, &mine, &records[..10]).await.unwrap();
    let end = r#"SELECT pg_terminate_backend(backend_pid, 5000) FROM "_sluicegate_positions" WHERE "partition" = 7"#;
    assert_eq!(ask(&database, end).await, ["t"]);
    let mine = Claim { next_offset: 10, ..mine };
    assert!(matches!(apply(store, &mine, &records).await, Err(StoreError::Later(_) | StoreError::Lost(_))));
    let again = claim(store, 7).await.unwrap();
    assert_eq!(again.next_offset, 10);
    apply(store, &again, &records).await.unwrap();
    assert_eq!(count(&database).await, ["20|20"]);
    assert!(matches!(apply(store, &mine, &records).await, Err(StoreError::Fenced)), "the old claim is void");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_is_frozen_in_the_middle_of_a_copy_is_taken_over_from() {
    let Some((bench, database)) = open().await else { return };
    let proxy = Proxy::before(&database.url());
    let frozen: Arc<dyn Store> = Arc::new(PostgresStore::open(&through(&proxy, &database)).await.unwrap());
    let records = inserts(0, 4_000);
    let mine = claim(&*frozen, 7).await.unwrap();
    apply(&*frozen, &mine, &records[..MANY]).await.unwrap();
    let mine = Claim { next_offset: MANY as i64, ..mine };
    proxy.set(Trap::HoldAfter(300_000));
    let theirs = (Arc::clone(&frozen), mine.clone(), records.clone());
    let stuck = tokio::spawn(async move { apply(&*theirs.0, &theirs.1, &theirs.2).await });
    let copying = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%'
                   AND state = 'active' AND wait_event = 'ClientRead'";
    until(&database, copying).await;
    let other = claim(&*bench.store, 7).await.unwrap();
    assert_eq!(other.next_offset, MANY as i64);
    apply(&*bench.store, &other, &records).await.unwrap();
    proxy.release();
    let woken = tokio::time::timeout(PATIENCE, stuck).await.unwrap().unwrap();
    assert!(matches!(woken, Err(StoreError::Later(_) | StoreError::Lost(_))), "{woken:?}");
    assert_eq!(count(&database).await, ["4000|4000"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_settled_before_the_position_is_read() {
    let Some((_bench, database)) = open().await else { return };
    let proxy = Proxy::before(&database.url());
    let store = PostgresStore::open(&through(&proxy, &database)).await.unwrap();
    let records = inserts(0, 60);
    apply(&store, &claim(&store, 7).await.unwrap(), &records[..2]).await.unwrap();
    for (round, how) in [Trap::LoseReply, Trap::CutBehindCommit].into_iter().cycle().take(10).enumerate() {
        let mine = claim(&store, 7).await.unwrap();
        let before = mine.next_offset;
        proxy.set(how);
        let lost = apply(&store, &mine, &records[..(round + 1) * 6]).await;
        assert!(matches!(lost, Err(StoreError::Later(_) | StoreError::Lost(_))), "{how:?}: {lost:?}");
        proxy.wait_until_sprung(PATIENCE);
        let mine = claim(&store, 7).await.unwrap();
        let after = ((round + 1) * 6) as i64;
        match how {
            Trap::LoseReply => assert_eq!(mine.next_offset, after, "the server had answered"),
            _ => assert!([before, after].contains(&mine.next_offset), "all or nothing"),
        }
        apply(&store, &mine, &records[..(round + 1) * 6]).await.unwrap();
        assert_eq!(count(&database).await, [format!("{after}|{after}")]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_first_met_by_two_partitions_at_once_lose_no_document() {
    let Some((bench, database)) = open().await else { return };
    let second = PostgresStore::open(&database.url()).await.unwrap();
    let stores: [Arc<dyn Store>; 2] = [Arc::clone(&bench.store), Arc::new(second)];
    let records = |partition: i32| {
        (0..12).map(move |offset| {
            // In opposite order, so that they also wait for each other.
            let number = if partition == 1 { offset } else { 11 - offset };
            let inserts = [number, (number + 1) % 12].map(|table| {
                let row = [("id", "INTEGER", number.into()), (["a", "b"][partition as usize - 1], "TEXT", "x".into())];
                crate::support::insert(&format!("made.t{table}"), &row)
            });
            kept(partition, offset, crate::support::activities(inserts), None)
        })
    };
    let tasks = [1, 2].map(|partition| {
        let store = Arc::clone(&stores[partition as usize - 1]);
        tokio::spawn(deliver(store, partition, records(partition).collect()))
    });
    for task in tasks {
        task.await.unwrap();
    }
    for table in 0..12 {
        let found = ask(&database, &format!("SELECT count(a), count(b) FROM made.t{table}")).await;
        assert_eq!(found, ["2|2"], "table {table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_two_partitions_is_the_first_commits() {
    // Many are noted otherwise than one.
    for keys in [1, 40] {
        let Some((bench, database)) = open().await else { return };
        let (store, stream) = (&bench.store, stream());
        let all = |partition| -> Vec<_> {
            let key =
                |n: i64| kept(partition, n, insert("t", &format!("id INTEGER {}", n + 1)), Some(&format!("key {n}")));
            (0..keys).map(key).collect()
        };
        let (first, second) = (all(1), all(2));
        apply(&**store, &claim(&**store, 3).await.unwrap(), &[kept(3, 0, insert("t", "id INTEGER 0"), None)])
            .await
            .unwrap();
        let mine = claim(&**store, 1).await.unwrap();
        let mut transaction = store.begin(&stream.apply.rules, Some(&mine)).await.unwrap();
        let documents = documents(&stream, &first);
        transaction.apply(&documents.whole()).await.unwrap();
        let (theirs, other) = (Arc::clone(store), claim(&**store, 2).await.unwrap());
        let waits = tokio::spawn(async move { apply(&*theirs, &other, &second).await });
        let waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        until(&database, waiting).await;
        transaction.advance(&mine, keys, Tally { applied: keys, ..Tally::default() }).await.unwrap();
        transaction.commit().await.unwrap();
        let fates = waits.await.unwrap().unwrap();
        let expected: Vec<_> = first.iter().map(|kept| Fate::Duplicate { of: kept.position.clone() }).collect();
        assert_eq!(fates, expected);
        assert_eq!(count(&database).await, [format!("{0}|{0}", keys + 1)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_change_about_a_table_is_seen_before_a_document_is_refused() {
    let Some((bench, database)) = open().await else { return };
    let store = &*bench.store;
    database.execute("CREATE TABLE t (id integer, v text)");
    let large = |offset: i64| kept(7, offset, insert("t", "id BIGINT 5000000000, w TEXT \"x\""), None);
    let small = |offset: i64| kept(7, offset, insert("t", &format!("id BIGINT {offset}")), None);
    let mut mine = claim(store, 7).await.unwrap();
    apply(store, &mine, &[small(0)]).await.unwrap();
    mine.next_offset = 1;
    assert!(matches!(apply(store, &mine, &[large(1)]).await, Err(StoreError::Document(_))));
    apply(store, &mine, &[small(1)]).await.unwrap();
    mine.next_offset = 2;
    database.execute("ALTER TABLE t ALTER id TYPE bigint");
    apply(store, &mine, &[large(2)]).await.unwrap();
    mine.next_offset = 3;
    // A table that is gone, and made anew otherwise.
    database.execute("DROP TABLE t; CREATE TABLE t (id numeric, extra integer)");
    let mut is_done = false;
    for _ in 0..3 {
        match apply(store, &mine, &[small(3)]).await {
            Ok(_) => is_done = true,
            Err(StoreError::Later(_) | StoreError::Lost(_)) => mine = claim(store, 7).await.unwrap(),
            Err(error) => panic!("{error}"),
        }
        if is_done {
            break;
        }
    }
    assert!(is_done);
    assert_eq!(ask(&database, "SELECT id FROM t").await, ["3"]);
}
