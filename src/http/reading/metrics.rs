//! The numbers of this process.

use axum::http::header;

use crate::http::answer::{Answer, with_type};
use crate::http::table::Call;
use crate::metrics::Format;
use crate::query::metrics;

/// `GET /metrics`
pub(in crate::http) async fn show(call: Call) -> Answer {
    let accepts = call.request.headers().get_all(header::ACCEPT);
    let accepts: Vec<_> = accepts.iter().filter_map(|value| value.to_str().ok()).collect();
    let format = Format::accepted(&accepts.join(","));
    let text = metrics::text(&call.service, &call.readiness, format).await?;
    Ok(super::not_kept(with_type(axum::http::StatusCode::OK, format.media_type(), text)))
}
