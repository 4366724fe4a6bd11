//! Change documents and events, written as short as tests need them.

use serde_json::{Value, json};

use super::{Request, Response, Target};

/// A column of a row or key: its name, its declared type, its value.
pub(crate) type Cell<'c> = (&'c str, &'c str, Value);

fn columns(cells: &[Cell<'_>]) -> Value {
    let names: Vec<_> = cells.iter().map(|cell| cell.0).collect();
    let types: Vec<_> = cells.iter().map(|cell| cell.1).collect();
    let values: Vec<_> = cells.iter().map(|cell| cell.2.clone()).collect();
    json!({"col_names": names, "col_types": types, "col_values": values})
}

/// An activity that adds a row.
pub(crate) fn insert(table: &str, row: &[Cell<'_>]) -> Value {
    let mut activity = columns(row);
    activity["operation"] = "insert".into();
    activity["table"] = table.into();
    activity
}

/// An activity that changes the rows of a key.
pub(crate) fn update(table: &str, row: &[Cell<'_>], key: &[Cell<'_>]) -> Value {
    let mut activity = insert(table, row);
    activity["operation"] = "update".into();
    activity["old_value"] = columns(key);
    activity
}

/// An activity that removes the rows of a key.
pub(crate) fn delete(table: &str, key: &[Cell<'_>]) -> Value {
    json!({"operation": "delete", "table": table, "old_value": columns(key)})
}

/// The text of a document in the `activities` form.
pub(crate) fn activities(activities: impl IntoIterator<Item = Value>) -> String {
    json!({"activities": activities.into_iter().collect::<Vec<_>>()}).to_string()
}

/// A document that adds one row with an `id` to a table.
pub(crate) fn item(id: i64) -> String {
    activities([insert("item", &[("id", "INTEGER", id.into())])])
}

/// A document that is valid and cannot be applied: it deletes from a table that is not there.
pub(crate) fn unapplicable() -> String {
    activities([insert("item", &[("id", "INTEGER", (-1).into())]), delete("nowhere", &[("id", "INTEGER", 1.into())])])
}

/// What the default streams are asked for most.
pub(crate) trait Documents: Target {
    /// Posts to the stream `activities` and waits for the outcome.
    #[track_caller]
    fn change(&self, document: impl AsRef<[u8]>) -> Response {
        self.send(Request::post("/v1/streams/activities", document).wait(20))
    }

    /// Posts to the stream `activities`, and fails unless it is applied.
    #[track_caller]
    fn applied(&self, document: impl AsRef<[u8]>) -> Response {
        let response = self.change(document).expect(200);
        assert_eq!(response.json()["status"], "applied");
        response
    }

    /// Posts a document that becomes a dead letter. Gives its receipt and the reason.
    #[track_caller]
    fn set_aside(&self, document: impl AsRef<[u8]>) -> (String, Value) {
        let response = self.change(document).expect(409);
        let body = response.json();
        assert_eq!(body["type"], "/problems/not-applied");
        (response.receipt(), body["problem"].clone())
    }

    /// The rows that a query finds, such as `item` or `item/rows?id=eq.1`.
    #[track_caller]
    fn rows(&self, query: &str) -> Vec<Value> {
        let path = match query.contains('/') {
            true => format!("/v1/tables/{query}"),
            false => format!("/v1/tables/{query}/rows?limit=1000"),
        };
        self.get(&path).expect(200).json()["rows"].as_array().expect("rows are a list").clone()
    }

    /// The ids of the table `item` in the order in which its rows were added.
    #[track_caller]
    fn items(&self) -> Vec<i64> {
        self.rows("item").iter().map(|row| row["id"].as_i64().expect("an id is a number")).collect()
    }

    /// What became of a document.
    #[track_caller]
    fn receipt(&self, receipt: &str) -> Value {
        self.get(&format!("/v1/receipts/{receipt}")).expect(200).json()
    }
}

impl<T: Target> Documents for T {}
