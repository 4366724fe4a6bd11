//! What became of it: receipts, waiting, trying without keeping, keys, and many documents in one body.

use serde_json::{Value, json};

use crate::support::{
    Connection, Documents, Home, PATIENCE, Request, Target, activities, delete, eventually, insert, item, unapplicable,
};

/// A configuration whose stream holds at the first document that cannot be applied.
const HOLDS: &str = "streams: {activities: {takes: changes, on_failure: stop}, events: {takes: events, table: events}}";

#[test]
fn a_receipt_tells_what_became_of_its_document() {
    let home = Home::new();
    let server = home.up();
    let accepted = server.post("/v1/streams/activities", item(1)).expect(202);
    assert_eq!(accepted.json(), json!({"receipt": "activities-0-0", "status": "accepted"}));
    assert_eq!(accepted.header("location"), Some("/v1/receipts/activities-0-0"));
    eventually(PATIENCE, "the document is applied", || {
        (server.receipt("activities-0-0")["status"] == "applied").then_some(())
    });
    let (dead, _) = server.set_aside(unapplicable());
    let told = server.receipt(&dead);
    assert_eq!(told["status"], "dead-lettered");
    assert_eq!(told["stream"], "activities");
    assert_eq!(told["problem"]["type"], "/problems/unknown-table");
    for unknown in ["activities-0-2", "activities-1-0", "events-0-0", "nothing-0-0", "activities-0--1", "x"] {
        let body = server.get(&format!("/v1/receipts/{unknown}")).expect(404).json();
        assert_eq!(body["type"], "/problems/unknown-receipt");
    }
}

#[test]
fn whoever_waits_is_told_the_outcome() {
    let home = Home::new();
    let server = home.up();
    let post = |document: String, seconds: u32| {
        let request = Request::post("/v1/streams/activities", document).header("Idempotency-Key", "\"one\"");
        server.send(request.wait(seconds))
    };
    let document =
        activities([insert("item", &[("id", "INTEGER", 1.into())]), insert("item", &[("id", "INTEGER", 2.into())])]);
    let applied = post(document.clone(), 20).expect(200);
    assert_eq!(applied.json(), json!({"receipt": "activities-0-0", "status": "applied", "changes": 2}));
    assert_eq!(applied.header("preference-applied"), Some("wait=20"));
    let duplicate = post(document, 1000).expect(200);
    let expected = json!({"receipt": "activities-0-1", "status": "duplicate", "of": "activities-0-0"});
    assert_eq!(duplicate.json(), expected);
    assert_eq!(duplicate.header("preference-applied"), Some("wait=60"), "60 s is the most");
    let refused = server.change(unapplicable()).expect(409);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(refused.header("preference-applied"), Some("wait=20"));
    let body = refused.json();
    assert_eq!((&body["type"], &body["status"]), (&json!("/problems/not-applied"), &json!(409)));
    assert_eq!(body["receipt"], "activities-0-2");
    let plain = server.post("/v1/streams/activities", item(3)).expect(202);
    assert_eq!(plain.header("preference-applied"), None);
    assert_eq!(server.receipt("activities-0-1")["of"], "activities-0-0");
}

#[test]
fn whoever_waits_in_vain_is_told_that_it_is_accepted() {
    let home = Home::with(HOLDS);
    let server = home.up();
    let answer = server.send(Request::post("/v1/streams/activities", unapplicable()).wait(1)).expect(202);
    assert_eq!(answer.json()["status"], "accepted");
    assert_eq!(answer.header("preference-applied"), Some("wait=1"));
    assert_eq!(answer.header("location"), Some("/v1/receipts/activities-0-0"));
}

