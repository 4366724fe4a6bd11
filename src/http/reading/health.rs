//! Whether the process answers, and whether documents can be accepted and applied.

use axum::http::StatusCode;

use crate::http::answer::{Answer, ok};
use crate::http::table::Call;
use crate::query::health::{self, Liveness};

/// `GET /health/live`
pub(in crate::http) async fn live(_: Call) -> Answer {
    Ok(ok(&Liveness { status: "live" }))
}

/// `GET /health/ready`
pub(in crate::http) async fn ready(call: Call) -> Answer {
    let health = health::ready(&call.readiness).await;
    let mut response = super::not_kept(ok(&health));
    if !health.is_ready() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}
