//! `GET /health/live` and `GET /health/ready`

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::http::answer::json as json_answer;
use crate::service::Service;

/// A check that has no answer by then has failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// The process answers.
pub async fn live() -> Response<Body> {
    json_answer(StatusCode::OK, r#"{"status":"live"}"#.into())
}

/// Documents can be accepted and applied by this process's roles.
pub async fn ready(State(service): State<Arc<Service>>) -> Response<Body> {
    let mut checks = Map::new();
    let journal = tokio::time::timeout(CHECK_TIMEOUT, service.journal.check()).await;
    checks.insert("journal".into(), word(journal.map(|checked| checked.map_err(|error| error.to_string()))));
    if let Some(store) = service.store().cloned().filter(|_| service.is_applying) {
        let checked = crate::task::blocking(async move { store.check().await });
        let checked = tokio::time::timeout(CHECK_TIMEOUT, checked).await;
        checks.insert("store".into(), word(checked.map(|checked| checked.map_err(|error| error.to_string()))));
        for served in &service.streams {
            if let Some(reason) = served.progress.halted() {
                checks.insert(format!("stream {}", served.stream.name), reason.into());
            }
        }
    }
    let is_ready = checks.values().all(|check| check == "ok");
    let (status, text) = match is_ready {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let mut response = json_answer(status, json!({"status": text, "checks": checks}).to_string());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn word(checked: Result<Result<(), String>, tokio::time::error::Elapsed>) -> Value {
    match checked {
        Ok(Ok(())) => "ok".into(),
        Ok(Err(reason)) => reason.into(),
        Err(_) => format!("no answer within {} s", CHECK_TIMEOUT.as_secs()).into(),
    }
}