#[test]
fn a_stream_that_stops_holds_until_a_person_acts() {
    let home = Home::with(HOLDS);
    let server = home.up();
    server.applied(item(1));
    server.post("/v1/streams/activities", unapplicable()).expect(202);
    server.post("/v1/streams/activities", item(2)).expect(202);
    let not_ready = eventually(PATIENCE, "readiness says it", || {
        let answer = server.get("/health/ready");
        (answer.status == 503).then(|| answer.json())
    });
    let reason = not_ready["checks"]["stream activities"].as_str().unwrap();
    assert!(reason.contains("activities-0-1") && reason.contains("unknown-table"), "{reason}");
    assert_eq!(not_ready["checks"]["store"], "ok");
    assert_eq!(server.get("/health/live").status, 200);
    let positions = home.run(&["positions"]).expect(0).json();
    let standing = positions.as_array().unwrap().iter().find(|standing| standing["stream"] == "activities").unwrap();
    assert_eq!((&standing["position"], &standing["lag"]), (&json!(1), &json!(2)));
    assert!(standing["state"].as_str().unwrap().contains("stands still"), "{standing}");
    assert_eq!(server.items(), [1], "nothing overtakes what the stream holds at");
    server.send(Request::post("/v1/streams/events", "1").wait(20)).expect(200);

    home.run(&["positions", "set", "activities", "--to", "2", "--yes"]).expect(0);
    eventually(PATIENCE, "the stream goes on", || (server.items() == [1, 2]).then_some(()));
    eventually(PATIENCE, "it is ready again", || (server.get("/health/ready").status == 200).then_some(()));
    let balance = home.run(&["verify", "activities"]).expect(0).json();
    assert_eq!((&balance[0]["applied"], &balance[0]["lost"]), (&json!(2), &json!(1)));
}

