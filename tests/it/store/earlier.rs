//! Stores that an earlier version made: their keys are honoured.

use std::path::Path;

use sluicegate::clock;
use sluicegate::problem::ProblemType;
use sluicegate::record::{EVENT_KEY, FILE_KEY};
use sluicegate::store::postgres::PostgresStore;
use sluicegate::store::sqlite::SqliteStore;
use sluicegate::store::{Fate, Store};

use super::bench::{Bench, insert, refused};
use crate::support::services;

/// The tables in SQLite that version 1 kept its books in, as far as they have changed since.
const SQLITE_1: &str = r#"
CREATE TABLE "_sluicegate_store" (identity TEXT NOT NULL, version INTEGER NOT NULL);
INSERT INTO "_sluicegate_store" VALUES ('01985e5a-7a3c-7000-8000-000000000000', 1);
CREATE TABLE "_sluicegate_keys" (
    stream TEXT NOT NULL, key TEXT NOT NULL, digest BLOB NOT NULL,
    "partition" INTEGER NOT NULL, "offset" INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (stream, key)) WITHOUT ROWID;"#;

fn document() -> String {
    insert("t", "id INTEGER 1")
}

/// Keys of each kind: short, as long as can be kept, longer, of a file, of a CloudEvent.
fn keys() -> Vec<String> {
    let file = format!("{FILE_KEY}000102030405060708090a0b0c0d0eff:1");
    let event = format!("{EVENT_KEY}/sensors/1\u{1}id");
    vec!["key".into(), "ü".repeat(512), "x".repeat(1025), file, event]
}

