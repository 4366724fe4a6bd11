//! What changes do to tables and rows.

use std::collections::HashMap;

use sluicegate::problem::ProblemType;
use sluicegate::store::rows::Column;
use sluicegate::store::{ApplyRules, StoreError};

use super::bench::{Bench, documents, insert, refused};
use crate::random::Random;

fn cells(names: &str, values: &str) -> String {
    let names: Vec<_> = names.split(' ').map(|name| format!("{name:?}")).collect();
    let types = vec![r#""INTEGER""#; names.len()].join(",");
    format!(r#""col_names":[{}],"col_types":[{types}],"col_values":[{values}]"#, names.join(","))
}

/// A document that updates whole numbers.
fn update(table: &str, set: (&str, &str), key: (&str, &str)) -> String {
    let (set, key) = (cells(set.0, set.1), cells(key.0, key.1));
    format!(r#"{{"activities":[{{"operation":"update","table":"{table}",{set},"old_value":{{{key}}}}}]}}"#)
}

fn delete(table: &str, key: (&str, &str)) -> String {
    let key = cells(key.0, key.1);
    format!(r#"{{"activities":[{{"operation":"delete","table":"{table}","old_value":{{{key}}}}}]}}"#)
}

/// A wal2json v1 document of one change.
fn wal2json(kind: &str, rest: &str) -> String {
    format!(r#"{{"change":[{{"kind":"{kind}","schema":"public","table":"t",{rest}}}]}}"#)
}

/// Rows in an order of their own: an update may move a row.
fn sorted(rows: impl Iterator<Item = String>) -> String {
    let mut rows: Vec<_> = rows.collect();
    rows.sort();
    rows.join(" ")
}

async fn columns(bench: &Bench, table: &str) -> Vec<Column> {
    bench.store.rows().columns(table).await.unwrap().unwrap()
}

pub(super) async fn an_insert_makes_its_table_and_adds_its_columns(bench: &mut Bench) {
    let documents =
        [insert("t", "id INTEGER 1, name VARCHAR(9) \"a\""), insert("t", "id INTEGER 2, n NUMERIC(9,2) 1.50")];
    bench.apply(&[&documents[0], &documents[1], &insert("t", "name VARCHAR(9) \"b\"")]).await.unwrap();
    let names: Vec<_> = columns(bench, "t").await.into_iter().map(|column| column.name).collect();
    assert_eq!(names, ["id", "name", "n"]);
    assert_eq!(
        bench.rows("t").await.unwrap(),
        [r#"{"id":1,"name":"a","n":null}"#, r#"{"id":2,"name":null,"n":"1.50"}"#, r#"{"id":null,"name":"b","n":null}"#]
    );
}

pub(super) async fn nothing_is_made_where_the_stream_may_not(bench: &mut Bench) {
    bench.apply(&[&insert("t", "id INTEGER 1")]).await.unwrap();
    bench.stream.apply.rules = ApplyRules::default();
    refused(bench.apply(&[&insert("new", "id INTEGER 1")]).await, ProblemType::UnknownTable);
    refused(bench.apply(&[&insert("t", "id INTEGER 1, b TEXT \"x\"")]).await, ProblemType::UnknownColumn);
    refused(bench.apply(&[&update("t", ("b", "1"), ("id", "1"))]).await, ProblemType::UnknownColumn);
    bench.apply(&[&insert("t", "id INTEGER 2")]).await.unwrap();
    assert_eq!(bench.rows("t").await.unwrap().len(), 2);
}

pub(super) async fn keys_make_primary_keys(bench: &mut Bench) {
    let keys = HashMap::from([("ours".to_owned(), vec!["b".to_owned(), "a".to_owned()])]);
    bench.stream.apply.rules.keys = keys;
    let theirs = wal2json(
        "insert",
        r#""columnnames":["id","a"],"columntypes":["integer","integer"],"columnvalues":[1,2],
           "pk":{"pknames":["id"],"pktypes":["integer"]}"#,
    );
    bench.apply(&[&insert("ours", "a INTEGER 1, b TEXT \"x\", c TEXT \"y\""), &theirs]).await.unwrap();
    for (table, expected) in [("ours", &["a", "b"][..]), ("t", &["id"])] {
        let found = columns(bench, table).await;
        let keys: Vec<_> = found.iter().filter(|column| column.is_key).map(|column| &*column.name).collect();
        assert_eq!(keys, expected, "{table}");
    }
    refused(bench.apply(&[&theirs]).await, ProblemType::ConstraintViolated);
    assert_eq!(bench.rows("t").await.unwrap().len(), 1);
}

pub(super) async fn updates_and_deletes_find_their_rows_by_key(bench: &mut Bench) {
    let rows = ["1, 1, 1", "2, 1, null", "3, null, null", "4, null, 1"];
    let rows = rows.map(|row| row.split(", ").map(str::to_owned).collect::<Vec<_>>());
    let rows =
        rows.map(|row| insert("t", &format!("id INTEGER {}, a INTEGER {}, b INTEGER {}", row[0], row[1], row[2])));
    bench.apply(&rows.each_ref().map(String::as_str)).await.unwrap();
    for (document, left) in [
        (delete("t", ("id", "9")), "1-1-1 2-1-null 3-null-null 4-null-1"),
        (update("t", ("b", "7"), ("a b", "1,null")), "1-1-1 2-1-7 3-null-null 4-null-1"),
        (update("t", ("a", "8"), ("a", "null")), "1-1-1 2-1-7 3-8-null 4-8-1"),
        (update("t", ("id b", "5,null"), ("id b", "4,1")), "1-1-1 2-1-7 3-8-null 5-8-null"),
        (update("t", ("a", "null"), ("id", "1")), "1-null-1 2-1-7 3-8-null 5-8-null"),
        (delete("t", ("b", "null")), "1-null-1 2-1-7"),
        (delete("t", ("a b", "null,1")), "2-1-7"),
        (wal2json("truncate", r#""x":1"#), ""),
    ] {
        bench.apply(&[&document]).await.unwrap();
        let rows = bench.rows("t").await.unwrap().into_iter().map(|row| {
            let row: serde_json::Value = serde_json::from_str(&row).unwrap();
            format!("{}-{}-{}", row["id"], row["a"], row["b"])
        });
        assert_eq!(sorted(rows), left, "{document}");
    }
}

pub(super) async fn what_cannot_be_applied_is_said_by_its_type(bench: &mut Bench) {
    bench.apply(&[&insert("t", "id SMALLINT 1, name VARCHAR(3) \"abc\", d DATE \"2026-01-31\"")]).await.unwrap();
    use ProblemType::*;
    for (document, kind, word) in [
        (delete("nowhere", ("id", "1")), UnknownTable, "nowhere"),
        (update("nowhere", ("id", "1"), ("id", "1")), UnknownTable, "nowhere"),
        (delete("t", ("nothing", "1")), UnknownColumn, "nothing"),
        (update("t", ("id", "1"), ("nothing", "1")), UnknownColumn, "nothing"),
        (insert("t", "id TEXT \"1\""), TypeConflict, "TEXT"),
        (insert("t", "name INTEGER 1"), TypeConflict, "name"),
        (insert("t", "id INTEGER 40000"), ValueOutOfRange, "40000"),
        (insert("t", "name TEXT \"abcd\""), ValueOutOfRange, "abcd"),
        (insert("t", "d MYSTERY \"soon\""), InvalidValue, "soon"),
    ] {
        let problem = refused(bench.apply(&[&document]).await, kind);
        assert!(problem.detail.contains(word), "{document}: {problem}");
    }
    assert_eq!(bench.rows("t").await.unwrap().len(), 1);
}

pub(super) async fn names_that_differ_in_case_only_are_refused(bench: &mut Bench) {
    bench.apply(&[&insert("Item", "Id INTEGER 1")]).await.unwrap();
    for document in [
        insert("item", "Id INTEGER 1"),
        insert("Item", "id INTEGER 1"),
        delete("ITEM", ("Id", "1")),
        delete("Item", ("iD", "1")),
        update("Item", ("id", "1"), ("x", "1")),
    ] {
        refused(bench.apply(&[&document]).await, ProblemType::NameConflict);
    }
    assert_eq!(bench.rows("Item").await.unwrap(), [r#"{"Id":1}"#]);
}

pub(super) async fn a_key_without_its_nulls_finds_the_row_it_means(bench: &mut Bench) {
    let row = |a: &str, b: &str| {
        let rest = format!(
            r#""columnnames":["id","a","b"],"columntypes":["integer","integer","integer"],"columnvalues":[1,{a},{b}]"#
        );
        wal2json("insert", &rest)
    };
    let key = r#""oldkeys":{"keynames":["id"],"keytypes":["integer"],"keyvalues":[1]}"#;
    let set = |value: i32| format!(r#""columnnames":["b"],"columntypes":["integer"],"columnvalues":[{value}],{key}"#);
    for (rows, change, left) in [
        // One row matches: `id` may well be the source's key.
        (vec![("5", "6")], wal2json("delete", key), ""),
        (vec![("5", "6")], wal2json("update", &set(9)), "5-9"),
        // Several do: the source compares whole rows, and this one's other columns are NULL.
        (vec![("5", "6"), ("null", "null")], wal2json("delete", key), "5-6"),
        (vec![("5", "null"), ("null", "null"), ("null", "6")], wal2json("update", &set(9)), "5-null null-6 null-9"),
        (vec![("5", "6"), ("7", "8")], wal2json("delete", key), "5-6 7-8"),
    ] {
        let rows: Vec<_> = rows.into_iter().map(|(a, b)| row(a, b)).collect();
        bench.apply(&rows.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
        bench.apply(&[&change]).await.unwrap();
        let found = bench.rows("t").await.unwrap().into_iter().map(|row| {
            let row: serde_json::Value = serde_json::from_str(&row).unwrap();
            format!("{}-{}", row["a"], row["b"])
        });
        assert_eq!(sorted(found), left, "{rows:?}, {change}");
        bench.apply(&[&wal2json("truncate", r#""x":1"#)]).await.unwrap();
    }
}

pub(super) async fn a_schema_stays_in_the_name_unless_it_is_public(bench: &mut Bench) {
    for table in ["public.t", "t", "sales.t", "sales.Orders \u{1f5e1}"] {
        bench.apply(&[&insert(table, "id INTEGER 1")]).await.unwrap();
    }
    let tables = bench.store.rows().tables().await.unwrap();
    assert!(tables.iter().all(|table| table.is_ours && table.full_name.ends_with(&table.name)), "{tables:?}");
    let tables: Vec<_> = tables.into_iter().map(|table| table.name).collect();
    assert_eq!(tables, ["sales.Orders \u{1f5e1}", "sales.t", "t"], "and none of the store's own");
    assert_eq!(bench.rows("t").await.unwrap().len(), 2);
    assert_eq!(bench.rows("_sluicegate_positions").await, None);
}

/// Documents that look random.
struct Documents(Random);

impl Documents {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    fn value(&mut self) -> String {
        if self.below(4) == 0 { "null".into() } else { self.below(4).to_string() }
    }

    /// A document of some changes, of which some cannot be applied.
    fn document(&mut self) -> String {
        let documents: Vec<_> = (0..=self.below(3)).map(|_| self.change()).collect();
        let inner = |document| str::strip_prefix(document, "{\"activities\":[")?.strip_suffix("]}");
        let changes: Vec<_> = documents.iter().map(|document| inner(document).unwrap()).collect();
        format!("{{\"activities\":[{}]}}", changes.join(","))
    }

    fn change(&mut self) -> String {
        let table = ["one", "two"][self.below(2) as usize];
        let column = ["a", "b", "c"][self.below(3) as usize];
        let value = self.value();
        match self.below(10) {
            0..5 => insert(table, &format!("id INTEGER {}, {column} INTEGER {value}", self.below(5))),
            5..7 => update(table, (column, &value), ("id", &self.below(5).to_string())),
            7 => delete(table, ("id", &self.below(5).to_string())),
            8 => delete(table, (column, &value)),
            _ => insert(table, "id TEXT \"a conflict unless it is the first\""),
        }
    }
}

/// Applies the documents in one transaction, without those that cannot be; gives the indexes of the others.
pub(super) async fn apply_what_can_be(bench: &Bench, texts: &[String]) -> Vec<usize> {
    let sent: Vec<_> = texts.iter().map(|text| (None, text.as_str())).collect();
    let kept = bench.append(&sent).await;
    let (documents, count) = (documents(&bench.stream, &kept), kept.len());
    let mut transaction = bench.store.begin(&bench.stream.apply.rules, None).await.unwrap();
    let (mut applied, mut done, mut length) = (Vec::new(), 0, count);
    while done < count {
        match transaction.apply(&documents.part(done..done + length)).await {
            Ok(fates) => {
                assert_eq!(fates.len(), length);
                applied.extend(done..done + length);
                done += length;
                length = count - done;
            }
            Err(refusal) => {
                assert!(matches!(refusal.error, StoreError::Document(_)), "{refusal:?}");
                match refusal.at.unwrap_or(length / 2) {
                    0 => {
                        done += 1;
                        length = count - done;
                    }
                    at => length = at,
                }
            }
        }
    }
    transaction.commit().await.unwrap();
    applied
}

pub(super) async fn a_batch_is_its_documents_one_by_one(bench: &mut Bench) {
    for seed in 0..12 {
        let mut random = Documents(Random::new(seed));
        let count = 5 + random.below(60);
        let batch: Vec<_> = (0..count).map(|_| random.document()).collect();
        let tables = |text: &String, suffix: &str| {
            text.replace("\"one\"", &format!("\"one{seed}{suffix}\""))
                .replace("\"two\"", &format!("\"two{seed}{suffix}\""))
        };
        let together: Vec<_> = batch.iter().map(|text| tables(text, "_together")).collect();
        let together = apply_what_can_be(bench, &together).await;
        let mut apart = Vec::new();
        for (index, text) in batch.iter().enumerate() {
            if apply_what_can_be(bench, &[tables(text, "_apart")]).await == [0] {
                apart.push(index);
            }
        }
        assert_eq!(together, apart, "seed {seed}");
        assert!(!apart.is_empty() && apart.len() < batch.len(), "seed {seed}: some apply and some do not");
        for table in ["one", "two"] {
            let rows = async |suffix| Some(sorted(bench.rows(&format!("{table}{seed}{suffix}")).await?.into_iter()));
            assert_eq!(rows("_together").await, rows("_apart").await, "seed {seed}, table {table}");
        }
    }
}

/// An update whose key names columns that the table lacks, in the words of a row that would add them.
pub(super) async fn a_key_of_missing_columns_finds_no_row_and_is_refused(bench: &mut Bench) {
    bench.apply(&[&insert("t", "id INTEGER 1, a INTEGER 1")]).await.unwrap();
    use ProblemType::{NameConflict, UnknownColumn};
    for (set, key, kind) in [
        (("b", "5"), ("b", "4"), UnknownColumn),
        (("b a", "5,6"), ("b a", "4,1"), UnknownColumn),
        (("b a", "5,6"), ("a b", "1,4"), UnknownColumn),
        (("b a", "5,6"), ("b a", "4,null"), UnknownColumn),
        (("b c", "5,6"), ("b c", "null,4"), UnknownColumn),
        (("a", "5"), ("b", "null"), UnknownColumn),
        (("A", "5"), ("A", "4"), NameConflict),
        (("ID a", "5,6"), ("ID a", "1,1"), NameConflict),
    ] {
        refused(bench.apply(&[&update("t", set, key)]).await, kind);
        assert_eq!(bench.rows("t").await.unwrap(), [r#"{"id":1,"a":1}"#], "{set:?} where {key:?}");
    }
    refused(bench.apply(&[&delete("t", ("b", "4"))]).await, UnknownColumn);
    // A column that the source has added is NULL in every row of before.
    bench.apply(&[&update("t", ("b", "5"), ("id b", "1,null"))]).await.unwrap();
    assert_eq!(bench.rows("t").await.unwrap(), [r#"{"id":1,"a":1,"b":5}"#]);
}

/// A wal2json document of the second version's words: one change of a row that is known by all its columns.
fn full(action: &str, columns: &str, identity: &str) -> String {
    let cells = |text: &str| {
        let cells = text.split(' ').filter(|cell| !cell.is_empty()).map(|cell| {
            let (name, value) = cell.split_once('=').unwrap();
            format!(r#"{{"name":"{name}","type":"integer","value":{value}}}"#)
        });
        cells.collect::<Vec<_>>().join(",")
    };
    let mut text = format!(r#"{{"action":"{action}","schema":"public","table":"t""#);
    if !columns.is_empty() {
        text += &format!(r#","columns":[{}]"#, cells(columns));
    }
    if !identity.is_empty() {
        text += &format!(r#","identity":[{}]"#, cells(identity));
    }
    text + "}"
}

/// Rows that are alike in every column: each change of the source is about one of them.
pub(super) async fn of_identical_rows_each_change_takes_one(bench: &mut Bench) {
    let key = r#""oldkeys":{"keynames":["a"],"keytypes":["integer"],"keyvalues":[1]}"#;
    let first = |kind: &str, set: &str| wal2json(kind, &format!("{set}{key}"));
    let to_five = r#""columnnames":["a","b"],"columntypes":["integer","integer"],"columnvalues":[1,5],"#;
    let gone = full("D", "", "a=1 b=2");
    let many = vec![gone.clone(); 9];
    for (rows, changes, left) in [
        ("1-2 1-2 1-2", vec![gone.clone()], "1-2 1-2"),
        ("1-2 1-2 1-2", vec![gone.clone(), gone.clone()], "1-2"),
        ("1-2 1-2 1-2 3-4", many.clone(), "3-4"),
        ("1-2 1-2 1-2 1-2 1-2 1-2 1-2 1-2 1-2 1-2 1-2", many, "1-2 1-2"),
        ("1-2 1-2 3-4", vec![full("U", "a=1 b=9", "a=1 b=2")], "1-2 1-9 3-4"),
        ("1-2 1-2", vec![full("U", "a=1 b=9", "a=1 b=2"); 2], "1-9 1-9"),
        ("1-2 1-2", vec![delete("t", ("a b", "1,2"))], "1-2"),
        ("1-2 1-2", vec![update("t", ("b", "9"), ("a b", "1,2"))], "1-2 1-9"),
        ("1-null 1-null", vec![delete("t", ("a b", "1,null"))], "1-null"),
        ("1-null 1-null 1-2", vec![full("D", "", "a=1 b=null")], "1-2 1-null"),
        // A source whose key is `a`, and one that left the NULLs out.
        ("1-null 1-null", vec![first("delete", "")], "1-null"),
        ("1-null 1-null", vec![first("update", to_five)], "1-5 1-null"),
        ("1-null 1-2", vec![first("delete", "")], "1-2"),
        ("1-2 1-3", vec![full("D", "", "b=3")], "1-2"),
        // A condition of somebody who writes changes by hand means all that match.
        ("1-2 1-2 1-3", vec![delete("t", ("a", "1"))], ""),
        ("1-2 1-2 1-3", vec![update("t", ("b", "9"), ("a", "1"))], "1-9 1-9 1-9"),
    ] {
        let inserts: Vec<_> = rows
            .split(' ')
            .map(|row| {
                let (a, b) = row.split_once('-').unwrap();
                insert("t", &format!("a INTEGER {a}, b INTEGER {b}"))
            })
            .collect();
        bench.apply(&inserts.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
        bench.apply(&changes.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
        let found = bench.rows("t").await.unwrap().into_iter().map(|row| {
            let row: serde_json::Value = serde_json::from_str(&row).unwrap();
            format!("{}-{}", row["a"], row["b"])
        });
        assert_eq!(sorted(found), left, "{rows}: {changes:?}");
        bench.apply(&[&wal2json("truncate", r#""x":1"#)]).await.unwrap();
    }
}
