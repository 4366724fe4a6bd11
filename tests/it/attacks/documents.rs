//! What one document may ask for: digits that exponents unfold to, tables and columns that it makes.

use serde_json::{Value, json};

use super::on_every_store;
use crate::support::{Documents, Home, Process, Request, Target, activities, insert};

const EVENTS: &str = "streams:
  activities: {takes: changes}
  kept: {takes: events}
  events: {takes: events, table: events, columns: {price: {at: /price, type: numeric}}}
  judged: {takes: events, schema: multiple.json}
";

fn numbers() -> (Home, Process) {
    let home = Home::with(EVENTS);
    home.write("multiple.json", r#"{"properties": {"n": {"multipleOf": 0.01}}}"#);
    let server = home.up();
    (home, server)
}

/// Fails unless the document is refused with one violation, at this place.
#[track_caller]
fn refused(server: &Process, stream: &str, media: &str, document: &str, pointer: &str) {
    let request = Request::post(&format!("/v1/streams/{stream}"), document).header("Content-Type", media);
    let problem = server.send(request).expect(422).json();
    let errors = problem["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{problem}");
    assert_eq!(errors[0]["pointer"], pointer, "{problem}");
    assert!(errors[0]["detail"].as_str().unwrap().contains("digits_unfolded_max"), "{problem}");
}

#[test]
fn numbers_unfold_to_a_bounded_number_of_digits_wherever_they_stand() {
    let (_home, server) = numbers();
    let json = "application/json";
    let one = |kind: &str, value: Value| activities([insert("t", &[("a", kind, value)])]);
    let raw = |kind: &str, value: &str| one(kind, Value::from("VALUE")).replace("\"VALUE\"", value);
    let cell = "/activities/0/col_values/0";
    for (stream, media, document, pointer) in [
        ("activities", json, raw("NUMERIC", "1e10001"), cell.to_owned()),
        ("activities", json, raw("NUMERIC", "1e-10001"), cell.to_owned()),
        ("activities", json, one("NUMERIC", "1E+10001".into()), cell.to_owned()),
        ("activities", json, one("NUMERIC[]", "{1,1e10001}".into()), cell.to_owned()),
        ("activities", json, raw("NUMERIC[]", "[1, 1e10001]"), format!("{cell}/1")),
        ("activities", json, raw("JSONB", "{\"x\": [1e10001]}"), format!("{cell}/x/0")),
        ("activities", json, one("JSON", "{\"x\": [1e10001]}".into()), cell.to_owned()),
        ("kept", json, format!("[{}]", ["1e5000"; 3].join(",")), "/2".to_owned()),
        ("kept", json, "1e100000000000000000000000".to_owned(), String::new()),
        ("kept", "application/yaml", "a: 1e10001".to_owned(), "/a".to_owned()),
        ("events", json, r#"{"a": {"b": 1e10001}}"#.to_owned(), "/a/b".to_owned()),
        ("events", json, r#"{"price": "1e10001"}"#.to_owned(), "/price".to_owned()),
        ("judged", json, r#"{"n": 1e100000000}"#.to_owned(), "/n".to_owned()),
        ("judged", json, r#"{"n": 1e-100000000}"#.to_owned(), "/n".to_owned()),
    ] {
        refused(&server, stream, media, &document, &pointer);
    }
    let mild = format!("[{}]", ["1.5e-8", "2e40"].repeat(5_000).join(","));
    let text = json!({"a": "1e10001", "b": "e99999"}).to_string();
    for document in [mild, text, "1e5000".to_owned()] {
        server.post("/v1/streams/kept", document).expect(202);
    }
}

#[test]
fn a_document_makes_a_bounded_number_of_tables_and_columns() {
    on_every_store(|store| {
        let home = Home::with("limits: {tables_per_document: 3, columns_per_document: 5}\n");
        let server = home.up_with(store);
        let table = |nth: usize| insert(&format!("t{nth}"), &[("id", "INTEGER", nth.into())]);
        let wide = |name: &str, from: usize, to: usize| {
            let names: Vec<_> = (from..to).map(|nth| format!("c{nth}")).collect();
            let cells: Vec<_> = names.iter().map(|name| (name.as_str(), "INTEGER", Value::from(1))).collect();
            insert(name, &cells)
        };
        for (document, tables) in [
            (activities((0..4).map(table)), vec![]),
            (activities((0..3).map(table)), vec!["t0", "t1", "t2"]),
            // Tables that are there cost nothing.
            (activities((0..4).map(table)), vec!["t0", "t1", "t2", "t3"]),
            (activities([wide("w", 0, 6)]), vec!["t0", "t1", "t2", "t3"]),
            (activities([wide("w", 0, 5)]), vec!["t0", "t1", "t2", "t3", "w"]),
            (activities([wide("w", 5, 11)]), vec!["t0", "t1", "t2", "t3", "w"]),
            (activities([wide("w", 5, 10)]), vec!["t0", "t1", "t2", "t3", "w"]),
        ] {
            let answer = server.change(&document);
            let reason = answer.json()["problem"]["type"].clone();
            let found = server.get("/v1/tables").expect(200).json()["tables"].clone();
            assert_eq!(found, json!(tables), "{document}");
            if answer.status != 200 {
                assert_eq!((answer.status, reason), (409, json!("/problems/too-many-names")), "{document}");
                let dry = server.post("/v1/streams/activities?dry_run=true", &document).expect(200).json();
                assert_eq!(dry["problem"]["type"], "/problems/too-many-names");
            }
        }
        assert_eq!(server.get("/v1/dead-letters").json()["dead_letters"].as_array().unwrap().len(), 3);
    });
}

#[test]
fn documents_that_make_tables_are_applied_in_slices_between_which_others_have_their_turn() {
    on_every_store(|store| {
        let home = Home::new();
        let server = home.up_with(store);
        // Each makes as much as one document may: together they are one batch, and would be one transaction.
        let document = |nth: usize| {
            activities((0..100).map(|table| insert(&format!("t{nth}_{table}"), &[("id", "INTEGER", 1.into())])))
        };
        let lines: Vec<_> = (0..8).map(document).collect();
        let body = server.send(Request::post("/v1/streams/activities", lines.join("\n")).lines()).expect(202).json();
        let last = body["results"][7]["receipt"].as_str().unwrap().to_owned();
        // Seen while it runs: some of it is there before the rest is.
        let partly = crate::support::eventually(crate::support::PATIENCE, "a part of it is applied", || {
            let tables = server.get("/v1/tables").expect(200).json()["tables"].as_array().unwrap().len();
            (tables > 0).then_some(tables)
        });
        assert!(partly < 800, "all {partly} tables were made in one transaction");
        let answer = server.send(Request::post("/v1/streams/events", "1").wait(20)).expect(200).json();
        assert_eq!(answer["status"], "applied");
        crate::support::eventually(crate::support::PATIENCE, "all of it is applied", || {
            (server.receipt(&last)["status"] == "applied").then_some(())
        });
        home.run(&[&["verify"], store].concat()).expect(0);
    });
}
