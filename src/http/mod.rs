//! HTTP: the routes, and what every answer has in common.
//!
//! `routes` is the list, `table` makes the router of it, `reading` asks the questions of `query`, and `intake` takes documents;
//! the sockets are in `server`.

mod access;
pub mod answer;
pub mod body;
pub mod describe;
pub mod doors;
mod pace;
mod packing;
mod reading;
pub mod rights;
pub mod room;
pub mod routes;
pub mod server;
mod socket;
pub mod table;
mod target;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use axum::routing::any;

use self::answer::Failure;
use crate::problem::ProblemType;
use crate::readiness::Readiness;
use crate::service::Service;

/// The router of a process.
pub fn router(service: &Arc<Service>, readiness: &Arc<Readiness>) -> Router {
    let router = table::router(routes::of(service), service, readiness).route("/{*path}", any(not_found));
    let router = router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(panicked));
    if access::is_wanted() { router.layer(axum::middleware::from_fn(access::log)) } else { router }
}

/// What the routes of a process require.
pub fn rights(service: &Service) -> Result<rights::Rights, matchit::InsertError> {
    table::rights(&routes::of(service))
}

async fn not_found(request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    Failure::new(ProblemType::NotFound, format!("nothing is at {path}")).into_response()
}

/// Whether a path is not UTF-8 once it is decoded. axum's own answer to such a path would be no problem document.
fn is_unreadable(path: &str) -> bool {
    percent_encoding::percent_decode_str(path).decode_utf8().is_err()
}

fn unreadable() -> Response<Body> {
    Failure::new(ProblemType::NotFound, "the path is not UTF-8 after decoding").into_response()
}

/// axum adds the header `Allow` to this answer.
async fn method_not_allowed(request: Request) -> Response<Body> {
    if request.method() == Method::OPTIONS {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        return response;
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response =
        Failure::new(ProblemType::MethodNotAllowed, format!("{method} is not among the methods of {path}"))
            .into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn panicked(cause: Box<dyn std::any::Any + Send>) -> Response<Body> {
    tracing::error!(cause = crate::panics::words(&*cause), "A request failed by a fault of Sluicegate.");
    Failure::new(ProblemType::Internal, "the request failed by a fault of Sluicegate; the log says more")
        .into_response()
}
