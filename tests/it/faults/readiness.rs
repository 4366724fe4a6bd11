//! Whatever keeps documents from being accepted or applied, /health/ready says so, and why; and is right again by itself.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;

use super::{ids, post, ready};
use crate::store::insert;
use crate::support::{Documents, Home, PATIENCE, Request, Sql, Target, eventually, item, services};

/// What stands still for longer than 5 s is told; the rest is for a busy machine.
const TOLD_WITHIN: Duration = Duration::from_secs(15);

#[test]
fn a_table_that_somebody_locks_is_told_with_its_stream_and_heals_with_the_lock() {
    let Some(database) = services::postgres() else { return };
    let home = Home::with(&format!("store: {}\nstreams: {{activities: {{takes: changes}}}}", database.url()));
    let process = home.up();
    process.send(Request::post("/v1/streams/activities", item(1)).wait(20)).expect(200);
    ready(&process, 200);
    let other = Sql::open(&database.url()).unwrap();
    other.run("BEGIN; LOCK TABLE item IN ACCESS EXCLUSIVE MODE");
    process.post("/v1/streams/activities", item(2)).expect(202);
    let begun = Instant::now();
    let why =
        eventually(PATIENCE, "it is told", || ready(&process, 503)["stream activities"].as_str().map(str::to_owned));
    assert!(begun.elapsed() < TOLD_WITHIN, "{:?}", begun.elapsed());
    assert!(why.contains("partition 0 of activities") || why.contains("lock"), "{why}");
    let pid = other.number("SELECT pg_backend_pid()").unwrap();
    eventually(PATIENCE, "who holds the lock is told", || {
        let checks = process.get("/health/ready").json()["checks"].clone();
        checks["stream activities"].as_str()?.contains(&format!("process {pid} ")).then_some(())
    });
    other.run("ROLLBACK");
    ready(&process, 200);
    eventually(PATIENCE, "it is applied", || (process.items() == [1, 2]).then_some(()));
}

#[test]
fn a_watched_folder_that_is_gone_is_named_and_watched_again_once_it_is_there() {
    let home = Home::with("streams: {events: {takes: events, directories: [inbox]}}");
    std::fs::create_dir(home.path("inbox")).unwrap();
    let process = home.up();
    ready(&process, 200);
    std::fs::rename(home.path("inbox"), home.path("elsewhere")).unwrap();
    let begun = Instant::now();
    let checks = ready(&process, 503);
    assert!(begun.elapsed() < TOLD_WITHIN, "{:?}", begun.elapsed());
    let (name, why) = checks.as_object().unwrap().iter().find(|(name, _)| name.starts_with("directory ")).unwrap();
    assert!(name.contains("inbox") && why.as_str().unwrap().contains("cannot be read"), "{checks}");
    std::fs::create_dir(home.path("inbox")).unwrap();
    ready(&process, 200);
    home.write("inbox/one.json", "\"one\"");
    eventually(PATIENCE, "what is put there is published", || {
        home.run(&["tail", "events", "--exit"]).stdout.contains("\"one\"").then_some(())
    });
}

#[test]
fn a_topic_that_is_compacted_is_told_with_what_mends_it_by_readiness_and_by_check() {
    let Some(kafka) = services::kafka() else { return };
    let topic = services::unique("compacted");
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &kafka).create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let new = NewTopic::new(&topic, 1, TopicReplication::Fixed(1)).set("cleanup.policy", "compact");
    let created = runtime.block_on(admin.create_topics([&new], &AdminOptions::new())).unwrap();
    assert!(created.iter().all(Result::is_ok), "{created:?}");
    let home =
        Home::with(&format!("journal: kafka://{kafka}\nstreams: {{events: {{takes: events, topic: {topic}}}}}\n"));
    let check = home.run(&["check"]).expect(1);
    assert!(check.stdout.lines().any(|line| line.starts_with("wrong") && line.contains("compacted")), "{check:?}");
    let process = home.up();
    for _ in 0..2 {
        let checks = ready(&process, 503);
        let why = checks["stream events"].as_str().unwrap_or_else(|| panic!("{checks}"));
        assert!(why.contains(&topic) && why.contains("cleanup.policy=delete"), "{why}");
        // It is refused for good, and said so in the log.
        process.post("/v1/streams/events", "1").expect(503);
        process.wait_to_say("Kafka refuses documents");
    }
    let mend = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("cleanup.policy", "delete");
    runtime.block_on(admin.alter_configs([&mend], &AdminOptions::new())).unwrap();
    eventually(PATIENCE, "it is accepted", || (process.post("/v1/streams/events", "1").status == 202).then_some(()));
    ready(&process, 200);
}

