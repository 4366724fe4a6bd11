//! Records: the document in JSONB, with an index where the stream wants one.

use serde_json::json;

use super::{apply, ask, open, rows};

const INDEXES: &str = "SELECT indexdef FROM pg_indexes WHERE tablename = 'people' AND indexdef LIKE '%USING gin%'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_column_is_indexed_where_that_is_wished_for_also_later() {
    let Some((mut bench, database)) = open().await else { return };
    let person = |id: i64| {
        let document = json!({"name": "george", "age": id});
        rows("people", &[&[("id", "INTEGER", id.into()), ("document", "JSONB", document)]])
    };
    apply(&mut bench, &[person(1)]).await;
    assert_eq!(ask(&database, INDEXES).await, [""; 0]);
    bench.stream.apply.rules.json_indexes.insert("people".to_owned(), "document".to_owned());
    let fresh = rows("fresh", &[&[("document", "JSONB", json!([1]))]]);
    bench.stream.apply.rules.json_indexes.insert("fresh".to_owned(), "document".to_owned());
    // Another store has remembered nothing of the table.
    let other = sluicegate::store::postgres::PostgresStore::open(&database.url()).await.unwrap();
    bench.store = std::sync::Arc::new(other);
    apply(&mut bench, &[person(2), fresh]).await;
    let found = ask(&database, INDEXES).await;
    assert!(found.len() == 1 && found[0].contains("USING gin (document)"), "{found:?}");
    assert_eq!(ask(&database, &INDEXES.replace("people", "fresh")).await.len(), 1);
    apply(&mut bench, &[person(3)]).await;
    let found = ask(&database, "SELECT id FROM people WHERE document @> '{\"age\": 3}'").await;
    assert_eq!(found, ["3"]);
}
