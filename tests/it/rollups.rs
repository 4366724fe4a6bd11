//! Rollups as people use them: the example, the questions, what is late, what cannot be summed up, the table.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Home, PATIENCE, Process, Target, eventually, services};

/// The example's configuration, with topics of its own where a server is shared.
fn example(journal: Option<(&str, &str)>) -> Home {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/first-and-last-seen/sluicegate.yaml");
    let mut config = std::fs::read_to_string(path).unwrap();
    if let Some((url, unique)) = journal {
        config = config
            .replace("input_topic", &format!("input_{unique}"))
            .replace("output_topic", &format!("output_{unique}"));
        config = format!("journal: {url}\n{config}");
    }
    Home::with(&config)
}

/// The records of a topic: keys and values.
fn records(home: &Home, topic: &str) -> Vec<(String, Value)> {
    let printed = home.run(&["tail", topic, "--exit", "--output", "json"]).expect(0);
    let record = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        let value = serde_json::from_str(record["payload"].as_str().unwrap()).unwrap();
        (record["key"].as_str().unwrap_or_default().to_owned(), value)
    };
    printed.stdout.lines().map(record).collect()
}

/// Runs the example, and finds exactly a record for each user, with what the sightings say.
fn first_and_last_seen(home: &Home, input: &str, output: &str) {
    home.run(&["generate", "sightings", "--seed", "7", "--at", "2026-01-02T03:04:05Z"]).expect(0);
    home.run(&["up", "--until-caught-up", "--listen", "127.0.0.1:0"]).expect(0);
    let sightings = records(home, input);
    assert_eq!(sightings.len(), 9);
    let mut users: Vec<_> = sightings.iter().map(|(key, _)| key.clone()).collect();
    users.sort();
    users.dedup();
    assert_eq!(users.len(), 3);
    let mut found = records(home, output);
    found.sort_by(|one, other| one.0.cmp(&other.0));
    let wanted: Vec<_> = users
        .iter()
        .map(|user| {
            let times = sightings.iter().filter(|(key, _)| key == user);
            let times: Vec<_> = times.map(|(_, value)| value["metadata"]["timestamp"].as_i64().unwrap()).collect();
            let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
            (user.clone(), json!({"userId": user, "firstSeen": first, "lastSeen": last}))
        })
        .collect();
    assert_eq!(found, wanted);
    // And as rows.
    let rows = home.run(&["rows", "first_and_last_seen", "--order", "userId"]).expect(0).json();
    // A NUMERIC is written with all its digits, as text.
    let shown = |summary: &Value| {
        let members = summary.as_object().unwrap().iter();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Value::Object(members.map(|(name, value)| (name.clone(), Value::from(text(value)))).collect())
    };
    assert_eq!(rows, Value::Array(wanted.iter().map(|(_, summary)| shown(summary)).collect()));
    home.run(&["verify"]).expect(0);
}

#[test]
fn first_and_last_seen_are_three_records_in_sqlite() {
    first_and_last_seen(&example(None), "input_topic", "output_topic");
}

#[test]
fn first_and_last_seen_are_three_records_in_kafka_and_kcat_sees_them() {
    let Some(servers) = services::kafka() else { return };
    let unique = services::unique("seen");
    let home = example(Some((&format!("\"kafka://{servers}?partitions=2\"\nstore: sqlite://store.db"), &unique)));
    first_and_last_seen(&home, &format!("input_{unique}"), &format!("output_{unique}"));
    let Some(mut kcat) = services::tool("kcat") else { return };
    let topic = format!("output_{unique}");
    let printed = kcat.args(["-b", &servers, "-C", "-t", &topic, "-e", "-q", "-f", "%k %s\n"]).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert_eq!(printed.lines().count(), 3, "{printed}");
    let is_right = |line: &str| {
        let (key, value) = line.split_once(' ').unwrap();
        value.starts_with(&format!("{{\"userId\":\"{key}\",\"firstSeen\":"))
    };
    assert!(printed.lines().all(is_right), "{printed}");
}

const CONFIG: &str = r#"
streams:
  hits: {takes: events, key: /k}
rollups:
  sums:
    from: hits
    key: /k
    summary: {n: {count: ""}, total: {sum: /x}, mean: {avg: /x}, first: {first: /x, by: /t}}
    where: {/type: [hit, shot]}
    table: sums
  hours:
    from: hits
    key: [{as: who, at: /k}]
    summary: {n: {count: ""}}
    window: {of: 1h, at: /t, keep: 1h}
    publish: every 100ms
"#;

fn summary(server: &Process, path: &str) -> Option<Value> {
    let answer = server.get(path);
    (answer.status == 200).then(|| answer.json()["summary"].clone())
}