#[test]
fn a_lease_of_a_clock_that_was_ahead_holds_up_nobody() {
    let home = Home::new();
    let mut process = home.up();
    post(&process, 1).expect(200);
    process.stop();
    let ahead = sluicegate::clock::now_ms() + 3_600_000;
    let file = rusqlite::Connection::open(home.journal()).unwrap();
    let changed = file.execute("UPDATE groups SET owner = '?:1:another', leased_until_ms = ?1", [ahead]).unwrap();
    assert!(changed > 0);
    let process = home.up();
    post(&process, 2).expect(200);
    assert_eq!(ids(&home), [1, 2]);
}

/// The threads of a process.
fn threads(id: u32) -> usize {
    std::fs::read_dir(format!("/proc/{id}/task")).unwrap().count()
}

#[test]
fn many_who_ask_a_store_that_is_locked_whether_it_is_ready_cost_no_threads() {
    let home = Home::new();
    let process = home.up();
    post(&process, 1).expect(200);
    let before = threads(process.id());
    let lock = rusqlite::Connection::open(home.store()).unwrap();
    lock.busy_timeout(PATIENCE).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let most = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..100).map(|_| scope.spawn(|| process.get("/health/ready").status)).collect();
        let mut most = 0;
        while !askers.iter().all(|asker| asker.is_finished()) {
            let live = Instant::now();
            assert_eq!(process.get("/health/live").status, 200);
            assert!(live.elapsed() < Duration::from_secs(2), "{:?}", live.elapsed());
            most = most.max(threads(process.id()));
        }
        for asker in askers {
            assert_eq!(asker.join().unwrap(), 503);
        }
        most
    });
    assert!(most < before + 20, "{before} threads became {most}");
    lock.execute_batch("ROLLBACK").unwrap();
    ready(&process, 200);
}

#[test]
fn a_port_that_is_taken_or_a_host_that_is_none_ends_up_with_one_sentence_before_anything_runs() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let home = Home::new();
    for (listen, part) in
        [(address.as_str(), "another program listens there"), ("no-such-host.invalid:80", "cannot listen on")]
    {
        // As often as it takes for a race to show.
        for _ in 0..5 {
            let ran = home.run(&["up", "--listen", listen]).expect(1);
            let lines: Vec<_> = ran.stderr.lines().collect();
            assert!(matches!(&lines[..], [line] if line.starts_with("error: ") && line.contains(part)), "{ran:?}");
        }
        let checked = home.run(&["check", "--listen", listen]).expect(1).stdout;
        assert!(checked.lines().any(|line| line.starts_with("wrong  listen") && line.contains(part)), "{checked}");
    }
    assert!(!home.path("data/watch").exists());
    let process = home.up();
    let ours = process.address().to_string();
    let checked = home.run(&["check", "--listen", &ours]).expect(1).stdout;
    assert!(checked.contains("a Sluicegate runs there already"), "{checked}");
    // Its address is free again at once.
    drop(process);
    home.run(&["check", "--listen", &ours]).expect(0);
    let insert = insert("t", "id INTEGER 1");
    home.start(&["up", "--listen", &ours]).listening().post("/v1/streams/activities", insert).expect(202);
}
