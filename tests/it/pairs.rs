//! The contract of a journal with a store: one list of promises, and every pair of them keeps each.
//!
//! A new journal or store is a constructor and its lines in [`every_pair`].

mod moving;

use serde_json::{Value, json};

use crate::support::{
    Documents, Home, PATIENCE, Process, Request, Target, activities, eventually, insert, item, services, unapplicable,
};

use self::moving::{
    a_replay_of_events_brings_rows_up_to_date, a_replay_of_events_tries_dead_letters_again, moves_race_with_apply,
};

/// A home with a configuration for a pair.
struct Pair {
    home: Home,
    _database: Option<services::Database>,
}

/// A journal's line of the configuration.
type JournalLine = fn() -> Option<String>;

/// A store's line, and what holds its database.
type StoreLine = fn() -> Option<(String, Option<services::Database>)>;

/// What a home without configuration has.
fn sqlite_journal() -> Option<String> {
    Some(String::new())
}

fn kafka_journal() -> Option<String> {
    Some(format!("journal: kafka://{}\n", services::kafka()?))
}

fn sqlite_store() -> Option<(String, Option<services::Database>)> {
    Some(("store: sqlite://data/store.db\n".into(), None))
}

fn postgres_store() -> Option<(String, Option<services::Database>)> {
    let database = services::postgres()?;
    Some((format!("store: {}\n", database.url()), Some(database)))
}

impl Pair {
    fn open(journal: JournalLine, store: StoreLine) -> Option<Self> {
        let (journal, (store, database)) = (journal()?, store()?);
        let [changes, events] = ["activities", "events"].map(services::unique);
        let home = Home::with(&format!(
            "{journal}{store}streams:\n  activities: {{takes: changes, topic: {changes}}}\n  \
             events: {{takes: events, topic: {events}, table: events}}\n"
        ));
        Some(Pair { home, _database: database })
    }

    fn up(&self) -> Process {
        self.home.up()
    }

    /// The balance of a stream, which must hold.
    fn balance(&self, stream: &str) -> Value {
        self.home.run(&["verify", stream]).expect(0).json()[0].clone()
    }
}

macro_rules! every_pair {
    ($($promise:ident)+) => {
        every_pair!(@ sqlite_with_sqlite, super::sqlite_journal, super::sqlite_store: $($promise)+);
        every_pair!(@ sqlite_with_postgres, super::sqlite_journal, super::postgres_store: $($promise)+);
        every_pair!(@ kafka_with_sqlite, super::kafka_journal, super::sqlite_store: $($promise)+);
        every_pair!(@ kafka_with_postgres, super::kafka_journal, super::postgres_store: $($promise)+);
    };
    (@ $pair:ident, $journal:path, $store:path: $($promise:ident)+) => {
        mod $pair {
            $(#[test]
            fn $promise() {
                if let Some(pair) = super::Pair::open($journal, $store) {
                    super::$promise(&pair);
                }
            })+
        }
    };
}

every_pair! {
    documents_become_rows_and_receipts_tell_it
    a_document_that_cannot_be_applied_is_set_aside_whole_and_can_be_retried
    a_key_is_applied_once
    many_documents_are_applied_in_their_order
    a_restart_goes_on_where_it_was
    a_kill_loses_and_doubles_nothing
    a_replay_applies_everything_again
    a_skip_gives_up_what_it_skips
    moves_race_with_apply
    a_replay_of_events_brings_rows_up_to_date
    a_replay_of_events_tries_dead_letters_again
    a_stream_that_is_applied_has_no_thread_of_its_own
}

fn ids(process: &Process) -> Vec<i64> {
    let mut ids = process.items();
    ids.sort_unstable();
    ids
}

