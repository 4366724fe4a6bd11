//! The line that `up` offers to try is one that works.

use crate::support::{Home, PATIENCE, Target, eventually};

/// Streams, and whether a line can be offered for them.
const STREAMS: &[(&str, bool)] = &[
    ("a: {takes: changes}", true),
    ("a: {takes: changes, forms: [wal2json]}", true),
    ("a: {takes: changes, forms: [activities]}", true),
    ("a: {takes: changes, key: /tenant/id}", true),
    ("a: {takes: changes, key: /activities/0/table}", true),
    ("a: {takes: changes, allow: {tables: [\"game.*\"]}}", true),
    ("a: {takes: changes, allow: {create: false}}", true),
    ("a: {takes: changes, allow: {operations: [delete]}}", false),
    ("a: {takes: changes, unknown_types: reject}", true),
    ("a: {takes: events, table: a}", true),
    ("a: {takes: events}", true),
    ("a: {takes: events, table: a, key: /userId}", true),
    ("a: {takes: events, table: a, key: /user/it's/0}", true),
    ("a: {takes: events, table: a, columns: {name: {at: /name, type: integer}}}", true),
    ("a: {takes: events, table: a, schema: a.json}", true),
    ("a: {takes: events, table: a, schema: b.json, key: /n}", true),
    ("a: {takes: events, table: a, schema: never.json}", false),
    ("a: {takes: events, table: a, document_bytes_max: 1B}", false),
    ("a: {takes: changes, source: others}", false),
    ("a: {takes: changes, source: others}\n  b: {takes: events}", true),
];

#[test]
fn the_line_that_up_offers_is_taken_by_the_stream_or_there_is_none() {
    for (streams, is_offered) in STREAMS {
        let home = Home::with(&format!("streams:\n  {streams}\n"));
        home.write(
            "a.json",
            r#"{"type": "object", "required": ["id", "at"], "additionalProperties": false,
            "properties": {"id": {"type": "integer", "minimum": 5}, "at": {"type": "string", "format": "date"}}}"#,
        );
        home.write("b.json", r#"{"examples": [{"n": 1, "s": "it's"}], "required": ["s"]}"#);
        home.write("never.json", "false");
        let server = home.up();
        let said = server.wait_to_say(if *is_offered { "/v1/streams/" } else { "/v1/streams\n" });
        let line = said.lines().find(|line| line.trim_start().starts_with("curl ")).unwrap().trim();
        assert_eq!(line.contains(" -d '"), *is_offered, "{streams}: {line}");
        let ran = std::process::Command::new("sh").args(["-c", &format!("{line} -s -w '\\n%{{http_code}}'")]).output();
        let answer = String::from_utf8(ran.unwrap().stdout).unwrap();
        let expected = if *is_offered { "202" } else { "200" };
        assert_eq!(answer.lines().last(), Some(expected), "{streams}: {line}: {answer}");
        if *is_offered {
            eventually(PATIENCE, "nothing waits", || {
                let balance = home.run(&["verify"]).expect(0).json();
                balance.as_array().unwrap().iter().all(|it| it["waiting"] == 0).then_some(())
            });
            let letters = server.get("/v1/dead-letters").expect(200).json();
            assert_eq!(letters["dead_letters"], serde_json::json!([]), "{streams}: {line}");
        }
    }
}

#[test]
fn check_claims_no_route_of_a_stream_that_takes_nothing_in() {
    let home = Home::with("streams: {a: {takes: changes, source: others}, b: {takes: changes}}");
    let said = home.run(&["check"]).expect(0).stdout;
    let of = |name: &str| said.lines().find(|line| line.contains(&format!(" {name}: "))).unwrap().to_owned();
    assert!(!of("a").contains("POST") && of("a").contains("reads the topic others"), "{said}");
    assert!(of("b").contains("POST /v1/streams/b"), "{said}");
}
