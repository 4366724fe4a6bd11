//! Documents at which judging itself fails: each is refused by itself, wherever it comes from, and nobody else notices.

use serde_json::Value;

use super::ready;
use crate::support::{Home, PATIENCE, Process, Request, Target, eventually};

/// A pattern that is tried too long on this text: a violation like any other.
const SLOW: &str = r#"{"user":"customer-relations-department@example.com"}"#;

/// Two members with one name, of which the library that judges loses one, and panics.
const PANICS: &str = r#"{"team":{"user":"customer-relations-department@example.com"},"team":[1]}"#;

const GOOD: &str = r#"{"user":"ada"}"#;

const SCHEMA: &str = r#"{"properties": {
    "user": {"pattern": "^(?:(?!admin)\\w+[-.]?)+$"},
    "team": {"properties": {"user": {"pattern": "^(?:(?!admin)\\w+[-.]?)+$"}}}
}}"#;

const JUDGED: &str = "streams: {users: {takes: events, schema: user.json, table: users, directories: [inbox]}}";

/// Before there was a schema.
const UNJUDGED: &str = "streams: {users: {takes: events, table: users}}";

fn home(config: &str) -> Home {
    let home = Home::with(config);
    home.write("user.json", SCHEMA);
    std::fs::create_dir(home.path("inbox")).unwrap();
    home
}

fn sentences(problem: &Value) -> Vec<(&str, &str)> {
    let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("{problem}"));
    errors.iter().map(|error| (error["pointer"].as_str().unwrap(), error["detail"].as_str().unwrap())).collect()
}

/// Checks that a problem says what is wrong with the document that it is about.
#[track_caller]
fn check(problem: &Value, document: &str) {
    let (pointer, part) = match document {
        SLOW => ("/user", "the pattern takes too long on"),
        _ => ("", "could not be judged by a fault of Sluicegate"),
    };
    let found = sentences(problem);
    assert!(matches!(&found[..], [(at, text)] if *at == pointer && text.contains(part)), "{document}: {problem}");
}

/// Checks that a document that is sent now goes through, and that the log holds no word of the others.
#[track_caller]
fn goes_on(process: &Process) {
    process.send(Request::post("/v1/streams/users", GOOD).wait(20)).expect(200);
    ready(process, 200);
    assert!(!process.said().contains("customer-relations"), "{}", process.said());
}

#[test]
fn a_document_at_which_judging_fails_is_refused_over_http_and_so_is_its_line_of_a_batch() {
    let home = home(JUDGED);
    let process = home.up();
    for document in [SLOW, PANICS] {
        let problem = process.post("/v1/streams/users", document).expect(422).json();
        assert_eq!(problem["type"], "/problems/invalid-document");
        check(&problem, document);
    }
    process.wait_to_say("A document could not be judged");
    let lines = [GOOD, SLOW, GOOD, PANICS, GOOD].join("\n");
    let answer = process.send(Request::post("/v1/streams/users", lines).lines());
    let results = answer.expect(207).json()["results"].clone();
    let states: Vec<_> = (0..5).map(|line| results[line]["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["accepted", "rejected", "accepted", "rejected", "accepted"]);
    check(&results[1]["problem"], SLOW);
    check(&results[3]["problem"], PANICS);
    goes_on(&process);
}

#[test]
fn a_document_at_which_judging_fails_is_refused_in_a_file_and_in_a_watched_folder() {
    let home = home(JUDGED);
    let file = home.write("users.ndjson", [GOOD, SLOW, PANICS, r#"{"user":"bob"}"#].join("\n"));
    let ran = home.run(&["publish", "users", file.to_str().unwrap()]).expect(1);
    assert!(ran.stderr.contains("2 accepted, 2 rejected"), "{}", ran.stderr);
    let process = home.up();
    for (name, document) in [("slow", SLOW), ("panics", PANICS), ("good", r#"{"user":"eve"}"#)] {
        home.write(&format!("inbox/{name}.json"), document);
    }
    for (name, document) in [("slow", SLOW), ("panics", PANICS)] {
        let problem = eventually(PATIENCE, "what is wrong stands beside the file", || {
            let text = std::fs::read_to_string(home.path(format!("inbox/{name}.json.problem.json"))).ok()?;
            serde_json::from_str::<Value>(&text).ok()
        });
        let text = problem.to_string();
        let part = if document == SLOW { "takes too long" } else { "a fault of Sluicegate" };
        assert!(text.contains(part), "{text}");
    }
    eventually(PATIENCE, "the others are rows", || {
        let rows = process.get("/v1/tables/users/rows").json();
        (rows.to_string().matches("\"user\"").count() >= 3).then_some(())
    });
    goes_on(&process);
}

#[test]
fn a_document_at_which_judging_fails_after_its_schema_has_changed_is_a_dead_letter() {
    let home = home(UNJUDGED);
    let process = home.start(&["up", "--role", "gateway", "--listen", "127.0.0.1:0"]).listening();
    for document in [SLOW, GOOD] {
        process.post("/v1/streams/users", document).expect(202);
    }
    drop(process);
    home.write("sluicegate.yaml", JUDGED);
    let process = home.up();
    let letters = eventually(PATIENCE, "it is a dead letter", || {
        let letters = process.get("/v1/dead-letters").json()["dead_letters"].clone();
        (!letters.as_array()?.is_empty()).then_some(letters)
    });
    assert_eq!(letters.as_array().unwrap().len(), 1, "{letters}");
    assert_eq!(letters[0]["reason"], "unreadable-record", "{letters}");
    goes_on(&process);
}
