//! Every kind of refusal that a document can meet in PostgreSQL, provoked on a real server: the document is a dead letter
//! with the database's own words, its neighbours in the same batch apply, nothing stands still, and a dry run says the same.

use std::sync::Arc;

use sluicegate::problem::ProblemType::{self, *};
use sluicegate::record::{Headers, Kept, Record};
use sluicegate::store::Store;
use sluicegate::store::books::LetterFilter;
use sluicegate::store::postgres::PostgresStore;
use sluicegate::store::tries::rehearse;

use crate::faults::apply::Running;
use crate::store::bench::documents;
use crate::store::{insert, stream};
use crate::support::Sql;
use crate::support::services::{self, Database};

/// As many good documents stand before and behind the bad one: enough to be copied in.
const NEIGHBOURS: usize = 7;

/// The bad document of most rows.
const THIRTEEN: &str = "v INTEGER 13";

/// What a trigger of `{t}` does to rows whose `v` is 13, by the code that PostgreSQL gives it.
const TRIGGERS: &[(&str, &str, ProblemType, &str)] = &[
    ("P0001", "RAISE 'thirteen is refused'", ConstraintViolated, "thirteen is refused"),
    ("P0002", "SELECT 1 INTO STRICT n WHERE FALSE", ConstraintViolated, "returned no rows"),
    ("P0003", "SELECT g INTO STRICT n FROM generate_series(1, 2) g", ConstraintViolated, "more than one row"),
    ("P0004", "ASSERT FALSE, 'asserted'", ConstraintViolated, "asserted"),
    ("03000", "RAISE 'incomplete' USING ERRCODE = '03000'", DatabaseRefused, "incomplete"),
    ("08001", "PERFORM dblink_connect('host=127.0.0.1 port=1')", DatabaseRefused, "could not establish connection"),
    ("09000", "RAISE 'action' USING ERRCODE = '09000'", ConstraintViolated, "action"),
    ("0A000", "EXECUTE 'ROLLBACK TO SAVEPOINT s'", DatabaseRefused, "not implemented"),
    ("20000", "CASE NEW.v WHEN 1 THEN NULL; END CASE", ConstraintViolated, "case not found"),
    ("21000", "n := (SELECT g FROM generate_series(1, 2) g)", DatabaseRefused, "more than one row"),
    ("22004", "EXECUTE NULL", InvalidValue, "query string argument of EXECUTE is null"),
    ("22012", "n := 1 / 0", InvalidValue, "division by zero"),
    ("22023", "PERFORM set_config('work_mem', '-5', TRUE)", InvalidValue, "work_mem"),
    ("22P02", "n := 'many'", InvalidValue, "many"),
    ("23505", "INSERT INTO {t}_u VALUES (1)", ConstraintViolated, "{t}_u_pkey"),
    ("23514", "INSERT INTO {t}_u VALUES (-1)", ConstraintViolated, "{t}_u_id_check"),
    ("25001", "EXECUTE 'VACUUM'", DatabaseRefused, "VACUUM cannot"),
    (
        "25006",
        "SET LOCAL transaction_read_only = on; INSERT INTO {t}_u VALUES (2)",
        DatabaseRefused,
        "read-only transaction",
    ),
    ("25006 of what comes after", "SET LOCAL transaction_read_only = on", DatabaseRefused, "read-only transaction"),
    (
        "25006 of what comes after, by a function",
        "PERFORM set_config('transaction_read_only', 'on', TRUE)",
        DatabaseRefused,
        "read-only transaction",
    ),
    ("42501 of what comes after", "SET LOCAL ROLE pg_monitor", DatabaseRefused, "permission denied"),
    (
        "42501 of what comes after in the session",
        "PERFORM set_config('role', 'pg_monitor', FALSE)",
        DatabaseRefused,
        "permission denied",
    ),
    ("53100 of a file", "COPY (SELECT 1) TO '/dev/full'", DatabaseRefused, "No space left"),
    (
        "53100 of another server",
        "PERFORM dblink_exec('{url}', 'DO $d$ BEGIN RAISE ''theirs is full'' USING ERRCODE = ''53100''; END $d$')",
        DatabaseRefused,
        "theirs is full",
    ),
    (
        "XX001 of another server",
        "PERFORM dblink_exec('{url}', 'DO $d$ BEGIN RAISE ''theirs is damaged'' USING ERRCODE = ''XX001''; END $d$')",
        DatabaseRefused,
        "theirs is damaged",
    ),
    ("26000", "EXECUTE 'DEALLOCATE nothing'", DatabaseRefused, "nothing"),
    ("2D000", "COMMIT", DatabaseRefused, "invalid transaction termination"),
    ("34000", "EXECUTE 'CLOSE nothing'", DatabaseRefused, "cursor \"nothing\" does not exist"),
    ("38001", "RAISE 'outside' USING ERRCODE = '38001'", ConstraintViolated, "outside"),
    ("39P01", "RAISE 'protocol' USING ERRCODE = '39P01'", ConstraintViolated, "protocol"),
    ("3F000", "EXECUTE 'CREATE TABLE nowhere.t ()'", DatabaseRefused, "schema \"nowhere\" does not exist"),
    ("40001", "RAISE 'each time' USING ERRCODE = '40001'", DatabaseRefused, "each time"),
    ("40P01", "RAISE 'each time' USING ERRCODE = '40P01'", DatabaseRefused, "each time"),
    ("42501", "RAISE 'not you' USING ERRCODE = '42501', HINT = 'ask somebody'", ConstraintViolated, "ask somebody"),
    ("42601", "EXECUTE 'nonsense'", DatabaseRefused, "syntax error"),
    ("42703", "n := NEW.nothing", DatabaseRefused, "nothing"),
    ("42704", "PERFORM NULL::nothing", DatabaseRefused, "type \"nothing\" does not exist"),
    ("42710", "EXECUTE 'CREATE TYPE {t}_e AS ENUM ()'", DatabaseRefused, "\"{t}_e\" already exists"),
    ("42883", "PERFORM nothing()", DatabaseRefused, "function nothing() does not exist"),
    ("42P01", "INSERT INTO nothing VALUES (1)", DatabaseRefused, "relation \"nothing\" does not exist"),
    ("42P07", "EXECUTE 'CREATE TABLE {t} ()'", DatabaseRefused, "already exists"),
    ("53100", "RAISE 'as if full' USING ERRCODE = '53100'", ConstraintViolated, "as if full"),
    ("53200", "RAISE 'as if large' USING ERRCODE = '53200'", DatabaseRefused, "as if large"),
    ("54001", "PERFORM {t}_again()", ValueOutOfRange, "stack depth limit"),
    ("55000", "PERFORM lastval()", DatabaseRefused, "lastval is not yet defined"),
    ("55006", "EXECUTE 'DROP TABLE {t}'", DatabaseRefused, "active queries"),
    ("55P03", "RAISE 'each time' USING ERRCODE = '55P03'", DatabaseRefused, "each time"),
    ("57014", "RAISE 'cancelled' USING ERRCODE = '57014'", DatabaseRefused, "cancelled"),
    (
        "57014 by itself",
        "PERFORM pg_cancel_backend(pg_backend_pid()), pg_sleep_for('5 s')",
        DatabaseRefused,
        "canceling",
    ),
    ("57P01", "RAISE 'shut down' USING ERRCODE = '57P01'", DatabaseRefused, "shut down"),
    (
        "57P01 in earnest",
        "PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep_for('5 s')",
        DatabaseRefused,
        "terminating connection",
    ),
    ("58P01", "PERFORM pg_read_file('/no/such/file')", DatabaseRefused, "No such file"),
    ("F0000", "RAISE 'configured' USING ERRCODE = 'F0000'", DatabaseRefused, "configured"),
    ("HV000", "RAISE 'foreign' USING ERRCODE = 'HV000'", DatabaseRefused, "foreign"),
    ("XX000", "RAISE 'inside' USING ERRCODE = 'XX000'", DatabaseRefused, "inside"),
    ("XX001", "RAISE 'as if damaged' USING ERRCODE = 'XX001'", ConstraintViolated, "as if damaged"),
    ("ZZ999", "RAISE 'of their own' USING ERRCODE = 'ZZ999'", DatabaseRefused, "of their own"),
];

