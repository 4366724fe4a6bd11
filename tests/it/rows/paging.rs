//! From page to page: in every order no row that is there all the time is skipped or given twice, while others come and go.

use serde_json::{Value, json};

use super::on_every_store;
use crate::random::Random;
use crate::support::{Documents, Home, Process, Target, activities, delete, insert};

/// A row whose values repeat often, and are NULL often.
fn row(id: i64, random: &mut Random) -> Value {
    let maybe = |value: Value, random: &mut Random| if random.below(4) == 0 { Value::Null } else { value };
    let kind = maybe(json!(["a", "B", "ü", ""][random.below(4) as usize]), random);
    let price = maybe(json!(["1", "1.0", "10", "9.5", "-2"][random.below(5) as usize]), random);
    let weight = maybe(json!(random.below(3) as f64 / 3.0), random);
    let n = [1, 2, 10][random.below(3) as usize];
    let document = maybe(json!({"n": n}), random);
    insert(
        "t",
        &[
            ("id", "BIGINT", id.into()),
            ("kind", "TEXT", kind),
            ("price", "NUMERIC", price),
            ("weight", "DOUBLE PRECISION", weight),
            ("document", "JSONB", document),
        ],
    )
}

/// Follows the links to the end, and does something between any two pages.
#[track_caller]
fn follow(server: &Process, first: &str, mut between: impl FnMut()) -> Vec<i64> {
    let mut ids = Vec::new();
    let mut next = Some(first.to_owned());
    while let Some(link) = next {
        let page = server.get(&link).expect(200).json();
        ids.extend(page["rows"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()));
        next = page["next"].as_str().map(str::to_owned);
        assert!(ids.len() < 10_000, "the links do not end");
        between();
    }
    ids
}

#[test]
fn every_order_gives_every_row_once_while_rows_are_added_and_removed() {
    on_every_store(|store| {
        let home = Home::new();
        let server = home.up_with(store);
        let mut random = Random::new(7);
        let kept: Vec<i64> = (0..60).collect();
        server.applied(activities(kept.iter().map(|id| row(*id, &mut random)).collect::<Vec<_>>()));
        let mut next_id = 1_000;
        for order in [
            "",
            "kind",
            "kind.desc",
            "kind.asc.nullsfirst",
            "kind.desc.nullslast",
            "price,kind.desc",
            "price.desc.nullslast,weight.nullsfirst",
            "weight.desc,price.asc.nullsfirst,kind",
            "document->n,id.desc",
            "document->>n.desc.nullslast",
            "id.desc",
        ] {
            let query = format!("order={order}&select=id&limit=7");
            let query = if order.is_empty() { "select=id&limit=7".to_owned() } else { query };
            // What stands still comes in the order of one whole page.
            let whole: Vec<i64> = server
                .rows(&format!("t/rows?{}", query.replace("limit=7", "limit=1000")))
                .iter()
                .map(|row| row["id"].as_i64().unwrap())
                .filter(|id| *id < 1_000)
                .collect();
            let mut found = follow(&server, &format!("/v1/tables/t/rows?{query}"), || {
                let mut changes = vec![row(next_id, &mut random), row(next_id + 1, &mut random)];
                changes.push(delete("t", &[("id", "BIGINT", (next_id - 1).into())]));
                server.applied(activities(changes));
                next_id += 2;
            });
            let count = found.len();
            let mut once = found.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), count, "{order}: a row came twice");
            found.retain(|id| *id < 1_000);
            assert_eq!(found, whole, "{order}");
            assert_eq!(found.len(), kept.len(), "{order}");
            // The rows that came meanwhile do not gather from order to order.
            let comers = server.rows("t/rows?id=gte.1000&select=id&limit=1000");
            let gone = comers.iter().map(|row| delete("t", &[("id", "BIGINT", row["id"].clone())]));
            server.applied(activities(gone.collect::<Vec<_>>()));
        }
    });
}

#[test]
fn a_link_goes_on_behind_values_of_every_kind() {
    on_every_store(|store| {
        let home = Home::new();
        let server = home.up_with(store);
        let nasty = ["", "'", "\"", "a,b", "[\"n\"]", "n", "i1", "ü☃", "%00&=", "null", "{\"a\":1}"];
        let rows = nasty.iter().enumerate().map(|(id, text)| {
            let bytes: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            insert(
                "t",
                &[
                    ("id", "BIGINT", id.into()),
                    ("text", "TEXT", (*text).into()),
                    ("raw", "BYTEA", format!("\\x{bytes}").into()),
                    ("json", "JSONB", json!({"a": text})),
                    ("float", "DOUBLE PRECISION", json!(["-Infinity", "NaN", "0.1", "-0.0"][id % 4])),
                ],
            )
        });
        server.applied(activities(rows.collect::<Vec<_>>()));
        for order in ["text", "text.desc", "raw", "json", "json->a.desc", "json->>a", "float", "float.desc,raw"] {
            let mut found = follow(&server, &format!("/v1/tables/t/rows?select=id&limit=1&order={order}"), || {});
            found.sort_unstable();
            assert_eq!(found, (0..nasty.len() as i64).collect::<Vec<_>>(), "{order}");
        }
    });
}

#[test]
fn a_place_from_elsewhere_is_refused_or_only_a_place() {
    let home = Home::new();
    let server = home.up();
    server.applied(activities((0..3).map(|id| insert("t", &[("id", "BIGINT", id.into())]))));
    for (query, status) in [
        ("after=1", 200),
        ("after=9999999999999999999", 400),
        ("after=1&order=id", 400),
        ("after=%5B%22i1%22%2C%22i1%22%5D&order=id", 200),
        ("after=%5B%22n%22%2C%22i1%22%5D&order=id", 200),
        ("after=%5B%22t'%20OR%201=1--%22%2C%22i1%22%5D&order=id", 200),
        ("after=%5B%22i1%22%2C%22n%22%5D&order=id", 200),
        ("after=%5B%5D", 400),
        ("after=1)%20OR%20(1=1", 400),
    ] {
        server.get(&format!("/v1/tables/t/rows?{query}")).expect(status);
    }
    let long = "x".repeat(40_000);
    server.applied(activities([0, 1].map(|_| insert("long", &[("text", "TEXT", long.clone().into())]))));
    let told = server.get("/v1/tables/long/rows?order=text&limit=1").expect(400).json();
    assert!(told["detail"].as_str().unwrap().contains("too long for a link"), "{told}");
}

#[test]
fn a_page_of_large_rows_ends_early_and_goes_on() {
    on_every_store(|store| {
        let home = Home::new();
        let server = home.up_with(store);
        let large = "x".repeat(600 << 10);
        for id in 0..12 {
            server.applied(activities([insert(
                "t",
                &[("id", "BIGINT", id.into()), ("text", "TEXT", large.clone().into())],
            )]));
        }
        let page = server.get("/v1/tables/t/rows").expect(200).json();
        assert_eq!(page["rows"].as_array().unwrap().len(), 6, "a page of 4 MiB");
        assert_eq!(follow(&server, "/v1/tables/t/rows", || {}), (0..12).collect::<Vec<_>>());
    });
}