#[test]
fn a_dry_run_says_what_would_happen_and_keeps_nothing() {
    let home = Home::new();
    let server = home.up();
    let post = |document: String| server.post("/v1/streams/activities?dry_run=true", document);
    let body = post(item(1)).expect(200).json();
    assert_eq!((&body["status"], &body["changes"]), (&json!("valid"), &json!(1)));
    let statements: Vec<_> = body["statements"].as_array().unwrap().iter().map(|sql| sql.as_str().unwrap()).collect();
    assert!(statements[0].starts_with("CREATE TABLE") && statements[0].contains("item"), "{statements:?}");
    assert!(statements.last().unwrap().starts_with("INSERT"), "{statements:?}");
    let invalid = post(r#"{"activities":[{}]}"#.into()).expect(422).json();
    assert_eq!(invalid["type"], "/problems/invalid-document");
    let would_fail = post(unapplicable()).expect(200).json();
    assert_eq!(would_fail["problem"]["type"], "/problems/unknown-table");
    let lines = Request::post("/v1/streams/activities?dry_run=true", item(1) + "\n{").lines();
    let lines = server.send(lines).expect(207).json();
    assert_eq!((&lines["results"][0]["status"], &lines["results"][1]["status"]), (&json!("valid"), &json!("rejected")));
    assert_eq!(server.get("/v1/tables").json(), json!({"tables": []}));
    assert_eq!(server.get("/v1/receipts/activities-0-0").status, 404);
    assert_eq!(server.get("/v1/dead-letters").json()["dead_letters"], json!([]));
    // The tables made in vain are not remembered either.
    server.applied(item(2));
    assert_eq!(server.items(), [2]);
}

#[test]
fn an_idempotency_key_stands_for_one_document_of_a_stream() {
    let home = Home::new();
    let server = home.up();
    let post = |stream: &str, key: &str, document: String| {
        let path = format!("/v1/streams/{stream}");
        server.send(Request::post(&path, document).header("Idempotency-Key", key).wait(20))
    };
    assert_eq!(post("activities", "\"k 1\"", item(1)).expect(200).json()["status"], "applied");
    assert_eq!(post("activities", "k 1", item(1)).expect(200).json()["status"], "duplicate");
    let reused = post("activities", "\"k 1\"", item(2)).expect(409).json();
    assert_eq!(reused["problem"]["type"], "/problems/idempotency-key-reused");
    assert_eq!(post("activities", "k 2", item(2)).expect(200).json()["status"], "applied");
    assert_eq!(post("events", "k 1", "5".into()).expect(200).json()["status"], "applied", "keys are a stream's own");
    assert_eq!(server.items(), [1, 2]);
    let letters = server.get("/v1/dead-letters").json();
    assert_eq!(letters["dead_letters"][0]["reason"], "idempotency-key-reused");
}

#[test]
fn a_repeated_key_repeats_the_id_in_the_topic() {
    let home = Home::new();
    let mut server = home.up();
    for key in ["k", "k", "other"] {
        server.send(Request::post("/v1/streams/events", "5").header("Idempotency-Key", key).wait(20)).expect(200);
    }
    server.post("/v1/streams/events", "5").expect(202);
    server.stop();
    let journal = rusqlite::Connection::open(home.journal()).unwrap();
    let table = journal.query_row("SELECT 'records_' || id FROM topics WHERE name = 'events'", [], |row| row.get(0));
    let sql = format!("SELECT headers ->> 'ce_id' FROM {} ORDER BY offset", table.unwrap_or_else(|_| String::new()));
    let mut statement = journal.prepare(&sql).unwrap();
    let ids: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(ids.len(), 4);
    assert_eq!(ids[0], ids[1]);
    assert!(ids[2] != ids[0] && ids[3] != ids[0] && ids[3] != ids[2], "{ids:?}");
}

#[test]
fn a_key_outlives_a_restart_and_a_dead_letter_keeps_its_own() {
    let home = Home::new();
    let mut server = home.up();
    let post = |server: &crate::support::Process, document: String| {
        server.send(Request::post("/v1/streams/activities", document).header("Idempotency-Key", "k").wait(20))
    };
    let dead = post(&server, unapplicable()).expect(409).receipt();
    assert!(server.stop().success());
    let server = home.up();
    let again = post(&server, unapplicable()).expect(200).json();
    assert_eq!((&again["status"], &again["of"]), (&json!("duplicate"), &json!(dead)));
    assert_eq!(post(&server, item(1)).expect(409).json()["problem"]["type"], "/problems/idempotency-key-reused");
}

#[test]
fn documents_of_a_batch_use_the_key_and_their_number() {
    let bad = r#"{"activities":[{"operation":"insert"}]}"#.to_owned();
    let transaction = |id: i64| {
        let row =
            format!(r#"[{{"name":"id","type":"integer","value":{id}}},{{"name":"price","type":"text","value":"1"}}]"#);
        format!("{{\"action\":\"B\"}}\n{{\"action\":\"I\",\"table\":\"item\",\"columns\":{row}}}\n{{\"action\":\"C\"}}")
    };
    let table = [
        // One a line: what a body of earlier versions meant, it means still.
        ([item(1), item(1), item(2)].join("\n"), vec![1, 1, 2]),
        // Several on a line, with and without space between.
        (item(1) + &item(2) + "\n" + &item(3) + " " + &item(4), vec![1, 2, 3, 4]),
        // Equal ones on one line are two.
        (item(1) + &item(1), vec![1, 1]),
        // One over several lines, and the next on the line where it ends.
        (transaction(1) + &transaction(2) + &item(3), vec![1, 2, 3]),
        (item(1).replace("{\"activities\"", "{\n\"activities\"") + &item(2), vec![1, 2]),
        // A refused one counts, so that its neighbours keep their numbers when it is left out as an empty object.
        ([item(1), bad, item(2)].join("\n"), vec![1, 2]),
    ];
    for (body, rows) in table {
        let home = Home::new();
        let server = home.up();
        let post = |body: &str| {
            let request = Request::post("/v1/streams/activities", body).lines().header("Idempotency-Key", "batch");
            let body = server.send(request.wait(20)).json();
            let results = body["results"].as_array().unwrap().clone();
            let statuses = results.iter().map(|result| result["status"].as_str().unwrap().to_owned());
            statuses.filter(|status| status != "rejected").collect::<Vec<_>>()
        };
        assert_eq!(post(&body), vec!["applied"; rows.len()], "{body}");
        assert_eq!(post(&body), vec!["duplicate"; rows.len()], "{body}");
        assert_eq!(server.items(), rows, "{body}");
    }
    let home = Home::new();
    let server = home.up();
    let post = |body: String| {
        let request = Request::post("/v1/streams/activities", body).lines().header("Idempotency-Key", "batch");
        let body = server.send(request.wait(20)).expect(202).json();
        body["results"].as_array().unwrap().iter().map(|fate| fate["status"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(post([item(1), item(2)].join("\n")), ["applied", "applied"]);
    assert_eq!(post([item(1), item(9)].join("\n")), ["duplicate", "dead-lettered"]);
}

#[test]
fn a_body_of_lines_has_an_outcome_for_each() {
    let home = Home::new();
    let server = home.up();
    let post = |body: String| server.send(Request::post("/v1/streams/activities", body).lines());
    let bad = r#"{"activities":[{"operation":"insert"}]}"#.to_owned();
    let all = post([item(1), String::new(), item(2)].join("\n")).expect(202).json();
    assert_eq!((&all["accepted"], &all["rejected"]), (&json!(2), &json!(0)));
    let some = post([item(3), bad.clone(), "nonsense".into(), item(4)].join("\n")).expect(207).json();
    assert_eq!((&some["accepted"], &some["rejected"]), (&json!(2), &json!(2)));
    let results = some["results"].as_array().unwrap();
    let told: Vec<_> = results.iter().map(|result| (result["line"].clone(), result["status"].clone())).collect();
    let expected = [(1, "accepted"), (2, "rejected"), (3, "rejected"), (4, "accepted")];
    assert_eq!(told, expected.map(|(line, status)| (json!(line), json!(status))));
    assert_eq!(results[0]["receipt"], "activities-0-2");
    assert_eq!(results[1]["problem"]["type"], "/problems/invalid-document");
    assert_eq!(results[2]["problem"]["type"], "/problems/not-json");
    assert_eq!(results[3]["receipt"], "activities-0-3");
    let none = post([bad.clone(), bad].join("\n")).expect(422).json();
    assert_eq!((&none["accepted"], &none["rejected"]), (&json!(0), &json!(2)));
    eventually(PATIENCE, "the accepted ones are applied in order", || {
        (server.get("/v1/tables/item").status == 200 && server.items() == [1, 2, 3, 4]).then_some(())
    });
}

#[test]
fn a_transaction_among_lines_is_one_result_and_one_without_an_end_is_rejected() {
    let home = Home::new();
    let server = home.up();
    let change = |id: u32| {
        let column = json!({"name": "id", "type": "integer", "value": id});
        json!({"action": "I", "schema": "public", "table": "item", "columns": [column]}).to_string()
    };
    let (begin, commit) = (r#"{"action":"B"}"#.to_owned(), r#"{"action":"C"}"#.to_owned());
    let body = [begin.clone(), change(1), change(2), commit, change(3), begin, change(4)].join("\n");
    let answer = server.send(Request::post("/v1/streams/activities", body).lines().wait(20)).expect(207).json();
    let results = answer["results"].as_array().unwrap();
    let place = |result: &Value| (result["line"].as_u64(), result["lines"].as_u64(), result["status"].clone());
    assert_eq!(place(&results[0]), (Some(1), Some(4), json!("applied")));
    assert_eq!(place(&results[1]), (Some(5), None, json!("applied")));
    assert_eq!(place(&results[2]), (Some(6), Some(2), json!("rejected")));
    assert_eq!(results[2]["problem"]["type"], "/problems/invalid-document");
    assert_eq!(server.items(), [1, 2, 3]);
}

#[test]
fn one_bad_document_among_hundreds_leaves_its_neighbours_in_order() {
    const BAD: i64 = 217;
    let home = Home::new();
    let server = home.up();
    let documents = (0..400).map(|id| match id {
        BAD => activities([
            insert("item", &[("id", "INTEGER", id.into())]),
            delete("item", &[("no_such_column", "INTEGER", 1.into())]),
        ]),
        id => item(id),
    });
    let body = documents.collect::<Vec<_>>().join("\n");
    let answer = server.send(Request::post("/v1/streams/activities", body).lines().wait(30)).expect(202).json();
    for (id, result) in (0..).zip(answer["results"].as_array().unwrap()) {
        let expected = if id == BAD { "dead-lettered" } else { "applied" };
        assert_eq!(result["status"], expected, "{result}");
    }
    assert_eq!(server.items(), (0..400).filter(|id| *id != BAD).collect::<Vec<_>>());
    let letters = server.get("/v1/dead-letters").json()["dead_letters"].clone();
    assert_eq!(letters.as_array().unwrap().len(), 1);
    assert_eq!((&letters[0]["id"], &letters[0]["reason"]), (&json!("activities-0-217"), &json!("unknown-column")));
    let balance = home.run(&["verify", "activities"]).expect(0).json();
    assert_eq!((&balance[0]["applied"], &balance[0]["dead_lettered"]), (&json!(399), &json!(1)));
}

#[test]
fn at_the_end_open_requests_get_their_answers() {
    let home = Home::new();
    let mut server = home.up();
    let document = item(1);
    let mut connection = Connection::open(server.address()).unwrap();
    let head = format!(
        "POST /v1/streams/activities HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        document.len()
    );
    connection.write(head.as_bytes()).unwrap();
    // The server asks for the body once the request is being handled.
    connection.interim().unwrap();
    server.signal("TERM");
    server.wait_to_say("Stopping");
    connection.write(document.as_bytes()).unwrap();
    let answer = connection.answer(false).unwrap().expect(202);
    assert!(server.ended(PATIENCE).success());
    let server = home.up();
    eventually(PATIENCE, "what was acknowledged is applied after a restart", || {
        (server.receipt(&answer.receipt())["status"] == "applied").then_some(())
    });
}

#[test]
fn a_process_drains_from_the_moment_on_that_it_says_it_listens() {
    let home = Home::new();
    for _ in 0..10 {
        let mut server = home.up();
        assert!(server.stop().success(), "{}", server.said());
    }
}

#[test]
fn at_the_end_whoever_waits_gets_an_answer() {
    let home = Home::with(HOLDS);
    let mut server = home.up();
    let mut connection = Connection::open(server.address()).unwrap();
    connection.ask(&Request::post("/v1/streams/activities", unapplicable()).wait(3)).unwrap();
    eventually(PATIENCE, "the document is accepted", || {
        (server.get("/v1/receipts/activities-0-0").status == 200).then_some(())
    });
    server.signal("TERM");
    assert_eq!(connection.answer(false).unwrap().expect(202).json()["status"], "accepted");
    assert!(server.ended(PATIENCE).success());
}

#[test]
fn an_echo_that_waits_tells_the_outcome_in_its_own_shape() {
    let home = Home::with(
        "streams: {activities: {takes: changes, routes: [/api/activities], reply: echo, wait: 20s}, \
         made: {takes: changes, routes: [/api/made], reply: created, wait: 20s}, \
         held: {takes: changes, routes: [/api/held], reply: echo, wait: 100ms, on_failure: stop}}",
    );
    let server = home.up();
    let echoed = |route: &str, document: &str, status: u16| {
        let answer = server.post(route, document).expect(status);
        assert_eq!(answer.header("preference-applied"), None);
        let echo = answer.json();
        assert_eq!(echo["status"], status, "{echo}");
        (answer.header("location").map(str::to_owned), echo)
    };
    let (location, echo) = echoed("/api/activities", &item(1), 200);
    assert_eq!(server.items(), [1], "it was applied before it was answered");
    assert_eq!((location.as_deref(), &echo["message"]), (Some("/v1/receipts/activities-0-0"), &json!("Valid Schema")));
    assert_eq!((&echo["error"], echo["payload"].to_string()), (&Value::Null, item(1)));

    let (location, echo) = echoed("/api/activities", &unapplicable(), 400);
    assert_eq!(
        (location.as_deref(), &echo["message"]),
        (Some("/v1/receipts/activities-0-1"), &json!("Invalid Schema"))
    );
    assert!(echo["error"].as_str().unwrap().contains("table nowhere does not exist"), "{echo}");
    assert_eq!(echo["payload"].to_string(), unapplicable());
    assert_eq!(server.receipt("activities-0-1")["status"], "dead-lettered");

    let posted = server.post("/v1/streams/activities", unapplicable()).expect(202).json();
    assert_eq!(posted["status"], "accepted", "elsewhere the sender asks");
    let asked = server.send(Request::post("/api/activities", item(2)).wait(20)).expect(200).json();
    assert_eq!(asked["status"], "applied", "who prefers to wait gets the receipt");
    let lines = server.send(Request::post("/api/activities", format!("{}\n{}", item(3), unapplicable())).lines());
    let results = lines.expect(202).json()["results"].clone();
    assert_eq!((&results[0]["status"], &results[1]["status"]), (&json!("applied"), &json!("dead-lettered")));

    assert_eq!(server.post("/api/made", item(4)).expect(201).text(), "OK");
    let problem = server.post("/api/made", unapplicable()).expect(409).json();
    assert_eq!(problem["type"], "/problems/not-applied");

    let (_, echo) = echoed("/api/held", &unapplicable(), 200);
    assert_eq!(echo["message"], "Valid Schema", "when the time is over, it is as accepted as ever");
}
