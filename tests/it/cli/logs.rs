//! The log: what is said of refusals and requests, how much of it, and where.

use serde_json::{Value, json};

use crate::support::{Home, Process, Request, Target};

const STREAMS: &str = "
streams:
  activities: {takes: changes, routes: [/api/activities], reply: echo}
  shop:
    takes: events
    key: /id
    actions: {'GET /buy/{item}': {record: {id: '{query.user}', item: '{path.item}'}}}
";

/// What must never be in a log.
const SECRET: &str = "s3cr3t-value";

#[test]
fn a_refusal_leaves_a_line_with_stream_reason_and_place_and_without_values() {
    let home = Home::with(STREAMS);
    let server = home.up();
    let bad = format!(
        r#"{{"activities":[{{"operation":"{SECRET}","table":"t","col_names":["a"],"col_types":["DATE"],"col_values":["{SECRET}"]}}]}}"#
    );
    for (request, status, parts) in [
        (
            Request::post("/v1/streams/activities", &bad),
            422,
            &[
                "stream=\"activities\"",
                "reason=\"invalid-document\"",
                "pointer=\"/activities/0/operation\"",
                "violations=2",
                "via=\"/v1/streams/{stream}\"",
            ][..],
        ),
        (Request::post("/api/activities", &bad), 400, &["via=\"/api/activities\"", "reason=\"invalid-document\""]),
        (Request::post("/v1/streams/shop", format!("[{SECRET}")), 400, &["stream=\"shop\"", "reason=\"not-json\""]),
        (
            Request::post("/v1/streams/shop", "{}").header("Content-Type", "text/csv"),
            415,
            &["reason=\"unsupported-media-type\""],
        ),
        (
            Request::post("/v1/streams/shop", format!("{{}}\n{{\"id\":1}}\n\"{SECRET}")).lines(),
            207,
            &["reason=\"invalid-document\""],
        ),
        (Request::get(&format!("/buy/{SECRET}")), 422, &["via=\"/buy/{item}\"", "pointer=\"/id\""]),
        (Request::post("/v1/streams/shop", vec![b'x'; 2 << 20]), 413, &["reason=\"document-too-large\""]),
    ] {
        let before = server.said().len();
        server.send(request).expect(status);
        for part in parts {
            let said = server.wait_to_say_after(before, part);
            assert!(said.contains("A document was refused."), "{part}: {said}");
        }
    }
    assert!(!server.said().contains(SECRET), "{}", server.said());
}

#[test]
fn what_is_refused_again_and_again_is_counted_instead_of_told() {
    let home = Home::with(STREAMS);
    let server = home.up();
    for _ in 0..50 {
        server.post("/v1/streams/shop", "nonsense").expect(400);
    }
    server.post("/v1/streams/shop", "{}").expect(422);
    let said = server.wait_to_say("reason=\"invalid-document\"");
    assert_eq!(said.matches("reason=\"not-json\"").count(), 5, "{said}");
    server.wait_to_say("45 more documents were refused.");
}

#[test]
fn requests_are_logged_on_request_without_their_values() {
    for (config, arguments) in [
        ("log: {access: true}", &[][..]),
        ("", &["--log-level", "info,access=debug"]),
        ("log: {level: error}", &["--log-level", "debug"]),
    ] {
        let home = Home::with(&format!("{config}{STREAMS}"));
        let server = home.up_with(arguments);
        server.get(&format!("/v1/tables?name={SECRET}"));
        server.get(&format!("/buy/{SECRET}?user={SECRET}")).expect(200);
        server.get("/nothing/here").expect(404);
        server.post("/v1/streams/shop", format!("{{\"id\":\"{SECRET}\"}}")).expect(202);
        let said = server.wait_to_say("path=\"/v1/streams/shop\" status=202");
        for part in
            ["address=\"127.0.0.1\" method=GET path=\"/buy/", "path=\"/nothing/here\" status=404", "method=POST", "ms="]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains(SECRET), "{said}");
    }
    let home = Home::with(STREAMS);
    let mut server = home.up();
    server.get("/nothing/here").expect(404);
    assert!(server.stop().success());
    assert!(!server.said().contains("/nothing/here"), "{}", server.said());
}

