//! What can be asked of rows: each operator on each kind of value, ways into JSON, and what is given of a row.

use serde_json::{Value, json};

use super::on_every_store;
use crate::support::{Documents, Home, Process, Target, activities, insert};

/// A table with a column of every kind that compares in a way of its own.
fn server(home: &Home, store: &[&str]) -> Process {
    let server = home.up_with(store);
    let row = |id: i64, name: Value, price: Value, at: &str, is_old: Value, raw: &str, document: Value| {
        insert(
            "t",
            &[
                ("id", "BIGINT", id.into()),
                ("name", "TEXT", name),
                ("price", "NUMERIC", price),
                ("at", "TIMESTAMP", at.into()),
                ("is_old", "BOOLEAN", is_old),
                ("raw", "BYTEA", raw.into()),
                ("tags", "TEXT[]", json!(["a", id.to_string()])),
                ("span", "INTERVAL", "1 day".into()),
                ("document", "JSONB", document),
            ],
        )
    };
    server.applied(activities([
        row(
            1,
            "Ann".into(),
            "9.50".into(),
            "2026-01-01 00:00:00",
            true.into(),
            "\\x01",
            json!({"city": "Oslo", "age": 9, "at": {"x": [10, 20]}, "0": "zero"}),
        ),
        row(
            2,
            "bob_%*".into(),
            "10".into(),
            "9999-12-31 00:00:00",
            false.into(),
            "\\x02",
            json!({"city": "Rome", "age": 10, "big": 9_007_199_254_740_993_i64, "a->b": 1}),
        ),
        row(
            3,
            Value::Null,
            Value::Null,
            "10000-01-01 00:00:00",
            Value::Null,
            "\\x0200",
            json!({"city": null, "age": "10"}),
        ),
        row(
            4,
            "ÄRGER".into(),
            "-1e2".into(),
            "0044-03-15 00:00:00 BC",
            true.into(),
            "\\xff",
            json!([{"city": "Oslo"}]),
        ),
    ]));
    server
}

