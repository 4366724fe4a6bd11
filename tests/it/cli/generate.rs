//! Documents that are made up.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use serde_json::Value;

use crate::support::Home;

fn documents(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn sightings_of_three_users_are_made_without_a_word_more() {
    let home = Home::new();
    let made = home.run(&["generate", "-"]).expect(0);
    assert_eq!(made.stderr, "", "there is no bar where there is no terminal");
    let mut times: HashMap<String, HashSet<i64>> = HashMap::new();
    for document in documents(&made.stdout) {
        let user = document["userId"].as_str().expect("a user").to_owned();
        times.entry(user).or_default().insert(document["metadata"]["timestamp"].as_i64().expect("a time"));
    }
    let counts: Vec<usize> = times.values().map(HashSet::len).collect();
    assert_eq!(counts, [3, 3, 3], "three users with three times each");
    assert!(!home.path("data").exists(), "standard output needs no data");
}

#[test]
fn the_same_seed_and_time_make_the_same_bytes() {
    let home = Home::new();
    let make = |more: &[&str]| {
        home.run(&[&["generate", "-", "--users", "5", "--messages", "20"], more].concat()).expect(0).stdout
    };
    let fixed = ["--seed", "7", "--at", "2026-01-01T00:00:00Z"];
    assert_eq!(make(&fixed), make(&fixed));
    assert_eq!(make(&fixed), make(&["--seed", "7", "--at", "1767225600"]), "the same time, written otherwise");
    assert_ne!(make(&fixed), make(&["--seed", "8", "--at", "2026-01-01T00:00:00Z"]));
    assert_ne!(make(&[]), make(&[]), "without a seed each run is another");
}

#[test]
fn what_is_made_for_a_stream_is_judged_and_kept_as_any_document() {
    let home = Home::with(
        "streams: {sightings: {takes: events, topic: input_topic, key: /userId}, \
         strict: {takes: events, schema: strict.json}}",
    );
    home.write("strict.json", r#"{"required":["nothing"]}"#);
    let made = home.run(&["generate", "sightings"]).expect(0);
    assert!(made.stderr.contains("9 accepted, 0 rejected"), "{}", made.stderr);
    let kept = home.run(&["tail", "input_topic", "--exit"]).expect(0).stdout;
    assert_eq!(documents(&kept).len(), 9, "{kept}");
    let records = home.run(&["tail", "input_topic", "--exit", "--output", "json"]).expect(0).stdout;
    for record in documents(&records) {
        let payload = record["payload"].as_str().expect("a payload");
        let value: Value = serde_json::from_str(payload).expect("a document");
        assert_eq!(record["key"], value["userId"], "the key of the stream: {record}");
    }
    let refused = home.run(&["generate", "strict"]).expect(1);
    assert!(refused.stderr.contains("nothing") && refused.stderr.contains("0 accepted"), "{}", refused.stderr);
    home.run(&["generate", "nobody"]).expect(1);
}

#[test]
fn a_template_says_what_documents_look_like() {
    let home = Home::new();
    home.write("order.json", r#"{"id": "{uuid}", "by": "{user}", "price": "{int 1 100}", "of": "{pick sword knife}"}"#);
    let made = home.run(&["generate", "-", "--template", "order.json", "--users", "2", "--messages", "50"]).expect(0);
    let documents = documents(&made.stdout);
    let distinct = |name: &str| documents.iter().map(|it| it[name].to_string()).collect::<HashSet<_>>().len();
    assert_eq!((documents.len(), distinct("id"), distinct("by"), distinct("of")), (100, 100, 2, 2));
    assert!(documents.iter().all(|it| it["price"].as_i64().is_some_and(|price| (1..=100).contains(&price))));
    home.write("wrong.json", r#"{"a": "{usr}"}"#);
    for (file, parts) in [("wrong.json", &["wrong.json", "{usr}", "{user}"][..]), ("none.json", &["none.json"])] {
        let wrong = home.run(&["generate", "-", "--template", file]).expect(1);
        for part in parts {
            assert!(wrong.stderr.contains(part), "{part}: {}", wrong.stderr);
        }
    }
}

#[test]
fn a_rate_and_a_duration_are_kept() {
    let home = Home::new();
    let begin = Instant::now();
    let made = home.run(&["generate", "-", "--rate", "50", "--duration", "1s"]).expect(0).stdout;
    let (count, took) = (documents(&made).len(), begin.elapsed().as_secs_f64());
    assert!(count <= 51 && took >= 1.0, "{count} documents in {took} s");
    assert!(count >= 2, "more than one time comes within a second");
    for arguments in [["--users", "0"], ["--rate", "0"], ["--at", "tomorrow"], ["--duration", "10"]] {
        home.run(&[&["generate", "-"], &arguments[..]].concat()).expect(2);
    }
}
