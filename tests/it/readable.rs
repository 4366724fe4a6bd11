//! What can be read back: the tables that the configuration names, or that its streams write, and nobody else's.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Home, Process, Request, Target, activities, insert, services};

/// A home with a store, and a way to make tables in it as somebody else does.
struct Place {
    home: Home,
    database: Option<services::Database>,
}

impl Place {
    fn sqlite(config: &str) -> Option<Self> {
        Some(Place { home: Home::with(config), database: None })
    }

    fn postgres(config: &str) -> Option<Self> {
        let database = services::postgres()?;
        let store = format!("store: {}\n", database.url());
        Some(Place { home: Home::with(&(store + config)), database: Some(database) })
    }

    /// Starts the program with tables of others in the store, of which one is a neighbour in name.
    #[track_caller]
    fn up(&self) -> Process {
        let server = self.home.up();
        let tables = "CREATE TABLE salaries (id INTEGER, amount INTEGER); INSERT INTO salaries VALUES (1, 100);
                      CREATE TABLE peoples (id INTEGER);";
        match &self.database {
            Some(database) => database.execute(&format!(
                "{tables} CREATE SCHEMA hr; CREATE TABLE hr.pay (id INTEGER); CREATE SCHEMA game; CREATE TABLE game.own (id INTEGER);
                 CREATE VIEW shown AS SELECT * FROM salaries;"
            )),
            None => {
                let tables = format!(r#"{tables} CREATE TABLE "hr.pay" (id INTEGER); CREATE TABLE "game.own" (id INTEGER);"#);
                Connection::open(self.home.store()).unwrap().execute_batch(&tables).unwrap();
            }
        }
        server
    }
}

const STREAMS: &str = "
streams:
  people: {takes: events, table: people, queries: true, columns: {name: /name}}
";
const CHANGES: &str = "
  changes: {takes: changes}
";
const GAME: &str = "
  game: {takes: changes, allow: {tables: [\"game.*\"]}}
";

fn tables(server: &Process) -> Vec<String> {
    let list = server.get("/v1/tables").expect(200).json()["tables"].clone();
    list.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Fails unless nothing is said of the table, whatever way it is asked for.
#[track_caller]
fn hidden(server: &Process, table: &str) {
    for path in ["", "/rows", "/rows?id=eq.1", "/rows?select=amount", "/rows?nothing->>at=eq.1", "/rows?order=amount"] {
        let of = |table: &str| {
            let answer = server.get(&format!("/v1/tables/{table}{path}")).expect(404);
            let mut body = answer.json();
            assert_eq!(body["type"], "/problems/unknown-table");
            let detail = body["detail"].as_str().unwrap().split(';').next().unwrap().replace(table, "TABLE");
            body["detail"] = detail.into();
            body
        };
        assert_eq!(of(table), of("nowhere-at-all"), "{table}{path} is answered like a table that is not there");
    }
    let csv = Request::get(&format!("/v1/tables/{table}/rows")).header("Accept", "text/csv");
    server.send(csv).expect(404);
}

#[track_caller]
fn check(make: fn(&str) -> Option<Place>, config: &str, shown: &[&str], not_shown: &[&str]) {
    let Some(place) = make(config) else { return };
    let server = place.up();
    if config.contains("people:") {
        server.send(Request::post("/v1/streams/people", r#"{"name":"george"}"#).wait(20)).expect(200);
    }
    if config.contains("changes:") {
        let rows = [insert("item", &[("id", "INTEGER", 1.into())]), insert("salaries", &[("id", "INTEGER", 2.into())])];
        let document = activities(rows);
        server.send(Request::post("/v1/streams/changes", document).wait(20)).expect(200);
    }
    if config.contains("game:") {
        let document = activities([insert("game.swords", &[("id", "INTEGER", 1.into())])]);
        server.send(Request::post("/v1/streams/game", document).wait(20)).expect(200);
    }
    assert_eq!(tables(&server), shown, "{config}");
    for table in shown {
        server.get(&format!("/v1/tables/{table}")).expect(200);
        server.get(&format!("/v1/tables/{table}/rows")).expect(200);
    }
    for table in not_shown {
        hidden(&server, table);
    }
    for table in ["peopel", "salarie", "hr.payy"] {
        let detail = server.get(&format!("/v1/tables/{table}")).expect(404).json()["detail"].to_string();
        assert!(!not_shown.iter().any(|hidden| detail.contains(&format!("{hidden}\\\"?"))), "{detail}");
    }
    // Whoever has the configuration may read what the store lets them.
    let rows = place.home.run(&["rows", "salaries", "--where", "id=eq.1"]).expect(0).json();
    assert_eq!(rows, json!([{"id": 1, "amount": 100}]));
}

fn check_all(make: fn(&str) -> Option<Place>) {
    let with = |read: &str, streams: &[&str]| format!("{read}\n{}", streams.concat());
    for (config, shown, not_shown) in [
        (
            with("", &[STREAMS]),
            &["people"] as &[&str],
            &["salaries", "peoples", "hr.pay", "game.own", "shown"] as &[&str],
        ),
        (with("", &[STREAMS, CHANGES]), &["item", "people"], &["salaries", "peoples", "hr.pay"]),
        (with("", &[STREAMS, GAME]), &["game.own", "game.swords", "people"], &["salaries", "peoples", "hr.pay"]),
        (with("read: {tables: [people]}", &[STREAMS, CHANGES]), &["people"], &["item", "salaries", "peoples"]),
        (with("read: {tables: [\"game.*\"]}", &[STREAMS, GAME]), &["game.own", "game.swords"], &["people", "hr.pay"]),
        (
            with("read: {tables: [\"public.*\"]}", &[STREAMS]),
            &["people", "peoples", "salaries"],
            &["hr.pay", "game.own"],
        ),
    ] {
        check(make, &config, shown, not_shown);
    }
}

#[test]
fn only_named_or_written_tables_are_shown_on_sqlite() {
    check_all(Place::sqlite);
}

#[test]
fn only_named_or_written_tables_are_shown_on_postgres() {
    check_all(Place::postgres);
}

#[test]
fn queries_of_records_answer_from_a_table_that_is_shown_only() {
    let home = Home::with(&format!("read: {{tables: [other]}}\n{STREAMS}"));
    let server = home.up();
    server.send(Request::post("/v1/streams/people", r#"{"name":"george"}"#).wait(20)).expect(200);
    for (path, question) in [
        ("/api/v1/query_unstructured_data", r#"{"key":"name","value":"george"}"#),
        ("/api/v1/query_relational_data", r#"{"name":"george"}"#),
    ] {
        assert_eq!(server.post(path, question).expect(404).json()["type"], "/problems/unknown-table", "{path}");
    }
}

fn check_public(make: fn(&str) -> Option<Place>) {
    let Some(place) = make(&format!("{STREAMS}{CHANGES}")) else { return };
    let server = place.up();
    let document = activities([insert("public.t", &[("id", "INTEGER", 1.into())])]);
    server.send(Request::post("/v1/streams/changes", document).wait(20)).expect(200);
    assert_eq!(tables(&server), ["t"]);
    for name in ["t", "public.t"] {
        let page = server.get(&format!("/v1/tables/{name}/rows?limit=1")).expect(200).json();
        assert_eq!(page["rows"], json!([{"id": 1}]), "{name}");
        assert_eq!(server.get(&format!("/v1/tables/{name}")).expect(200).json()["table"], Value::from("t"));
    }
    server.get("/v1/tables/public.salaries/rows").expect(404);
    server.get("/v1/tables/public._sluicegate_positions/rows").expect(404);
    assert_eq!(place.home.run(&["rows", "public.t"]).expect(0).json(), json!([{"id": 1}]));
}

#[test]
fn the_usual_schema_may_stand_in_the_name_of_a_table() {
    check_public(Place::sqlite);
    check_public(Place::postgres);
}

const VEILED: &str = "read: {tables: [people, item]}
streams:
  people: {takes: events, table: people, columns: {name: /name}}
  changes: {takes: changes}
  held: {takes: changes, on_failure: stop}
";

/// Fails when an answer names what stands in a table that is not shown, or shows whether it is there.
#[track_caller]
fn tells_nothing(of: &str, answer: &Value) {
    let text = answer.to_string().replace("\"public.hidden\"", "").replace("\"hidden\"", "");
    for word in ["salary", "hidden.", "relation", "NOT NULL", "not-null", "4711", "nobody may know", "CREATE", "INSERT"]
    {
        assert!(!text.contains(word), "{of} tells {word:?}: {text}");
    }
}

fn check_words(make: fn(&str) -> Option<Place>) {
    let Some(place) = make(VEILED) else { return };
    let server = place.up();
    match &place.database {
        Some(database) => database.execute(
            "CREATE TABLE hidden (id INTEGER PRIMARY KEY, salary INTEGER NOT NULL); INSERT INTO hidden VALUES (1, 4711);
             CREATE TABLE item (id INTEGER REFERENCES hidden); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN IF NEW.id = 13 THEN RAISE 'nobody may know'; END IF; RETURN NEW; END $$;
             CREATE TRIGGER f BEFORE INSERT ON hidden FOR EACH ROW EXECUTE FUNCTION f()",
        ),
        None => Connection::open(place.home.store())
            .unwrap()
            .execute_batch(
                "CREATE TABLE hidden (id INTEGER PRIMARY KEY, salary INTEGER NOT NULL); INSERT INTO hidden VALUES (1, 4711);
                 CREATE TABLE item (id INTEGER); CREATE TRIGGER g BEFORE INSERT ON item BEGIN INSERT INTO hidden (id) VALUES (NEW.id); END;
                 CREATE TRIGGER f BEFORE INSERT ON hidden WHEN NEW.id = 13 BEGIN SELECT RAISE(ABORT, 'nobody may know'); END",
            )
            .unwrap(),
    }
    let id = |id: i64| [("id", "INTEGER", id.into())];
    let refused = [
        activities([insert("hidden", &id(7))]),
        activities([insert("hidden", &id(13))]),
        activities([insert("public.hidden", &id(7))]),
        activities([insert("item", &id(7))]),
        activities([insert("people", &[("name", "TEXT", "x".into())]), insert("hidden", &id(7))]),
    ];
    for document in &refused {
        let dry = server.post("/v1/streams/changes?dry_run=true", document).expect(200).json();
        tells_nothing("a dry run", &dry["problem"]);
        let is_shown = !document.contains("hidden");
        assert_eq!(dry["statements"].is_null(), !is_shown, "{dry}");
        assert!(dry["problem"]["type"].is_string(), "its type is told: {dry}");
        assert_eq!(dry["problem"]["tables"], Value::Null, "{dry}");
        let waited = server.send(Request::post("/v1/streams/changes", document).wait(20)).expect(409).json();
        tells_nothing("a wait", &waited);
        let receipt = waited["receipt"].as_str().unwrap();
        tells_nothing("a receipt", &server.get(&format!("/v1/receipts/{receipt}")).expect(200).json()["problem"]);
        let mut letter = server.get(&format!("/v1/dead-letters/{receipt}")).expect(200).json();
        letter["document"].take();
        tells_nothing("a letter", &letter);
        let retried = server.post(&format!("/v1/dead-letters/{receipt}/retry"), "").expect(409).json();
        tells_nothing("a retry", &retried);
        let known = place.home.run(&["dead-letters", "show", receipt, "--output", "json"]).expect(0).json()["detail"]
            .to_string();
        assert!(["hidden", "nobody may know"].iter().any(|word| known.contains(word)), "the operator is told: {known}");
    }
    let lines = refused.join("\n");
    tells_nothing(
        "a batch",
        &server.send(Request::post("/v1/streams/changes", lines).lines().wait(20)).expect(202).json(),
    );
    tells_nothing("the list", &server.get("/v1/dead-letters").expect(200).json());
    tells_nothing("retries", &server.post("/v1/dead-letters/retry", "").expect(200).json());

    let same = |table: &str| {
        let document = activities([insert(table, &[("id", "INTEGER", 5.into()), ("salary", "INTEGER", 1.into())])]);
        server.post("/v1/streams/changes?dry_run=true", document).expect(200).json()
    };
    assert_eq!(same("hidden"), same("nowhere"), "nothing tells whether a table is there");

    // What the words are about is told where the table is shown.
    let document = activities([insert("item", &[("id", "INTEGER", "x".into())])]);
    let dry = server.post("/v1/streams/changes?dry_run=true", document).json();
    assert!(!dry.to_string().contains("read"), "{dry}");

    server.post("/v1/streams/held", &refused[0]).expect(202);
    let ready = crate::support::eventually(crate::support::PATIENCE, "it is not ready", || {
        let ready = server.get("/health/ready");
        (ready.status == 503).then(|| ready.json())
    });
    tells_nothing("readiness", &ready);
}

#[test]
fn no_answer_tells_what_stands_in_a_table_that_is_not_shown_on_sqlite() {
    check_words(Place::sqlite);
}

#[test]
fn no_answer_tells_what_stands_in_a_table_that_is_not_shown_on_postgres() {
    check_words(Place::postgres);
}

#[test]
fn the_values_of_a_row_that_was_there_are_in_no_words() {
    let Some(place) = Place::postgres(CHANGES_ONLY) else { return };
    let server = place.up();
    place.database.as_ref().unwrap().execute(
        "CREATE TABLE pay (id INTEGER PRIMARY KEY, name TEXT NOT NULL, amount INTEGER CHECK (amount > 0), secret TEXT);
         INSERT INTO pay VALUES (1, 'x', 1, 'of nobody')",
    );
    let key = [("id", "INTEGER", 1.into())];
    for (cell, word) in [
        (("name", "TEXT", Value::Null), "null value in column"),
        (("amount", "INTEGER", (-1).into()), "check constraint"),
    ] {
        let document = activities([crate::support::update("pay", &[cell], &key)]);
        let answer = server.send(Request::post("/v1/streams/changes", document).wait(20)).expect(409).json();
        let detail = answer["problem"]["detail"].as_str().unwrap();
        assert!(detail.contains(word) && !detail.contains("of nobody"), "{detail}");
    }
}

const CHANGES_ONLY: &str = "streams: {changes: {takes: changes}}";
