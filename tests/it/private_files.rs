//! Files: ours are their owner's alone, names cannot forge the log, and what is no file is not waited for.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Documents, Home, PATIENCE, Process, Request, Target, eventually, item};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

#[test]
fn data_is_its_owners_alone() {
    let home = Home::with(
        "streams:\n  events: {takes: events, table: events, directories: [inbox]}\n  activities: {takes: changes}\n",
    );
    std::fs::create_dir(home.path("inbox")).unwrap();
    home.write("inbox/a.json", "{}");
    let server = home.up();
    server.applied(item(1));
    eventually(PATIENCE, "the file is published", || {
        (server.get("/v1/tables/events/rows").status == 200).then_some(())
    });
    assert_eq!(mode(&home.path("data")), 0o700);
    for entry in walk(&home.path("data")) {
        let expected = if entry.is_dir() { 0o700 } else { 0o600 };
        // The lock of a watcher holds nothing.
        if entry.extension().is_none_or(|end| end != "lock") {
            assert_eq!(mode(&entry), expected, "{}", entry.display());
        }
    }
    let names: Vec<_> = walk(&home.path("data")).iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    for name in ["journal.db", "journal.db-wal", "journal.db-shm", "store.db", "store.db-wal", "store.db-shm"] {
        assert!(names.iter().any(|found| found == name), "{names:?}");
    }
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let below: Vec<_> = entries.iter().filter(|path| path.is_dir()).flat_map(|path| walk(path)).collect();
    [entries, below].concat()
}

#[test]
fn what_is_there_keeps_its_mode_and_is_warned_of() {
    let home = Home::new();
    home.up().stop();
    std::fs::set_permissions(home.store(), std::fs::Permissions::from_mode(0o640)).unwrap();
    let server = home.up();
    let said = server.wait_to_say("can be read by others");
    assert!(said.contains("store.db") && !said.contains("journal.db,"), "{said}");
    assert_eq!(mode(&home.store()), 0o640);
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let home = Home::new();
    assert!(Command::new("mkfifo").arg(home.path("pipe")).status().unwrap().success());
    home.write("refers.json", r#"{"$ref": "pipe"}"#);
    home.write("good.yaml", "streams: {events: {takes: events}}");
    let config = |schema: &str| format!("streams: {{s: {{takes: events, schema: {schema}}}}}");
    home.write("pipe.yaml", config("pipe"));
    home.write("device.yaml", config("/dev/zero"));
    home.write("refers.yaml", config("refers.json"));
    for (arguments, expected) in [
        (&["check", "--config", "pipe"] as &[&str], "it is a pipe, not a file"),
        (&["check", "--config", "/dev/zero"], "it is a device, not a file"),
        (&["check", "--config", "."], "is a directory"),
        (&["check", "--config", "pipe.yaml"], "it is a pipe, not a file"),
        (&["check", "--config", "device.yaml"], "it is a device, not a file"),
        (&["check", "--config", "refers.yaml"], "it is a pipe, not a file"),
        (&["publish", "--config", "good.yaml", "events", "pipe"], "it is a pipe, not a file"),
        (&["publish", "--config", "good.yaml", "events", "/dev/zero"], "it is a device, not a file"),
    ] {
        let mut command = home.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let ended = eventually(PATIENCE, &format!("{arguments:?} ends"), || child.try_wait().unwrap());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(ended.code(), Some(1), "{arguments:?} {said}");
        assert!(said.to_lowercase().contains(expected), "{arguments:?} {said}");
    }
}

const NASTY: &str = "a\u{1b}]0;owned\u{7}\nERROR forged\u{9b}2J.json";

#[test]
fn names_reach_no_log_and_no_terminal_raw() {
    let home = Home::with(
        "streams:\n  events: {takes: events, table: events, directories: [inbox]}\n  activities: {takes: changes}\n",
    );
    std::fs::create_dir(home.path("inbox")).unwrap();
    home.write(&format!("inbox/{NASTY}"), "{broken");
    let server = home.up();
    let problem = home.path(format!("inbox/{NASTY}.problem.json"));
    eventually(PATIENCE, "the file is judged", || problem.exists().then_some(()));
    server.applied(item(1));
    let published = home.run(&["publish", "events", &format!("inbox/{NASTY}")]);
    let missing = home.run(&["publish", "events", &format!("inbox/missing{NASTY}")]);
    let config = home.run(&["check", "--config", &format!("missing{NASTY}")]);
    let rows = home.run(&["rows", &format!("missing{NASTY}")]);
    let request = Request::post("/v1/streams/activities", item(2)).header("Idempotency-Key", "\"\u{9b}2J\"");
    server.send(request);
    for (what, said) in [
        ("the log", server.said()),
        ("publish", published.stderr),
        ("publish of nothing", missing.stderr),
        ("check", config.stderr),
        ("rows", rows.stderr),
    ] {
        let raw: Vec<_> = said.chars().filter(|char| char.is_control() && *char != '\n').collect();
        assert!(raw.is_empty(), "{what}: {raw:?} in {said:?}");
        assert!(!said.lines().any(|line| line.starts_with("ERROR forged")), "{what}: {said:?}");
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_told_as_a_full_disk() {
    let home = Home::new();
    home.up().stop();
    let mut limited = Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_sluicegate");
    let script =
        format!("ulimit -f 6000; exec {binary} --data {} up --listen 127.0.0.1:0", home.path("data").display());
    limited
        .args(["-c", &script])
        .current_dir(home.path("."))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .process_group(0);
    let server = Process::start(&mut limited).listening();
    let document = serde_json::json!({"text": "x".repeat(500_000)}).to_string();
    let refused = eventually(PATIENCE, "the limit is reached", || {
        let answer = server.post("/v1/streams/events", &document);
        (answer.status != 202).then_some(answer)
    });
    assert_eq!(refused.expect(503).json()["type"], "/problems/journal-unavailable");
    server.wait_to_say("is full, or the file has reached its limit");
    server.get("/health/live").expect(200);
}
