//! What holds of every document, found with random ones.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use sluicegate::change::{Action, ChangeSet, ColumnType, Value};
use sluicegate::format::event::EventRules;
use sluicegate::gate::{DocumentKind, Gate, KeyRule};
use sluicegate::json::at;
use sluicegate::judgement::Rules;
use sluicegate::problem::ProblemType;

fn gate(takes: DocumentKind) -> Gate {
    Gate { takes, rules: Rules::default(), key: KeyRule::None, document_bytes_max: 1 << 20 }
}

fn changes() -> Gate {
    gate(DocumentKind::Changes { forms: vec!["activities".into(), "wal2json".into()] })
}

/// A column: name, type, value as `activities` and wal2json write it.
type Column = (String, &'static str, Json);

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z][a-z0-9_]{0,8}", "[a-z\"' ;.\u{e4}\u{2603}-]{1,12}"]
}

fn cell() -> impl Strategy<Value = (&'static str, Json)> {
    prop_oneof![
        any::<i32>().prop_map(|value| ("INTEGER", json!(value))),
        any::<i64>().prop_map(|value| ("bigint", json!(value))),
        any::<bool>().prop_map(|value| ("boolean", json!(value))),
        "[^\u{0}]{0,20}".prop_map(|value| ("text", json!(value))),
        "-?[1-9][0-9]{0,40}\\.[0-9]{1,20}".prop_map(|digits| ("numeric", json!(digits))),
        (1900..2100u32, 1..13u32, 1..29u32).prop_map(|(y, m, d)| ("date", json!(format!("{y}-{m:02}-{d:02}")))),
        proptest::collection::vec(any::<u8>(), 0..20)
            .prop_map(|bytes| ("bytea", json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))),
        Just(("uuid", json!("5a0d1b8e-6f0f-4f5e-9a53-2f8f6e6a2a11"))),
        Just(("mood", json!("happy"))),
        Just(("integer", Json::Null)),
    ]
}

fn row() -> impl Strategy<Value = Vec<Column>> {
    proptest::collection::vec((name(), cell()), 1..6).prop_map(|columns| {
        let mut seen = HashSet::new();
        let fresh = columns.into_iter().filter(|(name, _)| seen.insert(name.to_lowercase()));
        fresh.map(|(name, (column_type, value))| (name, column_type, value)).collect()
    })
}

#[derive(Debug, Clone)]
enum Step {
    Insert(Vec<Column>),
    Update(Vec<Column>, Vec<Column>),
    Delete(Vec<Column>),
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        row().prop_map(Step::Insert),
        (row(), row()).prop_map(|(row, key)| Step::Update(row, key)),
        row().prop_map(Step::Delete),
    ];
    // Tables of their own, so that no two columns of one differ in letter case only.
    proptest::collection::vec(step, 0..5).prop_map(|steps| steps.into_iter().enumerate().collect())
}

fn parts(columns: &[Column]) -> (Vec<&str>, Vec<&str>, Vec<&Json>) {
    let names = columns.iter().map(|(name, ..)| name.as_str()).collect();
    let types = columns.iter().map(|(_, column_type, _)| *column_type).collect();
    (names, types, columns.iter().map(|(.., value)| value).collect())
}

fn activities(steps: &[(usize, Step)]) -> String {
    let list: Vec<_> = steps
        .iter()
        .map(|(table, step)| {
            let (operation, row, key) = match step {
                Step::Insert(row) => ("insert", Some(row), None),
                Step::Update(row, key) => ("UPDATE", Some(row), Some(key)),
                Step::Delete(key) => ("Delete", None, Some(key)),
            };
            let mut activity = json!({"operation": operation, "table": format!("t{table}")});
            if let Some(row) = row {
                let (names, types, values) = parts(row);
                activity["col_names"] = json!(names);
                activity["col_types"] = json!(types);
                activity["col_values"] = json!(values);
            }
            if let Some(key) = key {
                let (names, types, values) = parts(key);
                activity["old_value"] = json!({"col_names": names, "col_types": types, "col_values": values});
            }
            activity
        })
        .collect();
    json!({"activities": list}).to_string()
}

fn wal2json_v1(steps: &[(usize, Step)]) -> String {
    let list: Vec<_> = steps
        .iter()
        .map(|(table, step)| {
            let (kind, row, key) = match step {
                Step::Insert(row) => ("insert", Some(row), None),
                Step::Update(row, key) => ("update", Some(row), Some(key)),
                Step::Delete(key) => ("delete", None, Some(key)),
            };
            let mut change = json!({"kind": kind, "table": format!("t{table}")});
            if let Some(row) = row {
                let (names, types, values) = parts(row);
                change["columnnames"] = json!(names);
                change["columntypes"] = json!(types);
                change["columnvalues"] = json!(values);
            }
            if let Some(key) = key {
                let (names, types, values) = parts(key);
                change["oldkeys"] = json!({"keynames": names, "keytypes": types, "keyvalues": values});
            }
            change
        })
        .collect();
    json!({"xid": 1, "change": list}).to_string()
}

