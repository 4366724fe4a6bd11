//! The gate through the front door: everything that is wrong with a document, each with its place.

use serde_json::{Value, json};

use crate::support::{Cell, Documents, Home, Process, Request, Target, activities, delete, insert, item, update};

/// The violations of a document: pointer and sentence.
#[track_caller]
fn violations(server: &Process, stream: &str, document: &str) -> Vec<(String, String)> {
    let answer = server.post(&format!("/v1/streams/{stream}"), document);
    assert_eq!(answer.status, 422, "{document}: {}", answer.text());
    let body = answer.json();
    assert_eq!(body["type"], "/problems/invalid-document");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let errors = body["errors"].as_array().unwrap();
    errors.iter().map(|error| (text(&error["pointer"]), text(&error["detail"]))).collect()
}

/// Fails unless the document has exactly one violation, at `pointer`, whose sentence holds `part`.
#[track_caller]
fn check(server: &Process, stream: &str, document: &str, pointer: &str, part: &str) {
    let found = violations(server, stream, document);
    assert_eq!(found.iter().map(|(pointer, _)| pointer.as_str()).collect::<Vec<_>>(), [pointer], "{document}");
    assert!(found[0].1.contains(part), "{part:?} is not said: {}", found[0].1);
}

fn one(name: &str, column_type: &str, value: impl Into<Value>) -> String {
    activities([insert("t", &[(name, column_type, value.into())])])
}

#[test]
fn a_value_its_type_cannot_hold_is_refused() {
    let home = Home::new();
    let server = home.up();
    let digits = |number: &str| serde_json::from_str::<Value>(number).unwrap();
    for (column_type, value, part) in [
        ("INTEGER", digits("2147483648"), "2147483647"),
        ("SMALLINT", digits("40000"), "32767"),
        ("BIGINT", digits("9223372036854775808"), "9223372036854775807"),
        ("BIGINT", digits("-9223372036854775809"), "-9223372036854775808"),
        ("INTEGER", json!("1.5"), "1.5"),
        ("INTEGER", json!(true), "true"),
        ("NUMERIC(4,2)", digits("123.45"), "2 digits before the point"),
        ("BOOLEAN", json!("perhaps"), "perhaps"),
        ("DATE", json!("2026-02-30"), "2026-02-30"),
        ("TIMESTAMP", json!("yesterday-ish"), "yesterday-ish"),
        ("TIME", json!("25:00"), "25:00"),
        ("UUID", json!("5a0d1b8e"), "5a0d1b8e"),
        ("VARCHAR(3)", json!("four"), "four"),
        ("BYTEA", json!("xyz"), "xyz"),
        ("JSON", json!("{"), "{"),
        ("integer[]", json!("{1,x}"), "x"),
        ("TEXT", json!("a\u{0}b"), "U+0000"),
    ] {
        check(&server, "activities", &one("a", column_type, value), "/activities/0/col_values/0", part);
    }
}

