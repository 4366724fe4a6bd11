//! The numbers: what came in, what became of it and what stands still, in both texts that Prometheus reads.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{Home, PATIENCE, Process, Request, Target, eventually, item, services, unapplicable};

const CONFIG: &str = r#"
streams:
  activities: {takes: changes, routes: [/api/activities], reply: echo}
  people: {takes: events, table: people, schema: person.json}
  game: {takes: events, actions: {GET /buy: {record: bought}}}
"#;

const SCHEMA: &str = r#"{"type": "object", "required": ["name"], "properties": {"age": {"type": "integer"}}}"#;

fn gate() -> (Home, Process) {
    let home = Home::with(CONFIG);
    home.write("person.json", SCHEMA);
    let server = home.up();
    (home, server)
}

type Labels<'l> = &'l [(&'l str, &'l str)];

/// The value of a series; 0 where it is not there.
fn value(server: &Process, name: &str, labels: &[(&str, &str)]) -> f64 {
    let text = server.get("/metrics").expect(200).text();
    let found = text.lines().find_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (known, found) = series.split_once('{').unwrap_or((series, "}"));
        let is_it =
            known == name && labels.iter().all(|(label, value)| found.contains(&format!("{label}=\"{value}\"")));
        is_it.then(|| value.parse().unwrap())
    });
    found.unwrap_or(0.0)
}

