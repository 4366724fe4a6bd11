//! Strings that somebody slips in: through every name, key, value, filter and path. The database holds exactly the string,
//! or the request is refused with a problem; and nothing else changes.

use serde_json::{Value, json};

use super::on_every_store;
use crate::support::{Documents, Home, Process, Request, Target, activities, insert};

/// Quotes, comments, statements, paths, patterns, encodings, directions, and what programs take for something else.
fn nasty() -> Vec<String> {
    let mut all: Vec<String> = [
        "'",
        "''",
        "\"",
        "\"\"",
        "`",
        "\\",
        "\\'",
        "\\\"",
        "';",
        "'; DROP TABLE t; --",
        "\"; DROP TABLE t; --",
        "'); DROP TABLE t; --",
        "1; DROP TABLE t",
        "' OR '1'='1",
        "\" OR \"\"=\"",
        "1 OR 1=1",
        "' UNION SELECT identity, 1 FROM _sluicegate_store --",
        "/*",
        "*/",
        "--",
        "#",
        "x'00'",
        "?",
        "?1",
        ":a",
        "@a",
        "$1",
        "$$",
        "$",
        "$.a",
        "$[0]",
        "[0]",
        "[#-1]",
        "->",
        "->>",
        "a->>b",
        "a->b",
        ".",
        "a.b",
        "*",
        "%",
        "_",
        "%_%",
        "eq.",
        "not.eq.1",
        "in.(1)",
        "(1,2)",
        "1,2",
        "a:b",
        "select",
        "limit",
        "order",
        "after",
        "rowid",
        "null",
        "NULL",
        "true",
        "NaN",
        "Infinity",
        "-0",
        "1e309",
        "0x10",
        "9223372036854775808",
        "..",
        "../../etc/passwd",
        "a/b",
        "%2e%2e%2f",
        "%00",
        "%27",
        "&a=b",
        "=",
        "+",
        " ",
        " leading",
        "trailing ",
        "\t",
        "\n",
        "\r\nSet-Cookie: a=b",
        "\u{7f}",
        "\u{80}",
        "\u{a0}",
        "\u{200b}",
        "\u{202e}txet desrever",
        "\u{2028}",
        "\u{feff}",
        "\u{fffd}",
        "\u{ffff}",
        "\u{10ffff}",
        "ü",
        "u\u{308}",
        "ﬀ",
        "İ",
        "ß",
        "田中さん",
        "👩‍👩‍👧‍👦",
        "🏳️‍🌈",
        "ثم نفس سقطت",
        "Ω≈ç√∫˜µ≤≥÷",
        "<script>alert(1)</script>",
        "{{7*7}}",
        "${HOME}",
        "$(touch /tmp/x)",
        "`id`",
        "=cmd|' /C calc'!A0",
        "{\"a\":1}",
        "[1,2]",
        "\"quoted\"",
        "__proto__",
        "constructor",
    ]
    .map(str::to_owned)
    .into();
    all.push("x".repeat(200));
    all
}

