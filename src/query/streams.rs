//! `GET /v1/streams` and `GET /v1/streams/{stream}`

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::gate::{KeyRule, Takes};
use crate::http::answer::{Failure, json as json_answer};
use crate::service::Service;
use crate::stream::{OnFailure, Stream, Target};

/// All streams.
pub async fn list(State(service): State<Arc<Service>>) -> Response<Body> {
    let streams: Vec<_> = service.streams.iter().map(|served| describe(&served.stream)).collect();
    json_answer(StatusCode::OK, json!({"streams": streams}).to_string())
}

/// One stream.
pub async fn show(State(service): State<Arc<Service>>, Path(name): Path<String>) -> Response<Body> {
    match service.stream(&name) {
        Some(served) => json_answer(StatusCode::OK, describe(&served.stream).to_string()),
        None => Failure::from(service.unknown_stream(&name)).into_response(),
    }
}

/// What a stream takes and where it goes.
pub fn describe(stream: &Stream) -> Value {
    let mut routes = vec![format!("/v1/streams/{}", stream.name)];
    routes.extend(stream.routes.iter().cloned());
    let mut value = json!({
        "name": stream.name.as_str(),
        "topic": stream.topic.as_str(),
        "routes": routes,
        "document_bytes_max": stream.gate.document_bytes_max,
        "on_failure": if stream.on_failure == OnFailure::Stop { "stop" } else { "set-aside" },
    });
    if !stream.directories.is_empty() {
        value["directories"] = stream.directories.iter().map(|folder| folder.display().to_string()).collect();
    }
    if !stream.actions.is_empty() {
        let routes = stream.actions.iter().map(|action| format!("{} {}", action.method.word(), action.path.as_str()));
        value["actions"] = routes.collect();
    }
    match &stream.gate.takes {
        Takes::Changes { forms } => {
            value["takes"] = "changes".into();
            value["forms"] = json!(forms);
        }
        Takes::Events(rules) => {
            value["takes"] = "events".into();
            // No schema: any JSON.
            value["schema"] = rules.schema().map_or(true.into(), |schema| schema.value().clone());
            let columns = rules.columns().iter().map(|column| {
                (column.name.clone(), json!({"at": column.at.to_string(), "type": column.column_type.to_string()}))
            });
            value["columns"] = Value::Object(columns.collect());
        }
    }
    if let Target::Records { table, document_column } = &stream.table {
        value["table"] = json!(table);
        value["document_column"] = json!(document_column);
    }
    value["key"] = match &stream.gate.key {
        KeyRule::None => Value::Null,
        KeyRule::Constant(_) => "constant".into(),
        KeyRule::Table => "table".into(),
        KeyRule::Pointer(pointer) => json!(pointer),
    };
    value
}
