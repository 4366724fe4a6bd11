//! Positions moved while apply is at work: nothing doubles, and nothing is lost but what a person was told of.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use super::Pair;
use crate::support::{Documents, PATIENCE, Process, Request, Target, eventually, item};

/// So many documents arrive in one request.
const BURST: i64 = 20;

/// The ids of all rows; each must be there once.
fn ids(server: &Process) -> BTreeSet<i64> {
    let request = Request::get("/v1/tables/item/rows").header("Accept", "application/x-ndjson");
    let rows = server.send(request).expect(200);
    let mut ids = BTreeSet::new();
    for line in rows.text().lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(ids.insert(row["id"].as_i64().unwrap()), "{row} is there twice");
    }
    ids
}

/// Runs `positions` with these arguments, and answers its first question with yes once `meanwhile` has happened. Gives the
/// exit code and what was said.
fn answered_late(pair: &Pair, arguments: &[&str], meanwhile: impl FnOnce()) -> (i32, String) {
    let mut command = pair.home.command(&[&["positions"], arguments].concat());
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut said, mut byte) = (Vec::new(), [0]);
    let mut reader = child.stderr.take().unwrap();
    while !said.ends_with(b"[y/N] ") {
        assert_eq!(reader.read(&mut byte).unwrap(), 1, "it asks: {}", String::from_utf8_lossy(&said));
        said.push(byte[0]);
    }
    meanwhile();
    // Whoever asks a second time finds nobody there.
    child.stdin.take().unwrap().write_all(b"y\n").unwrap();
    reader.read_to_end(&mut said).unwrap();
    (child.wait().unwrap().code().unwrap(), String::from_utf8(said).unwrap())
}

/// Every command that moves a position, at a stream that documents run through all the time.
pub(super) fn moves_race_with_apply(pair: &Pair) {
    const ROUNDS: i64 = 6;
    let server = pair.up();
    server.applied(item(0));
    let is_over = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let loader = scope.spawn(|| {
            let mut next = 1;
            while !is_over.load(Ordering::Relaxed) {
                let lines: Vec<_> = (next..next + BURST).map(item).collect();
                server.send(Request::post("/v1/streams/activities", lines.join("\n")).lines()).expect(202);
                next += BURST;
            }
            next
        });
        let moves = || {
            for round in 0..ROUNDS {
                let healthy = pair.home.run(&["positions", "accept-loss", "activities", "--yes"]).expect(0);
                assert!(healthy.stderr.contains("nothing of activities is lost"), "{}", healthy.stderr);
                pair.home.run(&["positions", "set", "activities", "--to", "end", "--yes"]).expect(0);
                // What is posted while the question stands is behind everything that it speaks of.
                let pause = || drop(server.applied(item(-1 - round)));
                let (code, said) = answered_late(pair, &["set", "activities", "--to", "end"], pause);
                assert_eq!(code, 0, "{said}");
                assert!(said.contains("nothing is given up") || said.contains("stays at"), "{said}");
                let pause = || drop(server.applied(item(-1 - round - ROUNDS)));
                let (code, said) = answered_late(pair, &["set", "activities", "--to", "beginning"], pause);
                assert_eq!(code, 1, "{said}");
                assert!(said.contains("has been moved meanwhile, and nothing was changed"), "{said}");
            }
        };
        let moved = std::panic::catch_unwind(std::panic::AssertUnwindSafe(moves));
        is_over.store(true, Ordering::Relaxed);
        let sent = loader.join().unwrap();
        if let Err(panic) = moved {
            std::panic::resume_unwind(panic);
        }
        sent
    });
    server.applied(item(sent));
    let there = ids(&server);
    let balance = pair.balance("activities");
    let all = sent + 1 + 2 * ROUNDS;
    assert_eq!(balance["accepted"], all, "{balance}");
    let missing = all - there.len() as i64;
    assert_eq!(balance["lost"], missing, "what is missing was given up, and no more: {balance}");
    assert_eq!(balance["waiting"], 0, "{balance}");
    for answered in 1..=2 * ROUNDS {
        assert!(there.contains(&-answered), "what was applied while a question stood is there: {answered}");
    }
}

/// The rows of the table `events` by their receipts.
fn events(server: &Process) -> Vec<Value> {
    let mut rows = server.rows("events");
    rows.sort_by_key(|row| row["receipt"].as_str().unwrap().rsplit('-').next().unwrap().parse::<i64>().unwrap());
    rows
}

