//! From documents to rows: what is created, what conflicts, what is undone, and that no digit is lost on the way.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Cell, Documents, Home, Process, Target, activities, delete, insert, item, update};

/// Adds a row to `t`, in a document of its own.
fn add(server: &Process, row: &[Cell<'_>]) {
    server.applied(activities([insert("t", row)]));
}

#[test]
fn numbers_keep_every_digit_to_the_database_and_back() {
    let home = Home::new();
    let server = home.up();
    let long = "123456789012345678901234567890123456789.012345678901234567890";
    for (column, column_type, sent, expected) in [
        ("long", "NUMERIC", long, json!(long)),
        ("wide", "NUMERIC(60,21)", long, json!(long)),
        ("huge", "NUMERIC", "1e40", json!(format!("1{}", "0".repeat(40)))),
        (
            "tiny",
            "NUMERIC",
            "-0.000000000000000000000000000000000001",
            json!("-0.000000000000000000000000000000000001"),
        ),
        ("scaled", "NUMERIC(10,2)", "1.5", json!("1.5")),
        ("most", "BIGINT", "9223372036854775807", json!(i64::MAX)),
        ("least", "BIGINT", "-9223372036854775808", json!(i64::MIN)),
        ("odd", "BIGINT", "9007199254740993", json!(9007199254740993_i64)),
        ("double", "DOUBLE PRECISION", "0.1", json!(0.1)),
    ] {
        // The digits stand in the document as a number: the text is put together by hand.
        let table = format!("t_{column}");
        let document = activities([insert(&table, &[(column, column_type, "DIGITS".into())])]);
        server.applied(document.replace("\"DIGITS\"", sent));
        let row = server.get(&format!("/v1/tables/{table}/rows")).expect(200);
        assert_eq!(row.json()["rows"][0][column], expected, "{column}");
    }
    let refused = activities([insert("t", &[("a", "BIGINT", "DIGITS".into())])]);
    server.change(refused.replace("\"DIGITS\"", "9223372036854775808")).expect(422);
    let store = Connection::open(home.store()).unwrap();
    let kept: String = store.query_row("SELECT long FROM t_long", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, long);
    let most: i64 = store.query_row("SELECT most FROM t_most", [], |row| row.get(0)).unwrap();
    assert_eq!(most, i64::MAX);
}

#[test]
fn values_land_in_real_column_types() {
    let home = Home::new();
    let server = home.up();
    let table: &[(&str, &str, Value, Value)] = &[
        ("flag", "BOOLEAN", json!("t"), json!(true)),
        ("day", "DATE", json!("2026-01-31"), json!("2026-01-31")),
        ("at", "TIMESTAMP", json!("2018-03-27T11:58:28.5"), json!("2018-03-27T11:58:28.5")),
        ("bytes", "BYTEA", json!("\\xDEADbeef"), json!("deadbeef")),
        ("ref", "UUID", json!("5A0D1B8E-6F0F-4F5E-9A53-2F8F6E6A2A11"), json!("5a0d1b8e-6f0f-4f5e-9a53-2f8f6e6a2a11")),
        ("doc", "JSONB", json!("{\"a\":[1,null]}"), json!({"a": [1, null]})),
        ("list", "integer[]", json!("{1,NULL,3}"), json!([1, null, 3])),
        ("words", "TEXT[]", json!(["a", "b c"]), json!(["a", "b c"])),
        ("mood", "MOOD", json!("happy"), json!("happy")),
        ("nothing", "INTEGER", Value::Null, Value::Null),
    ];
    let row: Vec<Cell<'_>> = table.iter().map(|(name, kind, value, _)| (*name, *kind, value.clone())).collect();
    add(&server, &row);
    let found = server.rows("t").remove(0);
    for (name, _, _, expected) in table {
        assert_eq!(found[name], *expected, "{name}");
    }
    let columns = server.get("/v1/tables/t").expect(200).json()["columns"].clone();
    let names: Vec<_> = columns.as_array().unwrap().iter().map(|column| column["name"].clone()).collect();
    assert_eq!(names, row.iter().map(|cell| json!(cell.0)).collect::<Vec<_>>());
}

#[test]
fn null_in_a_key_means_is_null() {
    let home = Home::new();
    let server = home.up();
    let key = |value: Value| [("a", "INTEGER", value)];
    let row = |a: Value, b: &str| [("a", "INTEGER", a), ("b", "TEXT", b.into())];
    for (a, b) in [(Value::Null, "none"), (1.into(), "one"), (Value::Null, "none too"), (2.into(), "two")] {
        add(&server, &row(a, b));
    }
    server.applied(activities([delete("t", &key(Value::Null))]));
    assert_eq!(server.rows("t"), [json!({"a": 1, "b": "one"}), json!({"a": 2, "b": "two"})]);
    server.applied(activities([update("t", &row(Value::Null, "was one"), &key(1.into()))]));
    server.applied(activities([update("t", &[("b", "TEXT", "was null".into())], &key(Value::Null))]));
    assert_eq!(server.rows("t"), [json!({"a": null, "b": "was null"}), json!({"a": 2, "b": "two"})]);
    // What matches nothing is no error.
    server.applied(activities([delete("t", &key(99.into())), update("t", &row(3.into(), "x"), &key(98.into()))]));
    assert_eq!(server.rows("t").len(), 2);
}

#[test]
fn an_insert_adds_the_columns_that_are_missing() {
    let home = Home::new();
    let server = home.up();
    add(&server, &[("a", "INTEGER", 1.into())]);
    add(&server, &[("b", "TEXT", "x".into()), ("a", "BIGINT", 2.into())]);
    assert_eq!(server.rows("t"), [json!({"a": 1, "b": null}), json!({"a": 2, "b": "x"})]);
}

#[test]
fn a_truncate_empties_the_table_in_the_order_of_the_document() {
    let home = Home::new();
    let server = home.up();
    server.applied(item(1));
    server.applied(item(2));
    server.applied(r#"{"action":"T","schema":"public","table":"item"}"#);
    assert_eq!(server.items(), [] as [i64; 0]);
    server.applied(item(3));
    assert_eq!(server.items(), [3]);
    let (_, problem) = server.set_aside(r#"{"action":"T","table":"nothing"}"#);
    assert_eq!(problem["type"], "/problems/unknown-table");
}

#[test]
fn a_schema_other_than_public_stays_in_the_name() {
    let home = Home::new();
    let server = home.up();
    let row = [("id", "INTEGER", 1.into())];
    server.applied(activities([insert("public.orders", &row), insert("sales.orders", &row)]));
    assert_eq!(server.get("/v1/tables").json(), json!({"tables": ["orders", "sales.orders"]}));
    assert_eq!(server.rows("sales.orders"), [json!({"id": 1})]);
}

#[test]
fn what_a_table_cannot_take_is_set_aside_and_wholly_undone() {
    let home = Home::with("streams: {activities: {takes: changes, keys: {keyed: [id]}}}");
    let server = home.up();
    let int = |name: &'static str, value: i64| (name, "INTEGER", Value::from(value));
    server.applied(activities([
        insert("item", &[int("id", 0)]),
        insert("t", &[("small", "SMALLINT", 1.into()), ("short", "VARCHAR(3)", "abc".into()), int("n", 1)]),
        insert("t", &[("exact", "NUMERIC(4,2)", "1.5".into()), ("day", "DATE", "2026-01-01".into())]),
        insert("keyed", &[int("id", 1)]),
    ]));
    let tables = server.get("/v1/tables").json();
    let columns = server.get("/v1/tables/t").json();
    for (activity, reason, part) in [
        (insert("t", &[("n", "TEXT", "x".into())]), "type-conflict", "n"),
        (insert("t", &[("short", "INTEGER", 1.into())]), "type-conflict", "short"),
        (insert("t", &[("day", "TIMESTAMP", "2026-01-01 00:00:00".into())]), "type-conflict", "day"),
        (insert("t", &[("small", "BIGINT", 70_000.into())]), "value-out-of-range", "70000"),
        (insert("t", &[("exact", "NUMERIC", "123".into())]), "value-out-of-range", "123"),
        (insert("t", &[("short", "TEXT", "abcd".into())]), "value-out-of-range", "short"),
        (delete("t", &[int("nothing", 1)]), "unknown-column", "nothing"),
        (delete("t", &[("nothing", "INTEGER", Value::Null)]), "unknown-column", "nothing"),
        (delete("t", &[int("n", 1), ("nothing", "INTEGER", Value::Null)]), "unknown-column", "nothing"),
        (update("t", &[int("n", 2)], &[int("nothing", 1)]), "unknown-column", "nothing"),
        (delete("nowhere", &[int("n", 1)]), "unknown-table", "nowhere"),
        (update("nowhere", &[int("n", 1)], &[int("n", 1)]), "unknown-table", "nowhere"),
        (insert("T", &[int("n", 1)]), "name-conflict", "T"),
        (insert("t", &[int("N", 1)]), "name-conflict", "N"),
        (insert("keyed", &[int("id", 1)]), "constraint-violated", "id"),
    ] {
        let said = activity.to_string();
        let before = [insert("item", &[int("id", 7)]), insert("made_in_vain", &[int("id", 7)])];
        let (_, problem) = server.set_aside(activities(before.into_iter().chain([activity])));
        assert_eq!(problem["type"], format!("/problems/{reason}"), "{said}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(part), "{said}: {problem}");
        assert_eq!(server.items(), [0], "{said}");
    }
    assert_eq!(server.get("/v1/tables").json(), tables, "tables made on the way are undone too");
    assert_eq!(server.get("/v1/tables/t").json(), columns);
    // Within the family and the column's range, another type is welcome.
    server.applied(activities([insert("t", &[("n", "BIGINT", 5.into()), ("exact", "INTEGER", 7.into())])]));
    server.applied(activities([insert("t", &[("n", "MOOD", "6".into())])]));
    home.run(&["verify"]).expect(0);
}

#[test]
fn names_may_hold_whatever_a_database_can() {
    let home = Home::new();
    let server = home.up();
    for (table, path) in [
        ("select", "select"),
        ("a b", "a%20b"),
        ("it's \"it\"", "it%27s%20%22it%22"),
        ("ü/☃?&", "%C3%BC%2F%E2%98%83%3F%26"),
        ("[x]`y`;--", "%5Bx%5D%60y%60%3B--"),
    ] {
        let row = |id: i64| insert(table, &[("id", "INTEGER", id.into()), ("group \"by\" ?1", "TEXT", "x".into())]);
        server.applied(activities([row(1), row(2)]));
        let key = [("group \"by\" ?1", "TEXT", "x".into()), ("id", "INTEGER", 1.into())];
        server.applied(activities([delete(table, &key)]));
        server.applied(activities([row(3)]));
        let first = server.get(&format!("/v1/tables/{path}/rows?limit=1&group+%22by%22+%3F1=eq.x")).expect(200).json();
        assert_eq!(first["rows"][0]["id"], 2, "{table}");
        let second = server.get(first["next"].as_str().unwrap()).expect(200).json();
        assert_eq!((&second["rows"][0]["id"], &second["next"]), (&json!(3), &Value::Null), "{table}");
    }
}

#[test]
fn columns_named_as_the_database_names_its_own_are_only_columns() {
    let home = Home::new();
    let server = home.up();
    for names in [&["rowid"][..], &["oid", "ROWID"]] {
        let table = format!("t{}", names.len());
        for value in ["c", "b", "a"] {
            let row: Vec<Cell<'_>> = names.iter().map(|name| (*name, "TEXT", value.into())).collect();
            server.applied(activities([insert(&table, &row)]));
        }
        let mut found = Vec::new();
        let mut link = Some(format!("/v1/tables/{table}/rows?limit=1"));
        while let Some(path) = link {
            let page = server.get(&path).expect(200).json();
            found.push(page["rows"][0][names[0]].as_str().unwrap().to_owned());
            link = page["next"].as_str().map(str::to_owned);
            assert!(found.len() <= 3, "{names:?}: {found:?}");
        }
        found.sort();
        assert_eq!(found, ["a", "b", "c"], "{names:?}");
    }
    // With all three names taken there is nothing left to tell rows apart by.
    let row = ["rowid", "_rowid_", "oid"].map(|name| (name, "TEXT", "x".into()));
    server.applied(activities([insert("t3", &row)]));
    let told = server.get("/v1/tables/t3/rows").expect(400).json();
    assert_eq!(told["type"], "/problems/bad-query");
}

#[test]
fn columns_of_others_that_cannot_hold_a_value_refuse_it() {
    let home = Home::new();
    let server = home.up();
    server.applied(item(1));
    let store = Connection::open(home.store()).unwrap();
    store.busy_timeout(crate::support::PATIENCE).unwrap();
    store.execute_batch("CREATE TABLE theirs (n NUMERIC(30,12), j JSON, s STRING, m MONEY, d DATE)").unwrap();
    for (column, column_type, fits, other) in [
        ("n", "NUMERIC(30,12)", json!("0.5"), json!("12345678901234568.123456789012")),
        ("j", "JSON", json!("{\"a\":1.00}"), json!("12345678901234567890.5")),
        ("s", "TEXT", json!("A7"), json!("007")),
        ("m", "money", json!("12.50"), json!("12345678901234567.89")),
        ("d", "DATE", json!("2026-01-31"), Value::Null),
    ] {
        let theirs = |value: Value| activities([insert("theirs", &[(column, column_type, value)])]);
        server.applied(theirs(fits.clone()));
        if other.is_null() {
            continue;
        }
        let (_, problem) = server.set_aside(theirs(other.clone()));
        assert_eq!(problem["type"], "/problems/value-out-of-range", "{column}: {problem}");
        // A key that would be another value finds no row of another.
        let (_, problem) = server.set_aside(activities([delete("theirs", &[(column, column_type, other)])]));
        assert_eq!(problem["type"], "/problems/value-out-of-range", "{column}: {problem}");
        server.applied(activities([delete("theirs", &[(column, column_type, fits)])]));
    }
    let left: i64 = store.query_row("SELECT count(*) FROM theirs", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 1);
}

#[test]
fn a_table_with_an_index_on_decimals_is_any_sqlite_tools_to_write_and_to_check() {
    let home = Home::new();
    let mut server = home.up();
    let change = |activity| server.applied(activities([activity]));
    let n = |text: &str| ("n", "NUMERIC", Value::from(text));
    for text in ["1.50", "15", "150", "-1.5", "0.00", "100", "1e1500", "NaN", "0.015"] {
        change(insert("t", &[n(text)]));
    }
    let kept = || server.rows("t").len();
    for (key, left) in [
        ("1.5", 8),
        ("1.5", 8),
        ("15.0", 7),
        ("-1.500", 6),
        ("0", 5),
        ("100.000", 4),
        ("10e1499", 3),
        ("NaN", 2),
        ("1.5e-2", 1),
        ("1500", 1),
        ("150", 0),
    ] {
        change(delete("t", &[n(key)]));
        assert_eq!(kept(), left, "{key}");
    }
    change(insert("t", &[n("2.50")]));
    assert!(server.stop().success());

    let tool = || Connection::open(home.store()).unwrap();
    let text = |tool: &Connection, sql: &str| tool.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    let is_by_tools = || {
        let tool = tool();
        assert_eq!(text(&tool, "PRAGMA integrity_check"), "ok");
        tool.execute_batch("INSERT INTO t (n) VALUES ('3.50'); UPDATE t SET n = '4.5' WHERE n = '3.50'; REINDEX")
            .unwrap();
        let index = "SELECT sql FROM sqlite_schema WHERE type = 'index' AND name LIKE '_sluicegate_index%'";
        let index = text(&tool, index);
        assert!(!index.contains("COLLATE"), "{index}");
        let expression = index.split_once("ON \"t\" (").unwrap().1.strip_suffix(')').unwrap();
        let value = expression.replace("\"n\"", "?1");
        let plan = format!("EXPLAIN QUERY PLAN SELECT 1 FROM t WHERE {expression} IS {value}");
        let plan: String = tool.query_row(&plan, ["1"], |row| row.get(3)).unwrap();
        assert!(plan.contains("USING") && plan.contains("_sluicegate_index"), "{plan}");
    };
    is_by_tools();

    // As versions before made it.
    let before = tool();
    before.create_collation("decimal", str::cmp).unwrap();
    let index = text(&before, "SELECT name FROM sqlite_schema WHERE type = 'index' AND name LIKE '_sluicegate_index%'");
    before.execute_batch(&format!("DROP INDEX {index}; CREATE INDEX {index} ON t (\"n\" COLLATE decimal)")).unwrap();
    drop(before);
    let server = home.up();
    server.applied(activities([delete("t", &[n("4.50")])]));
    assert_eq!(server.rows("t"), [json!({"n": "2.50"})]);
    is_by_tools();
}