/// What the definitions of others refuse: the statements that make the table, the cells of the bad row.
const DEFINITIONS: &[(&str, &str, &str, ProblemType, &str)] = &[
    ("22001", "CREATE TABLE {t} (id integer, v integer, s varchar(2))", "s TEXT \"abc\"", ValueOutOfRange, "abc"),
    ("22003", "CREATE TABLE {t} (id integer, v integer, s smallint)", "s BIGINT 40000", ValueOutOfRange, "40000"),
    ("22007", "CREATE TABLE {t} (id integer, v integer, d date)", "d MYSTERY \"soon\"", InvalidValue, "soon"),
    ("2200N", "CREATE TABLE {t} (id integer, v integer, x xml)", "x MYSTERY \"<a\"", InvalidValue, "invalid XML"),
    (
        "22P02 of an enum",
        "CREATE TYPE {t}_e AS ENUM ('a'); CREATE TABLE {t} (id integer, v integer, e {t}_e)",
        "e MYSTERY \"b\"",
        InvalidValue,
        "invalid input value for enum",
    ),
    ("23502", "CREATE TABLE {t} (id integer, v integer NOT NULL)", "v INTEGER null", ConstraintViolated, "\"v\""),
    (
        "23503",
        "CREATE TABLE {t}_p (id integer PRIMARY KEY);
         CREATE TABLE {t} (id integer, v integer, p integer CONSTRAINT of_p REFERENCES {t}_p)",
        "p INTEGER 2",
        ConstraintViolated,
        "of_p",
    ),
    (
        "23503 deferred",
        "CREATE TABLE {t}_p (id integer PRIMARY KEY); CREATE TABLE {t} (id integer, v integer,
             p integer CONSTRAINT of_late REFERENCES {t}_p DEFERRABLE INITIALLY DEFERRED)",
        "p INTEGER 2",
        ConstraintViolated,
        "of_late",
    ),
    (
        "23503 deferred, with a new column",
        "CREATE TABLE {t}_p (id integer PRIMARY KEY); CREATE TABLE {t} (id integer, v integer,
             p integer CONSTRAINT of_late REFERENCES {t}_p DEFERRABLE INITIALLY DEFERRED)",
        "p INTEGER 2, new INTEGER 1",
        ConstraintViolated,
        "of_late",
    ),
    (
        "23503 deferred, of a table that only a trigger knows",
        "CREATE TABLE {t}_p (id integer PRIMARY KEY); INSERT INTO {t}_p VALUES (1);
         CREATE TABLE {t}_c (id integer CONSTRAINT of_late REFERENCES {t}_p DEFERRABLE INITIALLY DEFERRED);
         CREATE TABLE {t} (id integer, v integer);
         CREATE FUNCTION {t}_f() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO {t}_c VALUES (NEW.v); RETURN NEW; END $$;
         CREATE TRIGGER f BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION {t}_f()",
        THIRTEEN,
        ConstraintViolated,
        "of_late",
    ),
    (
        "23503 at COMMIT, by a constraint trigger",
        "CREATE TABLE {t} (id integer, v integer);
         CREATE FUNCTION {t}_f() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN IF NEW.v = 13 THEN RAISE 'too late' USING ERRCODE = '40001'; END IF; RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER f AFTER INSERT ON {t} DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION {t}_f()",
        THIRTEEN,
        DatabaseRefused,
        "too late",
    ),
    (
        "23505",
        "CREATE TABLE {t} (id integer, v integer, u integer CONSTRAINT {t}_one UNIQUE); INSERT INTO {t} VALUES (0, 0, 5)",
        "u INTEGER 5",
        ConstraintViolated,
        "{t}_one",
    ),
    (
        "23505 of citext",
        "CREATE TABLE {t} (id integer, v integer, u citext CONSTRAINT {t}_one UNIQUE); INSERT INTO {t} VALUES (0, 0, 'a')",
        "u TEXT \"A\"",
        ConstraintViolated,
        "{t}_one",
    ),
    (
        "23514",
        "CREATE TABLE {t} (id integer, v integer CONSTRAINT few CHECK (v < 9))",
        THIRTEEN,
        ConstraintViolated,
        "few",
    ),
    (
        "23514 of a domain",
        "CREATE DOMAIN {t}_d AS integer CONSTRAINT low CHECK (value < 9); CREATE TABLE {t} (id integer, v {t}_d)",
        THIRTEEN,
        ConstraintViolated,
        "low",
    ),
    (
        "23514 of partitions",
        "CREATE TABLE {t} (id integer, v integer) PARTITION BY LIST (v); CREATE TABLE {t}_1 PARTITION OF {t} FOR VALUES IN (1)",
        THIRTEEN,
        ConstraintViolated,
        "no partition of relation",
    ),
    (
        "23P01",
        "CREATE TABLE {t} (id integer, v integer, w integer, CONSTRAINT apart EXCLUDE USING btree (w WITH =));
         INSERT INTO {t} VALUES (0, 0, 5)",
        "w INTEGER 5",
        ConstraintViolated,
        "apart",
    ),
    (
        "428C9",
        "CREATE TABLE {t} (id integer, v integer, g integer GENERATED ALWAYS AS (v + 1) STORED)",
        "g INTEGER 1",
        ConstraintViolated,
        "GENERATED ALWAYS",
    ),
    (
        "42601 of ltree",
        "CREATE TABLE {t} (id integer, v integer, l ltree)",
        "l TEXT \"a..b\"",
        DatabaseRefused,
        "ltree",
    ),
    (
        "44000",
        "CREATE TABLE {t}_b (id integer, v integer);
         CREATE VIEW {t} AS SELECT id, v FROM {t}_b WHERE v < 9 WITH CHECK OPTION",
        THIRTEEN,
        ConstraintViolated,
        "check option",
    ),
    (
        "0A000 of a view's expression",
        "CREATE TABLE {t}_b (id integer, v integer); CREATE VIEW {t} AS SELECT id, v, v + 1 AS w FROM {t}_b",
        "w INTEGER 1",
        DatabaseRefused,
        "cannot insert into column \"w\" of view",
    ),
    (
        "XX000 of hstore",
        "CREATE TABLE {t} (id integer, v integer, h hstore)",
        "h TEXT \"{\"",
        DatabaseRefused,
        "end of string",
    ),
    (
        "a column that is there already",
        "CREATE TABLE {t} (id integer, v integer)",
        "xmin INTEGER 1",
        NameConflict,
        "system",
    ),
    ("a column of letters", "CREATE TABLE {t} (id integer, v integer)", "V INTEGER 1", NameConflict, "letter case"),
];

