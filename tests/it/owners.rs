//! Two processes that both believe they own a partition: one sleeps past its session, another takes over, and the first
//! wakes with work in its hands. It is fenced, and nothing doubles.

use std::time::Duration;

use crate::crash::APPLIER;
use crate::support::{
    Documents, Home, PATIENCE, Process, Proxy, Request, Sql, Target, Trap, activities, eventually, insert, services,
};

/// A session of six seconds, and what follows it.
const TAKE_OVER_MAX: Duration = Duration::from_secs(15);

/// So many documents arrive at once: some MiB.
const DOCUMENTS: i64 = 3000;

/// A document with a row of a kibibyte.
fn wide(id: i64) -> String {
    activities([insert("item", &[("id", "INTEGER", id.into()), ("text", "TEXT", "x".repeat(1000).into())])])
}

/// A gateway and two appliers of one partition; the first one owns it, and reaches PostgreSQL by way of the proxy.
struct Scene {
    operator: Home,
    gateway: Process,
    first: Process,
    second: Process,
    proxy: Proxy,
    sql: Sql,
    _homes: [Home; 2],
    _database: services::Database,
}

impl Scene {
    fn new(name: &str) -> Option<Self> {
        let (kafka, database) = (services::kafka()?, services::postgres()?);
        let store = format!("{}?sslmode=disable", database.url());
        let proxy = Proxy::before(&store);
        let topic = services::unique(name);
        let home = |store: &str| {
            Home::with(&format!(
                "journal: kafka://{kafka}\nstore: {store}\n\
                 streams:\n  activities: {{takes: changes, topic: {topic}}}\n"
            ))
        };
        let (operator, homes) = (home(&store), [home(&proxy.url(&store)), home(&store)]);
        let gateway = operator.up_with(&["--role", "gateway"]);
        let first = homes[0].start(APPLIER);
        gateway.applied(wide(0));
        let second = homes[1].start(APPLIER);
        let sql = Sql::open(&store).unwrap();
        let scene = Scene { operator, gateway, first, second, proxy, sql, _homes: homes, _database: database };
        assert_eq!(scene.owner(), scene.first.id());
        Some(scene)
    }

    /// The process that claimed the partition last.
    fn owner(&self) -> u32 {
        let rows = self.sql.query(r#"SELECT owner FROM "_sluicegate_positions""#).unwrap();
        rows[0][0].rsplit(' ').next().unwrap().parse().unwrap()
    }

    fn count(&self) -> Option<i64> {
        self.sql.number("SELECT count(*) FROM item")
    }

    /// Posts all documents at once.
    fn post(&self) {
        let lines: Vec<_> = (1..=DOCUMENTS).map(wide).collect();
        self.gateway.send(Request::post("/v1/streams/activities", lines.join("\n")).lines()).expect(202);
    }

    /// What the first one's backend does at this moment.
    fn activity(&self) -> String {
        let sql = r#"SELECT state, coalesce(wait_event_type, ''), left(query, 60) FROM pg_stat_activity
                     WHERE pid = (SELECT backend_pid FROM "_sluicegate_positions")"#;
        format!("{:?}", self.sql.query(sql).unwrap())
    }

    /// Stops the first one in its tracks, and wakes it when the second has applied everything. Each document is there
    /// once, and both are of use afterwards.
    fn freeze_and_wake(mut self) {
        println!("frozen with its backend at {}", self.activity());
        self.first.signal("STOP");
        let begun = std::time::Instant::now();
        eventually(TAKE_OVER_MAX, "the other one takes over", || (self.count()? == DOCUMENTS + 1).then_some(()));
        println!("taken over after {:.1?}", begun.elapsed());
        assert_eq!(self.owner(), self.second.id());
        self.proxy.release();
        self.first.signal("CONT");
        self.gateway.applied(wide(DOCUMENTS + 1));
        assert!(self.second.stop().success());
        self.gateway.applied(wide(DOCUMENTS + 2));
        assert_eq!(self.owner(), self.first.id());
        let distinct = self.sql.number("SELECT count(DISTINCT id) FROM item");
        assert_eq!((self.count(), distinct), (Some(DOCUMENTS + 3), Some(DOCUMENTS + 3)));
        let balances = self.operator.run(&["verify"]).expect(0).json();
        assert_eq!(balances[0]["applied"], DOCUMENTS + 3, "{balances}");
    }
}

#[test]
fn an_owner_frozen_in_the_middle_of_a_bulk_statement_is_fenced() {
    let Some(scene) = Scene::new("frozen-in-copy") else { return };
    scene.proxy.set(Trap::HoldAfter(200_000));
    scene.post();
    scene.proxy.wait_until_sprung(PATIENCE);
    scene.freeze_and_wake();
}

#[test]
fn an_owner_frozen_with_its_commit_on_the_way_is_fenced() {
    let Some(scene) = Scene::new("frozen-at-commit") else { return };
    scene.proxy.set(Trap::HoldCommit);
    scene.post();
    scene.proxy.wait_until_sprung(PATIENCE);
    scene.freeze_and_wake();
}

#[test]
fn an_owner_frozen_behind_a_lock_is_fenced() {
    let Some(scene) = Scene::new("frozen-behind-lock") else { return };
    let sql = Sql::open(&scene._database.url()).unwrap();
    sql.run("BEGIN; LOCK TABLE item IN ACCESS EXCLUSIVE MODE");
    scene.post();
    eventually(PATIENCE, "the owner waits for the table", || {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'item'::regclass";
        (scene.sql.number(waiting)? > 0).then_some(())
    });
    scene.first.signal("STOP");
    sql.run("COMMIT");
    scene.freeze_and_wake();
}