#[test]
fn summaries_are_asked_for_by_any_key() {
    let home = Home::with(CONFIG);
    let server = home.up();
    let keys = ["plain", "a/b", "100%", "it's \"quoted\"", "ключ é 🚀", "7", "true", "late", " "];
    for (number, key) in keys.iter().enumerate() {
        for x in [number, number + 1] {
            let hit = json!({"k": key, "x": x, "t": 1000 + x, "type": "hit"}).to_string();
            server.post("/v1/streams/hits", hit).expect(202);
        }
    }
    server.post("/v1/streams/hits", json!({"k": "plain", "x": 5, "type": "other"}).to_string()).expect(202);
    server
        .post("/v1/streams/hits", json!({"k": 7, "x": 90071992547409931_i64, "t": 1, "type": "shot"}).to_string())
        .expect(202);
    for (number, key) in keys.iter().enumerate() {
        // A text that could be taken for another value is written as JSON, with its quotes.
        let asked = if ["7", "true"].contains(key) { format!("\"{key}\"") } else { (*key).to_owned() };
        let asked = if *key == "late" { "\"late\"".to_owned() } else { asked };
        let path: String = asked.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let wanted = json!({"k": key, "n": 2, "total": 2 * number + 1, "mean": number as f64 + 0.5, "first": number});
        let found = eventually(PATIENCE, "the summary is there", || {
            summary(&server, &format!("/v1/rollups/sums/{path}")).filter(|found| found["n"] == 2)
        });
        assert_eq!(found, wanted, "{key}");
    }
    let seven = server.get("/v1/rollups/sums/7").expect(200);
    assert!(seven.text().contains("\"total\":90071992547409931,"), "every digit: {}", seven.text());
    assert!(seven.json()["as_of"].as_str().unwrap().ends_with('Z'));
    assert_eq!(server.get("/v1/rollups/sums/nobody").expect(404).json()["type"], "/problems/not-found");
    assert_eq!(server.get("/v1/rollups/sum").expect(404).json()["type"], "/problems/unknown-rollup");
    // Pages neither skip nor repeat.
    let (mut after, mut seen) = (String::new(), Vec::new());
    loop {
        let page = server.get(&format!("/v1/rollups/sums?limit=3{after}")).expect(200).json();
        seen.extend(page["summaries"].as_array().unwrap().iter().map(|summary| summary["k"].to_string()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={}", next.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>());
    }
    seen.sort();
    let mut wanted: Vec<_> = keys.iter().map(|key| json!(key).to_string()).chain(["7".to_owned()]).collect();
    wanted.sort();
    assert_eq!(seen, wanted);
    let printed = home.run(&["rollups", "sums", "a/b"]).expect(0).json();
    assert_eq!((&printed["summary"]["n"], &printed["partition"]), (&json!(2), &json!(0)));
    let all = home.run(&["rollups"]).expect(0).json();
    assert_eq!((&all[0]["rollup"], &all[0]["summed"], &all[0]["not_chosen"]), (&json!("sums"), &json!(19), &json!(1)));
    eventually(PATIENCE, "the table has them all", || {
        let rows = home.run(&["rows", "sums"]).json();
        (rows.as_array().unwrap().len() == keys.len()).then_some(())
    });
    // The column of the key is text: 7 would be taken for "7" there.
    eventually(PATIENCE, "the summary of a number is set aside", || {
        let letters = home.run(&["dead-letters", "list"]).expect(0).json();
        let is_it = |letter: &Value| letter["stream"] == "sums" && letter["reason"] == "type-conflict";
        letters.as_array().unwrap().iter().any(is_it).then_some(())
    });
    let positions = home.run(&["positions"]).expect(0).json();
    assert!(positions.as_array().unwrap().iter().any(|row| row["stream"] == "rollup sums"), "{positions}");
    let balances = home.run(&["verify"]).expect(0).json();
    let sums = balances.as_array().unwrap().iter().find(|row| row["stream"] == "rollup sums").unwrap();
    assert_eq!((&sums["summed"], &sums["skipped"], &sums["accepted"]), (&json!(19), &json!(1), &json!(20)));
}

#[test]
fn what_comes_after_its_window_has_closed_is_counted_and_listed() {
    let home = Home::with(CONFIG);
    let server = home.up();
    let mut receipts = Vec::new();
    for time in [0, 3_599, 7_200, 10, 3_600] {
        let hit = json!({"k": "a", "x": 1, "t": time, "type": "hit"}).to_string();
        receipts.push(server.post("/v1/streams/hits", hit).expect(202).receipt());
    }
    let late = eventually(PATIENCE, "one is late", || {
        let late = server.get("/v1/rollups/hours/late");
        (late.status == 200).then(|| late.json()).filter(|late| late["late"].as_array().unwrap().len() == 1)
    });
    assert_eq!(late["late"][0]["receipt"], receipts[3]);
    assert_eq!(late["late"][0]["key"], r#"["a","1970-01-01T00:00:00Z"]"#);
    let page = eventually(PATIENCE, "all windows are there", || {
        let page = server.get("/v1/rollups/hours").expect(200).json();
        (page["summaries"].as_array().unwrap().len() == 3).then_some(page)
    });
    let hour = |hour: i64, n: i64| json!({"who": "a", "window": format!("1970-01-01T0{hour}:00:00Z"), "n": n});
    assert_eq!(page["summaries"], json!([hour(0, 2), hour(1, 1), hour(2, 1)]));
    let standing = eventually(PATIENCE, "the position has moved", || {
        let all = server.get("/v1/rollups").expect(200).json();
        let standing = all["rollups"][1]["partitions"][0].clone();
        (standing["read"] == 5).then_some(standing)
    });
    assert_eq!((&standing["summed"], &standing["late"], &standing["lag"]), (&json!(4), &json!(1), &json!(0)));
}

#[test]
fn a_rollup_that_stops_says_where_and_goes_on_once_it_is_told_to_skip() {
    let stops = "streams: {hits: {takes: events, key: /k}}\nrollups: {sums: {from: hits, key: /k, summary: {total: {sum: /x}}, on_failure: stop}}\n";
    let home = Home::with(stops);
    let mut server = home.up();
    for x in ["1", "2", "\"x\"", "4"] {
        server.post("/v1/streams/hits", format!("{{\"k\":\"a\",\"x\":{x}}}")).expect(202);
    }
    let why = eventually(PATIENCE, "readiness says it", || {
        let ready = server.get("/health/ready");
        (ready.status == 503).then(|| ready.text())
    });
    for part in ["rollup sums", "hits-0-2", "/x: a number is wanted, and a string stands there", "on_failure: skip"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let found = eventually(PATIENCE, "what is before it is summed up", || summary(&server, "/v1/rollups/sums/a"));
    assert_eq!(found, json!({"k": "a", "total": 3}));
    let failed = server.stop();
    assert!(failed.success());
    let ran = home.run(&["up", "--until-caught-up", "--listen", "127.0.0.1:0"]).expect(1);
    assert!(ran.stderr.contains("rollup sums stands still"), "{}", ran.stderr);
    home.write("sluicegate.yaml", stops.replace("stop", "skip"));
    home.run(&["up", "--until-caught-up", "--listen", "127.0.0.1:0"]).expect(0);
    assert_eq!(records(&home, "sums").last().unwrap().1, json!({"k": "a", "total": 7}));
    let all = home.run(&["rollups"]).expect(0).json();
    assert_eq!(all[0]["skipped_for"], json!({"wrong-kind": 1}));
}

#[test]
fn a_rollup_that_has_changed_is_refused_and_not_mixed() {
    let config = |summary: &str| {
        format!(
            "streams: {{hits: {{takes: events, key: /k}}}}\nrollups: {{sums: {{from: hits, key: /k, summary: {summary}}}}}\n"
        )
    };
    let home = Home::with(&config("{total: {sum: /x}}"));
    home.write("hits.ndjson", "{\"k\":\"a\",\"x\":1}\n{\"k\":\"b\",\"x\":2}\n");
    home.run(&["publish", "hits", "hits.ndjson"]).expect(0);
    let caught_up = &["up", "--until-caught-up", "--listen", "127.0.0.1:0"];
    home.run(caught_up).expect(0);
    home.write("sluicegate.yaml", config("{total: {max: /x}}"));
    let ran = home.run(caught_up).expect(1);
    assert!(ran.stderr.contains("give the changed rollup another name than `sums`"), "{}", ran.stderr);
    home.write("sluicegate.yaml", config("{total: {sum: /x}}"));
    home.run(caught_up).expect(0);
    assert_eq!(records(&home, "sums").len(), 2, "nothing was published again");
}

#[test]
fn a_key_that_may_stand_in_two_partitions_is_refused() {
    let Some(servers) = services::kafka() else { return };
    let unique = services::unique("split");
    let config = |key: &str| {
        format!(
            "journal: \"kafka://{servers}?partitions=2\"\nstreams: {{{unique}: {{takes: events{key}}}}}\nrollups: {{{unique}.sums: {{from: {unique}, key: /k, summary: {{n: {{count: \"\"}}}}}}}}\n"
        )
    };
    let home = Home::with(&config(""));
    let ran = home.run(&["up", "--role", "rollup"]).expect(1);
    assert!(
        ran.stderr.contains("has 2 partitions, and documents of one key may stand in several: write `key: /k`"),
        "{}",
        ran.stderr
    );
    home.write("sluicegate.yaml", config(", key: /k"));
    home.run(&["up", "--role", "rollup", "--until-caught-up"]).expect(0);
}
