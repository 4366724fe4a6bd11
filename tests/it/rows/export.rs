//! Answers of any length: CSV and JSON lines, page by page; and questions that take too long.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;
use sluicegate::problem::ProblemType;
use sluicegate::store::rows::{Order, RowQuery};
use sluicegate::store::sqlite::SqliteStore;
use sluicegate::store::{Store, StoreError};

use crate::support::{
    self, Documents, Home, PATIENCE, Process, Request, Response, Target, activities, eventually, insert,
};

/// More rows than several pages of an export hold.
const MANY: i64 = 12_345;

/// Adds rows as another program would, which is quick.
fn fill(home: &Home, count: i64) {
    let store = Connection::open(home.store()).unwrap();
    let sql = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < ?1)
               INSERT INTO t (id, name) SELECT id, 'name ' || (id % 100) FROM n";
    store.execute_batch("DELETE FROM t").unwrap();
    store.execute(sql, [count]).unwrap();
}

fn server(home: &Home) -> Process {
    let server = home.up();
    server.applied(activities([insert("t", &[("id", "BIGINT", 0.into()), ("name", "TEXT", "x".into())])]));
    server
}

fn ask(server: &Process, query: &str, accept: &str) -> Response {
    server.send(Request::get(&format!("/v1/tables/t/rows{query}")).header("Accept", accept))
}

#[test]
fn csv_gives_every_row_behind_a_line_of_names() {
    let home = Home::new();
    let server = server(&home);
    fill(&home, MANY);
    for (query, count) in
        [("", MANY), ("?order=name.desc,id", MANY), ("?limit=7000", 7_000), ("?id=gt.12000", MANY - 12_000)]
    {
        let answer = ask(&server, query, "text/csv").expect(200);
        assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
        let text = answer.text();
        let mut lines = text.split_terminator("\r\n");
        assert_eq!(lines.next(), Some("id,name"), "{query}");
        let mut ids: Vec<i64> = lines.map(|line| line.split_once(',').unwrap().0.parse().unwrap()).collect();
        assert_eq!(ids.len() as i64, count, "{query}");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len() as i64, count, "{query}: a row came twice");
    }
    assert_eq!(ask(&server, "?id=eq.-1", "text/csv").expect(200).text(), "id,name\r\n");
    let printed = home.run(&["rows", "t", "--output", "csv"]).expect(0).stdout;
    assert_eq!(printed, ask(&server, "", "text/csv").text(), "the command prints the same");
}

#[test]
fn json_lines_give_every_row_by_itself() {
    let home = Home::new();
    let server = server(&home);
    fill(&home, MANY);
    let answer = ask(&server, "?select=id&order=id.desc", "application/x-ndjson").expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let ids: Vec<i64> = answer
        .text()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, (1..=MANY).rev().collect::<Vec<_>>());
    assert_eq!(ask(&server, "?id=eq.-1", "application/x-ndjson").expect(200).text(), "");
}

#[test]
fn the_header_accept_chooses_the_form() {
    let home = Home::new();
    let server = server(&home);
    for (accept, expected) in [
        ("*/*", "application/json"),
        ("text/html, */*;q=0.5", "application/json"),
        ("text/csv;q=0.4, application/json", "application/json"),
        ("application/json;q=0.4, TEXT/CSV", "text/csv; charset=utf-8"),
        ("text/csv;q=0", "application/json"),
        ("application/ndjson", "application/x-ndjson"),
        ("nonsense", "application/json"),
    ] {
        let answer = ask(&server, "", accept).expect(200);
        assert_eq!(answer.header("content-type"), Some(expected), "{accept}");
    }
    // What is wrong is a problem, whatever is accepted.
    for query in ["?nmae=eq.x", "?limit=0", "?offset=5"] {
        let answer = ask(&server, query, "text/csv").expect(400);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{query}");
    }
}

#[test]
fn a_client_that_leaves_ends_its_export() {
    let home = Home::new();
    let server = server(&home);
    // More than the buffers of the system take at once.
    fill(&home, 400_000);
    for _ in 0..20 {
        let mut connection = support::Connection::open(server.address()).unwrap();
        let export = Request::get("/v1/tables/t/rows").header("Accept", "text/csv");
        connection.ask(&export).unwrap();
        drop(connection);
    }
    // All places for exports are free again.
    eventually(PATIENCE, "an export runs", || {
        let answer = ask(&server, "?limit=6000", "text/csv");
        (answer.status == 200).then_some(())
    });
    // Nothing holds the log of the file: it is written back whole.
    eventually(PATIENCE, "the log is written back", || {
        let store = Connection::open(home.store()).unwrap();
        let checkpoint = store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        checkpoint.is_ok_and(|is_busy| is_busy == 0).then_some(())
    });
}

#[tokio::test]
async fn a_question_that_takes_too_long_is_stopped_and_says_so() {
    let home = Home::new();
    drop(server(&home));
    fill(&home, 100_000);
    let store = SqliteStore::open(&home.store()).unwrap();
    let columns = store.rows().columns("t").await.unwrap().unwrap();
    let field = sluicegate::store::rows::Field::column(&columns[1]);
    let order = vec![Order { field, is_descending: false, nulls_first: false }];
    let query = RowQuery { order, ..RowQuery::of("t", &columns) };
    store.limit_reading(Duration::from_millis(1));
    let begun = Instant::now();
    match store.rows().page(&query).await {
        Err(StoreError::Document(problem)) => assert_eq!(problem.kind, ProblemType::QueryTimeout, "{problem}"),
        other => panic!("{other:?}"),
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
    store.limit_reading(Duration::from_secs(60));
    assert_eq!(store.rows().page(&query).await.unwrap().rows.len(), 1_000);
}
