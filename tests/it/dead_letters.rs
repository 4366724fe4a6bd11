//! Dead letters over HTTP and by command: listed, shown, retried, mended and retried, dropped.

use serde_json::{Value, json};

use crate::support::{Documents, Home, Process, Request, Target, activities, delete, insert, item, unapplicable};

/// A document that deletes `id` from a table, which fails while the table is not there.
fn removal(table: &str, id: i64) -> String {
    activities([insert("item", &[("id", "INTEGER", id.into())]), delete(table, &[("id", "INTEGER", id.into())])])
}

fn make(server: &Process, table: &str) {
    server.applied(activities([insert(table, &[("id", "INTEGER", 0.into())])]));
}

fn letters(server: &Process, query: &str) -> Vec<String> {
    let body = server.get(&format!("/v1/dead-letters{query}")).expect(200).json();
    let letters = body["dead_letters"].as_array().unwrap().clone();
    letters.iter().map(|letter| letter["id"].as_str().unwrap().to_owned()).collect()
}

/// The counters of the stream `activities`, after `verify` has found them right.
fn balance(home: &Home) -> [i64; 3] {
    let balance = home.run(&["verify", "activities"]).expect(0).json();
    ["applied", "dead_lettered", "dropped"].map(|name| balance[0][name].as_i64().unwrap())
}

#[test]
fn a_letter_is_kept_whole_with_its_reason() {
    let home = Home::new();
    let server = home.up();
    // Digits and spaces as they were sent.
    let document = unapplicable().replace("-1", " -1 ");
    let (id, _) = server.set_aside(&document);
    let listed = server.get("/v1/dead-letters").expect(200).json();
    assert_eq!(listed["next"], Value::Null);
    let summary = &listed["dead_letters"][0];
    assert_eq!((&summary["id"], &summary["stream"]), (&json!(id), &json!("activities")));
    assert_eq!((&summary["reason"], &summary["attempts"]), (&json!("unknown-table"), &json!(1)));
    let shown = server.get(&format!("/v1/dead-letters/{id}")).expect(200).json();
    assert_eq!(shown["document"], document);
    assert_eq!(shown["problem"]["type"], "/problems/unknown-table");
    assert_eq!(shown["headers"]["ce_source"], "activities", "{shown}");
    let by_command = home.run(&["dead-letters", "list"]).expect(0).json();
    assert_eq!(by_command, listed["dead_letters"]);
    assert_eq!(home.run(&["dead-letters", "show", &id]).expect(0).json(), shown);
}

#[test]
fn a_retry_applies_once_what_can_be_applied_by_now() {
    let home = Home::new();
    let server = home.up();
    let (one, _) = server.set_aside(removal("late", 1));
    let retry = format!("/v1/dead-letters/{one}/retry");
    let still = server.post(&retry, "").expect(409).json();
    assert_eq!(still["problem"]["type"], "/problems/unknown-table");
    let shown = server.get(&format!("/v1/dead-letters/{one}")).json();
    assert_eq!(shown["attempts"], 2);
    make(&server, "late");
    assert_eq!(server.post(&retry, "").expect(200).json(), json!({"receipt": one, "status": "applied"}));
    server.post(&retry, "").expect(404);
    assert_eq!(server.items(), [1]);
    assert_eq!(server.receipt(&one)["status"], "applied");
    assert_eq!(balance(&home), [2, 0, 0]);

    let (two, _) = server.set_aside(removal("later", 2));
    assert_eq!(home.run(&["dead-letters", "retry", &two]).expect(1).json()[0]["status"], "dead-lettered");
    make(&server, "later");
    assert_eq!(home.run(&["dead-letters", "retry", &two]).expect(0).json()[0]["status"], "applied");
    home.run(&["dead-letters", "retry", &two]).expect(1);
    assert_eq!(server.items(), [1, 2]);
    assert_eq!(balance(&home), [4, 0, 0]);
}

