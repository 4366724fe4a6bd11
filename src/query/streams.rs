//! The streams: what each takes, and where it goes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Unanswered;
use crate::gate::{DocumentKind, KeyRule};
use crate::service::Service;
use crate::stream::{Stream, Target};
use crate::words::{OnFailure, Takes};

/// All streams, in the order of the configuration.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Streams {
    /// The streams.
    pub streams: Vec<About>,
}

/// What a stream takes and where it goes.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct About {
    /// Its name.
    pub name: String,
    /// The topic of the journal that keeps its documents.
    pub topic: String,
    /// The addresses at which its documents are posted.
    pub routes: Vec<String>,
    /// The most that one document may take, in bytes.
    pub document_bytes_max: usize,
    /// What is done about a document that cannot be applied.
    pub on_failure: OnFailure,
    /// The watched folders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<String>,
    /// Methods and addresses whose calls are events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
    /// What its documents are.
    pub takes: Takes,
    /// The words of the forms in which changes are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forms: Option<Vec<String>>,
    /// The JSON Schema by which events are judged; `true` when any JSON is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// The columns of events besides the document, by their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<String, EventColumn>>")]
    pub columns: Option<Map<String, Value>>,
    /// The table of its records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The column of that table that holds the whole document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_column: Option<String>,
    /// The rule for records' keys: none, `constant`, `table`, or a JSON Pointer.
    pub key: Option<String>,
}

/// A column that is filled from an event.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EventColumn {
    /// Where its value stands, as a JSON Pointer, or the attribute of a CloudEvent.
    pub at: String,
    /// Its type.
    #[serde(rename = "type")]
    pub column_type: String,
}

/// All streams.
pub fn list(service: &Service) -> Streams {
    Streams { streams: service.streams.iter().map(|served| About::of(&served.stream)).collect() }
}

/// One stream.
pub fn show(service: &Service, name: &str) -> Result<About, Unanswered> {
    let served = service.stream(name).ok_or_else(|| service.unknown_stream(name))?;
    Ok(About::of(&served.stream))
}

impl About {
    /// What a stream takes and where it goes.
    pub fn of(stream: &Stream) -> Self {
        let mut routes = vec![format!("/v1/streams/{}", stream.name)];
        routes.extend(stream.intake.routes.iter().cloned());
        let actions =
            stream.intake.actions.iter().map(|action| format!("{} {}", action.method.word(), action.path.as_str()));
        let (table, document_column) = match &stream.apply.target {
            Target::Records { table, document_column, .. } => (Some(table.clone()), Some(document_column.clone())),
            Target::Summaries { table, .. } => (Some(table.clone()), None),
            Target::Tables | Target::Journal => (None, None),
        };
        let (forms, schema, columns) = match &stream.gate.takes {
            DocumentKind::Changes { forms } => (Some(forms.clone()), None, None),
            DocumentKind::Events(rules) => {
                // No schema: any JSON.
                let schema = rules.schema().map_or(true.into(), |schema| schema.value().clone());
                let columns = rules.columns().iter().map(|column| {
                    let (at, column_type) = (column.at.to_string(), column.column_type.to_string());
                    let about = serde_json::to_value(EventColumn { at, column_type });
                    (column.name.clone(), about.unwrap_or_default())
                });
                (None, Some(schema), Some(columns.collect()))
            }
        };
        About {
            name: stream.name.to_string(),
            topic: stream.topic.to_string(),
            routes,
            document_bytes_max: stream.gate.document_bytes_max,
            on_failure: stream.apply.settings.on_failure,
            directories: stream.intake.directories.iter().map(|folder| folder.display().to_string()).collect(),
            actions: actions.collect(),
            takes: stream.gate.takes.takes(),
            forms,
            schema,
            columns,
            table,
            document_column,
            key: match &stream.gate.key {
                KeyRule::None => None,
                KeyRule::Constant(_) => Some("constant".into()),
                KeyRule::Table => Some("table".into()),
                KeyRule::Pointer(pointer) => Some(pointer.to_string()),
            },
        }
    }
}
