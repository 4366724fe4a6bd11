//! `GET /health/live` and `GET /health/ready`

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::http::answer::json as json_answer;
use crate::readiness::{Checked, Readiness};

/// The process answers.
pub async fn live() -> Response<Body> {
    json_answer(StatusCode::OK, r#"{"status":"live"}"#.into())
}

/// Documents can be accepted and applied by this process's roles.
pub async fn ready(readiness: &Readiness) -> Response<Body> {
    let checked = readiness.look().await;
    let is_ready = checked.iter().all(|checked| checked.wrong.is_none());
    let word = |Checked { name, wrong }| (name, Value::from(wrong.unwrap_or_else(|| "ok".into())));
    let checks: Map<_, _> = checked.into_iter().map(word).collect();
    let (status, text) = match is_ready {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let mut response = json_answer(status, json!({"status": text, "checks": checks}).to_string());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