#[track_caller]
fn ids(server: &Process, query: &str) -> Vec<i64> {
    server.rows(&format!("t/rows?{query}")).iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[test]
fn every_operator_compares_by_the_type_of_the_column() {
    on_every_store(|store| {
        let home = Home::new();
        let server = server(&home, store);
        for (query, expected) in [
            ("id=neq.2", &[1, 3, 4][..]),
            ("id=gt.2", &[3, 4]),
            ("id=gte.2&id=lt.4", &[2, 3]),
            ("id=lte.1", &[1]),
            ("id=not.gt.2", &[1, 2]),
            ("id=in.(4,1,99)", &[1, 4]),
            ("id=in.()", &[]),
            ("id=not.in.(4,1)", &[2, 3]),
            // As numbers, not as text, and NULL neither here nor there.
            ("price=gt.9.5", &[2]),
            ("price=lt.9.500", &[4]),
            ("price=not.lt.9.500", &[1, 2]),
            ("price=in.(10.0,-100)", &[2, 4]),
            ("price=gt.1e1000", &[]),
            ("price=is.null", &[3]),
            ("price=not.is.null", &[1, 2, 4]),
            ("price=is.not_null", &[1, 2, 4]),
            // By the calendar.
            ("at=gt.2026-01-01", &[2, 3]),
            ("at=lt.2026-01-01T00:00:00", &[4]),
            ("at=gte.9999-12-31", &[2, 3]),
            ("is_old=is.true", &[1, 4]),
            ("is_old=is.false", &[2]),
            ("is_old=is.unknown", &[3]),
            ("is_old=not.is.true", &[2, 3]),
            ("is_old=neq.true", &[2]),
            ("raw=gt.%5Cx02", &[3, 4]),
            ("tags=eq.%7Ba,2%7D", &[2]),
            ("tags=neq.%7Ba,2%7D", &[1, 3, 4]),
            ("span=eq.1+day", &[1, 2, 3, 4]),
            ("name=gt.B", &[2, 4]),
            ("name=like.A*", &[1]),
            ("name=like.%25n%25", &[1]),
            ("name=like.a*", &[]),
            ("name=ilike.a*", &[1]),
            ("name=ilike.ärg_r", &[4]),
            ("name=not.ilike.a*", &[2, 4]),
            ("name=like.bob%5C_%5C%25%5C*", &[2]),
            ("name=like.bob%5C_%5C%25%5C%25", &[]),
            ("name=in.(%22bob_%25*%22,Ann)", &[1, 2]),
            ("%22name%22=eq.Ann", &[1]),
        ] {
            assert_eq!(ids(&server, query), expected, "{query}");
        }
        let mut refused = vec![("tags=gt.%7Ba%7D", "no order"), ("order=tags", "no order"), ("at=gt.now", "now")];
        if store.is_empty() {
            refused.extend([("span=gt.1+day", "INTERVAL"), ("order=span", "INTERVAL")]);
        } else {
            assert_eq!(ids(&server, "span=gt.23+hours&order=span,id"), [1, 2, 3, 4]);
        }
        for (query, part) in refused {
            let problem = server.get(&format!("/v1/tables/t/rows?{query}")).expect(400).json();
            assert!(problem["detail"].as_str().unwrap().contains(part), "{query}: {problem}");
        }
    });
}

#[test]
fn paths_lead_into_json_as_in_postgresql() {
    on_every_store(|store| {
        let home = Home::new();
        let server = server(&home, store);
        for (query, expected) in [
            ("document->>city=eq.Oslo", &[1][..]),
            ("document->>city=is.null", &[3, 4]),
            ("document->city=is.null", &[4]),
            ("document->city=eq.null", &[3]),
            ("document->city=eq.%22Rome%22", &[2]),
            ("document->>city=like.*o*", &[1, 2]),
            // As JSON, numbers are numbers; as text, they are text.
            ("document->age=gt.9", &[2]),
            ("document->age=eq.10.0", &[2]),
            ("document->age=in.(9,%22%5C%2210%5C%22%22)", &[1, 3]),
            ("document->>age=eq.10", &[2, 3]),
            ("document->>age=gt.9", &[]),
            ("document->big=eq.9007199254740993", &[2]),
            ("document->big=eq.9007199254740992", &[]),
            ("document->at->x->0=eq.10", &[1]),
            ("document->at->x->-1=eq.20", &[1]),
            ("document->at->x=eq.[10,%2020]", &[1]),
            ("document->at->x->2=eq.20", &[]),
            ("document->0->>city=eq.Oslo", &[4]),
            ("document->>%220%22=eq.zero", &[1]),
            ("document->>0=eq.zero", &[]),
            ("document->%22a->b%22=eq.1", &[2]),
            ("document=eq.[{%22city%22:+%22Oslo%22}]", &[4]),
            ("document=neq.[{%22city%22:%22Oslo%22}]", &[1, 2, 3]),
        ] {
            assert_eq!(ids(&server, query), expected, "{query}");
        }
        for (query, part) in [
            ("document->city=eq.Rome", "->>"),
            ("document->>city->a=eq.1", "text"),
            ("document->=eq.1", "follow the arrow"),
            ("document->%22a=eq.1", "quote"),
            ("document->99999999999=eq.1", "99999999999"),
            ("docment->a=eq.1", "did you mean \"document\""),
            ("document->>city=eq.%00", "U+0000"),
            ("document->city=eq.%22%5Cu0000%22", "U+0000"),
            (&format!("document{}=eq.1", "->a".repeat(65)), "64 deep"),
        ] {
            let problem = server.get(&format!("/v1/tables/t/rows?{query}")).expect(400).json();
            assert_eq!(problem["type"], "/problems/bad-query");
            assert!(problem["detail"].as_str().unwrap().contains(part), "{query}: {problem}");
        }
    });
}

#[test]
fn select_gives_paths_and_other_names() {
    on_every_store(|store| {
        let home = Home::new();
        let server = server(&home, store);
        for (select, expected) in [
            ("document->>city", r#"{"city":"Oslo"}"#),
            ("document->city", r#"{"city":"Oslo"}"#),
            ("document->at->x->1", r#"{"x":20}"#),
            ("document->>age,id", r#"{"age":"9","id":1}"#),
            ("town:document->>city,n:id", r#"{"town":"Oslo","n":1}"#),
            ("%22a,b:c%22:id", r#"{"a,b:c":1}"#),
            ("document->nothing,document->0", r#"{"nothing":null,"document":null}"#),
            ("price,%22id%22", r#"{"price":"9.50","id":1}"#),
        ] {
            let page = server.get(&format!("/v1/tables/t/rows?id=eq.1&select={select}")).expect(200).text();
            assert_eq!(page, format!(r#"{{"rows":[{expected}],"next":null}}"#), "{select}");
        }
        let all = server.rows("t/rows?id=eq.1&select=*,town:document->>city").remove(0);
        assert_eq!((all.as_object().unwrap().len(), &all["town"]), (10, &json!("Oslo")));
    });
}

#[test]
fn order_puts_nulls_where_postgresql_does() {
    on_every_store(|store| {
        let home = Home::new();
        let server = server(&home, store);
        for (order, expected) in [
            ("id.desc", [4, 3, 2, 1]),
            ("price", [4, 1, 2, 3]),
            ("price.asc", [4, 1, 2, 3]),
            ("price.desc", [3, 2, 1, 4]),
            ("price.asc.nullsfirst", [3, 4, 1, 2]),
            ("price.desc.nullslast", [2, 1, 4, 3]),
            ("price.nullsfirst", [3, 4, 1, 2]),
            ("at", [4, 1, 2, 3]),
            ("is_old,name.desc", [2, 4, 1, 3]),
            ("document->age", [3, 1, 2, 4]),
            ("document->>city.desc.nullslast,id.desc", [2, 1, 4, 3]),
            ("raw.desc", [4, 3, 2, 1]),
        ] {
            assert_eq!(ids(&server, &format!("order={order}")), expected, "{order}");
        }
    });
}

#[test]
fn columns_may_bear_the_names_of_parameters() {
    on_every_store(|store| {
        let home = Home::new();
        let server = home.up_with(store);
        let row = |n: i64| {
            let cell = |name: &'static str| (name, "INTEGER", Value::from(n));
            insert(
                "t",
                &[
                    cell("id"),
                    cell("select"),
                    cell("order"),
                    cell("limit"),
                    cell("x.desc"),
                    cell("a->b"),
                    cell("c,d:e"),
                ],
            )
        };
        server.applied(activities([row(1), row(2)]));
        for (query, expected) in [
            ("limit=eq.2", &[2][..]),
            ("limit=1", &[1]),
            ("order=eq.1", &[1]),
            ("select=not.eq.1", &[2]),
            ("order=order.desc", &[2, 1]),
            ("order=x.desc", &[1, 2]),
            ("order=x.desc.desc", &[2, 1]),
            ("a->b=eq.2", &[2]),
            ("%22c,d:e%22=eq.2", &[2]),
            ("select=id,%22c,d:e%22&limit=1", &[1]),
            ("order=%22c,d:e%22.desc", &[2, 1]),
        ] {
            assert_eq!(ids(&server, query), expected, "{query}");
        }
    });
}

#[test]
fn the_command_asks_as_http_does() {
    let home = Home::new();
    let mut server = server(&home, &[]);
    assert!(server.stop().success());
    let run = |arguments: &[&str]| home.run(&[&["rows", "t", "--select", "id"], arguments].concat()).expect(0).stdout;
    for (arguments, expected) in [
        (&["--where", "id=gt.1", "--where", "price=gt.0"][..], "[\n{\"id\":2}\n]\n"),
        (&["--where", "document->>city=eq.Oslo"], "[\n{\"id\":1}\n]\n"),
        (&["--where", "document->\"a=b\"=is.null", "--limit", "1"], "[\n{\"id\":1}\n]\n"),
        (&["--where", "name=eq.a=\"b"], "[]\n"),
        (&["--order", "price.desc.nullslast,id", "--limit", "2", "--output", "ndjson"], "{\"id\":2}\n{\"id\":1}\n"),
        (&["--order", "id.desc", "--output", "csv"], "id\r\n4\r\n3\r\n2\r\n1\r\n"),
        (&["--order", "id.desc", "--limit", "1", "--output", "table"], "id\n4\n"),
    ] {
        assert_eq!(run(arguments), expected, "{arguments:?}");
    }
    for (arguments, part) in [
        (&["--where", "id"][..], "no condition"),
        (&["--where", "id=between.1"], "eq.VALUE"),
        (&["--order", "nmae"], "did you mean \"name\""),
        (&["--where", "offset=1"], "next"),
    ] {
        let ran = home.run(&[&["rows", "t"], arguments].concat()).expect(2);
        assert!(ran.stderr.contains(part), "{arguments:?}: {}", ran.stderr);
    }
}