#[test]
fn every_document_is_counted_by_its_stream_its_way_in_and_its_outcome() {
    let (_home, server) = gate();
    server.post("/api/activities", item(1)).expect(200);
    server.post("/api/activities", "{").expect(400);
    server.post("/v1/streams/activities", item(2)).expect(202);
    server.send(Request::post("/v1/streams/activities", unapplicable()).wait(20)).expect(409);
    let once = || Request::post("/v1/streams/people", r#"{"name": "a"}"#).header("Idempotency-Key", "\"a\"").wait(20);
    server.send(once()).expect(200);
    server.send(once()).expect(200);
    server.send(Request::post("/v1/streams/people", "{\"name\": \"b\"}\n{\"age\": \"x\"}\n{}").lines()).expect(207);
    server.post("/v1/streams/people?dry_run=true", "{}").expect(422);
    server.get("/buy").expect(200);
    let by_name = ("via", "/v1/streams/{stream}");
    let (activities, people, game) = (("stream", "activities"), ("stream", "people"), ("stream", "game"));
    let echo = ("via", "/api/activities");
    let table: &[(&str, Labels<'_>, f64)] = &[
        ("sluicegate_documents_received_total", &[activities, echo], 2.0),
        ("sluicegate_documents_accepted_total", &[activities, echo], 1.0),
        ("sluicegate_documents_rejected_total", &[activities, echo, ("reason", "not-json")], 1.0),
        ("sluicegate_documents_received_total", &[activities, by_name], 2.0),
        ("sluicegate_documents_accepted_total", &[people, by_name], 3.0),
        ("sluicegate_documents_rejected_total", &[people, by_name, ("reason", "invalid-document")], 2.0),
        ("sluicegate_documents_received_total", &[people, by_name], 5.0),
        ("sluicegate_documents_accepted_total", &[game, ("via", "/buy")], 1.0),
        ("sluicegate_documents_applied_total", &[activities], 2.0),
        ("sluicegate_documents_applied_total", &[people], 2.0),
        ("sluicegate_documents_duplicate_total", &[people], 1.0),
        ("sluicegate_dead_letters_total", &[activities, ("reason", "unknown-table")], 1.0),
        ("sluicegate_dead_letters_kept", &[activities], 1.0),
        ("sluicegate_append_seconds_count", &[game], 1.0),
        ("sluicegate_request_seconds_count", &[people], 3.0),
        ("sluicegate_row_seconds_count", &[people], 3.0),
        ("sluicegate_lag_documents", &[people, ("partition", "0")], 0.0),
        ("sluicegate_stream_halted", &[people], 0.0),
    ];
    for (name, labels, expected) in table {
        let is_so = || (value(&server, name, labels) == *expected).then_some(());
        eventually(PATIENCE, &format!("{name} {labels:?} is {expected}"), is_so);
    }
}

#[test]
fn what_stands_still_and_how_far_behind_it_is_are_told() {
    let home = Home::with("streams: {activities: {takes: changes, on_failure: stop}}");
    let server = home.up();
    server.post("/v1/streams/activities", unapplicable()).expect(202);
    server.post("/v1/streams/activities", item(1)).expect(202);
    let stream = [("stream", "activities")];
    eventually(PATIENCE, "the stream is told to stand still", || {
        let is_halted = value(&server, "sluicegate_stream_halted", &stream) == 1.0;
        let is_behind = value(&server, "sluicegate_lag_documents", &stream) == 2.0;
        let is_old = value(&server, "sluicegate_lag_seconds", &stream) > 0.1;
        (is_halted && is_behind && is_old).then_some(())
    });
}

#[test]
fn what_senders_make_up_makes_no_series() {
    let (_home, server) = gate();
    let series = || server.get("/metrics").expect(200).text().lines().filter(|line| !line.starts_with('#')).count();
    server.post("/v1/streams/people", "{}").expect(422);
    let before = series();
    for number in 0..50 {
        server.post(&format!("/v1/streams/people{number}"), "{}").expect(404);
        server.post(&format!("/api/activities/{number}"), "{}").expect(404);
        server.post("/v1/streams/people", format!("{{\"x{number}\": {number}}}")).expect(422);
    }
    assert_eq!(series(), before);
}

/// Gives a text to a program, which must find nothing wrong with it.
#[track_caller]
fn judged(mut by: Command, text: &str) {
    let mut child = by.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    let words = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && words.trim().is_empty(), "{words}\n{text}");
}

/// A gate that has counted something of every kind.
fn busy_gate() -> (Home, Process) {
    let (home, server) = gate();
    server.send(Request::post("/v1/streams/activities", unapplicable()).wait(20)).expect(409);
    server.post("/v1/streams/people", "{}").expect(422);
    (home, server)
}

#[test]
fn promtool_finds_nothing_wrong_with_the_text_of_prometheus() {
    let Some(mut promtool) = services::tool("promtool") else { return };
    let (_home, server) = busy_gate();
    let answer = server.get("/metrics").expect(200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    promtool.args(["check", "metrics"]);
    judged(promtool, &answer.text());
}

#[test]
fn pythons_reader_of_open_metrics_takes_the_other() {
    let Some(python) = services::python() else { return };
    let (_home, server) = busy_gate();
    let request = Request::get("/metrics").header("Accept", "application/openmetrics-text; version=1.0.0");
    let answer = server.send(request).expect(200);
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let script = "import sys; from prometheus_client.openmetrics import parser\n\
                  assert len(list(parser.text_string_to_metric_families(sys.stdin.read()))) > 20";
    let mut by = Command::new("python3");
    by.args(["-c", script]).env("PYTHONPATH", python);
    judged(by, &answer.text());
}

#[test]
fn every_number_stands_in_its_table() {
    let (_home, server) = busy_gate();
    let written = include_str!("../../docs/metrics.md");
    let text = server.get("/metrics").expect(200).text();
    let missing: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !written.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "docs/metrics.md lacks {missing:?}");
}

/// What a Pushgateway shows of a job.
fn shown(gateway: &str, job: &str) -> String {
    let address: std::net::SocketAddr = gateway.parse().unwrap();
    let text = address.get("/metrics").expect(200).text();
    text.lines().filter(|line| line.contains(&format!("job=\"{job}\""))).map(|line| format!("{line}\n")).collect()
}

#[test]
fn numbers_are_pushed_as_they_change_and_once_more_at_the_end() {
    let Some(gateway) = services::pushgateway() else { return };
    let job = services::unique("gate");
    let push = |every: &str| {
        Home::with(&format!(
            "streams: {{people: {{takes: events, schema: person.json}}}}\n\
             metrics: {{push: {{url: \"http://{gateway}\", every: {every}, job: {job}, grouping: {{instance: \"a b\"}}}}}}"
        ))
    };
    let home = push("100ms");
    home.write("person.json", SCHEMA);
    let server = home.up();
    let has = |line: &str| shown(&gateway, &job).lines().any(|it| it.starts_with(line)).then_some(());
    server.post("/v1/streams/people", r#"{"name": "a"}"#).expect(202);
    server.post("/v1/streams/people", "{}").expect(422);
    let series = |name: &str, more: &str, value: u32| {
        let labels = format!("instance=\"a b\",job=\"{job}\"{more},stream=\"people\",via=\"/v1/streams/{{stream}}\"");
        format!("{name}{{{labels}}} {value}")
    };
    // How many were valid and how many were not are two numbers on its page.
    let valid = series("sluicegate_documents_accepted_total", "", 1);
    let invalid = series("sluicegate_documents_rejected_total", ",reason=\"invalid-document\"", 1);
    eventually(PATIENCE, "the numbers are on its page", || has(&valid).and(has(&invalid)));
    drop(server);
    // The last ones, too, however seldom they are pushed.
    let home = push("1h");
    home.write("person.json", SCHEMA);
    let mut server = home.up();
    for _ in 0..3 {
        server.post("/v1/streams/people", r#"{"name": "a"}"#).expect(202);
    }
    assert!(server.stop().success());
    assert!(has(&series("sluicegate_documents_accepted_total", "", 3)).is_some(), "{}", shown(&gateway, &job));
}

#[test]
fn a_pushgateway_that_is_gone_costs_a_warning_and_nothing_else() {
    let config = "metrics: {push: {url: \"http://127.0.0.1:1\", every: 10ms}}";
    let home = Home::with(config);
    let mut server = home.up();
    server.wait_to_say("The numbers cannot be pushed");
    server.post("/v1/streams/events", "1").expect(202);
    server.get("/health/ready").expect(200);
    assert!(server.stop().success());
    assert_eq!(server.said().matches("cannot be pushed").count(), 1);
}

#[test]
fn the_alert_rules_do_what_their_tests_say() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    for arguments in [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"]] {
        let Some(mut promtool) = services::tool("promtool") else { return };
        let said = promtool.args(arguments).current_dir(&folder).output().unwrap();
        let words = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        assert!(said.status.success(), "{arguments:?}\n{words}");
    }
}

#[test]
fn dashboards_and_alerts_ask_for_numbers_that_there_are() {
    let known = include_str!("../../docs/metrics.md");
    let dashboard = include_str!("../../dashboards/sluicegate.json");
    let parsed: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    assert!(parsed["panels"].as_array().unwrap().len() > 10);
    let mut count = 0;
    for text in [dashboard, include_str!("../../dashboards/alerts.yaml")] {
        let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
        for word in words.filter(|word| word.starts_with("sluicegate_") || word.starts_with("process_")) {
            count += 1;
            let name = word.trim_end_matches("_bucket");
            assert!(known.contains(&format!("`{name}`")), "{word}");
        }
    }
    assert!(count > 20, "{count}");
}