/// What is in the way of a table of the name, or has no place for rows.
const NAMES: &[(&str, &str, ProblemType, &str)] = &[
    ("an index", "CREATE TABLE {t}_x (id integer); CREATE INDEX {t} ON {t}_x (id)", NameConflict, "is an index"),
    ("a sequence", "CREATE SEQUENCE {t}", NameConflict, "is a sequence"),
    ("a materialized view", "CREATE MATERIALIZED VIEW {t} AS SELECT 1 AS id", NameConflict, "is a materialized view"),
    ("a composite type", "CREATE TYPE {t} AS (id integer)", NameConflict, "is a composite type"),
    ("an enum", "CREATE TYPE {t} AS ENUM ('a')", NameConflict, "is an enum type"),
    ("a domain", "CREATE DOMAIN {t} AS integer", NameConflict, "is a domain"),
    ("a range", "CREATE TYPE {t} AS RANGE (subtype = integer)", NameConflict, "is a range type"),
    ("a view of sums", "CREATE VIEW {t} AS SELECT count(*)::integer AS id FROM pg_class", DatabaseRefused, "aggregate"),
    (
        "a foreign table without a server that answers",
        "CREATE SERVER {t}_s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1');
         CREATE USER MAPPING FOR CURRENT_USER SERVER {t}_s;
         CREATE FOREIGN TABLE {t} (id integer) SERVER {t}_s",
        DatabaseRefused,
        "could not connect to server",
    ),
];

