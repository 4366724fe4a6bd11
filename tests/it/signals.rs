//! Signals: whoever waits is answered at once, and nothing but what is meant ends the process.

use std::io::Read as _;
use std::time::{Duration, Instant};

use rusqlite::Connection as Sqlite;

use crate::support::{Connection, Documents, Home, PATIENCE, Process, Request, Target, eventually, item};

/// A server whose store is locked by somebody else, so that nothing is applied.
fn stuck(home: &Home) -> (Process, Sqlite) {
    let server = home.up();
    server.applied(item(0));
    let lock = Sqlite::open(home.store()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    (server, lock)
}

fn waiting(server: &Process, request: &Request) -> Connection {
    let mut connection = Connection::open(server.address()).unwrap();
    connection.ask(request).unwrap();
    connection
}

#[test]
fn who_waits_for_the_store_is_answered_when_the_process_ends() {
    let home = Home::new();
    let (mut server, lock) = stuck(&home);
    let post = |body: String| Request::post("/v1/streams/activities", body).wait(50);
    let mut one = waiting(&server, &post(item(1)));
    let mut many = waiting(&server, &post(format!("{}\n{}\n", item(2), item(3))).lines());
    let mut echo = waiting(&server, &Request::post("/api/activities", item(4)).wait(50));
    let accepted = || home.run(&["tail", "activities", "--exit"]).stdout.lines().count() == 5;
    eventually(PATIENCE, "all are in the journal", || accepted().then_some(()));
    let begin = Instant::now();
    server.signal("TERM");
    assert_eq!(one.answer(false).unwrap().expect(202).json()["status"], "accepted");
    let results = many.answer(false).unwrap().expect(202).json()["results"].clone();
    assert!(results.as_array().unwrap().iter().all(|result| result["status"] == "accepted"), "{results}");
    echo.answer(false).unwrap().expect(200);
    assert!(begin.elapsed() < Duration::from_secs(3), "they waited for {:?}", begin.elapsed());
    drop(lock);
    assert!(server.ended(Duration::from_secs(10)).success());
}

#[test]
fn two_signals_within_a_second_are_one() {
    let home = Home::new();
    for signals in [["TERM", "TERM"], ["INT", "TERM"], ["INT", "INT"]] {
        let mut server = home.up();
        for signal in signals {
            server.signal(signal);
        }
        assert!(server.ended(PATIENCE).success(), "{signals:?}");
        assert!(!server.said().contains("Leaving at once"), "{signals:?}");
    }
}

#[test]
fn a_second_signal_later_ends_the_process_at_once() {
    let home = Home::new();
    let mut server = home.up();
    // A request that does not end holds it.
    let mut connection = Connection::open(server.address()).unwrap();
    connection.write(b"POST /v1/streams/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{").unwrap();
    let begin = Instant::now();
    server.signal("TERM");
    server.wait_to_say("Stopping");
    eventually(PATIENCE, "it leaves at once", || {
        server.signal_if_there("TERM");
        (server.said().contains("Leaving at once")).then_some(())
    });
    assert_eq!(server.ended(PATIENCE).code(), Some(1));
    assert!(begin.elapsed() < Duration::from_secs(7), "{:?}", begin.elapsed());
}

#[test]
fn a_hangup_changes_nothing_and_says_so() {
    let home = Home::new();
    let mut server = home.up();
    server.signal("HUP");
    server.wait_to_say("SIGHUP changes nothing");
    server.signal("PIPE");
    server.applied(item(1));
    assert!(server.stop().success());
}

#[test]
fn an_export_ends_at_a_page_when_the_process_ends() {
    let home = Home::new();
    let mut server = home.up();
    let document = serde_json::json!({"text": "x".repeat(10_000)}).to_string();
    let lines = vec![document; 1_500].join("\n");
    for _ in 0..3 {
        server.send(Request::post("/v1/streams/events", &lines).lines().wait(50)).expect(202);
    }
    let mut connection = std::net::TcpStream::connect(server.address()).unwrap();
    use std::io::Write as _;
    let head = "GET /v1/tables/events/rows HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n";
    connection.write_all(head.as_bytes()).unwrap();
    let mut first = [0; 4096];
    connection.read_exact(&mut first).unwrap();
    let begin = Instant::now();
    server.signal("TERM");
    server.wait_to_say("Stopping");
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    // Cut short, and the client can see it: no last chunk.
    let _ = connection.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{} bytes", rest.len());
    assert!(server.ended(PATIENCE).success());
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
}
