//! Reading rows back: columns, filters, and links that neither skip nor repeat.
//!
//! `rows/operators.rs` tries what can be asked, `rows/paging.rs` every order from page to page, `rows/export.rs` answers of
//! any length, `rows/queries.rs` the records of a stream, and `rows/nasty.rs` what somebody may try to slip in.

mod export;
mod nasty;
mod operators;
mod paging;
mod queries;

use serde_json::{Value, json};

use crate::support::services;
use crate::support::{Documents, Home, Process, Target, activities, insert, item};

/// Runs a test on every store: what goes behind `up` to have it. PostgreSQL is left out where there is none.
fn on_every_store(test: impl Fn(&[&str])) {
    test(&[]);
    if let Some(database) = services::postgres() {
        test(&["--store", &database.url()]);
    }
}

fn server(home: &Home) -> Process {
    let server = home.up();
    let row = |id: i64, name: Value, price: &str, is_old: bool, day: &str| {
        insert(
            "t",
            &[
                ("id", "BIGINT", id.into()),
                ("name", "TEXT", name),
                ("price", "NUMERIC", price.into()),
                ("is_old", "BOOLEAN", is_old.into()),
                ("day", "DATE", day.into()),
                ("weight", "DOUBLE PRECISION", json!(id as f64 / 4.0)),
            ],
        )
    };
    server.applied(activities([
        row(1, "ann".into(), "1.50", true, "2026-01-01"),
        row(2, "bob & co, ü=1".into(), "2", false, "2026-01-02"),
        row(3, Value::Null, "1.5", true, "2026-01-02"),
    ]));
    server
}