/// A stream on a database of its own that is applied all the time.
pub(super) struct Scene {
    pub(super) database: Database,
    pub(super) sql: Sql,
    pub(super) running: Running,
    sent: usize,
}

impl Scene {
    /// `url` makes the store's URL from that of the database.
    pub(super) fn open(url: impl Fn(&Database) -> String) -> Option<Self> {
        let database = services::postgres()?;
        let sql = Sql::open(&database.url()).unwrap();
        let url = url(&database);
        let open = async move || Arc::new(PostgresStore::open(&url).await.unwrap()) as Arc<dyn Store>;
        let running = Running::open(open);
        Some(Scene { database, sql, running, sent: 0 })
    }

    /// Sends documents in one batch, and waits until all of them are in the tables or among the dead letters.
    pub(super) fn settle(&mut self, documents: &[String]) {
        self.running.append(documents);
        self.sent += documents.len();
        self.running.wait_for(self.sent as i64);
        assert_eq!(self.running.progress.halted(), None);
    }

    /// What a dry run says of a document.
    fn rehearsed(&self, document: &str) -> (ProblemType, String) {
        let record =
            Record { key: None, value: document.to_owned().into(), headers: Headers::default(), timestamp_ms: 0 };
        let stream = stream();
        let position = sluicegate::document::Position { topic: stream.topic.clone(), partition: 0, offset: 0 };
        let kept = Kept { position, record };
        let document = documents(&stream, &[kept]).whole();
        let said =
            self.running.runtime.block_on(rehearse(&*self.running.store, &stream.apply.rules, &document)).unwrap();
        let problem = said.1.expect("a dry run refuses it, too");
        (problem.kind, problem.detail)
    }

