//! The commands: what they do, what they print, and the code they leave with.

mod generate;
mod help;
mod logs;
mod names;
mod no_data;
mod printing;
mod try_line;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Documents, Home, PATIENCE, Request, Target, activities, eventually, insert, item, unapplicable};

/// What an idle process needs to notice another's records is 50 ms; loaded test machines get more.
const SEEN_WITHIN: Duration = Duration::from_millis(250);

#[test]
fn init_writes_a_configuration_that_checks_and_never_overwrites() {
    let home = Home::new();
    home.run(&["init"]).expect(0);
    let text = std::fs::read_to_string(home.path("sluicegate.yaml")).unwrap();
    assert!(text.contains("# ") && text.contains("streams:"), "{text}");
    home.run(&["check"]).expect(0);
    home.write("sluicegate.yaml", "listen: 127.0.0.1:1");
    let again = home.run(&["init"]).expect(1);
    assert!(again.stderr.contains("sluicegate.yaml"), "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(home.path("sluicegate.yaml")).unwrap(), "listen: 127.0.0.1:1");
    home.run(&["init", "--config", "other.yaml"]).expect(0);
    assert!(home.path("other.yaml").exists());
}

#[test]
fn check_says_what_would_run_and_what_is_wrong() {
    let home = Home::new();
    assert!(home.up().stop().success());
    let right = home.run(&["check"]).expect(0);
    for part in ["journal", "store", "activities: POST /v1/streams/activities and /api/activities", "into table events"]
    {
        assert!(right.stdout.contains(part), "{part}: {}", right.stdout);
    }
    assert!(!right.stdout.contains("wrong"), "{}", right.stdout);
    let blocked = home.write("blocked", "a file where a folder should be");
    let url = format!("sqlite://{}/store.db", blocked.display());
    let wrong = home.run(&["check", "--store", &url]).expect(1);
    assert!(wrong.stdout.lines().any(|line| line.starts_with("wrong") && line.contains("blocked")), "{}", wrong.stdout);
    for (config, parts) in [
        ("streams: {a: {takes: changes, tpoic: x}}", &["tpoic", "topic", "sluicegate.yaml:1"][..]),
        ("streams: {a: {takes: everything}}", &["everything", "changes"]),
        ("listen: ${NOT_SET_ANYWHERE}", &["NOT_SET_ANYWHERE"]),
        ("journal: pubsub://project", &["pubsub"]),
        ("journal: kafka://127.0.0.1:9", &["Kafka", "127.0.0.1:9"]),
        ("a: [", &["sluicegate.yaml"]),
    ] {
        home.write("sluicegate.yaml", config);
        let wrong = home.run(&["check"]).expect(1);
        for part in parts {
            assert!((wrong.stdout.clone() + &wrong.stderr).contains(part), "{part}: {wrong:?}");
        }
    }
}

#[test]
fn publish_takes_files_and_standard_input_each_document_once() {
    let home = Home::new();
    let one = home.write("one.ndjson", [item(1), item(2), item(2)].join("\n"));
    let two = home.write("two.json", item(3));
    let (one, two) = (one.to_str().unwrap(), two.to_str().unwrap());
    let published = home.run(&["publish", "activities", one, two]).expect(0);
    assert!(published.stderr.contains("3 accepted, 0 rejected"), "{}", published.stderr);
    assert_eq!(published.stdout, "", "nothing is logged to standard output");
    home.run(&["publish", "activities", one]).expect(0);
    home.run_with(&["publish", "activities", "-"], item(4).as_bytes()).expect(0);
    home.run_with(&["publish", "activities", "-"], item(4).as_bytes()).expect(0);
    let server = home.up();
    let settled = |accepted: i64| {
        eventually(PATIENCE, "everything is applied", || {
            let balance = home.run(&["verify", "activities"]).expect(0).json()[0].clone();
            (balance["accepted"] == accepted && balance["waiting"] == 0).then_some(())
        });
    };
    settled(9);
    assert_eq!(server.items(), [1, 2, 2, 3, 4, 4]);
    home.run(&["publish", "activities", two, "--again"]).expect(0);
    settled(10);
    assert_eq!(server.items(), [1, 2, 2, 3, 4, 4, 3]);
}

#[test]
fn publish_prints_receipts_and_refusals_when_asked_for_them() {
    let home = Home::new();
    let two = home.write("two.jsonl", [item(1), "nonsense".into(), item(2)].join("\n"));
    let ran = home.run(&["publish", "activities", two.to_str().unwrap(), "--output", "json"]).expect(1);
    let objects: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = objects.iter().map(|object| (&object["line"], &object["status"], &object["receipt"])).collect();
    let (accepted, rejected, none) = (json!("accepted"), json!("rejected"), Value::Null);
    let receipts = [json!("activities-0-0"), json!("activities-0-1")];
    // What is refused is told when it is found, what is accepted when it is safe.
    let mut expected =
        vec![(json!(1), &accepted, &receipts[0]), (json!(2), &rejected, &none), (json!(3), &accepted, &receipts[1])];
    let mut told: Vec<_> = told.into_iter().map(|(line, status, receipt)| (line.clone(), status, receipt)).collect();
    told.sort_by_key(|(line, ..)| line.as_u64());
    expected.sort_by_key(|(line, ..)| line.as_u64());
    assert_eq!(told, expected);
    let refused = objects.iter().find(|object| object["status"] == "rejected").unwrap();
    assert_eq!(refused["problem"]["type"], "/problems/not-json");
    let table = home.run(&["publish", "activities", two.to_str().unwrap(), "--output", "table"]).expect(1);
    assert!(table.stdout.contains("activities-0-2  "), "{}", table.stdout);
    let quiet = home.run_with(&["publish", "activities", "-"], item(4).as_bytes()).expect(0);
    assert!(
        quiet.stderr.contains("standard input: 1 accepted, 0 rejected; receipt activities-0-4"),
        "{}",
        quiet.stderr
    );
    let folder = home.path("").display().to_string();
    let folder = home.run(&["publish", "activities", &folder]).expect(1);
    assert!(folder.stderr.contains("is a folder") && folder.stderr.contains("`directories`"), "{}", folder.stderr);
    let none = home.run(&["dead-letters", "retry", "activities-0-0", "--with", "none.json"]).expect(1);
    assert!(none.stderr.contains("none.json"), "{}", none.stderr);
}

#[test]
fn a_byte_order_mark_at_the_beginning_says_nothing() {
    let home = Home::new();
    let marked = |text: &str| format!("\u{feff}{text}");
    for (name, id) in [("a.json", 1), ("a.ndjson", 2), ("a.jsonl", 3), ("a.yaml", 4)] {
        let path = home.write(name, marked(&item(id)));
        home.run(&["publish", "activities", path.to_str().unwrap()]).expect(0);
    }
    home.run_with(&["publish", "activities", "-"], marked(&item(5)).as_bytes()).expect(0);
    let server = home.up();
    server.send(Request::post("/v1/streams/activities", marked(&item(6))).wait(20)).expect(200);
    server
        .send(Request::post("/v1/streams/activities", marked(&[item(7), item(8)].join("\n"))).lines().wait(20))
        .expect(202);
    server.send(Request::post("/v1/streams/events", marked("{\"a\":1}\n{\"a\":2}")).lines().wait(20)).expect(202);
    assert_eq!(server.items(), [1, 2, 3, 4, 5, 6, 7, 8]);
    // Anywhere else it is a character like others, which begins no JSON.
    server.send(Request::post("/v1/streams/activities", marked(&marked(&item(9))))).expect(400);
}

#[test]
fn publish_prints_a_rejection_as_a_compiler_prints_an_error() {
    let home = Home::new();
    let bad = r#"{"activities":[{"operation":"upsert","table":"t","col_names":["a"],"col_types":["DATE"],"col_values":[1]}]}"#;
    let path = home.write("some.ndjson", [&item(1), bad, "nonsense", &item(2)].join("\n"));
    let ran = home.run(&["publish", "activities", path.to_str().unwrap()]).expect(1);
    for part in [
        "error[invalid-document]:",
        "some.ndjson:2\n",
        "   | /activities/0/operation: \"upsert\" is not one of insert, update, delete\n",
        "error[not-json]:",
        "some.ndjson:3\n",
        "2 accepted, 2 rejected",
    ] {
        assert!(ran.stderr.contains(part), "{part:?} is not in {}", ran.stderr);
    }
    let server = home.up();
    eventually(PATIENCE, "what was accepted is applied", || {
        (server.get("/v1/tables/item").status == 200 && server.items() == [1, 2]).then_some(())
    });
    home.run(&["publish", "activities", "not-there.json"]).expect(1);
}

#[test]
fn what_another_process_publishes_is_seen_at_once() {
    let home = Home::new();
    let server = home.up();
    server.applied(item(0));
    let mut command = home.command(&["publish", "activities", "-"]);
    command.stdin(std::process::Stdio::piped());
    let mut publisher = crate::support::Process::start(&mut command);
    let mut input = publisher.input();
    let mut fastest = Duration::MAX;
    for id in 1..=5 {
        let begin = Instant::now();
        std::io::Write::write_all(&mut input, (item(id) + "\n").as_bytes()).unwrap();
        let expected: Vec<_> = (0..=id).collect();
        eventually(PATIENCE, "the row is there", || (server.items() == expected).then_some(()));
        fastest = fastest.min(begin.elapsed());
    }
    // The pipe, the other process and its fsync included. The best of five: the machine may be busy with other tests.
    assert!(fastest < SEEN_WITHIN, "{fastest:?}");
    drop(input);
    assert!(publisher.ended(PATIENCE).success());
}

#[test]
fn publish_from_a_pipe_without_end_can_be_asked_to_leave() {
    let home = Home::new();
    let server = home.up();
    let mut command = home.command(&["publish", "activities", "-"]);
    command.stdin(std::process::Stdio::piped());
    let mut publisher = crate::support::Process::start(&mut command);
    let mut input = publisher.input();
    std::io::Write::write_all(&mut input, (item(1) + "\n{\"activities\":").as_bytes()).unwrap();
    eventually(PATIENCE, "the whole document is published", || {
        (server.get("/v1/receipts/activities-0-0").status == 200).then_some(())
    });
    assert_eq!(publisher.stop().code(), Some(1));
    publisher.wait_to_say("what was read whole is published");
}

#[test]
fn rows_print_as_json_table_and_csv() {
    let home = Home::new();
    let mut server = home.up();
    let row = |id: i64, name: Value, n: &str| {
        insert("t", &[("id", "INTEGER", id.into()), ("name", "TEXT", name), ("n", "NUMERIC", n.into())])
    };
    server.applied(activities([
        row(1, "a, \"b\"".into(), "1234567890123456789012345678901234567890.5"),
        row(2, Value::Null, "2.50"),
        row(3, "c".into(), "2.5"),
    ]));
    assert!(server.stop().success());
    let json = home.run(&["rows", "t"]).expect(0).json();
    assert_eq!((json.as_array().unwrap().len(), &json[1]["name"]), (3, &Value::Null));
    assert_eq!(home.run(&["rows", "t", "--limit", "0"]).expect(0).json(), json!([]));
    let json = home.run(&["rows", "t", "--output", "ndjson"]).expect(0).stdout;
    let first = "{\"id\":1,\"name\":\"a, \\\"b\\\"\",\"n\":\"1234567890123456789012345678901234567890.5\"}";
    assert_eq!(json.lines().next(), Some(first));
    assert_eq!(json.lines().count(), 3);
    let run = |arguments: &[&str]| home.run(&[&["rows", "t"], arguments].concat()).expect(0).stdout;
    let ndjson = ["--select", "id", "--output", "ndjson"];
    assert_eq!(run(&[&["--where", "n=eq.2.5"], &ndjson[..]].concat()), "{\"id\":2}\n{\"id\":3}\n");
    assert_eq!(run(&["--where", "n=eq.2.5", "--select", "id"]), "[\n{\"id\":2},\n{\"id\":3}\n]\n");
    assert_eq!(run(&[&["--limit", "1"], &ndjson[..]].concat()), "{\"id\":1}\n");
    assert_eq!(run(&["--where", "name=is.null", "--output", "csv"]), "id,name,n\r\n2,,2.50\r\n");
    assert_eq!(run(&["--limit", "1", "--select", "id,name", "--output", "csv"]), "id,name\r\n1,\"a, \"\"b\"\"\"\r\n");
    assert_eq!(run(&["--select", "id,name", "--where", "id=eq.3", "--output", "table"]), "id  name\n3   c\n");
    let unknown = home.run(&["rows", "tt"]);
    assert_eq!(unknown.status, 1);
    assert!(unknown.stderr.contains("did you mean \"t\""), "{}", unknown.stderr);
}

#[test]
fn receipt_says_what_became_of_a_document() {
    let home = Home::new();
    let mut server = home.up();
    server.applied(item(1));
    let (dead, _) = server.set_aside(unapplicable());
    assert_eq!(home.run(&["receipt", "activities-0-0"]).expect(0).json()["status"], "applied");
    let told = home.run(&["receipt", &dead]).expect(0).json();
    assert_eq!(told, server.receipt(&dead));
    assert!(server.stop().success());
    home.run(&["publish", "activities", home.write("more.json", item(2)).to_str().unwrap()]).expect(0);
    assert_eq!(home.run(&["receipt", "activities-0-2"]).expect(0).json()["status"], "accepted");
    home.run(&["receipt", "activities-0-3"]).expect(1);
    home.run(&["receipt", "nonsense"]).expect(1);
}

#[test]
fn positions_are_listed_and_moved_after_a_question() {
    let home = Home::new();
    let mut server = home.up();
    for id in 1..=3 {
        server.applied(item(id));
    }
    assert!(server.stop().success());
    let of = |name: &str| {
        let positions = home.run(&["positions", "--output", "json"]).expect(0).json();
        positions.as_array().unwrap().iter().find(|it| it["stream"] == name).unwrap().clone()
    };
    let standing = of("activities");
    assert_eq!((&standing["position"], &standing["end"], &standing["lag"]), (&json!(3), &json!(3), &json!(0)));
    let set = ["positions", "set", "activities", "--to", "1"];
    let asked = home.run_with(&set, b"n\n").expect(1);
    assert!(asked.stderr.contains("applied again"), "{}", asked.stderr);
    assert_eq!(of("activities")["position"], 3);
    home.run_with(&set, b"y\n").expect(0);
    assert_eq!((of("activities")["position"].clone(), of("activities")["lag"].clone()), (json!(1), json!(2)));
    home.run(&["verify"]).expect(0);
    let mut server = home.up();
    eventually(PATIENCE, "the documents are applied again", || (server.items() == [1, 2, 3, 2, 3]).then_some(()));
    assert!(server.stop().success());
    home.run(&["verify"]).expect(0);
    for wrong in ["4", "-1", "somewhere"] {
        home.run(&["positions", "set", "activities", "--yes", &format!("--to={wrong}")]).expect(2);
    }
    let nothing = home.run(&["positions", "accept-loss", "activities", "--yes"]).expect(0);
    assert!(nothing.stderr.contains("nothing of activities is lost"), "{}", nothing.stderr);
}

#[test]
fn the_loss_of_a_journal_is_accepted_by_a_person_and_the_counting_begins_anew() {
    let home = Home::new();
    let mut server = home.up();
    for id in 1..=2 {
        server.applied(item(id));
    }
    assert!(server.stop().success());
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", home.journal().display()));
    }
    let server = home.up();
    server.post("/v1/streams/activities", item(3)).expect(202);
    eventually(PATIENCE, "it is not ready", || (server.get("/health/ready").status == 503).then_some(()));
    let positions = home.run(&["positions"]).expect(0).json();
    assert_eq!(positions[0]["state"], "another journal", "{positions}");
    home.run(&["verify"]).expect(1);
    assert_eq!(server.items(), [1, 2]);
    home.run_with(&["positions", "accept-loss", "activities"], b"n\n").expect(1);
    home.run(&["positions", "accept-loss", "activities", "--yes"]).expect(0);
    home.run(&["positions", "accept-loss", "events", "--yes"]).expect(0);
    eventually(PATIENCE, "the stream goes on", || (server.items() == [1, 2, 3]).then_some(()));
    eventually(PATIENCE, "it is ready again", || (server.get("/health/ready").status == 200).then_some(()));
    let balance = home.run(&["verify", "activities"]).expect(0).json()[0].clone();
    assert_eq!((&balance["applied"], &balance["waiting"]), (&json!(1), &json!(0)), "{balance}");
}