#[test]
fn a_shape_that_is_wrong_is_refused() {
    let home = Home::new();
    let server = home.up();
    let key: &[Cell<'_>] = &[("id", "INTEGER", 1.into())];
    let with = |mut activity: Value, member: &str, value: Value| {
        activity[member] = value;
        activities([activity])
    };
    for (document, pointer, part) in [
        (r#"{"activities":[],"activities":[]}"#.to_owned(), "/activities", "twice"),
        (r#"{"activities":[],"x":{"a":1,"b":{"c":1,"c":2}}}"#.into(), "/x/b/c", "twice"),
        (with(insert("t", key), "tabel", "x".into()), "/activities/0/tabel", "no such member"),
        (with(insert("t", key), "old_value", json!({})), "/activities/0/old_value", "no key"),
        (with(insert("t", key), "col_types", json!([])), "/activities/0/col_types", "1 column"),
        (with(insert("t", key), "col_names", json!("id")), "/activities/0/col_names", "array"),
        (with(delete("t", key), "old_value", Value::Null), "/activities/0", "key"),
        (with(insert("t", key), "operation", 5.into()), "/activities/0/operation", "string"),
        (activities([insert("t", &[])]), "/activities/0/col_names", "at least one"),
        (activities([insert("t", &[("", "INTEGER", 1.into())])]), "/activities/0/col_names/0", "empty"),
        (
            activities([insert("t", &[("a", "TEXT", "x".into()), ("A", "TEXT", "x".into())])]),
            "/activities/0/col_names/1",
            "case",
        ),
        (activities([insert("t", key), insert("T", key)]), "/activities/1/table", "case"),
        (activities([insert(&"t".repeat(2000), key)]), "/activities/0/table", "2000 bytes"),
        (activities([insert("a\u{0}b", key)]), "/activities/0/table", "U+0000"),
        (format!("{}\n{}", item(1), item(2)), "", "another document"),
        ("5".into(), "", "a number"),
        (r#"{"change":[{"kind":"upsert","table":"t"}]}"#.into(), "/change/0/kind", "upsert"),
        (r#"{"action":"X"}"#.into(), "/action", "X"),
        (r#"{"action":"C"}"#.into(), "", "B"),
    ] {
        check(&server, "activities", &document, pointer, part);
    }
}

#[test]
fn all_violations_are_told_and_fifty_of_them_described() {
    let home = Home::new();
    let server = home.up();
    let wrong = |count: usize| activities((0..count).map(|_| insert("t", &[("a", "INTEGER", "x".into())])));
    for (count, listed, said) in
        [(2, 2, "2 violations"), (50, 50, "50 violations"), (51, 50, "51 violations"), (70, 50, "70 violations")]
    {
        let body = server.post("/v1/streams/activities", wrong(count)).expect(422).json();
        assert_eq!(body["errors"].as_array().unwrap().len(), listed);
        assert!(body["detail"].as_str().unwrap().starts_with(said), "{}", body["detail"]);
        assert_eq!(body["errors"][1]["pointer"], "/activities/1/col_values/0");
    }
    let mixed = r#"{"activities":[{"operation":"upsert","table":"","col_names":["a","a"],"col_types":["DATE"],"col_values":[1,2]}]}"#;
    let pointers: Vec<_> = violations(&server, "activities", mixed).into_iter().map(|(pointer, _)| pointer).collect();
    for pointer in ["operation", "table", "col_names/1", "col_types"] {
        assert!(pointers.contains(&format!("/activities/0/{pointer}")), "{pointer} is not among {pointers:?}");
    }
}

#[test]
fn as_many_columns_as_a_table_holds_are_taken_and_more_refused() {
    let home = Home::with("limits: {columns_per_document: 2000}\n");
    let server = home.up();
    let names: Vec<_> = (0..1601).map(|at| format!("c{at}")).collect();
    let row: Vec<Cell<'_>> = names.iter().map(|name| (name.as_str(), "INTEGER", 1.into())).collect();
    check(&server, "activities", &activities([insert("t", &row)]), "/activities/0/col_names", "1600");
    server.applied(activities([insert("t", &row[..1600])]));
    // One too many for the database, or for one of its statements, is a document's own fault, never everybody's.
    let more: Vec<Cell<'_>> = row[..500].iter().map(|cell| (cell.0, cell.1, cell.2.clone())).collect();
    let names: Vec<_> = (0..500).map(|at| format!("d{at}")).collect();
    let more: Vec<Cell<'_>> = names.iter().zip(more).map(|(name, cell)| (name.as_str(), cell.1, cell.2)).collect();
    server.set_aside(activities([insert("t", &more)]));
    let whole = server.change(activities([delete("t", &row[..1600])]));
    assert!([200, 409].contains(&whole.status), "{}", whole.text());
    server.applied(item(1));
}

#[test]
fn sixty_four_levels_are_taken_and_sixty_five_refused() {
    let home = Home::new();
    let server = home.up();
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    server.post("/v1/streams/events", nested(64)).expect(202);
    check(&server, "events", &nested(65), "", "64 deep");
    check(&server, "activities", &format!(r#"{{"activities":[],"x":{}}}"#, nested(64)), "", "64 deep");
    // Far deeper than any stack: it must not take the process with it.
    check(&server, "events", &"[".repeat(500_000), "", "64 deep");
    server.get("/health/live").expect(200);
}

#[test]
fn events_are_refused_what_no_table_can_hold() {
    let home = Home::new();
    let server = home.up();
    for (event, pointer, part) in [
        (r#"{"a":1,"a":2}"#, "/a", "twice"),
        (r#"{"a":["x\u0000"]}"#, "/a/0", "U+0000"),
        (r#"{"a\u0000":1}"#, "/a\u{0}", "U+0000"),
        (r#"{"n":1e999999}"#, "/n", "digits_unfolded_max"),
    ] {
        check(&server, "events", event, pointer, part);
    }
}

#[test]
fn tables_of_the_database_and_the_books_are_refused() {
    let home = Home::new();
    let server = home.up();
    let key: &[Cell<'_>] = &[("a", "INTEGER", 1.into())];
    for table in [
        "_sluicegate_positions",
        "_SLUICEGATE_x",
        "sqlite_master",
        "sqlite_x",
        "pg_class",
        "pg_catalog.x",
        "information_schema.tables",
        "INFORMATION_SCHEMA.x",
        "public.pg_class",
        "public._sluicegate_keys",
        "_sluicegate.x",
    ] {
        for activity in [insert(table, key), update(table, key, key), delete(table, key)] {
            check(&server, "activities", &activities([activity]), "/activities/0/table", "");
        }
    }
}

const STRICT: &str = "
streams:
  game:
    takes: changes
    allow: {tables: ['game.*', item], operations: [insert, delete], create: true}
    unknown_types: reject
  fixed: {takes: changes, forms: [activities], allow: {create: false}}
";

#[test]
fn a_stream_refuses_what_it_does_not_allow() {
    let home = Home::with(STRICT);
    let server = home.up();
    let key: &[Cell<'_>] = &[("a", "INTEGER", 1.into())];
    for allowed in [insert("game.sword", key), insert("item", key), insert("public.item", key), delete("item", key)] {
        server.send(Request::post("/v1/streams/game", activities([allowed])).wait(20)).expect(200);
    }
    for (activity, part) in [
        (insert("games", key), "games"),
        (insert("other.item", key), "other.item"),
        (update("item", key, key), "update"),
    ] {
        check(&server, "game", &activities([activity]), "/activities/0/table", part);
    }
    check(
        &server,
        "game",
        &activities([insert("item", &[("a", "MOOD", "x".into())])]),
        "/activities/0/col_types/0",
        "MOOD",
    );
    check(&server, "game", r#"{"action":"T","schema":"game","table":"x"}"#, "/table", "truncate");
    check(&server, "fixed", r#"{"action":"T","table":"x"}"#, "", "activities");
    let request = Request::post("/v1/streams/fixed", activities([insert("new", key)])).wait(20);
    assert_eq!(server.send(request).expect(409).json()["problem"]["type"], "/problems/unknown-table");
    server.get("/v1/tables/game.sword").expect(200);
    let left = [json!({"a": 1})];
    assert_eq!(
        server.rows("item"),
        left,
        "of two rows that are alike in every column one was deleted, and no other came"
    );
}