    /// The dead letters since the last time, which are dropped.
    pub(super) fn letters(&self) -> Vec<(ProblemType, String)> {
        let store = &self.running.store;
        let query = LetterFilter { limit: 100, ..LetterFilter::default() };
        let letters = self.running.runtime.block_on(store.books().letters(&query)).unwrap();
        letters
            .into_iter()
            .map(|letter| {
                let drop = sluicegate::apply::letters::drop_letter(&**store, &letter.position);
                assert!(self.running.runtime.block_on(drop).unwrap());
                (letter.problem.kind, letter.problem.detail)
            })
            .collect()
    }

    /// Sends a bad document among good ones. Gives the detail of its dead letter.
    #[track_caller]
    pub(super) fn check(
        &mut self,
        name: &str,
        good: impl Fn(usize) -> String,
        bad: &str,
        kind: ProblemType,
        word: &str,
    ) -> String {
        let rehearsed = self.rehearsed(bad);
        let mut batch: Vec<_> = (0..NEIGHBOURS).map(&good).collect();
        batch.push(bad.to_owned());
        batch.extend((NEIGHBOURS..2 * NEIGHBOURS).map(&good));
        self.settle(&batch);
        let letters = self.letters();
        let [letter] = &letters[..] else { panic!("{name}: {letters:?}") };
        assert!(letter.0 == kind && letter.1.contains(word), "{name}: {letter:?}");
        // Numbers of sessions and of what was counted are another's each time.
        assert_eq!(letter.0, rehearsed.0, "{name}: {letter:?} and {rehearsed:?}");
        assert!(rehearsed.1.contains(word), "{name}: {letter:?} and {rehearsed:?}");
        letter.1.clone()
    }

    #[track_caller]
    pub(super) fn has(&self, sql: &str, count: usize) {
        assert_eq!(self.sql.number(sql), Some(count as i64), "{sql}");
    }
}

#[test]
fn whatever_a_trigger_meets_is_its_documents_and_its_neighbours_apply() {
    let Some(mut scene) = Scene::open(Database::url) else { return };
    scene.sql.run("CREATE EXTENSION dblink");
    let url = scene.database.url();
    for (number, (code, body, kind, word)) in TRIGGERS.iter().enumerate() {
        let table = format!("t{number}");
        let named = |text: &str| text.replace("{t}", &table).replace("{url}", &url);
        scene.sql.run(&named(&format!(
            "CREATE TABLE {{t}} (id integer, v integer);
             CREATE TABLE {{t}}_u (id integer PRIMARY KEY CHECK (id > 0)); INSERT INTO {{t}}_u VALUES (1);
             CREATE TYPE {{t}}_e AS ENUM ();
             CREATE FUNCTION {{t}}_again() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM {{t}}_again(); END $$;
             CREATE FUNCTION {{t}}_f() RETURNS trigger LANGUAGE plpgsql AS
                 $$ DECLARE n integer; BEGIN IF NEW.v = 13 THEN {body}; END IF; RETURN NEW; END $$;
             CREATE TRIGGER f BEFORE INSERT ON {{t}} FOR EACH ROW EXECUTE FUNCTION {{t}}_f()"
        )));
        let good = |id: usize| insert(&table, &format!("id INTEGER {id}, v INTEGER 1"));
        let bad = insert(&table, &format!("id INTEGER 900, {THIRTEEN}"));
        scene.check(&format!("{code}, {body}"), good, &bad, *kind, &named(word));
        scene.has(&format!("SELECT count(*) FROM {table} WHERE v = 1"), 2 * NEIGHBOURS);
        scene.has(&format!("SELECT count(*) FROM {table} WHERE v = 13"), 0);
    }
}

