//! Rollups under kills: counts and sums tell what minimum and maximum hide. In the end each summary is what a plain
//! recomputation of the topic gives, and nobody who reads what is committed saw a summary twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::rounds;
use crate::random::Random;
use crate::support::{Connection, Home, PATIENCE, Process, Request, Target, eventually, services};

/// A kill comes after at most so many more requests.
const ACKNOWLEDGED_MAX: u64 = 400;

/// How long a round may take at most.
const ROUND_MAX: Duration = Duration::from_millis(700);

const ROLLER: &[&str] = &["up", "--role", "rollup"];

fn config(journal: &str, topic: &str, publish: &str) -> String {
    format!(
        "journal: {journal}
streams: {{hits: {{takes: events, topic: {topic}, key: /k}}}}
rollups:
  {topic}.sums:
    from: hits
    key: /k
    summary: {{n: {{count: /x}}, total: {{sum: /x}}, mean: {{avg: /x}}, last: {{last: /x, by: /t}}}}
    publish: {publish}
"
    )
}

#[test]
fn summaries_are_exact_on_sqlite_when_changes_are_published() {
    survive("sqlite://", "changes", 1, 20);
}

#[test]
fn summaries_are_exact_on_sqlite_when_they_are_published_now_and_then() {
    survive("sqlite://", "every 150ms", 1, 20);
}

#[test]
fn summaries_are_exact_on_kafka_when_changes_are_published() {
    if let Some(servers) = services::kafka() {
        survive(&format!("\"kafka://{servers}?partitions=3\""), "changes", 2, 20);
    }
}

#[test]
fn summaries_are_exact_on_kafka_when_they_are_published_now_and_then() {
    if let Some(servers) = services::kafka() {
        survive(&format!("\"kafka://{servers}?partitions=3\""), "every 150ms", 2, 20);
    }
}

/// Sends documents until it is told to stop; some more than once, under their key.
fn send(address: std::net::SocketAddr, mut random: Random, is_over: &AtomicBool, acknowledged: &AtomicU64) {
    let mut connection = Connection::open(address).unwrap();
    let mut number = 0_u64;
    while !is_over.load(Ordering::Relaxed) {
        let document = |random: &mut Random| {
            let (key, x, t) = (random.below(40), random.below(1_000_000), random.below(1_000));
            format!("{{\"k\":\"k{key}\",\"x\":{x},\"t\":{t}}}\n")
        };
        let lines: String = (0..1 + random.below(20)).map(|_| document(&mut random)).collect();
        number += 1;
        let key = format!("\"{number}\"");
        let request = Request::post("/v1/streams/hits", &lines).lines().header("Idempotency-Key", &key);
        for _ in 0..=random.below(4) / 3 {
            let answer = connection.send(&request).unwrap();
            assert!([200, 202, 503].contains(&answer.status), "{} {}", answer.status, answer.text());
        }
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

fn survive(journal: &str, publish: &str, rollers: usize, usual: u64) {
    let (rounds, mut random) = rounds(usual);
    let topic = services::unique("hits");
    let home = Home::with(&config(journal, &topic, publish));
    let gateway = home.up_with(&["--role", "gateway"]);
    let mut running: Vec<Process> = (0..rollers).map(|_| home.start(ROLLER)).collect();
    let (is_over, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let sender = Random::new(random.below(u64::MAX));
        let sending = scope.spawn(|| send(gateway.address(), sender, &is_over, &acknowledged));
        for _ in 0..rounds {
            let target = acknowledged.load(Ordering::Relaxed) + random.below(ACKNOWLEDGED_MAX);
            let begun = Instant::now();
            eventually(PATIENCE, "the round's load", || {
                (acknowledged.load(Ordering::Relaxed) >= target || begun.elapsed() > ROUND_MAX).then_some(())
            });
            let which = random.below(rollers as u64) as usize;
            running[which].kill();
            if random.below(4) == 0 {
                // What is left is the journal: the state is read from the output topic.
                let _ = std::fs::remove_dir_all(home.path("sluicegate-data/rollups"));
            }
            running[which] = home.start(ROLLER);
        }
        is_over.store(true, Ordering::Relaxed);
        sending.join().unwrap();
    });
    running.iter_mut().for_each(Process::kill);
    home.run(&["up", "--role", "rollup", "--until-caught-up"]).expect(0);
    let wanted = recomputed(&records(&home, &topic));
    assert!(wanted.len() > 10, "{wanted:?}");
    let found = published(&records(&home, &format!("{topic}.sums")));
    for (key, wanted) in &wanted {
        assert_eq!(found.get(key), Some(wanted), "{key}");
    }
    assert_eq!(found.len(), wanted.len());
    let begun = Instant::now();
    eventually(PATIENCE, "nothing is left to be published", || {
        home.run(&["up", "--role", "rollup", "--until-caught-up"]).expect(0);
        Some(())
    });
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(published(&records(&home, &format!("{topic}.sums"))), wanted, "and nothing is published again");
    drop(gateway);
}

/// The records of a topic, as `tail --output json` prints them.
fn records(home: &Home, topic: &str) -> Vec<Value> {
    let printed = home.run(&["tail", topic, "--exit", "--output", "json"]).expect(0);
    printed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn header<'r>(record: &'r Value, name: &str) -> Option<&'r str> {
    let headers = record["headers"].as_array()?;
    headers.chunks(2).find(|pair| pair[0] == name)?[1].as_str()
}

