//! Answers are what the table of routes says, and the command line gives the same ones.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sluicegate::http::describe::{Described, describe};
use sluicegate::http::routes;

use crate::support::{Documents, Home, PATIENCE, Process, Request, Target, eventually, item, unapplicable};

const CONFIG: &str = "
streams:
  activities: {takes: changes, routes: [/api/activities], reply: echo}
  people: {takes: events, table: people, queries: true, columns: {name: /name}}
rollups:
  names: {from: people, key: /name, summary: {n: {count: \"\"}}, window: {of: 1h, at: /at, keep: 0s}}
";

/// The address of the summary `["zoe","1970-01-01T02:00:00Z"]`.
const SUMMARY: &str = "/v1/rollups/names/%5B%22zoe%22%2C%221970-01-01T02%3A00%3A00Z%22%5D";

fn described() -> Described {
    let mut all = routes::fixed();
    all.extend(routes::of_health());
    all.push(routes::front());
    describe(&all)
}

/// Fails when the answer to `request` is not what `method` at `path` answers under its status.
#[track_caller]
fn check(described: &Described, server: &Process, request: Request, method: &str, path: &str, status: u16) -> Value {
    let answer = server.send(request).expect(status);
    let media_type = answer.header("content-type").unwrap().split(';').next().unwrap().to_owned();
    let content = &described.paths[path][method]["responses"][&status.to_string()]["content"];
    let schema = &content[&media_type]["schema"];
    assert!(schema.is_object(), "{method} {path} does not say that it answers {status} {media_type}: {content}");
    if !matches!(&*media_type, "application/json" | "application/problem+json") {
        return Value::Null;
    }
    let answer = answer.json();
    let mut whole = json!({"components": {"schemas": described.schemas}, "allOf": [schema]});
    // A problem may have members of its own.
    if answer.is_object() && media_type == "application/json" {
        whole["unevaluatedProperties"] = false.into();
    }
    let validator = jsonschema::draft202012::new(&whole).unwrap();
    let faults: Vec<_> = validator.iter_errors(&answer).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{method} {path}: {answer}\n{}", faults.join("\n"));
    answer
}

#[test]
fn every_route_answers_what_the_table_says() {
    let home = Home::with(CONFIG);
    let server = home.up();
    let described = described();
    server.applied(item(1));
    server.post("/v1/streams/people", r#"{"name":"ann"}"#).expect(202);
    server.send(Request::post("/v1/streams/people", r#"{"name":"bob"}"#).wait(30)).expect(200);
    for at in [7200, 1] {
        server.post("/v1/streams/people", format!(r#"{{"name":"zoe","at":{at}}}"#)).expect(202);
    }
    eventually(PATIENCE, "one is summed up, and one came late", || {
        let late = server.get("/v1/rollups/names/late");
        let is_late = late.status == 200 && late.json()["late"].as_array().is_some_and(|late| late.len() == 1);
        (is_late && server.get(SUMMARY).status == 200).then_some(())
    });
    let (dead, _) = server.set_aside(unapplicable());
    let (doomed, _) = server.set_aside(unapplicable());
    let stream = || "/v1/streams/activities".to_owned();
    let keyed = || Request::post(&stream(), item(2)).header("Idempotency-Key", "k").wait(30);
    let get = |path: &str| Request::get(path);
    let rows = || get("/v1/tables/item/rows");
    let lines = |text: String| Request::post(&stream(), text).lines();
    let letter = |id: &str, rest: &str| format!("/v1/dead-letters/{id}{rest}");
    let mut seen = BTreeSet::new();
    for (request, method, path, status) in [
        (get("/"), "get", "/", 200),
        (get("/").header("Accept", "text/html"), "get", "/", 200),
        (get("/v1/streams"), "get", "/v1/streams", 200),
        (get(&stream()), "get", "/v1/streams/{stream}", 200),
        (get("/v1/streams/people"), "get", "/v1/streams/{stream}", 200),
        (get("/v1/streams/peple"), "get", "/v1/streams/{stream}", 404),
        (Request::post(&stream(), item(3)), "post", "/v1/streams/{stream}", 202),
        (keyed(), "post", "/v1/streams/{stream}", 200),
        (keyed(), "post", "/v1/streams/{stream}", 200),
        (Request::post(&format!("{}?dry_run=true", stream()), item(4)), "post", "/v1/streams/{stream}", 200),
        (Request::post(&format!("{}?dry_run=true", stream()), unapplicable()), "post", "/v1/streams/{stream}", 200),
        (Request::post(&stream(), unapplicable()).wait(30), "post", "/v1/streams/{stream}", 409),
        (Request::post(&stream(), "{}"), "post", "/v1/streams/{stream}", 422),
        (Request::post(&stream(), "{"), "post", "/v1/streams/{stream}", 400),
        (lines(format!("{}\n{}", item(5), item(6))).wait(30), "post", "/v1/streams/{stream}", 202),
        (lines(format!("{}\n{{}}\n{}", item(7), unapplicable())).wait(30), "post", "/v1/streams/{stream}", 207),
        (lines("{}\n{}".into()), "post", "/v1/streams/{stream}", 422),
        (get("/v1/receipts/activities-0-0"), "get", "/v1/receipts/{receipt}", 200),
        (get(&format!("/v1/receipts/{dead}")), "get", "/v1/receipts/{receipt}", 200),
        (get("/v1/receipts/activities-0-999"), "get", "/v1/receipts/{receipt}", 404),
        (get("/v1/tables"), "get", "/v1/tables", 200),
        (get("/v1/tables/item"), "get", "/v1/tables/{table}", 200),
        (get("/v1/tables/itme"), "get", "/v1/tables/{table}", 404),
        (rows(), "get", "/v1/tables/{table}/rows", 200),
        (get("/v1/tables/item/rows?limit=1"), "get", "/v1/tables/{table}/rows", 200),
        (get("/v1/tables/item/rows?colour=eq.1"), "get", "/v1/tables/{table}/rows", 400),
        (rows().header("Accept", "text/csv"), "get", "/v1/tables/{table}/rows", 200),
        (rows().header("Accept", "application/x-ndjson"), "get", "/v1/tables/{table}/rows", 200),
        (
            Request::post("/api/v1/query_unstructured_data", r#"{"key":"name","value":"ann"}"#),
            "post",
            "/api/v1/query_unstructured_data",
            200,
        ),
        (
            Request::post("/api/v1/query_relational_data", r#"{"name":"ann"}"#),
            "post",
            "/api/v1/query_relational_data",
            200,
        ),
        (
            Request::post("/api/v1/query_relational_data", r#"{"name":"eve"}"#),
            "post",
            "/api/v1/query_relational_data",
            404,
        ),
        (get("/v1/dead-letters"), "get", "/v1/dead-letters", 200),
        (get("/v1/dead-letters?limit=1"), "get", "/v1/dead-letters", 200),
        (get("/v1/dead-letters?limit=x"), "get", "/v1/dead-letters", 400),
        (get(&letter(&dead, "")), "get", "/v1/dead-letters/{id}", 200),
        (Request::post("/v1/dead-letters/retry", ""), "post", "/v1/dead-letters/retry", 200),
        (Request::post(&letter(&dead, "/retry"), ""), "post", "/v1/dead-letters/{id}/retry", 409),
        (Request::post(&letter(&dead, "/retry"), item(9)), "post", "/v1/dead-letters/{id}/retry", 200),
        (Request::new("DELETE", &letter(&doomed, "")), "delete", "/v1/dead-letters/{id}", 200),
        (Request::new("DELETE", &letter(&doomed, "")), "delete", "/v1/dead-letters/{id}", 404),
        (get("/v1/rollups"), "get", "/v1/rollups", 200),
        (get("/v1/rollups/names"), "get", "/v1/rollups/{rollup}", 200),
        (get("/v1/rollups/names?limit=x"), "get", "/v1/rollups/{rollup}", 400),
        (get("/v1/rollups/nams"), "get", "/v1/rollups/{rollup}", 404),
        (get("/v1/rollups/names/late"), "get", "/v1/rollups/{rollup}/late", 200),
        (get(SUMMARY), "get", "/v1/rollups/{rollup}/{key}", 200),
        (get("/v1/rollups/names/nobody"), "get", "/v1/rollups/{rollup}/{key}", 404),
        (get("/health/live"), "get", "/health/live", 200),
        (get("/health/ready"), "get", "/health/ready", 200),
        (get("/metrics"), "get", "/metrics", 200),
        (get("/problems/not-json"), "get", "/problems/{name}", 200),
        (get("/problems/not-jsn"), "get", "/problems/{name}", 404),
        (get("/problems"), "get", "/problems", 200),
    ] {
        check(&described, &server, request, method, path, status);
        seen.insert(format!("{method} {path}"));
    }
    let of = |(path, methods): (&String, &Value)| {
        let path = path.clone();
        methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}")).collect::<Vec<_>>()
    };
    let all: BTreeSet<_> = described.paths.iter().flat_map(of).collect();
    assert_eq!(seen, all, "each route has a row here");
}

#[test]
fn every_path_allows_the_methods_of_its_rows() {
    let home = Home::with(CONFIG);
    let server = home.up();
    for (path, methods) in described().paths {
        let mut wanted: BTreeSet<_> = methods.as_object().unwrap().keys().map(|it| it.to_uppercase()).collect();
        if wanted.contains("GET") {
            wanted.insert("HEAD".into());
        }
        let asked: String =
            path.split('/').map(|it| if it.starts_with('{') { "x" } else { it }).collect::<Vec<_>>().join("/");
        for (method, status) in [("OPTIONS", 204), ("PATCH", 405)] {
            let answer = server.send(Request::new(method, &asked)).expect(status);
            let allowed: BTreeSet<_> =
                answer.header("allow").unwrap().split(',').map(|it| it.trim().to_owned()).collect();
            assert_eq!(allowed, wanted, "{method} {path}");
        }
    }
}

#[test]
fn the_command_line_gives_the_answers_of_http() {
    let home = Home::with(CONFIG);
    let server = home.up();
    server.applied(item(1));
    server.applied(item(12));
    let (dead, _) = server.set_aside(unapplicable());
    let get = |path: &str| server.get(path).expect(200).json();
    for (arguments, answer) in [
        (vec!["receipt", "activities-0-0"], get("/v1/receipts/activities-0-0")),
        (vec!["receipt", &dead], get(&format!("/v1/receipts/{dead}"))),
        (vec!["dead-letters", "list"], get("/v1/dead-letters")["dead_letters"].clone()),
        (vec!["dead-letters", "list", "--limit", "1"], get("/v1/dead-letters?limit=1")["dead_letters"].clone()),
        (vec!["dead-letters", "show", &dead], get(&format!("/v1/dead-letters/{dead}"))),
        (vec!["rows", "item"], get("/v1/tables/item/rows")["rows"].clone()),
        (vec!["rows", "item", "--where", "id=gt.1"], get("/v1/tables/item/rows?id=gt.1")["rows"].clone()),
    ] {
        assert_eq!(home.run(&arguments).expect(0).json(), answer, "{arguments:?}");
    }
    for (output, accept) in [("csv", "text/csv"), ("ndjson", "application/x-ndjson")] {
        let printed = home.run(&["--output", output, "rows", "item"]).expect(0).stdout;
        let answer = server.send(Request::get("/v1/tables/item/rows").header("Accept", accept)).expect(200);
        assert_eq!(printed, answer.text(), "{output}");
    }
    let retried = server.send(Request::post("/v1/dead-letters/retry", "")).expect(200).json()["results"][0].clone();
    let mut printed = home.run(&["dead-letters", "retry", &dead]).expect(1).json()[0].clone();
    printed.as_object_mut().unwrap().remove("reason");
    assert_eq!(printed, retried);
}