fn wal2json_v2(steps: &[(usize, Step)]) -> String {
    let cells = |columns: &[Column]| -> Vec<Json> {
        let cell = |(name, column_type, value): &Column| json!({"name": name, "type": column_type, "value": value});
        columns.iter().map(cell).collect()
    };
    let mut lines = vec![json!({"action": "B"})];
    for (table, step) in steps {
        let table = format!("t{table}");
        lines.push(match step {
            Step::Insert(row) => json!({"action": "I", "table": table, "columns": cells(row)}),
            Step::Update(row, key) => {
                json!({"action": "U", "table": table, "columns": cells(row), "identity": cells(key)})
            }
            Step::Delete(key) => json!({"action": "D", "table": table, "identity": cells(key)}),
        });
    }
    lines.push(json!({"action": "C"}));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// What a change set says, without what only one form can say.
fn said(changes: &ChangeSet<'_>) -> Vec<String> {
    let cells = |cells: &[sluicegate::change::Cell<'_>]| {
        cells.iter().map(|cell| format!("{}:{}={:?}", cell.name, cell.column_type, cell.value)).collect::<Vec<_>>()
    };
    let say = |change: &sluicegate::change::Change<'_>| match &change.action {
        sluicegate::change::Action::Upsert { .. } => unreachable!("no form writes one"),
        Action::Insert { row, .. } => format!("{} insert {:?}", change.table, cells(row)),
        Action::Update { row, key } => format!("{} update {:?} {:?}", change.table, cells(row), cells(&key.cells)),
        Action::Delete { key } => format!("{} delete {:?}", change.table, cells(&key.cells)),
        Action::Truncate => format!("{} truncate", change.table),
    };
    changes.changes.iter().map(say).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_same_changes_in_any_form_are_the_same_change_set(steps in steps()) {
        let gate = changes();
        let texts = [activities(&steps), wal2json_v1(&steps), wal2json_v2(&steps)];
        let mut first = None;
        for text in &texts {
            let accepted = gate.judge(text.as_bytes()).map_err(|problem| TestCaseError::fail(format!("{problem}: {text}")))?;
            let said = said(&accepted.changes);
            prop_assert_eq!(said.len(), steps.len());
            prop_assert_eq!(first.get_or_insert_with(|| said.clone()), &said);
        }
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for gate in [changes(), gate(DocumentKind::Events(EventRules::any(true)))] {
            let _ = gate.judge(&bytes);
        }
    }

    #[test]
    fn a_damaged_document_is_refused_with_places_that_exist(steps in steps(), at_byte in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let gate = changes();
        for text in [activities(&steps), wal2json_v1(&steps)] {
            let mut bytes = text.into_bytes();
            let index = at_byte.index(bytes.len());
            bytes[index] = byte;
            let Err(problem) = gate.judge(&bytes) else { continue };
            prop_assert!(problem.status == 422 || problem.status == 400, "{}", problem);
            let Ok(text) = std::str::from_utf8(&bytes) else { continue };
            for error in &problem.errors {
                prop_assert!(!error.detail.is_empty());
                // A member that is named twice stands where the first one does.
                prop_assert!(at(text, &error.pointer).is_some(), "{} in {}", error.pointer, text);
            }
        }
    }

    #[test]
    fn json_is_what_rfc_8259_says(text in "[\\[\\]{}:,\"\\\\ tfrun0-9eE.+-]{0,24}|\\{\"[a-c]\":[0-9]{1,3}(,\"[a-c]\":(null|true|\\[\\]|\"\\\\u00[0-9a-g]{2}\"))?\\}") {
        let ours = gate(DocumentKind::Events(EventRules::any(false))).judge(text.as_bytes());
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text);
        match (ours, theirs) {
            (Ok(_), theirs) => prop_assert!(theirs.is_ok(), "accepted {text:?}"),
            // Members that are named twice are refused beyond RFC 8259, as RFC 7493 asks.
            (Err(problem), Ok(_)) => prop_assert!(problem.kind == ProblemType::InvalidDocument, "{} of {:?}", problem, text),
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn whole_numbers_keep_every_digit(value in any::<i64>()) {
        let digits = value.to_string();
        let read = ColumnType::parse("bigint").read(sluicegate::json::Json::Number(&digits));
        prop_assert_eq!(read.ok(), Some(Value::Whole(value)));
    }

    #[test]
    fn decimals_keep_every_digit(digits in "-?[1-9][0-9]{0,60}(\\.[0-9]{1,60})?") {
        let read = ColumnType::parse("numeric").read(sluicegate::json::Json::Number(&digits));
        prop_assert_eq!(read.ok(), Some(Value::Decimal(digits.as_str().into())));
    }
}