#[test]
fn filters_find_equal_values_of_every_type() {
    let home = Home::new();
    let server = server(&home);
    for (query, expected) in [
        ("", &[1, 2, 3][..]),
        ("id=eq.2", &[2]),
        ("id=eq.4", &[]),
        ("name=eq.ann", &[1]),
        ("name=eq.bob+%26%20co%2C%20%C3%BC%3D1", &[2]),
        ("name=is.null", &[3]),
        ("price=eq.1.5", &[1, 3]),
        ("price=eq.1.500", &[1, 3]),
        ("price=eq.2.0", &[2]),
        ("is_old=eq.true", &[1, 3]),
        ("is_old=eq.f", &[2]),
        ("day=eq.2026-01-02", &[2, 3]),
        ("weight=eq.0.5", &[2]),
        ("day=eq.2026-01-02&is_old=eq.true", &[3]),
        ("limit=2", &[1, 2]),
        ("name=eq.x'%20OR%201=1", &[]),
    ] {
        let rows = server.rows(&format!("t/rows?{query}"));
        let ids: Vec<_> = rows.iter().map(|row| row["id"].as_i64().unwrap()).collect();
        assert_eq!(ids, expected, "{query}");
    }
    assert_eq!(server.rows("t/rows?select=price,id&limit=1"), [json!({"price": "1.50", "id": 1})]);
    let text = server.get("/v1/tables/t/rows?select=price,id&limit=1").text();
    assert!(text.contains(r#"{"price":"1.50","id":1}"#), "the columns stand as they were asked for: {text}");
}

#[test]
fn what_cannot_be_asked_is_told_with_the_near_name() {
    let home = Home::new();
    let server = server(&home);
    server.applied(item(1));
    for (path, status, kind, part) in [
        ("itme", 404, "unknown-table", "did you mean \"item\""),
        ("itme/rows", 404, "unknown-table", "did you mean \"item\""),
        ("T/rows", 404, "unknown-table", "did you mean \"t\""),
        ("t/rows?nmae=eq.x", 400, "bad-query", "did you mean \"name\""),
        ("t/rows?select=id,nmae", 400, "bad-query", "did you mean \"name\""),
        ("t/rows?select=id,name,id", 400, "bad-query", "twice"),
        ("t/rows?id=eq.x", 400, "bad-query", "x"),
        ("t/rows?id=like.x", 400, "bad-query", "compares text"),
        ("t/rows?id=5", 400, "bad-query", "eq.VALUE"),
        ("t/rows?id=between.5", 400, "bad-query", "eq.VALUE"),
        ("t/rows?id=not.5", 400, "bad-query", "eq.VALUE"),
        ("t/rows?id=eq.5.5", 400, "bad-query", "5.5"),
        ("t/rows?id=in.1,2", 400, "bad-query", "in.(1,2)"),
        ("t/rows?id=in.(1,x)", 400, "bad-query", "x"),
        ("t/rows?id=is.true", 400, "bad-query", "booleans"),
        ("t/rows?id=is.nil", 400, "bad-query", "is.null"),
        ("t/rows?name=like.x\\", 400, "bad-query", "backslash"),
        ("t/rows?name->a=eq.1", 400, "bad-query", "no JSON column"),
        ("t/rows?order=nmae", 400, "bad-query", "did you mean \"name\""),
        ("t/rows?order=name.down", 400, "bad-query", "name.down"),
        ("t/rows?order=name&order=id", 400, "bad-query", "twice"),
        ("t/rows?offset=10", 400, "bad-query", "`next`"),
        ("t/rows?select=x:id,x:name", 400, "bad-query", "twice"),
        ("t/rows?select=%22id", 400, "bad-query", "quote"),
        ("t/rows?limit=0", 400, "bad-query", "limit"),
        ("t/rows?limit=1001", 400, "bad-query", "1000"),
        ("t/rows?limit=many", 400, "bad-query", "many"),
        ("t/rows?after=x", 400, "bad-query", "after"),
        ("t/rows?name=eq.%FF", 400, "bad-query", "UTF-8"),
        ("t/rows?name=eq.%00", 400, "bad-query", "U+0000"),
    ] {
        let body = server.get(&format!("/v1/tables/{path}")).expect(status).json();
        assert_eq!(body["type"], format!("/problems/{kind}"), "{path}");
        assert!(body["detail"].as_str().unwrap().contains(part), "{path}: {body}");
    }
}

#[test]
fn next_links_neither_skip_nor_repeat_while_rows_are_added() {
    let home = Home::new();
    let server = home.up();
    let add = |ids: std::ops::Range<i64>| {
        let row = |id: i64| insert("item", &[("id", "INTEGER", id.into()), ("kind", "TEXT", "a b&c".into())]);
        server.applied(activities(ids.map(row)));
    };
    add(0..25);
    let mut found = Vec::new();
    let mut next = Some("/v1/tables/item/rows?limit=10&kind=eq.a%20b%26c&select=id".to_owned());
    let mut pages = 0;
    while let Some(link) = next {
        let page = server.get(&link).expect(200).json();
        found.extend(page["rows"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()));
        assert!(page["rows"][0].get("kind").is_none(), "the link keeps the columns");
        next = page["next"].as_str().map(str::to_owned);
        pages += 1;
        // Rows keep arriving, also behind the last page but one.
        if pages <= 3 {
            add(25 + 5 * (pages - 1)..25 + 5 * pages);
        }
    }
    assert_eq!(found, (0..40).collect::<Vec<_>>());
    assert_eq!(pages, 4);
}

#[test]
fn a_link_outlives_the_deletion_of_the_row_it_stands_at() {
    let home = Home::new();
    let server = home.up();
    server.applied(activities((0..6).map(|id| insert("item", &[("id", "INTEGER", id.into())]))));
    let page = server.get("/v1/tables/item/rows?limit=3").json();
    let key = [("id", "INTEGER", 2.into())];
    server.applied(activities([crate::support::delete("item", &key)]));
    let rest = server.get(page["next"].as_str().unwrap()).expect(200).json();
    assert_eq!(rest["rows"], json!([{"id": 3}, {"id": 4}, {"id": 5}]));
    assert_eq!(rest["next"], Value::Null);
}
