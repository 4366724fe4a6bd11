//! Changes that leave it to the table which row they mean, as a source does that sends rows without their key.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use sluicegate::change::{Action, Cell, Change, ChangeSet, ColumnType, Key, KeyColumns, TableName, Value};
use sluicegate::document::StreamName;
use sluicegate::problem::{Problem, ProblemType};
use sluicegate::record::Kept;
use sluicegate::store::{Document, Documents, Reads, Refusal, StoreError};

use super::bench::{Bench, insert};

/// Cells from `id=1 name=a`: what is a number is an INTEGER, the rest TEXT, and `-` is NULL.
fn cells(text: &str) -> Vec<Cell<'_>> {
    let cell = |text: &str| {
        let (name, value) = text.split_once('=').unwrap();
        let column_type = ColumnType::parse(if value.parse::<i64>().is_ok() { "integer" } else { "text" });
        let value = match (value, value.parse()) {
            ("-", _) => Value::Null,
            (_, Ok(number)) => Value::Whole(number),
            (text, Err(_)) => Value::Text(Cow::Owned(text.to_owned())),
        };
        Cell { name: Cow::Owned(name.to_owned()), column_type, value }
    };
    text.split_whitespace().map(cell).collect()
}

/// A document of one change: `upsert t: id=1 a=2`, `update t: a=2 where id=1 a=1`, `delete t: id=1 a=2`.
fn change(text: &str) -> ChangeSet<'_> {
    let (head, rest) = text.split_once(": ").unwrap();
    let (word, table) = head.split_once(' ').unwrap();
    let key = |text| Key { cells: cells(text), is_tables: true, omits_nulls: false, is_one_row: true };
    let action = match word {
        "upsert" => Action::Upsert { row: cells(rest), key: KeyColumns::OfTable },
        "update" => {
            let (row, old) = rest.split_once(" where ").unwrap_or((rest, rest));
            Action::Update { row: cells(row), key: key(old) }
        }
        _ => Action::Delete { key: key(rest) },
    };
    ChangeSet { changes: vec![Change { table: TableName::parse(Cow::Borrowed(table)), action }] }
}

/// Reads records that are written as [`change`] has it.
struct Words(StreamName);

impl Reads for Words {
    fn read<'a>(&'a self, kept: &'a Kept) -> Result<Document<'a>, Problem> {
        let text = std::str::from_utf8(&kept.record.value).unwrap();
        Ok(Document { stream: &self.0, position: &kept.position, changes: change(text), idempotency: None })
    }
}

/// Applies documents in one transaction, which is committed unless one is refused.
async fn apply(bench: &mut Bench, documents: &[&str]) -> Result<(), Refusal> {
    let sent: Vec<_> = documents.iter().map(|text| (None, *text)).collect();
    let kept = bench.append(&sent).await;
    let documents = Arc::new(Documents::read(Arc::new(Words(bench.stream.name.clone())), kept));
    let mut transaction = bench.store.begin(&bench.stream.apply.rules, None).await.unwrap();
    transaction.apply(&documents.whole()).await?;
    transaction.commit().await.unwrap();
    Ok(())
}