/// The lines of a log that are JSON.
fn objects(said: &str) -> Vec<Value> {
    said.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn lines_are_json_where_that_is_asked_for() {
    for (config, arguments, variable) in [
        ("", &["--log", "json"][..], None),
        ("log: {format: json}", &[], None),
        ("log: {format: text}", &[], Some(("SLUICEGATE_LOG", "json"))),
    ] {
        let home = Home::with(&format!("{config}{STREAMS}"));
        let mut command = home.command(&[&["up", "--listen", "127.0.0.1:0"], arguments].concat());
        command.envs(variable);
        let mut server = Process::start(&mut command).listening();
        server.post("/v1/streams/shop", "{}").expect(422);
        assert!(server.stop().success());
        let lines = objects(&server.said());
        let refusal = lines.iter().find(|line| line["message"] == "A document was refused.").unwrap();
        assert_eq!((&refusal["stream"], &refusal["level"]), (&json!("shop"), &json!("INFO")), "{refusal}");
        assert!(refusal["timestamp"].is_string(), "{refusal}");
    }
}

#[test]
fn levels_come_from_flag_variables_and_file_in_that_order() {
    let is_told = |config: &str, arguments: &[&str], variables: &[(&str, &str)]| {
        let home = Home::with(&format!("{config}{STREAMS}"));
        let mut command = home.command(&[&["up", "--listen", "127.0.0.1:0"], arguments].concat());
        command.envs(variables.iter().copied());
        let mut server = Process::start(&mut command).listening();
        server.post("/v1/streams/shop", "{}").expect(422);
        assert!(server.stop().success());
        server.said().contains("A document was refused.")
    };
    for (config, arguments, variables, expected) in [
        ("", &[][..], &[][..], true),
        ("log: {level: warn}", &[], &[], false),
        ("log: {level: warn}", &["--log-level", "info"], &[], true),
        ("log: {level: info}", &[], &[("SLUICEGATE_LOG_LEVEL", "error")], false),
        ("log: {level: info}", &[], &[("RUST_LOG", "error")], false),
        ("", &[], &[("RUST_LOG", "error"), ("SLUICEGATE_LOG_LEVEL", "info")], true),
        ("log: {level: warn}", &[], &[("SLUICEGATE_LOG_LEVEL", "")], false),
        ("", &["--log-level", "off,sluicegate::service=info"], &[], true),
    ] {
        assert_eq!(is_told(config, arguments, variables), expected, "{config} {arguments:?} {variables:?}");
    }
}

#[test]
fn what_is_no_level_is_refused_with_what_would_be_one() {
    let home = Home::with(STREAMS);
    for level in ["inf", "verbose", "info,apply", "info,=", "sluicegate=loud"] {
        let refused = home.run(&["check", "--log-level", level]).expect(1).stderr;
        assert!(refused.contains("--log-level") && refused.contains("write off, error, warn"), "{level}: {refused}");
        home.write("bad.yaml", format!("log: {{level: \"{level}\"}}"));
        let refused = home.run(&["check", "--config", "bad.yaml"]).expect(1).stderr;
        assert!(refused.contains("bad.yaml:1:") && refused.contains("write off, error, warn"), "{level}: {refused}");
    }
}

#[test]
fn quiet_says_nothing_but_errors() {
    let home = Home::with(STREAMS);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    drop(taken);
    let mut server = home.start(&["up", "--quiet", "--listen", &address]);
    crate::support::eventually(crate::support::PATIENCE, "it listens", || std::net::TcpStream::connect(&address).ok());
    assert!(server.stop().success());
    assert_eq!(server.said(), "");
}