#[test]
fn whatever_a_definition_refuses_is_its_documents_and_its_neighbours_apply() {
    let Some(mut scene) = Scene::open(Database::url) else { return };
    scene.sql.run("CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree");
    for (number, (code, ground, bad, kind, word)) in DEFINITIONS.iter().enumerate() {
        let table = format!("t{number}");
        let named = |text: &str| text.replace("{t}", &table);
        scene.sql.run(&named(ground));
        let before = scene.sql.number(&format!("SELECT count(*) FROM {table}")).unwrap() as usize;
        let good = |id: usize| insert(&table, &format!("id INTEGER {id}, v INTEGER 1"));
        let bad = insert(&table, &format!("id INTEGER 900, {bad}"));
        scene.check(code, good, &bad, *kind, &named(word));
        scene.has(&format!("SELECT count(*) FROM {table}"), before + 2 * NEIGHBOURS);
    }
}

#[test]
fn whatever_bears_a_tables_name_is_named_for_what_it_is() {
    let Some(mut scene) = Scene::open(Database::url) else { return };
    scene.sql.run("CREATE EXTENSION postgres_fdw");
    for (number, (what, ground, kind, word)) in NAMES.iter().enumerate() {
        let table = format!("t{number}");
        scene.sql.run(&ground.replace("{t}", &table));
        let good = |id: usize| insert(&format!("{table}_good"), &format!("id INTEGER {id}"));
        scene.check(what, good, &insert(&table, "id INTEGER 1"), *kind, word);
        scene.has(&format!("SELECT count(*) FROM {table}_good"), 2 * NEIGHBOURS);
    }
    for name in ["xmin", "xmax", "cmin", "cmax", "ctid", "tableoid"] {
        let bad = insert(&format!("of_{name}"), &format!("id INTEGER 1, {name} INTEGER 1"));
        scene.check(name, |id| insert("good", &format!("id INTEGER {id}")), &bad, NameConflict, "system column");
        // Capitals make another name of it.
        let upper = name.to_uppercase();
        scene.settle(&[insert(&format!("of_{name}"), &format!("id INTEGER 1, {upper} INTEGER 1"))]);
        scene.has(&format!("SELECT count(*) FROM of_{name} WHERE \"{upper}\" = 1"), 1);
    }
}

#[test]
fn a_statement_slower_than_the_servers_limit_is_its_documents() {
    let url = |database: &Database| format!("{}?options=-c%20statement_timeout%3D1s", database.url());
    let Some(mut scene) = Scene::open(url) else { return };
    scene.sql.run(
        "CREATE TABLE t (id integer, v integer);
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN IF NEW.v = 13 THEN PERFORM pg_sleep_for('9 s'); END IF; RETURN NEW; END $$;
         CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
    );
    let good = |id: usize| insert("t", &format!("id INTEGER {id}, v INTEGER 1"));
    let bad = insert("t", "id INTEGER 900, v INTEGER 13");
    scene.check("slow", good, &bad, DatabaseRefused, "statement timeout");
    scene.has("SELECT count(*) FROM t", 2 * NEIGHBOURS);
    // A lock is waited for however short that limit is: nobody's document is to blame.
    let lock = Sql::open(&scene.database.url()).unwrap();
    lock.run("BEGIN; LOCK TABLE t");
    scene.running.append(&[good(100)]);
    crate::support::eventually(crate::support::PATIENCE, "it says what it waits for", || {
        scene.running.progress.halted().filter(|reason| reason.contains("lock timeout"))
    });
    lock.run("ROLLBACK");
    scene.sent += 1;
    scene.running.wait_for(scene.sent as i64);
    scene.has("SELECT count(*) FROM t", 2 * NEIGHBOURS + 1);
    assert_eq!(scene.letters(), []);
}

