//! CloudEvents 1.0 over HTTP: binary, structured and batched, and what becomes of their attributes.

use serde_json::{Value, json};

use crate::support::{Documents, Home, Process, Request, Response, Target, item};

const EVENTS: &str = "
streams:
  events:
    takes: events
    table: events
    columns: {id: ce.id, source: ce.source, type: ce.type, at: ce.time, tenant: ce.tenant, count: {at: ce.count, type: integer}}
  activities: {takes: changes}
";

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

fn event(id: &str, members: Value) -> Value {
    let mut event = json!({"specversion": "1.0", "id": id, "source": "/shop", "type": "bought"});
    event.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    event
}

#[track_caller]
fn post(server: &Process, media: &str, body: impl AsRef<[u8]>) -> Response {
    server.send(Request::post("/v1/streams/events", body).header("Content-Type", media).wait(20))
}

fn binary(id: &str, body: &str) -> Request {
    Request::post("/v1/streams/events", body)
        .header("CE-SpecVersion", "1.0")
        .header("ce-id", id)
        .header("ce-source", "/shop")
        .header("ce-type", "bought")
        .wait(20)
}

#[track_caller]
fn row(server: &Process, id: &str) -> Value {
    let rows = server.rows("events");
    rows.into_iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("no row {id}"))
}

