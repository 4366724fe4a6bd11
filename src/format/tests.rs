//! A form as later ones will be: told by a function, of a body that may be empty, with the key beside it.

use super::*;
use crate::change::{Action, Cell, Change, ColumnType, Key, TableName, Value};
use crate::json::Kind;
use crate::judgement::Rules;
use crate::record::{Headers, Record};

/// `{"op": "d", "of": "t"}` with the key beside it, and an empty body or null behind it, which change nothing.
static ENVELOPES: [Form; 1] = [Form {
    name: "envelope",
    word: "envelope",
    told_by: "op",
    is_of: |seen| match seen.kind {
        Some(Kind::Object) => seen.has("op") && seen.has("of"),
        None | Some(Kind::Null) => seen.beside.key.is_some(),
        _ => false,
    },
    read: |reader, beside, judge| {
        if reader.is_done() {
            return Ok(ChangeSet::default());
        }
        if reader.peek()? == Kind::Null {
            reader.skip(&Path::ROOT, judge)?;
            return Ok(ChangeSet::default());
        }
        reader.skip(&Path::ROOT, judge)?;
        let id = std::str::from_utf8(beside.key.unwrap_or_default()).unwrap_or_default();
        let cell = Cell { name: "id".into(), column_type: ColumnType::parse("text"), value: Value::Text(id.into()) };
        let key = Key { cells: vec![cell], is_tables: id.is_empty(), omits_nulls: false, is_one_row: true };
        let table = TableName::parse("t".into());
        Ok(ChangeSet { changes: vec![Change { table, action: Action::Delete { key } }] })
    },
}];

#[test]
fn a_form_is_told_by_what_it_sees_and_reads_what_stands_beside_the_body() {
    let many: String = (0..100_000).map(|at| format!("\"m{at}\":0,")).collect();
    let late = format!("{{{many}\"of\":\"t\"}}");
    for (text, key, found) in [
        (r#"{"of":"t","op":"d"}"#, Some("7"), Some("envelope 7")),
        (r#"{"op":"d","x":{"of":1},"of":"t"}"#, None, Some("envelope by the table's key")),
        ("", Some("7"), Some("envelope nothing")),
        (" null ", Some("7"), Some("envelope nothing")),
        ("", None, None),
        ("null", None, Some("no form")),
        (r#"{"op":"d"}"#, Some("7"), Some("no form")),
        ("[]", Some("7"), Some("no form")),
        (&late, Some("7"), Some("no form")),
    ] {
        let rules = Rules::default();
        let mut judge = Judge::new(&rules);
        let beside = Beside { key: key.map(str::as_bytes), headers: None };
        let read = read_in(&ENVELOPES, text, beside, &["envelope".to_owned()], &mut judge).unwrap();
        let said = read.map(|(form, changes)| match (form, changes.changes.first().map(|change| &change.action)) {
            (None, _) => "no form".to_owned(),
            (Some(form), Some(Action::Delete { key })) if key.is_tables => format!("{form} by the table's key"),
            (Some(form), Some(Action::Delete { key })) => format!("{form} {}", key.cells[0].value.text()),
            (Some(form), _) => format!("{form} nothing"),
        });
        assert_eq!(said.as_deref(), found, "{:.40}", text);
    }
}

#[test]
fn the_key_beside_a_body_is_its_senders() {
    let headers = |id: &str, partition_key: Option<&str>| {
        let further = partition_key.map(|key| ("partitionkey".to_owned(), key.to_owned())).into_iter().collect();
        Headers { id: id.to_owned(), further, ..Headers::default() }
    };
    for (headers, key, expected) in [
        // Another program's record; one that a stream's rule gave its key; a CloudEvent's.
        (headers("", None), Some("theirs"), Some("theirs")),
        (headers("", None), None, None),
        (headers("1", None), Some("made"), None),
        (headers("1", Some("theirs")), Some("made"), Some("theirs")),
    ] {
        let key = key.map(bytes::Bytes::from);
        let record = Record { key, value: bytes::Bytes::new(), headers, timestamp_ms: 0 };
        assert_eq!(Beside::of_record(&record).key, expected.map(str::as_bytes));
    }
}