#[test]
fn a_mended_document_is_judged_and_takes_the_place_of_the_letter() {
    let home = Home::new();
    let server = home.up();
    let (one, _) = server.set_aside(unapplicable());
    let (two, _) = server.set_aside(unapplicable());
    let retry = format!("/v1/dead-letters/{one}/retry");
    let rejected = server.post(&retry, r#"{"activities":[{}]}"#).expect(422).json();
    assert_eq!(rejected["type"], "/problems/invalid-document");
    server.post(&retry, "{").expect(400);
    server.post(&retry, unapplicable()).expect(409);
    let shown = server.get(&format!("/v1/dead-letters/{one}")).json();
    assert_eq!(shown["document"], unapplicable(), "the letter is as it was");
    assert_eq!(server.post(&retry, item(1)).expect(200).json()["status"], "applied");
    assert_eq!(server.receipt(&one)["status"], "applied");

    let wrong = home.write("wrong.json", "{}");
    let right = home.write("right.json", item(2));
    home.run(&["dead-letters", "retry", &two, "--with", wrong.to_str().unwrap()]).expect(1);
    home.run(&["dead-letters", "retry", &two, "--with", right.to_str().unwrap()]).expect(0);
    assert_eq!(server.items(), [1, 2]);

    let insert = "activities:\n- {operation: insert, table: item, col_names: [id], col_types: [INTEGER], col_values: [";
    let (three, _) = server.set_aside(unapplicable());
    let (four, _) = server.set_aside(unapplicable());
    let retry = Request::post(&format!("/v1/dead-letters/{three}/retry"), format!("{insert}3]}}"));
    server.send(retry.header("Content-Type", "application/yaml; charset=utf-8")).expect(200);
    let mended = home.write("mended.yaml", format!("{insert}4]}}"));
    home.run(&["dead-letters", "retry", &four, "--with", mended.to_str().unwrap()]).expect(0);
    assert_eq!(server.items(), [1, 2, 3, 4]);
    assert_eq!(balance(&home), [4, 0, 0]);
}

#[test]
fn a_letter_with_a_key_can_be_mended_and_its_key_stays() {
    let home = Home::new();
    let server = home.up();
    let post = |document: String| {
        let request = Request::post("/v1/streams/activities", document).header("Idempotency-Key", "k");
        server.send(request.wait(20))
    };
    let id = post(unapplicable()).expect(409).receipt();
    server.post(&format!("/v1/dead-letters/{id}/retry"), item(1)).expect(200);
    let again = post(unapplicable()).expect(200).json();
    assert_eq!((&again["status"], &again["of"]), (&json!("duplicate"), &json!(id)));
    assert_eq!(server.items(), [1]);
    home.run(&["verify"]).expect(0);
}

#[test]
fn a_dropped_letter_is_given_up_for_good() {
    let home = Home::new();
    let server = home.up();
    let (one, _) = server.set_aside(unapplicable());
    let (two, _) = server.set_aside(unapplicable());
    let path = format!("/v1/dead-letters/{one}");
    let dropped = server.send(Request::new("DELETE", &path)).expect(200).json();
    assert_eq!(dropped, json!({"receipt": one, "status": "dropped"}));
    server.send(Request::new("DELETE", &path)).expect(404);
    server.get(&path).expect(404);
    server.post(&format!("{path}/retry"), item(1)).expect(404);
    home.run(&["dead-letters", "drop", &two]).expect(0);
    home.run(&["dead-letters", "drop", &two]).expect(1);
    for id in [one, two] {
        assert_eq!(server.receipt(&id)["status"], "dropped");
    }
    assert_eq!(letters(&server, ""), [] as [&str; 0]);
    assert_eq!(balance(&home), [0, 0, 2]);
}

#[test]
fn letters_are_listed_by_stream_reason_and_page() {
    let home = Home::with("streams: {activities: {takes: changes, keys: {item: [id]}}, others: {takes: changes}}");
    let server = home.up();
    server.applied(item(1));
    let conflict = activities([insert("item", &[("id", "TEXT", "x".into())])]);
    for document in [unapplicable(), conflict, unapplicable(), item(1)] {
        server.set_aside(document);
    }
    let other = server.send(Request::post("/v1/streams/others", unapplicable()).wait(20)).expect(409).receipt();
    for (query, expected) in [
        ("", &["activities-0-1", "activities-0-2", "activities-0-3", "activities-0-4", &other][..]),
        ("?stream=activities&reason=unknown-table", &["activities-0-1", "activities-0-3"]),
        ("?reason=type-conflict", &["activities-0-2"]),
        ("?reason=constraint-violated", &["activities-0-4"]),
        ("?stream=others", &[&other]),
        ("?reason=not-json", &[]),
    ] {
        assert_eq!(letters(&server, query), expected, "{query}");
    }
    let mut found = Vec::new();
    let mut link = "?stream=activities&limit=2".to_owned();
    loop {
        found.extend(letters(&server, &link));
        let next = server.get(&format!("/v1/dead-letters{link}")).json()["next"].clone();
        let Some(next) = next.as_str() else { break };
        link = next.strip_prefix("/v1/dead-letters").unwrap().to_owned();
    }
    assert_eq!(found, letters(&server, "?stream=activities"));
    let listed = home.run(&["dead-letters", "list", "--reason", "unknown-table", "--stream", "others"]).expect(0);
    assert_eq!(listed.json()[0]["id"], other);
    home.run(&["dead-letters", "list", "--reason", "nonsense"]).expect(2);
}

#[test]
fn all_letters_are_retried_in_the_order_of_their_positions() {
    let home = Home::new();
    let server = home.up();
    for id in 1..=3 {
        server.set_aside(removal("late", id));
    }
    let (hopeless, _) = server.set_aside(removal("never", 4));
    make(&server, "late");
    let answer = server.post("/v1/dead-letters/retry?reason=unknown-table&limit=2", "").expect(200).json();
    assert_eq!((&answer["applied"], &answer["more"]), (&json!(2), &json!(true)));
    let answer = server.post("/v1/dead-letters/retry", "").expect(200).json();
    assert_eq!((&answer["applied"], &answer["failed"], &answer["more"]), (&json!(1), &json!(1), &json!(false)));
    assert_eq!(server.items(), [1, 2, 3]);
    assert_eq!(letters(&server, ""), [hopeless]);

    server.set_aside(removal("later", 5));
    make(&server, "later");
    let answer = home.run(&["dead-letters", "retry", "--all"]).expect(1).json();
    let states: Vec<_> = answer.as_array().unwrap().iter().map(|result| result["status"].clone()).collect();
    assert_eq!(states, ["dead-lettered", "applied"]);
    make(&server, "never");
    home.run(&["dead-letters", "retry", "--reason", "unknown-table"]).expect(0);
    assert_eq!(server.items(), [1, 2, 3, 5, 4]);
    assert_eq!(balance(&home), [8, 0, 0]);
}
