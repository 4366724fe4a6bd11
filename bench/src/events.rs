//! Events with two columns beside the document, and the stream that takes them.

use sluicegate::change::ColumnType;
use sluicegate::document::{StreamName, TopicName};
use sluicegate::format::event::{At, EventRules, NAME as FORM, RecordColumn};
use sluicegate::gate::{DocumentKind, Gate, KeyRule};
use sluicegate::record::Record;
use sluicegate::stream::{Applying, Stream, Target};

use crate::Fallible;
use crate::documents;

/// Its name and age as columns, beside the document.
pub(crate) fn people() -> Fallible<Stream> {
    let column = |name: &str, column_type: &str| RecordColumn {
        name: name.to_owned(),
        at: At::Document(format!("/{name}")),
        column_type: ColumnType::parse(column_type),
        is_open: false,
    };
    let rules = EventRules::new(true, None, vec![column("name", "text"), column("age", "integer")], false);
    let (table, document_column) = ("people".into(), "document".into());
    let changes = documents::stream([].into())?;
    Ok(Stream {
        name: StreamName::parse("people")?,
        topic: TopicName::parse("people")?,
        gate: Gate { takes: DocumentKind::Events(rules), key: KeyRule::None, ..documents::gate() },
        apply: Applying { target: Target::Records { table, document_column, is_queried: false }, ..changes.apply },
        ..changes
    })
}

/// The document with a number.
pub(crate) fn document(n: i64) -> String {
    format!(r#"{{"name":"person {n}","age":{},"city":"Oslo"}}"#, age(n))
}

/// The age in it.
pub(crate) fn age(n: i64) -> i64 {
    18 + n % 70
}

/// What the journal keeps of it.
pub(crate) fn record(n: i64) -> Record {
    let mut record = documents::record(document(n));
    (record.key, record.headers.source, record.headers.form) = (None, "people".into(), FORM.into());
    record
}