#[test]
fn events_go_through_end_to_end() {
    let home = Home::with(
        "streams: {people: {takes: events, table: people, document_column: person}, notes: {takes: events}}",
    );
    let mut server = home.up();
    let person = json!({"name": "george", "age": 24});
    let posted = server.send(Request::post("/v1/streams/people", person.to_string()).wait(20)).expect(200);
    assert_eq!(posted.json(), json!({"receipt": "people-0-0", "status": "applied", "changes": 1}));
    let kept = server.send(Request::post("/v1/streams/notes", "\"kept in the journal only\"").wait(20)).expect(202);
    assert_eq!(server.receipt(&kept.receipt())["status"], "accepted", "that is final without a table");
    let lines = home.write("people.ndjson", "{\"name\":\"ann\"}\n[1,2]\n");
    home.run(&["publish", "people", lines.to_str().unwrap()]).expect(0);
    let rows = eventually(PATIENCE, "the published events are rows", || {
        let rows = server.rows("people");
        (rows.len() == 3).then_some(rows)
    });
    assert_eq!(rows[0]["person"], person);
    assert_eq!(rows[0]["receipt"], "people-0-0");
    assert_eq!(rows[2]["person"], json!([1, 2]));
    assert!(server.stop().success());
    let balance = home.run(&["verify"]).expect(0).json();
    let of = |name: &str| balance.as_array().unwrap().iter().find(|it| it["stream"] == name).unwrap().clone();
    assert_eq!((&of("people")["applied"], &of("notes")["kept"]), (&json!(3), &json!(1)));
}