fn documents_become_rows_and_receipts_tell_it(pair: &Pair) {
    let server = pair.up();
    let applied = server.applied(item(1)).receipt();
    assert_eq!(server.receipt(&applied)["status"], "applied");
    let accepted = server.post("/v1/streams/activities", item(2)).expect(202).receipt();
    eventually(PATIENCE, "the document is applied", || {
        (server.receipt(&accepted)["status"] == "applied").then_some(())
    });
    assert_eq!(ids(&server), [1, 2]);
    let event = server.send(Request::post("/v1/streams/events", r#"{"name":"george"}"#).wait(20)).expect(200);
    let rows = server.rows("events");
    assert_eq!((&rows[0]["receipt"], &rows[0]["document"]), (&event.receipt().into(), &json!({"name": "george"})));
    assert_eq!(
        (pair.balance("activities")["applied"].as_i64(), pair.balance("events")["applied"].as_i64()),
        (Some(2), Some(1))
    );
    for unknown in [format!("{accepted}9"), accepted.replace("-0-", "-7-"), "nothing-0-0".into()] {
        assert_eq!(server.get(&format!("/v1/receipts/{unknown}")).status, 404, "{unknown}");
    }
}

fn a_document_that_cannot_be_applied_is_set_aside_whole_and_can_be_retried(pair: &Pair) {
    let server = pair.up();
    server.applied(item(1));
    let (dead, reason) = server.set_aside(unapplicable());
    assert_eq!(reason["type"], "/problems/unknown-table");
    assert_eq!(ids(&server), [1], "nothing of it was applied");
    assert_eq!(server.receipt(&dead)["status"], "dead-lettered");
    let letters = server.get("/v1/dead-letters").expect(200).json();
    assert_eq!(letters["dead_letters"].as_array().unwrap().len(), 1);
    assert_eq!(pair.balance("activities")["dead_lettered"], 1);
    server.applied(activities([insert("nowhere", &[("id", "INTEGER", 1.into())])]));
    let retried = server.post(&format!("/v1/dead-letters/{dead}/retry"), "").expect(200);
    assert_eq!(retried.json()["status"], "applied", "{}", retried.text());
    assert_eq!((ids(&server), server.rows("nowhere").len()), (vec![-1, 1], 0));
    assert_eq!(server.receipt(&dead)["status"], "applied");
    let balance = pair.balance("activities");
    assert_eq!((&balance["applied"], &balance["dead_lettered"]), (&3.into(), &0.into()), "{balance}");
}

fn a_key_is_applied_once(pair: &Pair) {
    let server = pair.up();
    let post = |document: String| {
        server.send(Request::post("/v1/streams/activities", document).header("Idempotency-Key", "k").wait(20))
    };
    let first = post(item(1)).expect(200).receipt();
    let again = post(item(1)).expect(200).json();
    assert_eq!((&again["status"], &again["of"]), (&json!("duplicate"), &json!(first)));
    assert_eq!(post(item(2)).expect(409).json()["problem"]["type"], "/problems/idempotency-key-reused");
    assert_eq!(ids(&server), [1]);
    assert_eq!(pair.balance("activities")["duplicates"], 1);
}

fn many_documents_are_applied_in_their_order(pair: &Pair) {
    let server = pair.up();
    let mut lines = vec![activities([insert("last", &[("n", "INTEGER", 0.into())])])];
    for n in 1..=500 {
        let step = crate::support::update("last", &[("n", "INTEGER", n.into())], &[("n", "INTEGER", (n - 1).into())]);
        lines.push(activities([step, insert("item", &[("id", "INTEGER", n.into())])]));
        if n % 100 == 0 {
            lines.push(unapplicable());
        }
    }
    server.send(Request::post("/v1/streams/activities", lines.join("\n")).lines()).expect(202);
    server.applied(item(501));
    assert_eq!(server.rows("last"), [json!({"n": 500})], "each document found what the one before it left");
    assert_eq!(ids(&server), (1..=501).collect::<Vec<_>>());
    let balance = pair.balance("activities");
    assert_eq!((&balance["applied"], &balance["dead_lettered"]), (&502.into(), &5.into()), "{balance}");
}

fn a_restart_goes_on_where_it_was(pair: &Pair) {
    let mut server = pair.up();
    server.applied(item(1));
    assert!(server.stop().success());
    let mut server = pair.home.up_with(&["--role", "gateway"]);
    let waiting = server.post("/v1/streams/activities", item(2)).expect(202).receipt();
    assert_eq!(server.receipt(&waiting)["status"], "accepted");
    assert!(server.stop().success());
    let server = pair.up();
    server.applied(item(3));
    assert_eq!(ids(&server), [1, 2, 3]);
    assert_eq!(pair.balance("activities")["applied"], 3);
}

fn a_kill_loses_and_doubles_nothing(pair: &Pair) {
    let mut next = 0;
    for _ in 0..3 {
        let mut server = pair.up();
        for _ in 0..40 {
            server.post("/v1/streams/activities", item(next)).expect(202);
            next += 1;
        }
        server.kill();
    }
    let server = pair.up();
    server.applied(item(next));
    assert_eq!(ids(&server), (0..=next).collect::<Vec<_>>());
    assert_eq!(pair.balance("activities")["applied"], next + 1);
}

fn a_replay_applies_everything_again(pair: &Pair) {
    let server = pair.up();
    server.applied(item(1));
    server.applied(item(2));
    server.set_aside(unapplicable());
    pair.home.run(&["positions", "set", "activities", "--to", "beginning", "--yes"]).expect(0);
    eventually(PATIENCE, "everything is applied again", || (server.items().len() == 4).then_some(()));
    assert_eq!(ids(&server), [1, 1, 2, 2]);
    server.applied(item(3));
    let balance = pair.balance("activities");
    assert_eq!((&balance["applied"], &balance["dead_lettered"]), (&3.into(), &1.into()), "{balance}");
}

fn a_skip_gives_up_what_it_skips(pair: &Pair) {
    let mut server = pair.up();
    server.applied(item(1));
    assert!(server.stop().success());
    let mut gateway = pair.home.up_with(&["--role", "gateway"]);
    gateway.post("/v1/streams/activities", item(2)).expect(202);
    gateway.post("/v1/streams/activities", item(3)).expect(202);
    assert!(gateway.stop().success());
    pair.home.run(&["positions", "set", "activities", "--to", "end", "--yes"]).expect(0);
    let server = pair.up();
    server.applied(item(4));
    assert_eq!(ids(&server), [1, 4]);
    let balance = pair.balance("activities");
    assert_eq!((&balance["applied"], &balance["lost"]), (&2.into(), &2.into()), "{balance}");
}

/// The threads that ARCHITECTURE.md lists, but for those of watched folders.
const THREADS: &[&str] = &["sluicegate", "worker", "journal-writer", "journal-kafka", "store-writer", "rdk:"];

fn a_stream_that_is_applied_has_no_thread_of_its_own(pair: &Pair) {
    let server = pair.up();
    server.applied(item(1));
    server.send(Request::post("/v1/streams/events", "1").wait(20)).expect(200);
    let threads = std::fs::read_dir(format!("/proc/{}/task", server.id())).unwrap();
    // One that has ended meanwhile has no name.
    let name =
        |thread: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok();
    let names: Vec<_> = threads.filter_map(name).map(|name| name.trim().to_owned()).collect();
    assert!(names.iter().any(|name| name == "worker"), "{names:?}");
    let is_listed = |name: &&String| THREADS.iter().any(|known| name.starts_with(known));
    let others: Vec<_> = names.iter().filter(|name| !is_listed(name)).collect();
    assert!(others.is_empty(), "{others:?}");
}