fn tables(server: &Process) -> Vec<String> {
    let tables = server.get("/v1/tables").expect(200).json()["tables"].clone();
    tables.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Everything but the rows of the table `t`: tables, their columns, and a table that nobody asks about.
fn elsewhere(server: &Process) -> Vec<Value> {
    let columns = |name: &String| server.get(&format!("/v1/tables/{}", encode(name))).expect(200).json();
    let mut found: Vec<_> = tables(server).iter().map(columns).collect();
    found.extend(server.rows("other"));
    found
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// What a question puts in quotes: names and values of a list.
fn quoted(text: &str) -> String {
    encode(&format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

fn server(home: &Home, store: &[&str]) -> Process {
    let server = home.up_with(store);
    server.applied(activities([insert("other", &[("id", "BIGINT", 1.into()), ("secret", "TEXT", "kept".into())])]));
    server
}

#[test]
fn values_are_found_by_every_filter_and_only_they() {
    on_every_store(|store| {
        let home = Home::new();
        let server = server(&home, store);
        let nasty = nasty();
        let rows = nasty.iter().enumerate().map(|(id, text)| {
            insert(
                "t",
                &[
                    ("id", "BIGINT", id.into()),
                    ("text", "TEXT", text.as_str().into()),
                    ("document", "JSONB", json!({"value": text, text.as_str(): id})),
                ],
            )
        });
        server.applied(activities(rows.collect::<Vec<_>>()));
        let before = elsewhere(&server);
        for (id, text) in nasty.iter().enumerate() {
            let kept = server.rows(&format!("t/rows?id=eq.{id}")).remove(0);
            assert_eq!(kept["text"], text.as_str(), "the database holds exactly the string");
            assert_eq!(kept["document"], json!({"value": text, text.as_str(): id}));
            let json = encode(&Value::from(text.as_str()).to_string());
            let pattern: String = text.chars().flat_map(|character| ['\\', character]).collect();
            for query in [
                format!("text=eq.{}", encode(text)),
                format!("text=in.({})", quoted(text)),
                format!("text=like.{}", encode(&pattern)),
                format!("document->>value=eq.{}", encode(text)),
                format!("document->value=eq.{json}"),
                // The member of that name: its value is the id.
                format!("document->{}=eq.{id}", quoted(text)),
                format!("select=id,document->>{}&text=eq.{}", quoted(text), encode(text)),
                format!("order=document->{}.desc.nullslast&text=eq.{}", quoted(text), encode(text)),
            ] {
                let rows = server.rows(&format!("t/rows?{query}"));
                let ids: Vec<_> = rows.iter().map(|row| row["id"].as_i64().unwrap()).collect();
                assert_eq!(ids, [id as i64], "{text:?} in {query}");
            }
            let not = server.rows(&format!("t/rows?limit=1000&text=neq.{}", encode(text)));
            assert_eq!(not.len(), nasty.len() - 1, "{text:?}");
        }
        assert_eq!(elsewhere(&server), before);
    });
}

#[test]
fn whatever_is_asked_is_answered_or_refused_and_changes_nothing() {
    on_every_store(|store| {
        let home =
            Home::with("streams: {activities: {takes: changes}, e: {takes: events, table: events, queries: true}}");
        let server = server(&home, store);
        server
            .applied(activities([insert("t", &[("id", "BIGINT", 1.into()), ("document", "JSONB", json!({"a": 1}))])]));
        server.send(Request::post("/v1/streams/e", r#"{"a":1}"#).wait(20)).expect(200);
        let before = elsewhere(&server);
        let rows = server.rows("t");
        for text in &nasty() {
            let bare = encode(text);
            for path in [
                format!("/v1/tables/{bare}"),
                format!("/v1/tables/{bare}/rows"),
                format!("/v1/tables/t/rows?{bare}=eq.1"),
                format!("/v1/tables/t/rows?{bare}"),
                format!("/v1/tables/t/rows?id={bare}"),
                format!("/v1/tables/t/rows?id=eq.{bare}"),
                format!("/v1/tables/t/rows?id=in.({bare})"),
                format!("/v1/tables/t/rows?id=is.{bare}"),
                format!("/v1/tables/t/rows?document->{bare}=eq.1"),
                format!("/v1/tables/t/rows?document->>{bare}=like.*"),
                format!("/v1/tables/t/rows?document={bare}"),
                format!("/v1/tables/t/rows?select={bare}"),
                format!("/v1/tables/t/rows?select={bare}:id"),
                format!("/v1/tables/t/rows?order={bare}"),
                format!("/v1/tables/t/rows?order=id.{bare}"),
                format!("/v1/tables/t/rows?limit={bare}"),
                format!("/v1/tables/t/rows?after={bare}"),
                format!("/v1/tables/t/rows?order=id&after={}", encode(&json!([format!("t{text}"), "i1"]).to_string())),
            ] {
                let answer = server.get(&path);
                assert!(
                    matches!(answer.status, 200 | 400 | 404),
                    "{text:?} in {path}: {} {}",
                    answer.status,
                    answer.text()
                );
                assert!(!answer.text().contains("kept"), "{text:?} in {path}: {}", answer.text());
                assert!(!answer.text().contains("syntax error"), "{text:?} in {path}: {}", answer.text());
                if answer.status != 200 {
                    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
                }
            }
            for (path, body) in [
                ("/api/v1/query_unstructured_data", json!({"key": text, "value": 1})),
                ("/api/v1/query_unstructured_data", json!({"key": "a", "value": text})),
                ("/api/v1/query_unstructured_data", json!({"key": "a", "value": {text.as_str(): [text]}})),
                ("/api/v1/query_relational_data", json!({"receipt": text})),
                ("/api/v1/query_relational_data", json!({text.as_str(): "x"})),
            ] {
                let answer = server.post(path, body.to_string());
                assert!(matches!(answer.status, 400 | 404), "{body}: {} {}", answer.status, answer.text());
            }
        }
        assert_eq!(server.rows("t"), rows);
        assert_eq!(elsewhere(&server), before);
    });
}

#[test]
fn names_of_tables_and_columns_are_only_names() {
    on_every_store(|store| {
        let home = Home::new();
        let server = server(&home, store);
        let (mut kept, mut refused) = (0, 0);
        for (id, text) in nasty().into_iter().enumerate() {
            // Not to take the name of another column or table in another letter case.
            let name = format!("{text}{id}");
            let row = [("id", "BIGINT", Value::from(id)), (name.as_str(), "TEXT", text.as_str().into())];
            let before = tables(&server).len();
            let answer = server.change(activities([insert(&name, &row)]));
            if answer.status != 200 {
                assert!(matches!(answer.status, 409 | 422), "{name:?}: {} {}", answer.status, answer.text());
                assert_eq!(tables(&server).len(), before, "{name:?} was refused");
                refused += 1;
                continue;
            }
            let tables = tables(&server);
            let Some(table) = tables.iter().find(|table| name.ends_with(*table)) else {
                panic!("{name:?} is not among {tables:?}");
            };
            let path = format!("/v1/tables/{}/rows?{}=eq.{}", encode(table), quoted(&name), encode(&text));
            let rows = server
                .get(&format!("{path}&order={}.desc&select=id,{}", quoted(&name), quoted(&name)))
                .expect(200)
                .json();
            assert_eq!(rows["rows"], json!([{"id": id, name.as_str(): text}]), "{name:?}");
            assert_eq!(tables.len(), before + 1, "{name:?}: one table more");
            kept += 1;
        }
        assert!(kept > 60, "{kept} names were taken, {refused} refused");
        assert_eq!(server.rows("other"), [json!({"id": 1, "secret": "kept"})]);
        home.run(&[&["verify"], store].concat()).expect(0);
    });
}
