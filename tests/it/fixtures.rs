//! Every payload under `tests/fixtures` that this version takes goes through, and ends as it should.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Documents, Home, Process, Request, Target, fixture};

fn texts(bytes: &[u8]) -> Vec<&str> {
    std::str::from_utf8(bytes).unwrap().lines().filter(|line| !line.is_empty()).collect()
}

#[test]
fn accepted_documents_become_rows_with_either_spelling_of_the_key() {
    let home = Home::new();
    let server = home.up();
    server.applied(fixture("activities/accepted.json"));
    server.applied(fixture("activities/accepted-value_to_delete.json"));
    let left = json!({"a": 2, "b": "All Good", "c": "2021-05-09 11:58:28.988414"});
    assert_eq!(server.rows("table1"), [left]);
    assert_eq!(server.rows("table32"), [] as [Value; 0]);
}

#[test]
fn rejected_documents_are_told_the_exact_places() {
    let expected: [&[&str]; 11] = [
        &["/activities/0/operation"],
        &["/activities/0/value_to_delete/col_names/0", "/activities/0/value_to_delete/col_names/1"],
        &["/activities/0"],
        &["/activities/0/col_values"],
        &["/activities/0/col_values/0"],
        &["/activities/0/table"],
        &["/activities/0/col_names/1"],
        &["/activities/0/col_values/0"],
        &["/activities"],
        &[""],
        &[""],
    ];
    let home = Home::new();
    let server = home.up();
    let documents = fixture("activities/rejected.ndjson");
    let documents = texts(&documents);
    assert_eq!(documents.len(), expected.len());
    for (document, expected) in documents.iter().zip(expected) {
        let body = server.post("/v1/streams/activities", document).expect(422).json();
        assert_eq!(body["type"], "/problems/invalid-document");
        let errors = body["errors"].as_array().unwrap();
        let pointers: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(pointers, expected, "{document}");
        assert!(errors.iter().all(|error| error["detail"].as_str().is_some_and(|detail| detail.len() > 10)));
    }
    assert_eq!(server.get("/v1/tables").json(), json!({"tables": []}));
    assert_eq!(server.get("/v1/receipts/activities-0-0").status, 404, "a rejection is kept nowhere");
}

#[test]
fn a_document_without_its_table_becomes_a_dead_letter_and_leaves_nothing() {
    let home = Home::new();
    let server = home.up();
    let (receipt, problem) = server.set_aside(fixture("activities/dead-letter-missing-table.json"));
    assert_eq!(problem["type"], "/problems/unknown-table");
    assert!(problem["detail"].as_str().unwrap().contains("no_such_table"), "{problem}");
    assert_eq!(server.receipt(&receipt)["status"], "dead-lettered");
    server.get("/v1/tables/table2").expect(404);
}

/// The customers as the expectation writes them: with the length of the note in place of the note.
fn customers(server: &Process) -> Vec<Value> {
    let mut rows = BTreeMap::new();
    for mut row in server.rows("customers") {
        let members = row.as_object_mut().unwrap();
        let note = members.remove("note").expect("customers have a note");
        let length = note.as_str().map_or(Value::Null, |note| note.chars().count().into());
        members.insert("note_length".into(), length);
        assert!(rows.insert(row["id"].as_i64().unwrap(), row).is_none(), "an id stands twice");
    }
    rows.into_values().collect()
}

#[track_caller]
fn check_customers(server: &Process) {
    let expected = fixture("wal2json/expected-customers.ndjson");
    let mut expected: Vec<Value> = texts(&expected).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for row in &mut expected {
        // The source printed its moments as PostgreSQL does.
        let joined = row["joined"].as_str().map(|text| text.replace(' ', "T").replace("+00", "Z"));
        row["joined"] = joined.into();
    }
    assert_eq!(customers(server), expected);
}

#[track_caller]
fn check_capture(name: &str) {
    let home = Home::new();
    let server = home.up();
    let capture = fixture(&format!("wal2json/{name}.ndjson"));
    let body = server.send(Request::post("/v1/streams/activities", capture).lines().wait(20)).expect(202).json();
    assert_eq!(body["rejected"], 0);
    for result in body["results"].as_array().unwrap() {
        assert_eq!(result["status"], "applied", "{result}");
    }
    check_customers(&server);
    home.run(&["verify"]).expect(0);
}