/// Stream, key, digest, partition, offset, and when it was noted.
type Row = (&'static str, String, Vec<u8>, i32, i64, i64);

/// The rows of those keys.
fn rows() -> Vec<Row> {
    let digest = sluicegate::digest(document().as_bytes()).to_vec();
    let mut rows: Vec<_> =
        keys().into_iter().zip(100..).map(|(key, at)| ("changes", key, digest.clone(), 0, at, 1)).collect();
    rows.push(("other", "only there".into(), digest.clone(), 0, 7, 1));
    rows.push(("changes", "of now".into(), digest, 0, 200, clock::now_ms()));
    rows
}

/// Each key stands for its document still, in its stream only, and those without age outlive all others.
async fn check(store: std::sync::Arc<dyn Store>) {
    let mut bench = Bench::new(store).await;
    for (key, offset) in keys().iter().map(String::as_str).zip(100..).chain([("of now", 200)]) {
        let fates = bench.apply_with(&[(Some(key), &document())]).await.unwrap();
        let [Fate::Duplicate { of }] = &fates[..] else { panic!("{key:?} is {fates:?}") };
        assert_eq!((of.partition, of.offset), (0, offset), "{key:?}");
        let other = insert("t", "id INTEGER 2");
        refused(bench.apply_with(&[(Some(key), &other)]).await, ProblemType::IdempotencyKeyReused);
    }
    assert_eq!(bench.apply_with(&[(Some("only there"), &document())]).await.unwrap(), [Fate::Applied]);
    bench.store.books().prune(&bench.place(), 1_000, 0).await.unwrap();
    let mut fates = Vec::new();
    for key in keys() {
        let fate = bench.apply_with(&[(Some(&key), &document())]).await.unwrap();
        fates.push(fate == [Fate::Applied]);
    }
    assert_eq!(fates, [true, true, true, false, false], "those of files and events have no age");
    let of_now = bench.apply_with(&[(Some("of now"), &document())]).await.unwrap();
    assert_ne!(of_now, [Fate::Applied]);
}

fn open_sqlite(path: &Path) -> std::sync::Arc<dyn Store> {
    std::sync::Arc::new(SqliteStore::open(path).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sqlite_file_of_version_1_is_opened_and_its_keys_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(SQLITE_1).unwrap();
    for row in rows() {
        old.execute(r#"INSERT INTO "_sluicegate_keys" VALUES (?1, ?2, ?3, ?4, ?5, ?6)"#, row).unwrap();
    }
    let identity = open_sqlite(&path).identity().to_owned();
    assert_eq!(identity, "01985e5a-7a3c-7000-8000-000000000000");
    let count = |sql: &str| old.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count(r#"SELECT version FROM "_sluicegate_store""#), 2);
    assert_eq!(count("SELECT count(*) FROM sqlite_schema WHERE name = '_sluicegate_keys'"), 0);
    check(open_sqlite(&path)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_keys_of_version_1_as_need_runs_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(SQLITE_1).unwrap();
    let digest = sluicegate::digest(document().as_bytes());
    old.execute(
        r#"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 149999)
           INSERT INTO "_sluicegate_keys" SELECT 'changes', 'key ' || i, ?1, 0, 1000 + i, 1 FROM n"#,
        [&digest[..]],
    )
    .unwrap();
    let mut bench = Bench::new(open_sqlite(&path)).await;
    for n in (0..150_000).step_by(9_973) {
        let fates = bench.apply_with(&[(Some(&format!("key {n}")), &document())]).await.unwrap();
        let [Fate::Duplicate { of }] = &fates[..] else { panic!("key {n} is {fates:?}") };
        assert_eq!(of.offset, 1000 + n);
    }
    assert_eq!(bench.apply_with(&[(Some("key 150000"), &document())]).await.unwrap(), [Fate::Applied]);
    let gone = bench.store.books().prune(&bench.place(), 1_000, 0).await.unwrap();
    assert_eq!(gone, 150_000);
    assert_eq!(bench.apply_with(&[(Some("key 5"), &document())]).await.unwrap(), [Fate::Applied]);
}

/// As [`SQLITE_1`], in PostgreSQL.
const POSTGRES_1: &str = r#"
CREATE TABLE "_sluicegate_store" (identity TEXT NOT NULL, version BIGINT NOT NULL);
INSERT INTO "_sluicegate_store" VALUES ('01985e5a-7a3c-7000-8000-000000000000', 1);
CREATE TABLE "_sluicegate_positions" (
    stream TEXT NOT NULL, topic TEXT NOT NULL, "partition" INTEGER NOT NULL,
    journal TEXT NOT NULL, first_offset BIGINT NOT NULL, next_offset BIGINT NOT NULL,
    epoch BIGINT NOT NULL, owner TEXT NOT NULL, backend_pid INTEGER, backend_start TIMESTAMPTZ, halted TEXT,
    applied BIGINT NOT NULL DEFAULT 0, duplicates BIGINT NOT NULL DEFAULT 0,
    dead_lettered BIGINT NOT NULL DEFAULT 0, dropped BIGINT NOT NULL DEFAULT 0,
    lost BIGINT NOT NULL DEFAULT 0, gaps BIGINT NOT NULL DEFAULT 0,
    carried BIGINT NOT NULL DEFAULT 0, duplicates_pruned BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (stream, topic, "partition")) WITH (fillfactor = 50);
CREATE TABLE "_sluicegate_dead_letters" (
    topic TEXT NOT NULL, "partition" INTEGER NOT NULL, "offset" BIGINT NOT NULL, stream TEXT NOT NULL,
    key BYTEA, value BYTEA NOT NULL, headers TEXT NOT NULL, timestamp_ms BIGINT NOT NULL,
    reason TEXT NOT NULL, problem TEXT NOT NULL, set_aside_ms BIGINT NOT NULL, attempts BIGINT NOT NULL DEFAULT 1,
    is_dropped BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (topic, "partition", "offset"));
CREATE TABLE "_sluicegate_duplicates" (
    topic TEXT NOT NULL, "partition" INTEGER NOT NULL, "offset" BIGINT NOT NULL,
    of_partition INTEGER NOT NULL, of_offset BIGINT NOT NULL, at_ms BIGINT NOT NULL,
    PRIMARY KEY (topic, "partition", "offset"));
CREATE TABLE "_sluicegate_keys" (
    stream TEXT NOT NULL, key BYTEA NOT NULL, digest BYTEA NOT NULL,
    "partition" INTEGER NOT NULL, "offset" BIGINT NOT NULL, at_ms BIGINT NOT NULL,
    PRIMARY KEY (stream, key));
CREATE INDEX "_sluicegate_keys_by_age" ON "_sluicegate_keys" (stream, "partition", at_ms);
CREATE TABLE "_sluicegate_lost" (
    stream TEXT NOT NULL, topic TEXT NOT NULL, "partition" INTEGER NOT NULL,
    from_offset BIGINT NOT NULL, to_offset BIGINT NOT NULL, at_ms BIGINT NOT NULL);
CREATE TABLE "_sluicegate_tables" (schema TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (schema, name));"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_schema_of_version_1_is_opened_and_its_keys_count() {
    let Some(database) = services::postgres() else { return };
    database.execute(POSTGRES_1);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (stream, key, digest, partition, offset, at_ms) in rows() {
        // Keys that were longer than an index takes were kept so.
        let kept = match key.len() {
            0..=1024 => key.clone().into_bytes(),
            _ => [&key.as_bytes()[..1], b"\0sha256:", &sluicegate::digest(key.as_bytes())].concat(),
        };
        let (key, digest) = (hex(&kept), hex(&digest));
        database.execute(&format!(
            r#"INSERT INTO "_sluicegate_keys" VALUES ('{stream}', '\x{key}', '\x{digest}', {partition}, {offset}, {at_ms})"#
        ));
    }
    // Of several processes that open it at once, one takes the keys over.
    let url = database.url();
    let opened = futures_util::future::join_all((0..3).map(|_| PostgresStore::open(&url))).await;
    for store in opened {
        assert_eq!(store.unwrap().identity(), "01985e5a-7a3c-7000-8000-000000000000");
    }
    check(std::sync::Arc::new(PostgresStore::open(&url).await.unwrap())).await;
}