#[test]
fn two_streams_keep_their_documents_apart() {
    let home =
        Home::with("streams: {one: {takes: changes, topic: first-topic}, two: {takes: changes, on_failure: stop}}");
    let server = home.up();
    let post = |stream: &str, document: String| {
        server.send(Request::post(&format!("/v1/streams/{stream}"), document).wait(20))
    };
    assert_eq!(post("one", item(1)).expect(200).receipt(), "first-topic-0-0");
    server.post("/v1/streams/two", unapplicable()).expect(202);
    assert_eq!(post("one", unapplicable()).expect(409).receipt(), "first-topic-0-1");
    assert_eq!(
        post("one", item(2)).expect(200).receipt(),
        "first-topic-0-2",
        "the other stream holds, this one goes on"
    );
    assert_eq!(server.items(), [1, 2]);
    let balance = home.run(&["verify"]).expect(0).json();
    let expected = [("one", 2, 1, 0), ("two", 0, 0, 1)];
    for (balance, (stream, applied, dead_lettered, waiting)) in balance.as_array().unwrap().iter().zip(expected) {
        assert_eq!(balance["stream"], stream);
        for (member, count) in [("applied", applied), ("dead_lettered", dead_lettered), ("waiting", waiting)] {
            assert_eq!(balance[member], count, "{member} of {stream}");
        }
    }
}

#[test]
fn schema_prints_the_json_schema_of_the_configuration() {
    let home = Home::new();
    let schema = home.run(&["schema"]).expect(0).json();
    for member in ["listen", "journal", "store", "streams"] {
        assert!(schema["properties"].get(member).is_some(), "{member}: {schema}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = home.run(&["up", "--listen", &address]).expect(1);
    assert!(ran.stderr.contains(&address) && ran.stderr.contains("--listen"), "{}", ran.stderr);
}
