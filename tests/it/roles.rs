//! A cluster's processes, each with its role: who applies which partitions, what each needs to be ready, and what happens
//! where partitions meet in the tables.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::crash::{APPLIER, Books, Crew, GATEWAY};
use crate::support::{
    Documents, Home, PATIENCE, Process, Proxy, Request, Sql, Target, activities, eventually, insert, item, services,
    update,
};

/// How many partitions each process has claimed.
fn owners(sql: &Sql) -> BTreeMap<String, usize> {
    let mut owners = BTreeMap::new();
    for row in sql.query(r#"SELECT owner FROM "_sluicegate_positions""#).unwrap_or_default() {
        *owners.entry(row[0].clone()).or_default() += 1;
    }
    owners
}

/// Waits until eight partitions are shared evenly by these processes.
#[track_caller]
fn shared_by(sql: &Sql, crew: &Crew, members: &[usize]) {
    let expected: BTreeMap<_, _> =
        members.iter().map(|member| (format!("process {}", crew.process(*member).id()), 8 / members.len())).collect();
    eventually(PATIENCE, &format!("the partitions are shared by {expected:?}"), || {
        (owners(sql) == expected).then_some(())
    });
}

#[test]
fn four_appliers_share_eight_partitions_while_one_is_killed_and_one_added() {
    let (Some(kafka), Some(database)) = (services::kafka(), services::postgres()) else { return };
    let topic = services::unique("shared");
    let config = format!(
        "journal: kafka://{kafka}?partitions=8\nstore: {}\n\
         streams:\n  activities: {{takes: changes, topic: {topic}, key: /activities/0/col_values/0}}\n",
        database.url()
    );
    let members = [GATEWAY, APPLIER, APPLIER, APPLIER, APPLIER].map(|command| (config.clone(), command));
    let mut crew = Crew::of_many_homes(&members, Books::Postgres(database.url()));
    let sql = Sql::open(&database.url()).unwrap();
    let ledger = Arc::clone(&crew.ledger);
    ledger.while_sending(Duration::from_millis(4), || {
        crew.flows_everywhere(8);
        shared_by(&sql, &crew, &[1, 2, 3, 4]);
        crew.kill(2);
        let before = crew.books.standings().unwrap();
        println!("another one takes over within {:.1?}", crew.flows("one of four killed", &before));
        crew.add(&config, APPLIER);
        shared_by(&sql, &crew, &[1, 3, 4, 5]);
        let before = crew.books.standings().unwrap();
        crew.flows("one added", &before);
    });
    crew.settle();
}

/// A gateway, an applier, and the database they work with.
struct Scene {
    home: Home,
    gateway: Process,
    database: services::Database,
    sql: Sql,
}

impl Scene {
    /// Two partitions, and the documents' first value is the key.
    fn new(name: &str, partitions: u32) -> Option<Self> {
        let (kafka, database) = (services::kafka()?, services::postgres()?);
        let topic = services::unique(name);
        let home = Home::with(&format!(
            "journal: kafka://{kafka}?partitions={partitions}\nstore: {}\n\
             streams:\n  activities: {{takes: changes, topic: {topic}, key: /activities/0/col_values/0}}\n",
            database.url()
        ));
        let gateway = home.up_with(&["--role", "gateway"]);
        let sql = Sql::open(&database.url()).unwrap();
        Some(Scene { home, gateway, database, sql })
    }

    /// Posts a document, and says which partition took it.
    fn post(&self, document: &str) -> i64 {
        let receipt = self.gateway.post("/v1/streams/activities", document).expect(202).receipt();
        receipt.rsplit('-').nth(1).unwrap().parse().unwrap()
    }

    /// Waits until everything is applied, and adds the balances up.
    #[track_caller]
    fn settled(&self) -> BTreeMap<&'static str, i64> {
        eventually(PATIENCE * 2, "everything is applied", || {
            let balances = self.home.run(&["verify"]).expect(0).json();
            let sum = |member: &str| {
                balances.as_array().unwrap().iter().map(|balance| balance[member].as_i64().unwrap()).sum::<i64>()
            };
            (sum("waiting") == 0).then(|| {
                ["applied", "dead_lettered", "duplicates"].into_iter().map(|member| (member, sum(member))).collect()
            })
        })
    }
}

