//! The routes, and what every answer has in common. The handlers are in `intake` and `query`; the sockets in `server`.

mod access;
pub mod answer;
pub mod body;
pub mod doors;
mod pace;
mod packing;
pub mod room;
pub mod server;
mod socket;
mod target;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use axum::routing::{any, get, post};

use self::answer::{Failure, respond};
use crate::action;
use crate::intake;
use crate::problem::ProblemType;
use crate::query;
use crate::readiness::Readiness;
use crate::service::Service;

/// All routes of a process with the gateway role.
pub fn routes(service: Arc<Service>, readiness: Arc<Readiness>) -> Router {
    let mut router = Router::new()
        .route("/v1/streams", get(query::streams::list))
        .route("/v1/streams/{stream}", get(query::streams::show).post(intake::by_name))
        .route("/v1/receipts/{receipt}", get(query::receipts::show))
        .route("/v1/tables", get(query::tables::list))
        .route("/v1/tables/{table}", get(query::tables::show))
        .route("/v1/tables/{table}/rows", get(query::tables::rows))
        .route("/api/v1/query_unstructured_data", post(query::records::unstructured))
        .route("/api/v1/query_relational_data", post(query::records::relational))
        .route("/v1/dead-letters", get(query::dead_letters::list))
        .route("/v1/dead-letters/retry", post(query::dead_letters::retry_all))
        .route("/v1/dead-letters/{id}", get(query::dead_letters::show).delete(query::dead_letters::remove))
        .route("/v1/dead-letters/{id}/retry", post(query::dead_letters::retry_one));
    for served in &service.streams {
        for route in &served.stream.routes {
            let (served, via) = (Arc::clone(served), Arc::<str>::from(route.as_str()));
            let handler = move |State(service): State<Arc<Service>>, request: Request| async move {
                respond(intake::post(&service, &served, Some(&via), request).await)
            };
            router = router.route(route, post(handler));
        }
        for (nth, action) in served.stream.actions.iter().enumerate() {
            let served = Arc::clone(served);
            let handler = move |State(service): State<Arc<Service>>, request: Request| async move {
                intake::action::call(&service, &served, &served.stream.actions[nth], request).await
            };
            let methods = match action.method {
                action::Method::Get => get(handler),
                action::Method::Post => post(handler),
            };
            router = router.route(&action.path.shape(), methods);
        }
    }
    if !service.streams.iter().any(|served| served.stream.answers_at("/")) {
        router = router.route("/", get(query::ways_in::show));
    }
    finish(router.merge(health_routes(readiness))).with_state(service)
}

/// The routes of a process without the gateway role, when it was told to listen.
pub fn health_only(service: Arc<Service>, readiness: Arc<Readiness>) -> Router {
    finish(health_routes(readiness)).with_state(service)
}

fn health_routes(readiness: Arc<Readiness>) -> Router<Arc<Service>> {
    let ready = move || {
        let readiness = Arc::clone(&readiness);
        async move { query::health::ready(&readiness).await }
    };
    Router::new()
        .route("/health/live", get(query::health::live))
        .route("/health/ready", get(ready))
        .route("/problems/{name}", get(query::problems::show))
        .route("/problems", get(query::problems::list))
        .route("/{*path}", any(not_found))
}

fn finish(router: Router<Arc<Service>>) -> Router<Arc<Service>> {
    let router = router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(panicked));
    if access::is_wanted() { router.layer(axum::middleware::from_fn(access::log)) } else { router }
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
