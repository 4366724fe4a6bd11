//! The access log: a line for each request, where it is asked for.

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::Response;
use axum::middleware::Next;

use crate::service::Caller;
use crate::telemetry::ACCESS;

/// Longer paths are no use in a line.
const PATH_CHARS_MAX: usize = 200;

/// Whether anybody reads it: asked once, when the routes are made.
pub(super) fn is_wanted() -> bool {
    tracing::enabled!(target: ACCESS, tracing::Level::DEBUG)
}

/// Answers the request, and says that it did.
pub(super) async fn log(request: Request, next: Next) -> Response<Body> {
    let begin = std::time::Instant::now();
    let method = request.method().clone();
    let path = path(&request);
    let address = request.extensions().get::<Caller>().map(|caller| caller.0.to_canonical().to_string());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(target: ACCESS, address, %method, path, status, ms, "Answered a request.");
    response
}

/// The path without its query, which may hold values. The parameters of an action are values, too: there it is the route.
fn path(request: &Request) -> String {
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let is_action = |route: &&str| route.contains("/{p") && !route.contains("/{partition");
    let path = matched.filter(is_action).unwrap_or(request.uri().path());
    path.chars().take(PATH_CHARS_MAX).collect()
}
