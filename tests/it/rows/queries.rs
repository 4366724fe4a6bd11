//! The two routes that query the records of one stream.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Home, Process, Request, Target};

const CONFIG: &str = "streams: {people: {takes: events, table: people, queries: true}, other: {takes: events}}";

const UNSTRUCTURED: &str = "/api/v1/query_unstructured_data";
const RELATIONAL: &str = "/api/v1/query_relational_data";

fn post(server: &Process, document: &Value) {
    server.send(Request::post("/v1/streams/people", document.to_string()).wait(20)).expect(200);
}

#[track_caller]
fn receipts(server: &Process, path: &str, question: &Value) -> Vec<String> {
    let answer = server.post(path, question.to_string()).expect(200).json();
    answer.as_array().unwrap().iter().map(|record| record["receipt"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn nothing(server: &Process, path: &str, question: &Value) {
    let answer = server.post(path, question.to_string()).expect(404).json();
    assert_eq!((&answer["type"], &answer["detail"]), (&json!("/problems/not-found"), &json!("No records returned")));
}

#[test]
fn records_are_found_by_a_member_of_their_document() {
    let home = Home::with(CONFIG);
    let server = home.up();
    nothing(&server, UNSTRUCTURED, &json!({"key": "name", "value": "george"}));
    let long = json!({"name": "anna", "age": "24", "a->b": {"x": [1, 2]}, "": null, "0": true, "big": 0});
    let long = long.to_string().replace("\"big\":0", "\"big\":12345678901234567890.10");
    post(&server, &json!({"name": "george", "age": 24}));
    server.send(Request::post("/v1/streams/people", &long).wait(20)).expect(200);
    post(&server, &json!([{"name": "george"}, true]));
    post(&server, &json!("name"));
    let (first, second) = ("people-0-0".to_owned(), "people-0-1".to_owned());
    for (key, value, expected) in [
        ("name", json!("george"), &first),
        ("name", json!("anna"), &second),
        ("age", json!(24), &first),
        ("age", json!(24.0), &first),
        ("age", json!("24"), &second),
        ("a->b", json!({"x": [1, 2]}), &second),
        ("", json!(null), &second),
        ("0", json!(true), &second),
    ] {
        assert_eq!(
            receipts(&server, UNSTRUCTURED, &json!({"key": key, "value": value})),
            std::slice::from_ref(expected),
            "{key}"
        );
    }
    let exact = r#"{"key":"big","value":12345678901234567890.1}"#;
    server.post(UNSTRUCTURED, exact).expect(200);
    server.post(UNSTRUCTURED, exact.replace("0.1", "0.2")).expect(404);
    for (key, value) in
        [("name", json!("George")), ("name", json!(null)), ("nothing", json!(null)), ("x", json!([1, 2]))]
    {
        nothing(&server, UNSTRUCTURED, &json!({"key": key, "value": value}));
    }
    let record = server.post(UNSTRUCTURED, r#"{"key":"name","value":"george"}"#).expect(200).json()[0].clone();
    assert_eq!(record["document"], json!({"name": "george", "age": 24}));
    assert!(record["received_at"].is_string(), "{record}");
}

#[test]
fn records_are_found_by_their_columns() {
    let home = Home::with(CONFIG);
    let server = home.up();
    nothing(&server, RELATIONAL, &json!({"name": "george", "age": 24}));
    for (name, age) in [("george", json!(24)), ("george", json!(25)), ("anna", json!(null))] {
        post(&server, &json!({"name": name, "age": age}));
    }
    let store = Connection::open(home.store()).unwrap();
    store
        .execute_batch(
            "ALTER TABLE people ADD COLUMN name TEXT; ALTER TABLE people ADD COLUMN age INTEGER;
             UPDATE people SET name = document ->> 'name', age = document ->> 'age'",
        )
        .unwrap();
    for (question, expected) in [
        (json!({"name": "george", "age": 24}), &["people-0-0"][..]),
        (json!({"age": "25", "name": "george"}), &["people-0-1"]),
        (json!({"name": "george"}), &["people-0-0", "people-0-1"]),
        (json!({"name": "anna", "age": null}), &["people-0-2"]),
        (json!({"receipt": "people-0-1"}), &["people-0-1"]),
    ] {
        assert_eq!(receipts(&server, RELATIONAL, &question), expected, "{question}");
    }
    nothing(&server, RELATIONAL, &json!({"name": "george", "age": 26}));
    nothing(&server, RELATIONAL, &json!({"name": "' OR 1=1 --", "age": 24}));
    for (question, part) in [
        (json!({"nmae": "george"}), "did you mean \"name\""),
        (json!({"name": "george", "age": "old"}), "old"),
        (json!({}), "no column"),
    ] {
        let problem = server.post(RELATIONAL, question.to_string()).expect(400).json();
        assert_eq!(problem["type"], "/problems/bad-query");
        assert!(problem["detail"].as_str().unwrap().contains(part), "{problem}");
    }
}

#[test]
fn a_question_that_is_none_is_told_why() {
    let home = Home::with(CONFIG);
    let server = home.up();
    post(&server, &json!({"name": "george"}));
    for (body, status, part) in [
        ("", 400, "ends"),
        ("{", 400, "line 1"),
        ("[]", 400, "an array"),
        (r#"{"key":"a"}"#, 400, "value: it is missing"),
        (r#"{"value":"a"}"#, 400, "key: it is missing"),
        (r#"{"key":1,"value":"a"}"#, 400, "as text"),
        (r#"{"key":"a","vlaue":"a"}"#, 400, "did you mean \"value\""),
        (r#"{"key":"a","key":"b","value":1}"#, 400, "twice"),
        (r#"{"key":"a\u0000","value":1}"#, 400, "U+0000"),
        (r#"{"key":"a","value":["\u0000"]}"#, 400, "U+0000"),
    ] {
        let problem = server.post(UNSTRUCTURED, body).expect(status).json();
        assert!(problem["detail"].as_str().unwrap().contains(part), "{body}: {problem}");
    }
    let form = Request::post(UNSTRUCTURED, "key=a").header("Content-Type", "application/x-www-form-urlencoded");
    server.send(form).expect(415);
    server.post(UNSTRUCTURED, vec![b' '; 70_000]).expect(413);
    server.get(UNSTRUCTURED).expect(405);
}

#[test]
fn more_than_a_page_is_followed_by_a_link() {
    let home = Home::with(CONFIG);
    let server = home.up();
    let lines = "{\"a\":\"x y\"}\n".repeat(1_005);
    server.send(Request::post("/v1/streams/people", lines).lines().wait(20)).expect(202);
    let answer = server.post(UNSTRUCTURED, r#"{"key":"a","value":"x y"}"#).expect(200);
    assert_eq!(answer.json().as_array().unwrap().len(), 1_000);
    let link = answer.header("link").unwrap();
    let path = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    let rest = server.get(path).expect(200).json();
    assert_eq!((rest["rows"].as_array().unwrap().len(), &rest["next"]), (5, &Value::Null));
}

#[test]
fn without_a_stream_for_queries_there_is_nothing_to_ask() {
    let home = Home::new();
    let server = home.up();
    for path in [UNSTRUCTURED, RELATIONAL] {
        let told = server.post(path, "{}").expect(404).json();
        assert!(told["detail"].as_str().unwrap().contains("queries: true"), "{told}");
    }
}
