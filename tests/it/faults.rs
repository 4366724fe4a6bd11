//! Failures that are no document's: told apart, said on /health/ready, and nothing accepted is lost by them.
//!
//! Here the files of the real binary are taken away; `faults/apply.rs` breaks the store under an applier.

pub(crate) mod apply;
mod causes;
mod judging;
mod readiness;
mod scripted;

use std::path::Path;

use serde_json::Value;

use crate::store::insert;
use crate::support::{Home, PATIENCE, Process, Request, Response, Target, eventually};

fn post(process: &Process, id: u32) -> Response {
    process.send(Request::post("/v1/streams/activities", insert("t", &format!("id INTEGER {id}"))).wait(20))
}

/// Waits until /health/ready answers with `status`, and gives the checks.
#[track_caller]
fn ready(process: &Process, status: u16) -> Value {
    eventually(PATIENCE, "ready says so", || {
        let response = process.get("/health/ready");
        (response.status == status).then(|| response.json()["checks"].clone())
    })
}

fn ids(home: &Home) -> Vec<i64> {
    let file = rusqlite::Connection::open(home.store()).unwrap();
    let mut statement = file.prepare("SELECT id FROM t ORDER BY id").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Moves a database, with what SQLite keeps beside it.
fn rename(from: &Path, to: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let [from, to] = [from, to].map(|path| format!("{}{suffix}", path.display()));
        // The last connection to close removes the two others.
        if std::fs::rename(from, to).is_err() {
            assert_ne!(suffix, "");
        }
    }
}

fn move_away(file: &Path) {
    rename(file, &file.with_extension("away"));
}

#[test]
fn a_journal_that_is_deleted_or_swapped_while_in_use_takes_nothing_more() {
    for is_swapped in [false, true] {
        let home = Home::new();
        let process = home.up();
        post(&process, 1).expect(200);
        move_away(&home.journal());
        if is_swapped {
            let other = Home::new();
            other.up().stop();
            std::fs::copy(other.journal(), home.journal()).unwrap();
        }
        let problem = post(&process, 2).expect(503).json();
        assert_eq!((&problem["type"], &problem["kept"]), (&"/problems/journal-unavailable".into(), &"no".into()));
        let checks = ready(&process, 503);
        assert!(checks["journal"].as_str().unwrap().contains("deleted or replaced"), "{checks}");
        assert_eq!(process.get("/health/live").status, 200);
        process.wait_to_say("The topic cannot be read");
        assert_eq!(home.journal().exists(), is_swapped, "no new journal is made behind the back of the old one");
        assert_eq!(ids(&home), [1]);
    }
}

#[test]
fn a_journal_that_the_store_does_not_know_stops_apply_until_a_person_accepts_the_loss() {
    let home = Home::new();
    let mut process = home.up();
    post(&process, 1).expect(200);
    process.stop();
    move_away(&home.journal());

    let process = home.up();
    let halted = eventually(PATIENCE, "the stream stands still", || {
        ready(&process, 503)["stream activities"].as_str().map(str::to_owned)
    });
    assert!(halted.contains("accept-loss activities"), "{halted}");
    let insert = insert("t", "id INTEGER 2");
    process.post("/v1/streams/activities", insert).expect(202);
    assert!(home.run(&["verify"]).expect(1).stderr.contains("another journal"));
    let positions = home.run(&["positions", "--output", "json"]).expect(0).json();
    assert_eq!(positions[0]["state"], "another journal");
    assert_eq!(ids(&home), [1], "nothing is applied until then");

    for stream in ["activities", "events"] {
        home.run(&["positions", "accept-loss", stream, "--yes"]).expect(0);
    }
    ready(&process, 200);
    eventually(PATIENCE, "the document is applied", || (ids(&home) == [1, 2]).then_some(()));
    home.run(&["verify"]).expect(0);
    post(&process, 3).expect(200);
}

#[test]
fn the_old_journal_put_back_goes_on_where_it_was() {
    let home = Home::new();
    let mut process = home.up();
    post(&process, 1).expect(200);
    process.stop();
    move_away(&home.journal());
    let mut process = home.up();
    ready(&process, 503);
    process.stop();
    rename(&home.journal(), &home.path("data/other.db"));
    rename(&home.journal().with_extension("away"), &home.journal());
    let process = home.up();
    ready(&process, 200);
    post(&process, 2).expect(200);
    assert_eq!(ids(&home), [1, 2]);
    home.run(&["verify"]).expect(0);
}