#[test]
fn binary_events_are_headers_and_a_body() {
    let home = Home::with(EVENTS);
    let server = home.up();
    let request = binary("b1", r#"{"sword":1}"#)
        .header("Content-Type", "application/json; charset=utf-8")
        .header("ce-time", "2026-01-31T10:00:00+02:00")
        .header("ce-tenant", "a%20b%25%C3%BC")
        .header("ce-count", "7");
    assert_eq!(server.send(request).expect(200).json()["status"], "applied");
    let found = row(&server, "b1");
    assert_eq!(found["document"], json!({"sword": 1}));
    for (column, value) in [
        ("source", json!("/shop")),
        ("type", json!("bought")),
        ("at", json!("2026-01-31T08:00:00Z")),
        ("tenant", json!("a b%ü")),
        ("count", json!(7)),
    ] {
        assert_eq!(found[column], value, "{column}");
    }
    server.send(binary("b2", "")).expect(200);
    assert_eq!(row(&server, "b2")["document"], Value::Null);
    server.send(binary("b3", "sword: 2").header("Content-Type", "application/yaml")).expect(200);
    assert_eq!(row(&server, "b3")["document"], json!({"sword": 2}));
    // What is no event gets attributes all the same.
    server.send(Request::post("/v1/streams/events", "1").wait(20)).expect(200);
    let plain = server.rows("events/rows?type=eq.event");
    assert_eq!((plain.len(), &plain[0]["source"]), (1, &json!("events")));
}

#[test]
fn structured_events_are_one_body() {
    let home = Home::with(EVENTS);
    let server = home.up();
    for (id, members, document) in [
        ("s1", json!({"data": {"sword": 1}, "tenant": "x", "subject": null, "flag": true}), json!({"sword": 1})),
        ("s2", json!({"data_base64": "eyJhIjoxfQ==", "datacontenttype": "application/json"}), json!({"a": 1})),
        ("s3", json!({"data": "text", "count": 5}), json!("text")),
        ("s4", json!({}), Value::Null),
    ] {
        let body = event(id, members).to_string();
        let answer = post(&server, "Application/CloudEvents+JSON; charset=UTF-8", body).expect(200);
        assert_eq!(answer.json()["status"], "applied", "{id}");
        assert_eq!(row(&server, id)["document"], document, "{id}");
    }
    assert_eq!((&row(&server, "s1")["tenant"], &row(&server, "s3")["count"]), (&json!("x"), &json!(5)));
}

#[test]
fn events_that_are_none_are_refused() {
    let home = Home::with(EVENTS);
    let server = home.up();
    for (members, status, pointer) in [
        (json!({"id": 5}), 422, "/id"),
        (json!({"id": ""}), 422, "/id"),
        (json!({"specversion": "0.3"}), 422, "/specversion"),
        (json!({"subject": ""}), 422, "/subject"),
        (json!({"dataschema": ""}), 422, "/dataschema"),
        (json!({"datacontenttype": "json"}), 422, "/datacontenttype"),
        (json!({"time": "yesterday"}), 422, "/time"),
        (json!({"myExt": "x"}), 422, "/myExt"),
        (json!({"count": "many", "data": 1}), 422, "/count"),
        (json!({"data": {"a": "\u{0}"}}), 422, "/data/a"),
        (json!({"data_base64": "eyJhIjoi"}), 400, ""),
        (json!({"data": "x", "datacontenttype": "text/plain"}), 415, ""),
    ] {
        let answer = post(&server, STRUCTURED, event("r", members.clone()).to_string());
        assert_eq!(answer.status, status, "{members}: {}", answer.text());
        if status == 422 {
            assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{members}: {}", answer.text());
        }
    }
    for (request, status) in [
        (binary("r", "1").header("ce-subject", ""), 422),
        (binary("r", "1").header("ce-my_ext", "x"), 422),
        (binary("r", "1").header("ce-id", "twice"), 422),
        (binary("r", "x").header("Content-Type", "text/plain"), 415),
        (binary("r", "1\n2").lines(), 415),
        (binary("r", "{"), 400),
        (Request::post("/v1/streams/events", "1").header("ce-type", "bought"), 422),
        (Request::post("/v1/streams/events", "x").header("Content-Type", "application/cloudevents+avro"), 415),
    ] {
        let answer = server.send(request.clone());
        assert_eq!(answer.status, status, "{request:?}: {}", answer.text());
    }
    server.get("/v1/tables/events").expect(404);
}

#[test]
fn a_batch_is_answered_event_by_event() {
    let home = Home::with(EVENTS);
    let server = home.up();
    let empty = post(&server, BATCH, "[]").expect(202).json();
    assert_eq!((&empty["accepted"], &empty["results"]), (&json!(0), &json!([])));
    let events = json!([
        event("1", json!({"data": 1})),
        event("2", json!({"data": 2, "specversion": "2.0"})),
        event("1", json!({"data": 1})),
        5,
        event("4", json!({"data": {"x": "\u{0}"}})),
    ]);
    let body = serde_json::to_string_pretty(&events).unwrap();
    let answer = post(&server, "application/cloudevents-batch+json; charset=utf-8", body).expect(207).json();
    let results = answer["results"].as_array().unwrap();
    let status: Vec<_> = results.iter().map(|result| result["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["applied", "rejected", "duplicate", "rejected", "rejected"]);
    let indices: Vec<_> = results.iter().map(|result| result["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, [0, 1, 2, 3, 4]);
    assert_eq!(results[2]["of"], results[0]["receipt"]);
    assert_eq!(results[1]["problem"]["errors"][0]["pointer"], "/specversion");
    assert_eq!(results[4]["problem"]["errors"][0]["pointer"], "/data/x");
    assert!(results[1]["line"].as_u64() > results[0]["line"].as_u64());
    assert_eq!(server.rows("events").len(), 1);
    post(&server, BATCH, "{}").expect(422);
    post(&server, BATCH, "[{}").expect(400);
}

#[test]
fn source_and_id_make_one_event_however_it_is_sent() {
    let home = Home::with(EVENTS);
    let server = home.up();
    let first = server.send(binary("same", r#"{"a":1}"#)).expect(200).json();
    assert_eq!(first["status"], "applied");
    let again = post(&server, STRUCTURED, event("same", json!({"data": {"a": 1}})).to_string());
    assert_eq!(again.expect(200).json()["of"], first["receipt"]);
    let other = event("same", json!({"data": {"a": 1}, "source": "/other"}));
    assert_eq!(post(&server, STRUCTURED, other.to_string()).expect(200).json()["status"], "applied");
    // A separator in a name makes no other event the same.
    for (source, id) in [("a", "b c"), ("a b", "c")] {
        let one = event(id, json!({"data": 1, "source": source}));
        assert_eq!(post(&server, STRUCTURED, one.to_string()).expect(200).json()["status"], "applied");
    }
    let changed = event("same", json!({"data": {"a": 2}}));
    let problem = post(&server, STRUCTURED, changed.to_string()).expect(409).json();
    assert_eq!(problem["problem"]["type"], "/problems/idempotency-key-reused");
    let letter = server.get(&format!("/v1/dead-letters/{}", problem["receipt"].as_str().unwrap())).expect(200).json();
    assert_eq!((&letter["headers"]["ce_id"], &letter["headers"]["ce_source"]), (&json!("same"), &json!("/shop")));
}

#[test]
fn a_change_document_may_be_the_data_of_an_event() {
    let home = Home::with(EVENTS);
    let server = home.up();
    let data: Value = serde_json::from_str(&item(7)).unwrap();
    let body = event("c", json!({"data": data})).to_string();
    let send = |body: &str| {
        let request = Request::post("/v1/streams/activities", body).header("Content-Type", STRUCTURED);
        server.send(request.wait(20))
    };
    assert_eq!(send(&body).expect(200).json()["changes"], 1);
    assert_eq!(send(&body).expect(200).json()["status"], "duplicate");
    let wrong = send(&event("d", json!({"data": {"activities": 5}})).to_string()).expect(422).json();
    assert_eq!(wrong["errors"][0]["pointer"], "/data/activities");
    assert_eq!(server.items(), [7]);
}

#[test]
fn the_partition_key_becomes_the_key_where_the_stream_names_none() {
    let home = Home::with(
        "streams: {events: {takes: events, table: t, on_failure: set-aside}, keyed: {takes: events, key: /k}}",
    );
    let mut server = home.up();
    post(&server, STRUCTURED, event("1", json!({"data": {"k": "mine"}, "partitionkey": "p%1"})).to_string())
        .expect(200);
    let request =
        Request::post("/v1/streams/keyed", event("1", json!({"data": {"k": "mine"}, "partitionkey": "p"})).to_string());
    server.send(request.header("Content-Type", STRUCTURED)).expect(202);
    assert!(server.stop().success());
    let journal = rusqlite::Connection::open(home.journal()).unwrap();
    let keys: Vec<String> = ["events", "keyed"]
        .iter()
        .map(|topic| {
            let id: i64 =
                journal.query_row("SELECT id FROM topics WHERE name = ?1", [topic], |row| row.get(0)).unwrap();
            let key: Vec<u8> =
                journal.query_row(&format!("SELECT key FROM records_{id}"), [], |row| row.get(0)).unwrap();
            String::from_utf8(key).unwrap()
        })
        .collect();
    assert_eq!(keys, ["p%1", "mine"]);
}

#[test]
fn nasty_attributes_are_kept_as_they_are() {
    let home = Home::with(EVENTS);
    let server = home.up();
    let nasty = ["'; DROP TABLE events; --", "\"quoted\"", "a\\b", "☃ é 😀", "%41 100%", " spaces ", "x\u{202e}y"];
    for (number, text) in nasty.into_iter().enumerate() {
        let id = format!("{number} {text}");
        post(&server, STRUCTURED, event(&id, json!({"data": number, "tenant": text})).to_string()).expect(200);
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        server.send(binary(&format!("b{number}"), "1").header("ce-tenant", &encoded)).expect(200);
        assert_eq!(row(&server, &id)["tenant"], text);
        assert_eq!(row(&server, &format!("b{number}"))["tenant"], text);
    }
    assert_eq!(server.rows("events").len(), 2 * nasty.len());
}