/// A replay finds the row of each event by its receipt: a column that was added is filled, and nothing is there twice.
pub(super) fn a_replay_of_events_brings_rows_up_to_date(pair: &Pair) {
    let mut server = pair.up();
    let event = |n: i64| Request::post("/v1/streams/events", json!({"n": n}).to_string()).wait(20);
    let keyed = |n: i64| event(n).header("Idempotency-Key", "once");
    for n in 0..30 {
        server.send(event(n)).expect(200);
    }
    server.send(keyed(30)).expect(200);
    let again = server.send(keyed(30)).expect(200);
    assert_eq!(again.json()["status"], "duplicate");
    let before = events(&server);
    assert_eq!(before.len(), 31);
    let balance = pair.balance("events");
    assert!(server.stop().success());

    // The stream gets a column, and everything is applied again.
    let config = std::fs::read_to_string(pair.home.path("sluicegate.yaml")).unwrap();
    let config = config.replace("table: events}", "table: events, columns: {n: {at: /n, type: integer}}}");
    pair.home.write("sluicegate.yaml", config);
    pair.home.run(&["positions", "set", "events", "--to", "beginning", "--yes"]).expect(0);
    let server = pair.up();
    server.send(event(31)).expect(200);
    let after = events(&server);
    assert_eq!(after.len(), 32);
    for (n, (before, after)) in before.iter().zip(&after).enumerate() {
        let mut expected = before.clone();
        expected["n"] = n.into();
        assert_eq!(*after, expected);
        assert_eq!(server.receipt(after["receipt"].as_str().unwrap())["status"], "applied");
    }
    assert_eq!(server.receipt(&again.receipt())["status"], "duplicate");
    let now = pair.balance("events");
    assert_eq!(now["applied"], balance["applied"].as_i64().unwrap() + 1, "{now}");
    for member in ["duplicates", "dead_lettered", "lost", "waiting"] {
        assert_eq!(now[member], balance[member], "{member} in {now}");
    }
}

/// Dead letters among what is replayed are judged anew, and a row that a person removed comes back.
pub(super) fn a_replay_of_events_tries_dead_letters_again(pair: &Pair) {
    let mut server = pair.up();
    let event = |text: &str| Request::post("/v1/streams/events", text).wait(20);
    let first = server.send(event(r#"{"n":"2026-01-01"}"#)).expect(200).receipt();
    assert!(server.stop().success());
    let plain = std::fs::read_to_string(pair.home.path("sluicegate.yaml")).unwrap();
    let typed = |kind: &str| {
        plain.replace("table: events}", &format!("table: events, columns: {{n: {{at: /n, type: {kind}}}}}}}"))
    };
    // The column that is made here takes no text.
    pair.home.write("sluicegate.yaml", typed("date"));
    let mut server = pair.up();
    server.send(event(r#"{"n":"2026-01-02"}"#)).expect(200);
    assert!(server.stop().success());
    pair.home.write("sluicegate.yaml", typed("text"));
    let mut server = pair.up();
    let refused = server.send(event(r#"{"n":"2026-01-03"}"#)).expect(409).receipt();
    assert_eq!(events(&server).len(), 2);
    pair.home.run(&["positions", "set", "events", "--to", "beginning", "--yes"]).expect(0);
    let of = |server: &Process, receipt: &str, status: &str| {
        eventually(PATIENCE, status, || (server.receipt(receipt)["status"] == status).then_some(()));
    };
    for receipt in [&first, &refused] {
        of(&server, receipt, "dead-lettered");
    }
    assert_eq!(pair.balance("events")["dead_lettered"], 3);
    assert!(server.stop().success());
    pair.home.write("sluicegate.yaml", typed("date"));
    let server = pair.up();
    // By a retry or by a replay: the rows that are there are brought up to date.
    let retried = server.post(&format!("/v1/dead-letters/{first}/retry"), "").expect(200);
    assert_eq!(retried.json()["status"], "applied", "{}", retried.text());
    pair.home.run(&["positions", "set", "events", "--to", "beginning", "--yes"]).expect(0);
    for receipt in [&first, &refused] {
        of(&server, receipt, "applied");
    }
    let days: Vec<_> = events(&server).iter().map(|row| row["n"].clone()).collect();
    assert_eq!(days, ["2026-01-01", "2026-01-02", "2026-01-03"]);
    let balance = pair.balance("events");
    assert_eq!((&balance["applied"], &balance["dead_lettered"]), (&3.into(), &0.into()), "{balance}");
}