#[test]
fn a_capture_of_wal2json_v1_ends_in_exactly_the_rows_of_the_source() {
    check_capture("v1-default");
}

#[test]
fn a_capture_of_wal2json_v1_with_all_options_ends_in_exactly_the_rows_of_the_source() {
    check_capture("v1-all-options");
}

#[test]
fn a_capture_of_wal2json_v2_ends_in_exactly_the_rows_of_the_source() {
    check_capture("v2-default");
}

#[test]
fn a_capture_of_wal2json_v2_with_all_options_ends_in_exactly_the_rows_of_the_source() {
    check_capture("v2-all-options");
}

#[test]
fn lines_of_wal2json_v2_without_transactions_are_a_document_each() {
    for name in ["v2-default", "v2-all-options"] {
        let home = Home::new();
        let server = home.up();
        let capture = fixture(&format!("wal2json/{name}.ndjson"));
        let frames = ["\"action\":\"B\"", "\"action\":\"C\""];
        let lines: Vec<_> =
            texts(&capture).into_iter().filter(|line| !frames.iter().any(|frame| line.contains(frame))).collect();
        for line in &lines {
            server.applied(line);
        }
        check_customers(&server);
        assert_eq!(home.run(&["verify", "activities"]).expect(0).json()[0]["applied"], lines.len());
    }
}

#[test]
fn a_transaction_of_wal2json_v2_is_one_document_in_a_plain_body() {
    let home = Home::new();
    let server = home.up();
    let lines = [
        r#"{"action":"B"}"#,
        r#"{"action":"I","schema":"public","table":"a","columns":[{"name":"id","type":"integer","value":1}]}"#,
        r#"{"action":"M","transactional":false,"prefix":"x","content":"y"}"#,
        r#"{"action":"T","schema":"public","table":"a"}"#,
        r#"{"action":"I","schema":"public","table":"a","columns":[{"name":"id","type":"integer","value":2}]}"#,
        r#"{"action":"C"}"#,
    ];
    let applied = server.applied(lines.join("\n")).json();
    assert_eq!(applied["changes"], 3);
    assert_eq!(server.rows("a"), [json!({"id": 2})]);
    let cut = server.post("/v1/streams/activities", lines[..5].join("\n")).expect(422).json();
    assert!(cut["errors"][0]["detail"].as_str().unwrap().contains('C'), "{cut}");
}

#[test]
fn the_captures_can_be_published_as_files_that_are_read_once() {
    let home = Home::new();
    let path = home.write("capture.ndjson", fixture("wal2json/v2-all-options.ndjson"));
    let server = home.up();
    let path = path.to_str().unwrap();
    for _ in 0..2 {
        home.run(&["publish", "activities", path]).expect(0);
    }
    let balance = crate::support::eventually(crate::support::PATIENCE, "everything is applied", || {
        let balance = home.run(&["verify", "activities"]).expect(0).json()[0].clone();
        (balance["waiting"] == 0).then_some(balance)
    });
    assert_eq!(balance["applied"], balance["duplicates"]);
    check_customers(&server);
}

#[test]
fn events_are_kept_whole_with_every_digit() {
    let home = Home::new();
    let server = home.up();
    let sightings = fixture("events/sightings.ndjson");
    let sightings = texts(&sightings);
    let body = sightings.join("\n");
    let posted = server.send(Request::post("/v1/streams/events", body).lines().wait(20)).expect(202).json();
    assert_eq!(posted["accepted"], sightings.len());
    let digits = r#"{"n":123456789012345678901234567890.123456789012345678901234567890}"#;
    server.send(Request::post("/v1/streams/events", digits).wait(20)).expect(200);
    server.send(Request::post("/v1/streams/events", "\"a scalar\"").wait(20)).expect(200);
    let rows = server.rows("events");
    for (row, sighting) in rows.iter().zip(&sightings) {
        assert_eq!(row["document"], serde_json::from_str::<Value>(sighting).unwrap());
        assert!(row["receipt"].as_str().unwrap().starts_with("events-0-"));
        assert!(row["received_at"].as_str().unwrap().starts_with("20"));
    }
    assert_eq!(rows.len(), sightings.len() + 2);
    let text = server.get("/v1/tables/events/rows").text();
    assert!(text.contains(digits), "{text}");
}