#[test]
fn a_deadlock_between_partitions_is_no_dead_letter() {
    let Some(scene) = Scene::new("deadlock", 2) else { return };
    let sql = &scene.sql;
    for table in ["first", "second", "wait", "probe"] {
        sql.run(&format!("CREATE TABLE \"{table}\" (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO \"{table}\" VALUES (1, 0), (2, 0)"));
    }
    let change =
        |table: &str, id: i64, n: i64| update(table, &[("n", "INTEGER", n.into())], &[("id", "INTEGER", id.into())]);
    // Keys until there is one for each partition; a document's key is the value that it writes first.
    let mut documents: BTreeMap<i64, ()> = BTreeMap::new();
    let blocker = Sql::open(&scene.database.url()).unwrap();
    blocker.run("BEGIN; UPDATE \"wait\" SET n = 1");
    let mut key = 0;
    while documents.len() < 2 {
        key += 1;
        assert!(key < 100, "a hundred keys go to one partition");
        // Which partition a key goes to is tried with a document that touches nothing of the others.
        let nothing = change("probe", key, key);
        let partition = scene.post(&activities([nothing]));
        if documents.insert(partition, ()).is_some() {
            continue;
        }
        let document = match documents.len() {
            1 => activities([change("first", 1, key), change("wait", 1, key), change("second", 1, key)]),
            _ => activities([change("second", 1, key), change("wait", 2, key), change("first", 1, key)]),
        };
        assert_eq!(scene.post(&document), partition);
    }
    let mut applier = scene.home.start(APPLIER);
    let sql = &scene.sql;
    eventually(PATIENCE, "both wait in the middle of their documents", || {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        (sql.number(waiting)? == 2).then_some(())
    });
    blocker.run("COMMIT");
    let counts = scene.settled();
    assert_eq!((counts["applied"], counts["dead_lettered"]), (key + 2, 0));
    eventually(PATIENCE, "PostgreSQL says that there was a deadlock", || {
        let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        (sql.number(deadlocks)? > 0).then_some(())
    });
    let rows = sql.query(r#"SELECT f.n, s.n FROM "first" f, "second" s WHERE f.id = 1 AND s.id = 1"#).unwrap();
    assert_eq!(rows[0][0], rows[0][1], "one document came last in both tables");
    assert!(applier.stop().success());
}

#[test]
fn what_time_heals_in_postgresql_is_no_dead_letter() {
    for (state, name) in [("40001", "serialization"), ("40P01", "deadlock"), ("55P03", "lock not available")] {
        let Some(scene) = Scene::new("healed", 1) else { return };
        // A sequence moves on also where its transaction is undone.
        scene.sql.run(&format!(
            "CREATE TABLE item (id INTEGER); CREATE SEQUENCE tries;
             CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF nextval('tries') <= 3 THEN RAISE EXCEPTION 'try again' USING ERRCODE = '{state}'; END IF;
                 RETURN NULL;
             END $$;
             CREATE TRIGGER fail BEFORE INSERT ON item FOR EACH STATEMENT EXECUTE FUNCTION fail()"
        ));
        for id in 0..20 {
            scene.post(&item(id));
        }
        let _applier = scene.home.start(APPLIER);
        let counts = scene.settled();
        assert_eq!((counts["applied"], counts["dead_lettered"]), (20, 0), "{name}");
        assert_eq!(scene.sql.number("SELECT count(DISTINCT id) FROM item"), Some(20), "{name}");
        assert!(scene.sql.number("SELECT last_value FROM tries").unwrap() > 3, "{name}");
    }
}

#[test]
fn tables_first_met_by_partitions_at_once_lose_no_document() {
    const TABLES: i64 = 12;
    const KEYS: i64 = 24;
    let Some(scene) = Scene::new("first-met", 8) else { return };
    let mut lines = Vec::new();
    for table in 0..TABLES {
        for key in 0..KEYS {
            // Every third document brings a column that the others do not know.
            let mut row = vec![("key", "INTEGER", Value::from(key)), ("text", "TEXT", "x".into())];
            if key % 3 == 0 {
                row.push(("more", "BIGINT", 1.into()));
            }
            lines.push(activities([insert(&format!("met_{table}"), &row)]));
        }
    }
    let posted = scene.gateway.send(Request::post("/v1/streams/activities", lines.join("\n")).lines());
    posted.expect(202);
    let other = Home::with(&std::fs::read_to_string(scene.home.path("sluicegate.yaml")).unwrap());
    let _appliers = [scene.home.start(APPLIER), other.start(APPLIER)];
    let counts = scene.settled();
    assert_eq!((counts["applied"], counts["dead_lettered"]), (TABLES * KEYS, 0));
    for table in 0..TABLES {
        let sql = format!("SELECT count(DISTINCT key) * 1000 + count(more) FROM met_{table}");
        assert_eq!(scene.sql.number(&sql), Some(KEYS * 1000 + KEYS / 3), "met_{table}");
    }
}

#[test]
fn a_replay_moves_every_partition_and_an_offset_needs_one() {
    let Some(scene) = Scene::new("replay", 2) else { return };
    let _applier = scene.home.start(APPLIER);
    let mut partitions: Vec<_> = (0..20).map(|id| scene.post(&item(id))).collect();
    partitions.sort_unstable();
    partitions.dedup();
    assert_eq!(partitions, [0, 1], "twenty keys spread over two partitions");
    scene.settled();
    let set = |arguments: &[&str]| scene.home.run(&[&["positions", "set", "activities", "--yes"], arguments].concat());
    set(&["--to", "1"]).expect(2);
    set(&["--to", "0", "--partition", "7"]).expect(1);
    set(&["--to", "beginning"]).expect(0);
    eventually(PATIENCE, "everything is applied again", || {
        (scene.sql.number("SELECT count(*) FROM item")? == 40).then_some(())
    });
    assert_eq!(scene.settled()["applied"], 20);
    set(&["--to", "beginning", "--partition", "1"]).expect(0);
    let again = scene.home.run(&["positions"]).expect(0);
    println!("{}", again.stdout);
    let expected = "SELECT 40 + next_offset FROM \"_sluicegate_positions\" WHERE \"partition\" = 1";
    eventually(PATIENCE, "one partition is applied again", || {
        let count = scene.sql.number("SELECT count(*) FROM item")?;
        (count > 40 && Some(count) == scene.sql.number(expected)).then_some(())
    });
}

#[test]
fn two_stores_fed_from_one_topic_each_get_everything() {
    let (Some(kafka), Some(first), Some(second)) = (services::kafka(), services::postgres(), services::postgres())
    else {
        return;
    };
    let topic = services::unique("fed");
    let home = |store: &str| {
        Home::with(&format!(
            "journal: kafka://{kafka}?partitions=2\nstore: {store}\n\
             streams:\n  activities: {{takes: changes, topic: {topic}, key: /activities/0/col_values/0}}\n"
        ))
    };
    let homes = [home(&first.url()), home(&second.url())];
    let gateway = homes[0].up_with(&["--role", "gateway"]);
    let _appliers = [homes[0].start(APPLIER), homes[1].start(APPLIER)];
    for id in 0..200 {
        gateway.post("/v1/streams/activities", item(id)).expect(202);
    }
    for (home, database) in homes.iter().zip([first, second]) {
        let sql = Sql::open(&database.url()).unwrap();
        eventually(PATIENCE, "the store has everything", || {
            (sql.number("SELECT count(DISTINCT id) FROM item")? == 200).then_some(())
        });
        assert_eq!(sql.number("SELECT count(*) FROM item"), Some(200));
        home.run(&["verify"]).expect(0);
    }
}

/// Waits until /health/ready answers with this status, and gives what it says.
#[track_caller]
fn ready(process: &Process, status: u16, what: &str) -> Value {
    eventually(PATIENCE, what, || {
        let answer = process.get("/health/ready");
        (answer.status == status).then(|| answer.json()["checks"].clone())
    })
}

#[test]
fn each_role_is_ready_when_it_has_what_it_needs() {
    let (Some(database), Some(services)) = (services::postgres(), services::Private::up(&["kafka"])) else { return };
    let store = format!("{}?sslmode=disable", database.url());
    let proxy = Proxy::before(&store);
    let streams = "streams:\n  activities: {takes: changes}\n";
    let journal = format!("journal: kafka://{}?append_timeout=2s\n", services.kafka());
    let home = Home::with(&format!("{journal}store: {}\n{streams}", proxy.url(&store)));
    let gateway = home.up_with(&["--role", "gateway"]);
    let applier = home.up_with(&["--role", "apply"]);
    let without_store = Home::with(&format!("{journal}{streams}"));
    let bare = without_store.up_with(&["--role", "gateway"]);
    gateway.applied(item(1));
    for (process, name) in [(&gateway, "gateway"), (&applier, "applier"), (&bare, "gateway without a store")] {
        let checks = ready(process, 200, name);
        assert_eq!(checks["journal"], "ok", "{name}");
        assert_eq!(checks.get("store").is_some(), name == "applier", "{name}");
    }
    assert_eq!(bare.get("/v1/tables").status, 503);

    proxy.refuse(true);
    let checks = ready(&applier, 503, "an applier without its store is not ready");
    assert_ne!(checks["store"], "ok");
    assert_eq!(checks["journal"], "ok");
    ready(&gateway, 200, "a gateway needs no store");
    let accepted = gateway.send(Request::post("/v1/streams/activities", item(2)).wait(1)).expect(202);
    assert_eq!(accepted.json()["status"], "accepted", "whoever waits in vain is told that it is accepted");
    let late = home.up_with(&["--role", "gateway"]);
    late.post("/v1/streams/activities", item(3)).expect(202);
    assert_eq!(late.get("/v1/tables").expect(503).json()["type"], "/problems/store-unavailable");
    proxy.refuse(false);
    ready(&applier, 200, "the store is back");
    eventually(PATIENCE, "the late gateway has reached the store", || {
        (late.get("/v1/tables").status == 200).then_some(())
    });
    eventually(PATIENCE, "what was kept is applied", || (late.rows("item").len() == 3).then_some(()));

    services.stop(&["kafka", "--immediate"]);
    for process in [&gateway, &applier, &bare] {
        let checks = ready(process, 503, "nobody is ready without the journal");
        assert_ne!(checks["journal"], "ok");
    }
    let refused = gateway.post("/v1/streams/activities", item(4)).expect(503);
    assert_eq!(refused.json()["type"], "/problems/journal-unavailable");
    assert!(refused.header("retry-after").is_some());
    services.start(&["kafka"]);
    for process in [&gateway, &applier, &bare] {
        ready(process, 200, "the journal is back");
    }
    gateway.applied(item(5));
}