/// What a person would compute from the topic: each key of a sender once, by the first record.
fn recomputed(records: &[Value]) -> BTreeMap<String, Value> {
    type Hits = Vec<(u64, (u64, i64, i64))>;
    let mut sums: BTreeMap<String, Hits> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let place = |record: &Value| (record["partition"].as_i64().unwrap(), record["offset"].as_i64().unwrap());
    let mut records: Vec<&Value> = records.iter().collect();
    records.sort_by_key(|record| place(record));
    for record in records {
        if header(record, "idempotency-key").is_some_and(|key| !seen.insert(key.to_owned())) {
            continue;
        }
        let document: Value = serde_json::from_str(record["payload"].as_str().unwrap()).unwrap();
        let (partition, offset) = place(record);
        let hit = (document["x"].as_u64().unwrap(), (document["t"].as_u64().unwrap(), partition, offset));
        sums.entry(document["k"].as_str().unwrap().to_owned()).or_default().push(hit);
    }
    let summary = |(key, hits): (String, Hits)| {
        let total: u64 = hits.iter().map(|(x, _)| x).sum();
        let last = hits.iter().max_by_key(|(_, at)| *at).unwrap().0;
        let summary = serde_json::json!({"k": key, "n": hits.len(), "total": total, "last": last});
        (key, summary)
    };
    sums.into_iter().map(summary).collect()
}

/// The last summary of each key, which grows from record to record and is never there twice.
fn published(records: &[Value]) -> BTreeMap<String, Value> {
    let mut last: BTreeMap<String, Value> = BTreeMap::new();
    let mut up_to: BTreeMap<String, i64> = BTreeMap::new();
    for record in records {
        let mut summary: Value = serde_json::from_str(record["payload"].as_str().unwrap()).unwrap();
        let key = record["key"].as_str().unwrap().to_owned();
        let at: i64 = header(record, "ce_upto").unwrap().parse().unwrap();
        let before = up_to.insert(key.clone(), at);
        assert!(before.is_none_or(|before| before < at), "{key} is published twice: {before:?} {record}");
        // It is the others' quotient.
        let mean = summary.as_object_mut().unwrap().remove("mean").unwrap().as_f64().unwrap();
        let quotient = summary["total"].as_f64().unwrap() / summary["n"].as_f64().unwrap();
        assert!((mean - quotient).abs() < 1e-6, "{summary} {mean}");
        let grown = |name: &str| last.get(&key).is_none_or(|before| before[name].as_u64() < summary[name].as_u64());
        assert!(grown("n"), "{key} did not change: {record}");
        last.insert(key, summary);
    }
    last
}
