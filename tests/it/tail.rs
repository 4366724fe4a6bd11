//! `sluicegate tail`: what it prints, where it begins and ends, and that it leaves no trace.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Home, PATIENCE, Request, Target, eventually, item};

const KEPT: &str = "streams: {events: {takes: events, key: /id}}";

#[track_caller]
fn printed(home: &Home, arguments: &[&str]) -> Vec<String> {
    home.run(&[&["tail"], arguments].concat()).expect(0).stdout.lines().map(str::to_owned).collect()
}

#[test]
fn it_prints_from_where_it_is_told_and_leaves_at_the_end() {
    let home = Home::with(KEPT);
    let lines: Vec<_> = (0..1200).map(|id| format!("{{\"id\":{id}}}")).collect();
    home.run_with(&["publish", "events", "-"], lines.join("\n").as_bytes()).expect(0);
    for (arguments, expected) in [
        (&["events", "--exit"][..], 0..1200),
        (&["events", "--exit", "--from", "beginning", "--partition", "0"], 0..1200),
        (&["events", "--exit", "--from", "1190"], 1190..1200),
        (&["events", "--exit", "--from", "1200"], 0..0),
        (&["events", "--exit", "--from", "end"], 0..0),
    ] {
        assert_eq!(printed(&home, arguments), lines[expected], "{arguments:?}");
    }
    for (arguments, status, words) in [
        (&["tail", "nothing", "--exit"][..], 1, "there is no topic \"nothing\"; there are events"),
        (&["tail", "events", "--exit", "--partition", "3"], 1, "no partition 3"),
        (&["tail", "events", "--exit", "--from", "1201"], 1, "1200"),
        (&["tail", "events", "--from", "-1"], 2, "--from"),
        (&["tail", "events", "--from", "middle"], 2, "beginning"),
        (&["tail", "events", "--output", "csv"], 2, "json"),
        (&["rows", "events", "--output", "value"], 2, "it has table, json, ndjson and csv"),
    ] {
        let ran = home.run(arguments).expect(status);
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn json_has_the_shape_of_kcat() {
    let home = Home::with(KEPT);
    let up = home.up();
    up.send(Request::post("/v1/streams/events", r#"{"id":"ä"}"#).header("Idempotency-Key", "k")).expect(202);
    let [line] = &printed(&home, &["events", "--exit", "--output", "json"])[..] else { panic!() };
    let message: Value = serde_json::from_str(line).unwrap();
    let names: Vec<_> = message.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["topic", "partition", "offset", "tstype", "ts", "broker", "headers", "key", "payload"];
    assert_eq!(names, expected);
    assert_eq!(message["payload"], r#"{"id":"ä"}"#);
    assert_eq!((&message["key"], &message["tstype"]), (&json!("ä"), &json!("create")));
    let headers = message["headers"].as_array().unwrap();
    assert!(
        headers.len().is_multiple_of(2)
            && headers.iter().all(Value::is_string)
            && headers.contains(&json!("ce_id"))
            && headers.contains(&json!("k")),
        "{headers:?}"
    );
}

#[test]
fn it_prints_what_comes_until_it_is_asked_to_leave() {
    let home = Home::with(KEPT);
    let up = home.up();
    up.post("/v1/streams/events", r#"{"id":1}"#).expect(202);
    let mut command = home.command(&["tail", "events", "--from", "end"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // It listens from some moment on: what is posted until it prints the first shows when.
    let (sender, receiver) = std::sync::mpsc::channel();
    let reader =
        std::thread::spawn(move || lines.by_ref().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    let mut sent = 1;
    let first = eventually(PATIENCE, "it prints", || {
        sent += 1;
        up.post("/v1/streams/events", format!("{{\"id\":{sent}}}")).expect(202);
        receiver.try_recv().ok()
    });
    assert_ne!(first, r#"{"id":1}"#);
    let id = child.id();
    let killed = std::process::Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status().unwrap();
    assert!(killed.success());
    let status = eventually(PATIENCE, "it leaves", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    reader.join().unwrap();
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let home = Home::with(KEPT);
    let lines: Vec<_> = (0..50_000).map(|id| format!("{{\"id\":{id}}}")).collect();
    home.run_with(&["publish", "events", "-"], lines.join("\n").as_bytes()).expect(0);
    let mut command = home.command(&["tail", "events", "--exit"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "{\"id\":0}\n");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn nothing_is_kept_for_it() {
    let home = Home::new();
    let up = home.up();
    up.send(Request::post("/v1/streams/activities", item(1)).wait(20)).expect(200);
    let groups = || {
        let file = rusqlite::Connection::open(home.journal()).unwrap();
        file.query_row("SELECT count(*) FROM groups", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = groups();
    printed(&home, &["activities", "--exit"]);
    assert_eq!(groups(), before);
}

#[test]
fn a_topic_that_is_not_there_yet_is_told_by_how_it_comes_to_be() {
    let home = Home::with(KEPT);
    home.run_with(&["publish", "events", "-"], b"{\"id\":1}").expect(0);
    home.write(
        "sluicegate.yaml",
        "streams: {events: {takes: events, key: /id}, added: {takes: events, topic: added-topic}, read: {takes: events, source: theirs}}",
    );
    for (topic, words) in [
        (
            "added-topic",
            "nothing was sent to the stream added yet: its topic added-topic is made by `sluicegate up`, or by the first",
        ),
        ("theirs", "there is no topic theirs yet, which the stream read reads"),
        ("added-topc", "there is no topic \"added-topc\"; did you mean \"added-topic\"?"),
        ("added", "there is no topic \"added\"; there are events, added-topic, theirs"),
        ("nothing-alike", "there is no topic \"nothing-alike\"; there are events, added-topic, theirs"),
    ] {
        let ran = home.run(&["tail", topic, "--exit"]).expect(1);
        assert!(ran.stderr.contains(words), "{topic}: {}", ran.stderr);
    }
    home.run_with(&["publish", "added", "-"], b"1").expect(0);
    assert_eq!(printed(&home, &["added-topic", "--exit"]), ["1"]);
}
