//! Every type lands in its real column type and comes back exactly, whichever way it goes in.

use serde_json::{Value, json};
use sluicegate::problem::ProblemType;

use super::{MANY, apply, ask, open, refusal, rows};
use crate::store::bench::refused;
use crate::support::{activities, delete, update};

/// A declared type, a value, the column's type, and what the column shows.
fn table() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let digits = "1234567890123456789012345678901234567890.12345678901234567890";
    vec![
        ("NUMERIC(60,20)", json!(digits), "numeric(60,20)", digits),
        ("NUMERIC", json!("NaN"), "numeric", "NaN"),
        ("DECIMAL(9,2)", json!(-1.5), "numeric(9,2)", "-1.50"),
        ("SMALLINT", json!(-32768), "smallint", "-32768"),
        ("INTEGER", json!(2147483647), "integer", "2147483647"),
        ("BIGINT", json!(i64::MIN), "bigint", "-9223372036854775808"),
        ("REAL", json!(3.4e38), "real", "3.4e+38"),
        ("DOUBLE PRECISION", json!(1.7976931348623157e308), "double precision", "1.7976931348623157e+308"),
        ("FLOAT", json!("-Infinity"), "double precision", "-Infinity"),
        ("BOOLEAN", json!(true), "boolean", "true"),
        ("VARCHAR(3)", json!("☃\\N"), "character varying(3)", "☃\\N"),
        ("CHAR(5)", json!("ab"), "character(5)", "ab"),
        ("DATE", json!("0044-03-15 BC"), "date", "0044-03-15 BC"),
        ("DATE", json!("infinity"), "date", "infinity"),
        ("TIME", json!("23:59:59.999999"), "time without time zone", "23:59:59.999999"),
        ("TIME WITH TIME ZONE", json!("04:05:06+02"), "time with time zone", "04:05:06+02"),
        ("TIMESTAMP", json!("2026-01-02 03:04:05.678901"), "timestamp without time zone", "2026-01-02 03:04:05.678901"),
        (
            "TIMESTAMP WITH TIME ZONE",
            json!("2026-01-02 03:04:05.678901+05:30"),
            "timestamp with time zone",
            "2026-01-01 21:34:05.678901+00",
        ),
        ("timestamptz", json!("-infinity"), "timestamp with time zone", "-infinity"),
        ("INTERVAL", json!("1 year 2 mons 3 days 04:05:06.789"), "interval", "1 year 2 mons 3 days 04:05:06.789"),
        ("BYTEA", json!("\\x00ff5c0a"), "bytea", "\\x00ff5c0a"),
        ("JSON", json!({"b": [1.50, null], "a": "\t☃\\"}), "json", r#"{"b":[1.5,null],"a":"\t☃\\"}"#),
        ("JSONB", json!({"b": [1, null], "a": "\"☃"}), "jsonb", r#"{"a": "\"☃", "b": [1, null]}"#),
        ("UUID", json!("5A0D1B8E-6F0F-4F5E-9A53-2F8F6E6A2A11"), "uuid", "5a0d1b8e-6f0f-4f5e-9a53-2f8f6e6a2a11"),
        ("integer[]", json!([[1, 2], [3, null]]), "integer[]", "{{1,2},{3,NULL}}"),
        ("text[]", json!(["a\"b", "c,d", "\\", "NULL", null, ""]), "text[]", r#"{"a\"b","c,d","\\","NULL",NULL,""}"#),
        ("NUMERIC(9,2)[]", json!([1.5, "-2"]), "numeric(9,2)[]", "{1.50,-2.00}"),
        ("jsonb[]", json!([{"a": 1}]), "jsonb[]", r#"{"{\"a\": 1}"}"#),
        ("a type of nobody's", json!("soon"), "text", "soon"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_comes_back_exactly() {
    let Some((mut bench, database)) = open().await else { return };
    for (number, (declared, value, column_type, shown)) in table().into_iter().enumerate() {
        let name = format!("t{number}");
        bench.stream.apply.rules.keys.insert(name.clone(), vec!["id".into()]);
        let row =
            |id: usize, value: &Value| rows(&name, &[&[("id", "INTEGER", id.into()), ("v", declared, value.clone())]]);
        // By itself, copied, and by one statement for many.
        apply(&mut bench, &[row(0, &value)]).await;
        apply(&mut bench, &(1..=MANY).map(|id| row(id, &value)).collect::<Vec<_>>()).await;
        let later = 100..100 + MANY;
        apply(&mut bench, &later.clone().map(|id| row(id, &Value::Null)).collect::<Vec<_>>()).await;
        let set = |id: usize| update(&name, &[("v", declared, value.clone())], &[("id", "INTEGER", id.into())]);
        apply(&mut bench, &later.map(|id| activities([set(id)])).collect::<Vec<_>>()).await;
        let sql = format!(
            "SELECT v::text, count(*), (SELECT format_type(atttypid, atttypmod) FROM pg_attribute
             WHERE attrelid = '{name}'::regclass AND attname = 'v') FROM {name} GROUP BY 1"
        );
        let count = 1 + 2 * MANY;
        assert_eq!(ask(&database, &sql).await, [format!("{shown}|{count}|{column_type}")], "{declared}");
        if declared != "JSON" && declared != "FLOAT" && !declared.contains('[') {
            // As a key it finds its rows.
            apply(&mut bench, &[activities([delete(&name, &[("v", declared, value.clone())])])]).await;
            assert_eq!(ask(&database, &sql).await, [""; 0], "{declared} as a key");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_character_but_nul_comes_back() {
    let Some((mut bench, _database)) = open().await else { return };
    let all: Vec<char> = (1..=0x10_ffff).filter_map(char::from_u32).collect();
    let pieces: Vec<String> = all.chunks(40_000).map(|piece| piece.iter().collect()).collect();
    let document = |(id, text): (usize, &String)| {
        rows("t", &[&[("id", "INTEGER", id.into()), ("v", "TEXT", text.as_str().into())]])
    };
    let documents: Vec<_> = pieces.iter().enumerate().map(document).collect();
    apply(&mut bench, &documents[..1]).await;
    apply(&mut bench, &documents[1..]).await;
    let found = bench.rows("t").await.unwrap();
    assert_eq!(found.len(), pieces.len());
    for (row, piece) in found.iter().zip(&pieces) {
        let row: Value = serde_json::from_str(row).unwrap();
        assert!(row["v"] == piece.as_str(), "the piece that begins with {:?}", piece.chars().next());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_names_whatever_they_hold() {
    let Some((mut bench, _database)) = open().await else { return };
    let long = "ü".repeat(31) + "x";
    for name in ["a\"b", "select", "x' OR 1=1; --", "tab\there\nand\\N", "$1", "{s}", " ", &long, "☃, line 7"] {
        bench.stream.apply.rules.keys.insert(name.into(), vec![name.into()]);
        let row = |id: usize| rows(name, &[&[(name, "INTEGER", id.into()), ("v", "TEXT", name.into())]]);
        apply(&mut bench, &(0..MANY).map(row).collect::<Vec<_>>()).await;
        apply(&mut bench, &[row(MANY)]).await;
        let set = |id: usize| update(name, &[("v", "TEXT", "'; --".into())], &[(name, "INTEGER", id.into())]);
        apply(&mut bench, &(0..MANY).map(|id| activities([set(id)])).collect::<Vec<_>>()).await;
        let gone = |id: usize| activities([delete(name, &[(name, "INTEGER", id.into())])]);
        apply(&mut bench, &(1..=MANY).map(gone).collect::<Vec<_>>()).await;
        let left = json!({name: 0, "v": "'; --"}).to_string();
        let found = bench.rows(name).await.unwrap();
        let found: Vec<Value> = found.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
        assert_eq!(found, [serde_json::from_str::<Value>(&left).unwrap()], "{name:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_nobody_named_are_read_by_the_columns_own_input() {
    let Some((mut bench, database)) = open().await else { return };
    database.execute(
        "CREATE TYPE mood AS ENUM ('sad', 'happy');
         CREATE DOMAIN small AS integer CHECK (VALUE < 100);
         CREATE TABLE t (id integer PRIMARY KEY, m mood, r int4range, i inet, a mood[], d small, x xml, p point)",
    );
    let row = |id: usize| {
        rows(
            "t",
            &[&[
                ("id", "INTEGER", id.into()),
                ("m", "TEXT", "happy".into()),
                ("r", "int4range", "[1,5]".into()),
                ("i", "inet", "10.0.0.1/8".into()),
                ("a", "mood[]", "{sad,happy}".into()),
                ("d", "INTEGER", 7.into()),
                ("x", "xml", "<a>\\</a>".into()),
                ("p", "point", "(1, 2)".into()),
            ]],
        )
    };
    apply(&mut bench, &[row(0)]).await;
    apply(&mut bench, &(1..=MANY).map(row).collect::<Vec<_>>()).await;
    let all = "SELECT m, r, i, a, d, x, p, count(id) FROM (SELECT id, m, r, i, a, d, x::text, p::text FROM t) t
               GROUP BY 1, 2, 3, 4, 5, 6, 7";
    let shown = |count: usize| [format!("happy|[1,6)|10.0.0.1/8|{{sad,happy}}|7|<a>\\</a>|(1,2)|{count}")];
    assert_eq!(ask(&database, all).await, shown(1 + MANY));
    let sad = |id: usize| activities([update("t", &[("m", "mood", "sad".into())], &[("id", "INTEGER", id.into())])]);
    apply(&mut bench, &(1..=MANY).map(sad).collect::<Vec<_>>()).await;
    for (column, value) in [("m", "happy"), ("r", "[1,5]"), ("p", "(1,2)"), ("x", "<a>\\</a>"), ("i", "10.0.0.1/8")] {
        let key = [("id", "INTEGER", 0.into()), (column, "whatever", value.into())];
        apply(&mut bench, &[activities([delete("t", &key)])]).await;
        assert_eq!(ask(&database, "SELECT 1 FROM t WHERE id = 0").await, [""; 0], "{column} as a key");
        apply(&mut bench, &[row(0)]).await;
    }
    let bad = |column: &str, value: Value| rows("t", &[&[("id", "INTEGER", 99.into()), (column, "whatever", value)]]);
    refused(Err::<(), _>(refusal(&bench, &[bad("m", "angry".into())]).await.error), ProblemType::InvalidValue);
    refused(Err::<(), _>(refusal(&bench, &[bad("d", 700.into())]).await.error), ProblemType::ConstraintViolated);
}