/// The rows of `t`, as `1-a 2-b`, in the order of their first column.
async fn rows(bench: &Bench) -> String {
    let rows = bench.rows("t").await.unwrap().into_iter().map(|row| {
        let row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&row).unwrap();
        row.values()
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join("-")
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort();
    rows.join(" ")
}

fn keys(table: &str, columns: &[&str]) -> HashMap<String, Vec<String>> {
    HashMap::from([(table.to_owned(), columns.iter().map(|column| (*column).to_owned()).collect())])
}

/// A table `t` of `a`, `b` and `c` whose primary key is `(b, a)`, which the stream itself no longer names.
async fn table_with_a_key(bench: &mut Bench) {
    bench.stream.apply.rules.keys = keys("t", &["b", "a"]);
    bench.apply(&[&insert("t", "a INTEGER 1, b TEXT \"x\", c TEXT \"one\"")]).await.unwrap();
    bench.stream.apply.rules.keys = HashMap::new();
}

pub(super) async fn the_tables_key_says_which_row_is_meant(bench: &mut Bench) {
    table_with_a_key(bench).await;
    for (document, left) in [
        ("upsert t: a=1 b=x c=two", "1-x-two"),
        ("upsert t: a=2 b=x c=three", "1-x-two 2-x-three"),
        // What is not named stays, and a column that is new is added.
        ("upsert t: a=1 b=x", "1-x-two 2-x-three"),
        // The row of before is out of date in what is no key.
        ("update t: c=four where a=1 b=x c=stale", "1-x-four 2-x-three"),
        ("update t: a=2 b=x c=five", "1-x-four 2-x-five"),
        ("update t: a=9 c=six where a=2 b=x c=-", "1-x-four 9-x-six"),
        ("update t: c=seven where a=3 b=x", "1-x-four 9-x-six"),
        ("delete t: c=- a=1 b=x", "9-x-six"),
        ("delete t: a=1 b=x", "9-x-six"),
        ("upsert t: a=9 b=x d=new", "9-x-six-new"),
    ] {
        apply(bench, &[document]).await.unwrap();
        assert_eq!(rows(bench).await, left, "{document}");
    }
}

pub(super) async fn the_streams_word_stands_before_the_tables(bench: &mut Bench) {
    // A table that is made gets it as its primary key.
    bench.stream.apply.rules.keys = keys("t", &["id"]);
    apply(bench, &["upsert t: id=1 n=a", "update t: n=b where id=1 n=z", "upsert t: id=1 n=c", "upsert t: id=2 n=a"])
        .await
        .unwrap();
    assert_eq!(rows(bench).await, "1-c 2-a");
    let columns = bench.store.rows().columns("t").await.unwrap().unwrap();
    let keys_there: Vec<_> = columns.iter().filter(|column| column.is_key).map(|column| &*column.name).collect();
    assert_eq!(keys_there, ["id"]);
    // In a table that is there it is what tells rows apart, be there several of a kind or not.
    bench.stream.apply.rules.keys = keys("t", &["n"]);
    apply(bench, &["update t: n=d where id=7 n=a", "delete t: id=7 n=c"]).await.unwrap();
    assert_eq!(rows(bench).await, "2-d");
}

pub(super) async fn many_changes_by_the_tables_key_are_made_in_their_order(bench: &mut Bench) {
    table_with_a_key(bench).await;
    let upserts = (0..60).map(|at| format!("upsert t: a={} b=x c=v{at}", at % 20));
    let updates = (0..40).map(|at| format!("update t: c=w{at} where a={} b=x c=stale", at % 10));
    let deletes = (5..20).map(|at| format!("delete t: a={at} b=x"));
    let documents: Vec<_> = upserts.chain(updates).chain(deletes).collect();
    apply(bench, &documents.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(rows(bench).await, "0-x-w30 1-x-w31 2-x-w32 3-x-w33 4-x-w34");
}

pub(super) async fn where_nothing_tells_which_row_is_meant_the_document_says_so(bench: &mut Bench) {
    table_with_a_key(bench).await;
    bench.apply(&[&insert("keyless", "id INTEGER 1, n TEXT \"a\"")]).await.unwrap();
    use ProblemType::{ConstraintViolated, UnknownKey, UnknownTable};
    for (named, document, kind, words) in [
        (
            "",
            "upsert keyless: id=1 n=b",
            UnknownKey,
            "table keyless which row is meant, and the table has no primary key",
        ),
        ("", "update keyless: id=1 n=b", UnknownKey, "give it one, or name its key under the stream's `keys`"),
        ("", "delete keyless: id=1 n=a", UnknownKey, "has no primary key"),
        (
            "",
            "upsert new: id=1",
            UnknownKey,
            "there is no such table yet; create it with a primary key, or name its key",
        ),
        ("", "update new: id=1", UnknownTable, "table new does not exist"),
        ("", "delete new: id=1", UnknownTable, "table new does not exist"),
        (
            "",
            "upsert t: a=1 c=x",
            UnknownKey,
            "the key of table t has the column \"b\", and the document gives no value for it",
        ),
        ("", "update t: c=x where a=1", UnknownKey, "the column \"b\""),
        ("", "delete t: b=x", UnknownKey, "the column \"a\""),
        ("keyless", "upsert keyless: id=1 n=b", ConstraintViolated, "it has no unique index on \"id\""),
    ] {
        bench.stream.apply.rules.keys = if named.is_empty() { HashMap::new() } else { keys(named, &["id"]) };
        let (before, behind) = (format!("upsert t: a=1 b=x c=v{}", document.len()), "upsert t: a=2 b=x c=never");
        let refusal = apply(bench, &[&before, document, behind]).await.unwrap_err();
        assert_eq!(refusal.at, Some(1), "{document}");
        let StoreError::Document(problem) = refusal.error else { panic!("{document}: {:?}", refusal.error) };
        assert_eq!(problem.kind, kind, "{document}: {problem}");
        assert!(problem.detail.contains(words), "{document}: {problem}");
    }
    assert_eq!(rows(bench).await, "1-x-one");
    // A key that the stream names needs no index to find rows by it.
    bench.stream.apply.rules.keys = keys("keyless", &["id"]);
    apply(bench, &["update keyless: id=1 n=b", "delete keyless: id=1 n=z"]).await.unwrap();
    assert_eq!(bench.rows("keyless").await.unwrap().len(), 0);
}
