//! The documents that are sent, and the stream that reads them where no server does.

use std::collections::HashMap;

use sluicegate::document::{Position, StreamName, TopicName};
use sluicegate::gate::{DocumentKind, Gate, KeyRule};
use sluicegate::judgement::Rules;
use sluicegate::record::{Headers, Kept, Record};
use sluicegate::settings::intake::IntakeSettings;
use sluicegate::settings::{ApplySettings, RetentionSettings};
use sluicegate::store::ApplyRules;
use sluicegate::stream::{Applying, Stream, Target};

use crate::Fallible;

/// Three changes: an insert, a delete of that row, another insert.
pub(crate) const ACCEPTED: &str = include_str!("../../tests/fixtures/activities/accepted.json");

/// The texts of its rows, as a plain program binds them.
pub(crate) const NAME: &str = "Backup and Restore";
pub(crate) const SECOND_NAME: &str = "All Good";
pub(crate) const AT: &str = "2018-03-27 11:58:28.988414";
pub(crate) const SECOND_AT: &str = "2021-05-09 11:58:28.988414";

/// Numbers begin here, so that all documents are of one length.
pub(crate) const FIRST: i64 = 1_000_000_000;

/// The document of [`ACCEPTED`] with rows of its own: inserts `2n`, deletes it, and inserts `2n + 1`, each plus
/// [`FIRST`].
pub(crate) fn three_changes(n: i64) -> String {
    let number = FIRST + 2 * n;
    let text = ACCEPTED.trim_end().replace("\"col_values\":[1,", &format!("\"col_values\":[{number},"));
    text.replace("\"col_values\":[2,", &format!("\"col_values\":[{},", number + 1))
}

/// A document with one insert, the first of [`three_changes`].
pub(crate) fn one_insert(n: i64) -> String {
    let number = FIRST + n;
    format!(
        r#"{{"activities":[{{"operation":"insert","table":"table1","col_names":["a","b","c"],"col_types":["INTEGER","TEXT","TEXT"],"col_values":[{number},"{NAME}","{AT}"]}}]}}"#
    )
}

/// The gate of the stream `activities` as it is without a configuration.
pub(crate) fn gate() -> Gate {
    Gate {
        takes: DocumentKind::Changes { forms: vec!["activities".into(), "wal2json".into()] },
        rules: Rules::default(),
        key: KeyRule::Constant("activities".into()),
        document_bytes_max: 1 << 20,
    }
}

/// That stream. `keys` are the primary keys of tables that it makes.
pub(crate) fn stream(keys: HashMap<String, Vec<String>>) -> Fallible<Stream> {
    Ok(Stream {
        name: StreamName::parse("activities")?,
        topic: TopicName::parse("activities")?,
        is_foreign: false,
        intake: IntakeSettings::default(),
        gate: gate(),
        apply: Applying {
            target: Target::Tables,
            rules: ApplyRules { create: true, keys, ..ApplyRules::default() },
            settings: ApplySettings::default(),
        },
        retention: RetentionSettings::default(),
    })
}

/// What the journal is given for a document.
pub(crate) fn record(document: String) -> Record {
    let headers = Headers {
        id: "01985e5a-7a3c-7000-8000-000000000000".into(),
        source: "activities".into(),
        form: "activities".into(),
        ..Headers::default()
    };
    let key = Some(bytes::Bytes::from_static(b"activities"));
    Record { key, value: document.into(), headers, timestamp_ms: 1_764_000_000_000 }
}

/// A document as the journal gives it back.
pub(crate) fn kept(stream: &Stream, offset: i64, document: String) -> Kept {
    let position = Position { topic: stream.topic.clone(), partition: 0, offset };
    Kept { position, record: record(document) }
}
