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