#[test]
fn a_store_that_is_deleted_while_in_use_loses_no_document() {
    let home = Home::new();
    let mut process = home.up();
    post(&process, 1).expect(200);
    move_away(&home.store());
    process.post("/v1/streams/activities", insert("t", "id INTEGER 2")).expect(202);
    let checks = ready(&process, 503);
    assert!(checks["store"].as_str().unwrap().contains("deleted or replaced"), "{checks}");
    process.wait_to_say("Apply stands still");
    // What is read is gone as well, whether a connection to the old file is still open or not.
    for _ in 0..2 {
        process.get("/v1/tables").expect(503);
    }
    assert!(!home.store().exists(), "no new store is made behind the back of the old one");
    process.stop();

    // A store that is new gets everything that the journal still holds.
    let process = home.up();
    ready(&process, 200);
    post(&process, 3).expect(200);
    assert_eq!(ids(&home), [1, 2, 3]);
    home.run(&["verify"]).expect(0);
}

#[test]
fn a_newer_format_is_refused_with_words() {
    for (file, sql) in [
        ("data/store.db", r#"UPDATE "_sluicegate_store" SET version = 99"#),
        ("data/journal.db", "UPDATE journal SET version = 99"),
    ] {
        let home = Home::new();
        home.up().stop();
        rusqlite::Connection::open(home.path(file)).unwrap().execute(sql, []).unwrap();
        let said = home.run(&["up", "--listen", "127.0.0.1:0"]).expect(1).stderr;
        assert!(said.contains("99") && said.contains("newer"), "{file}: {said}");
    }
}

#[test]
fn places_that_cannot_be_written_are_refused_with_their_names() {
    for (arguments, name) in [
        (["--data", "file/data"], "file"),
        (["--journal", "sqlite://file/journal.db"], "file"),
        (["--store", "sqlite://file/store.db"], "file"),
        (["--journal", "sqlite://folder"], "folder"),
        (["--store", "sqlite://folder"], "folder"),
        (["--journal", "sqlite://text"], "text"),
        (["--store", "sqlite://text"], "text"),
    ] {
        let home = Home::new();
        home.write("file", "");
        home.write("text", "a text that is no database, and longer than the header of one would be. ".repeat(20));
        std::fs::create_dir(home.path("folder")).unwrap();
        // The home names its own data directory first.
        let arguments = [&["up", "--listen", "127.0.0.1:0"][..], &arguments].concat();
        let said = home.run(&arguments).expect(1).stderr;
        assert!(said.contains(name) && said.starts_with("error: "), "{arguments:?}: {said}");
    }
}

#[test]
fn a_disk_that_fills_up_refuses_documents_and_loses_none_that_was_acknowledged() {
    let home = Home::new();
    let process = start_with_refused_writes(&home);
    let large = insert("t", &format!("id INTEGER 1, filler TEXT {:?}", "x".repeat(200_000)));
    post(&process, 0).expect(200);
    // No file of the process grows beyond 4 MB; what is written past that fails.
    limit_files(&process, "4000000");
    let mut acknowledged = 1;
    let refused = eventually(PATIENCE, "the journal is full", || {
        let response = process.post("/v1/streams/activities", &large);
        if response.status != 202 {
            return Some(response);
        }
        acknowledged += 1;
        None
    });
    let problem = refused.expect(503).json();
    assert_eq!(problem["type"], "/problems/journal-unavailable", "{problem}");
    ready(&process, 503);
    limit_files(&process, "unlimited");
    ready(&process, 200);
    post(&process, 2).expect(200);
    let balances = home.run(&["verify", "--output", "json"]).expect(0).json();
    let applied = balances[0]["applied"].as_u64().unwrap();
    assert!(applied > acknowledged, "{acknowledged} and one more: {balances}");
    assert_eq!(ids(&home).len() as u64, applied);
}

/// `sluicegate up` in which a write past the limit fails, as it does on a full disk, instead of ending the process.
fn start_with_refused_writes(home: &Home) -> Process {
    let up = home.command(&["up", "--listen", "127.0.0.1:0"]);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#]).arg(up.get_program()).args(up.get_args());
    for (name, value) in up.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Process::start(command.current_dir(up.get_current_dir().unwrap())).listening()
}

/// Bounds the files that a running process may write.
fn limit_files(process: &Process, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let status = std::process::Command::new("prlimit").args(["--pid", &process.id().to_string(), &limit]).status();
    assert!(status.unwrap().success());
}