#[test]
fn the_program_stays_ready_says_what_the_database_said_and_serves_other_streams() {
    use crate::support::{Home, PATIENCE, Request, Target, eventually};
    let Some(database) = services::postgres() else { return };
    database.execute(
        "CREATE EXTENSION hstore; CREATE TABLE t (id integer, v integer, h hstore);
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.v = 13 THEN RAISE 'each time' USING ERRCODE = '40001'; END IF;
             IF NEW.v = 14 THEN PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep_for('5 s'); END IF;
             RETURN NEW; END $$;
         CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
    );
    let home =
        Home::with(&format!("store: {}\nstreams:\n  a: {{takes: changes}}\n  b: {{takes: changes}}\n", database.url()));
    let server = home.up();
    let cells =
        ["v INTEGER 1", "v INTEGER 13", "v INTEGER 1", "h TEXT \"{\"", "v INTEGER 1", "v INTEGER 14", "v INTEGER 1"];
    let lines: Vec<_> = cells.iter().map(|cells| insert("t", &format!("id INTEGER 1, {cells}"))).collect();
    let dry = |line: &String| server.post("/v1/streams/a?dry_run=true", line).expect(200).json();
    assert!(lines.iter().skip(1).step_by(2).all(|line| dry(line)["problem"]["type"] == "/problems/database-refused"));
    assert!(lines.iter().step_by(2).all(|line| dry(line)["problem"].is_null()));
    let answer = server.send(Request::post("/v1/streams/a", lines.join("\n")).lines().wait(30)).expect(202).json();
    let fates: Vec<_> = answer["results"].as_array().unwrap().iter().map(|result| result["status"].clone()).collect();
    let expected = |at: usize| if at.is_multiple_of(2) { "applied" } else { "dead-lettered" };
    assert!(fates.iter().enumerate().all(|(at, fate)| *fate == expected(at)), "{fates:?}");
    let other = insert("other", "id INTEGER 1");
    server.send(Request::post("/v1/streams/b", other).wait(20)).expect(200);
    eventually(PATIENCE, "it is ready", || (server.get("/health/ready").status == 200).then_some(()));
    let letters = server.get("/v1/dead-letters").json();
    for (at, word) in ["each time", "end of string", "terminating connection"].into_iter().enumerate() {
        let letter = letters["dead_letters"][at].to_string();
        assert!(letter.contains(word), "{letter}");
    }
    home.run(&["verify"]).expect(0);
}

#[test]
fn a_column_of_the_databases_own_is_refused_before_anything_runs() {
    use crate::support::Home;
    let Some(database) = services::postgres() else { return };
    let config = |columns: &str| {
        let store = database.url();
        Home::with(&format!("store: {store}\nstreams:\n  e: {{takes: events, table: e, {columns}}}\n"))
    };
    for name in ["xmin", "ctid"] {
        for columns in [format!("columns: {{{name}: /a}}"), format!("document_column: {name}")] {
            let said = config(&columns).run(&["check"]).expect(1);
            assert!(said.stdout.contains(name) && said.stdout.contains("of its own"), "{}", said.stdout);
        }
    }
    config("columns: {XMIN: /a}").run(&["check"]).expect(0);
}

#[test]
fn what_a_trigger_leaves_behind_in_the_session_is_no_fault_of_the_documents_after_it() {
    let Some(mut scene) = Scene::open(Database::url) else { return };
    for (number, left) in [
        "set_config('default_transaction_read_only', 'on', FALSE)",
        "set_config('search_path', 'nowhere', FALSE)",
        "set_config('statement_timeout', '1h', FALSE), set_config('lock_timeout', '1h', FALSE)",
        "set_config('default_transaction_isolation', 'serializable', FALSE)",
    ]
    .iter()
    .enumerate()
    {
        let table = format!("t{number}");
        scene.sql.run(&format!(
            "CREATE TABLE {table} (id integer, v integer);
             CREATE FUNCTION {table}_f() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN IF NEW.v = 13 THEN PERFORM {left}; END IF; RETURN NEW; END $$;
             CREATE TRIGGER f BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_f()"
        ));
        let row = |id: usize, v: usize| insert(&table, &format!("id INTEGER {id}, v INTEGER {v}"));
        for id in 0..3 {
            scene.settle(&[row(id, 13)]);
            scene.settle(&[row(10 + id, 1), row(20 + id, 1)]);
        }
        assert_eq!(scene.letters(), [], "{left}");
        scene.has(&format!("SELECT count(*) FROM {table}"), 9);
    }
}
