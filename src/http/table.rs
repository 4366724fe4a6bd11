//! The route table: what stands in a row of it, and the router that comes from the rows.
//!
//! `routes.rs` is the list. From it come the router (and with it `HEAD`, `OPTIONS`, `Allow` and 405), the table of
//! docs/http.md, and by `describe.rs` what a description for programs needs.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::http::Response;
use axum::routing::{MethodFilter, MethodRouter};
use matchit::InsertError;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::answer::{Answer, respond};
pub use super::rights::Right;
use super::rights::Rights;
use crate::problem::ProblemType;
use crate::readiness::Readiness;
use crate::service::Service;

/// A request that came by a route.
pub(super) struct Call {
    pub(super) service: Arc<Service>,
    pub(super) readiness: Arc<Readiness>,
    /// What stands in the place of the path's parameter; empty where it has none.
    pub(super) name: String,
    /// The same of the path's second parameter.
    pub(super) second: String,
    pub(super) request: Request,
}

/// The methods that routes have. `HEAD` is answered where `GET` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Records, changes, or asks with a body.
    Post,
    /// Gives up.
    Delete,
}

/// Where a parameter of a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum In {
    /// In the query of the address.
    Query,
    /// In a header.
    Header,
}

/// Something that a request may say beside its body and its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub place: In,
    /// What it means.
    pub about: &'static str,
}

/// One way of answering.
#[derive(Clone)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The media type of the body.
    pub media_type: &'static str,
    /// The schema of the body; none when it is text.
    pub schema: Option<fn(&mut SchemaGenerator) -> Schema>,
}

type Handler = Arc<dyn Fn(Call) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> + Send + Sync>;

/// A row of the table.
#[derive(Clone)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with its parameter in braces.
    pub path: Cow<'static, str>,
    /// What it does or gives, in a few words.
    pub about: Cow<'static, str>,
    /// What it requires.
    pub right: Right,
    /// What may stand beside the body.
    pub parameters: &'static [Parameter],
    /// Whether a query may name anything else, such as the columns of a table.
    pub takes_any: bool,
    /// The media types of the body that it takes; none when it takes no body.
    pub takes: &'static [&'static str],
    /// What it answers.
    pub answers: Vec<Answered>,
    /// Why it may refuse, besides what every route may.
    pub refuses: &'static [ProblemType],
    /// The path as the router has it, where that is another one.
    pattern: Option<String>,
    handler: Handler,
}

impl Answered {
    /// The status, and the media type where it is not JSON.
    pub(super) fn words(&self) -> String {
        match self.media_type {
            "application/json" => self.status.to_string(),
            other => format!("{} `{other}`", self.status),
        }
    }
}

impl Method {
    /// The word of the protocol.
    pub const fn word(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        }
    }
}

impl Route {
    /// A route that is answered by `handler`, without a right and without parameters.
    pub(super) fn new<F>(
        method: Method,
        path: impl Into<Cow<'static, str>>,
        handler: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Route {
            method,
            path: path.into(),
            about: Cow::Borrowed(""),
            right: Right::None,
            parameters: &[],
            takes_any: false,
            takes: &[],
            answers: Vec::new(),
            refuses: &[],
            pattern: None,
            handler: Arc::new(move |call| {
                let answer = handler(call);
                Box::pin(async move { respond(answer.await) })
            }),
        }
    }

    pub(super) fn about(self, about: impl Into<Cow<'static, str>>) -> Self {
        Route { about: about.into(), ..self }
    }

    pub(super) fn requires(self, right: Right) -> Self {
        Route { right, ..self }
    }

    pub(super) fn with(self, parameters: &'static [Parameter]) -> Self {
        Route { parameters, ..self }
    }

    pub(super) fn with_any(self) -> Self {
        Route { takes_any: true, ..self }
    }

    pub(super) fn takes(self, takes: &'static [&'static str]) -> Self {
        Route { takes, ..self }
    }

    /// It answers JSON of this type.
    pub(super) fn answers<T: JsonSchema>(mut self, status: u16) -> Self {
        let schema = Some(SchemaGenerator::subschema_for::<T> as fn(&mut SchemaGenerator) -> Schema);
        self.answers.push(Answered { status, media_type: "application/json", schema });
        self
    }

    /// It answers a body that has no schema.
    pub(super) fn answers_text(mut self, status: u16, media_type: &'static str) -> Self {
        self.answers.push(Answered { status, media_type, schema: None });
        self
    }

    pub(super) fn refuses(self, refuses: &'static [ProblemType]) -> Self {
        Route { refuses, ..self }
    }

    pub(super) fn at(self, pattern: String) -> Self {
        Route { pattern: Some(pattern), ..self }
    }

    /// The names of the path's parameters.
    pub fn path_parameters(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }

    /// The path as the router has it.
    fn pattern(&self) -> String {
        self.pattern.clone().unwrap_or_else(|| self.path.to_string())
    }

    fn methods(self, service: &Arc<Service>, readiness: &Arc<Readiness>, to: MethodRouter) -> MethodRouter {
        let (service, readiness, handler) = (Arc::clone(service), Arc::clone(readiness), self.handler);
        let answer = move |path: Result<RawPathParams, RawPathParamsRejection>, request: Request| {
            let mut found = path
                .ok()
                .into_iter()
                .flat_map(|path| path.iter().map(|(_, value)| value.to_owned()).collect::<Vec<_>>());
            let (name, second) = (found.next().unwrap_or_default(), found.next().unwrap_or_default());
            let (service, readiness) = (Arc::clone(&service), Arc::clone(&readiness));
            handler(Call { service, readiness, name, second, request })
        };
        let method = match self.method {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Delete => MethodFilter::DELETE,
        };
        to.on(method, answer)
    }
}

/// What these routes require.
pub(super) fn rights(routes: &[Route]) -> Result<Rights, InsertError> {
    Rights::new(routes.iter().map(|route| (route.method.word(), route.pattern(), route.right.clone())))
}

/// The router of these routes. Those of one path stand together, so that their methods are its `Allow`.
pub(super) fn router(routes: Vec<Route>, service: &Arc<Service>, readiness: &Arc<Readiness>) -> Router {
    let mut paths: Vec<(String, MethodRouter)> = Vec::new();
    for route in routes {
        let pattern = route.pattern();
        let found = paths.iter().position(|(path, _)| *path == pattern);
        let (path, methods) = found.map_or_else(|| (pattern, MethodRouter::new()), |at| paths.swap_remove(at));
        paths.push((path, route.methods(service, readiness, methods)));
    }
    paths.into_iter().fold(Router::new(), |router, (path, methods)| router.route(&path, methods))
}
