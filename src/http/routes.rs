//! The list of routes.

use std::sync::Arc;

use super::reading::{health, letters, metrics, pages, records, rollups, rows, streams};
use super::table::{Call, In, Method, Parameter, Right, Route};
use crate::action;
use crate::intake;
use crate::problem::ProblemType as P;
use crate::query::health::{Health, Liveness};
use crate::query::letters::{Letters, Whole};
use crate::query::retry::Retries;
use crate::query::rollups::{LateOnes, Rollups, Summaries, Summary};
use crate::query::streams::{About, Streams};
use crate::query::tables::{Rows, Table, Tables};
use crate::query::{Fate, ways_in::WaysIn};
use crate::service::Service;
use crate::words::Reply;

const JSON: &[&str] = &["application/json"];
const HTML: &str = "text/html";

/// What may be said beside a document.
const ASKED: &[Parameter] = &[
    query("dry_run", "judges, says which SQL would run, keeps nothing"),
    header("Prefer", "`wait=N`: waits up to N seconds for the store, and answers with the outcome"),
    header("Idempotency-Key", "applies the document once for this stream and key"),
];

/// Which dead letters are meant.
const LETTERS: &[Parameter] = &[
    query("stream", "of this stream only"),
    query("reason", "for this reason only, such as `unknown-table`"),
    query("limit", "how many"),
    query("after", "those behind this receipt"),
];

/// Which summaries.
const SUMMARIES: &[Parameter] = &[query("limit", "how many"), query("after", "those behind this key")];

/// Which rows, and what of them. Any other parameter is a condition on a column.
const ROWS: &[Parameter] = &[
    query("select", "what to give of each row"),
    query("order", "what rows are ordered by"),
    query("limit", "how many"),
    query("after", "where the page before ended"),
];

const fn query(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, place: In::Query, about }
}

const fn header(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, place: In::Header, about }
}

/// The routes that every process with the gateway role has: those that a stream's configuration adds nothing to.
pub fn fixed() -> Vec<Route> {
    let mut routes = of_documents();
    routes.extend(of_tables());
    routes.extend(of_letters());
    routes.extend(of_rollups());
    routes
}

fn of_documents() -> Vec<Route> {
    let publish = Route::new(Method::Post, "/v1/streams/{stream}", |Call { service, name, request, .. }| async move {
        intake::by_name(&service, &name, request).await
    });
    vec![
        Route::new(Method::Get, "/v1/streams", streams::list)
            .about("what each stream takes, and where it goes")
            .requires(Right::Read)
            .answers::<Streams>(200),
        Route::new(Method::Get, "/v1/streams/{stream}", streams::show)
            .about("what a stream takes, its routes, topic, key, table, limits")
            .requires(Right::Read)
            .answers::<About>(200)
            .refuses(&[P::UnknownStream]),
        documents(publish).about("documents in").requires(Right::Publish(None)),
        Route::new(Method::Get, "/v1/receipts/{receipt}", streams::receipt)
            .about("what became of a document")
            .requires(Right::Read)
            .answers::<Fate>(200)
            .refuses(&[P::UnknownReceipt, P::StoreUnavailable]),
    ]
}

/// A route by which documents come in.
fn documents(route: Route) -> Route {
    route
        .with(ASKED)
        .takes(intake::TAKES)
        .answers::<Fate>(200)
        .answers::<intake::DryRun>(200)
        .answers::<Fate>(202)
        .answers::<intake::Summary>(202)
        .answers::<intake::Summary>(207)
        .answers::<intake::Summary>(422)
        .refuses(&[
            P::NotJson,
            P::BadQuery,
            P::UnknownStream,
            P::RequestTimeout,
            P::NotApplied,
            P::DocumentTooLarge,
            P::UnsupportedMediaType,
            P::InvalidDocument,
            P::Overloaded,
            P::JournalUnavailable,
        ])
}

fn of_tables() -> Vec<Route> {
    let records = |route: Route| {
        route.requires(Right::Read).takes(JSON).answers::<Vec<serde_json::Map<String, serde_json::Value>>>(200).refuses(
            &[P::NotJson, P::BadQuery, P::NotFound, P::DocumentTooLarge, P::UnsupportedMediaType, P::StoreUnavailable],
        )
    };
    vec![
        Route::new(Method::Get, "/v1/tables", rows::tables)
            .about("the tables that are shown")
            .requires(Right::Read)
            .answers::<Tables>(200)
            .refuses(&[P::StoreUnavailable]),
        Route::new(Method::Get, "/v1/tables/{table}", rows::table)
            .about("a table's columns")
            .requires(Right::Read)
            .answers::<Table>(200)
            .refuses(&[P::UnknownTable, P::StoreUnavailable]),
        Route::new(Method::Get, "/v1/tables/{table}/rows", rows::rows)
            .about("a page of rows as JSON, or all rows as CSV or one JSON object a line")
            .requires(Right::Read)
            .with(ROWS)
            .with_any()
            .answers::<Rows>(200)
            .answers_text(200, "text/csv")
            .answers_text(200, "application/x-ndjson")
            .refuses(&[P::BadQuery, P::UnknownTable, P::StoreUnavailable, P::QueryTimeout, P::RowTooLarge]),
        records(Route::new(Method::Post, "/api/v1/query_unstructured_data", records::unstructured))
            .about("a list of records, by a member of their document"),
        records(Route::new(Method::Post, "/api/v1/query_relational_data", records::relational))
            .about("a list of records, by their columns"),
    ]
}

fn of_rollups() -> Vec<Route> {
    vec![
        Route::new(Method::Get, "/v1/rollups", rollups::list)
            .about("what each rollup sums up, and how far it is")
            .requires(Right::Read)
            .answers::<Rollups>(200)
            .refuses(&[P::JournalUnavailable]),
        Route::new(Method::Get, "/v1/rollups/{rollup}", rollups::summaries)
            .about("a page of a rollup's summaries, in the order of their keys")
            .requires(Right::Read)
            .with(SUMMARIES)
            .answers::<Summaries>(200)
            .refuses(&[P::BadQuery, P::UnknownRollup, P::NotFound]),
        Route::new(Method::Get, "/v1/rollups/{rollup}/late", rollups::late)
            .about("the newest documents that came after their window had closed")
            .requires(Right::Read)
            .answers::<LateOnes>(200)
            .refuses(&[P::UnknownRollup, P::NotFound]),
        Route::new(Method::Get, "/v1/rollups/{rollup}/{key}", rollups::summary)
            .about("one summary, and how fresh it is")
            .requires(Right::Read)
            .answers::<Summary>(200)
            .refuses(&[P::UnknownRollup, P::NotFound]),
    ]
}

fn of_letters() -> Vec<Route> {
    vec![
        Route::new(Method::Get, "/v1/dead-letters", letters::list)
            .about("dead letters, in the order of their positions")
            .requires(Right::Read)
            .with(LETTERS)
            .answers::<Letters>(200)
            .refuses(&[P::BadQuery, P::UnknownStream, P::StoreUnavailable]),
        Route::new(Method::Post, "/v1/dead-letters/retry", letters::retry_many)
            .about("tries again all that the parameters mean")
            .requires(Right::Operate)
            .with(LETTERS)
            .answers::<Retries>(200)
            .refuses(&[P::BadQuery, P::UnknownStream, P::StoreUnavailable]),
        Route::new(Method::Get, "/v1/dead-letters/{id}", letters::show)
            .about("a dead letter whole")
            .requires(Right::Read)
            .answers::<Whole>(200)
            .refuses(&[P::UnknownDeadLetter, P::StoreUnavailable]),
        Route::new(Method::Delete, "/v1/dead-letters/{id}", letters::remove)
            .about("gives a dead letter up")
            .requires(Right::Operate)
            .answers::<Fate>(200)
            .refuses(&[P::UnknownDeadLetter, P::StoreUnavailable]),
        Route::new(Method::Post, "/v1/dead-letters/{id}/retry", letters::retry_one)
            .about("tries a dead letter again; a body takes the document's place")
            .requires(Right::Operate)
            .takes(&["application/json", "application/yaml"])
            .answers::<Fate>(200)
            .refuses(&[P::UnknownDeadLetter, P::NotApplied, P::InvalidDocument, P::StoreUnavailable]),
    ]
}

/// What is told of health and problems: the routes of a process without the gateway role, and of every other.
pub fn of_health() -> Vec<Route> {
    vec![
        Route::new(Method::Get, "/health/live", health::live)
            .about("whether the process answers")
            .answers::<Liveness>(200),
        Route::new(Method::Get, "/health/ready", health::ready)
            .about("whether documents can be accepted and applied")
            .answers::<Health>(200)
            .answers::<Health>(503),
        Route::new(Method::Get, "/metrics", metrics::show)
            .about("what is counted and measured, for Prometheus")
            .requires(Right::Read)
            .answers_text(200, "text/plain"),
        Route::new(Method::Get, "/problems/{name}", pages::problem)
            .about("what a problem means, and how to mend it")
            .answers_text(200, HTML)
            .refuses(&[P::NotFound]),
        Route::new(Method::Get, "/problems", pages::problems).about("what all problems mean").answers_text(200, HTML),
    ]
}

/// `GET /`, where no stream answers there.
pub fn front() -> Route {
    Route::new(Method::Get, "/", pages::ways_in)
        .about("the ways in, as a page to browsers and as JSON to programs")
        .requires(Right::Read)
        .answers::<WaysIn>(200)
        .answers_text(200, HTML)
}

/// The routes that the configuration of the streams adds.
pub fn of_streams(service: &Service) -> Vec<Route> {
    let mut routes = Vec::new();
    for served in &service.streams {
        let right = || Right::Publish(Some(served.stream.name.to_string()));
        for route in &served.stream.intake.routes {
            let (to, via) = (Arc::clone(served), Arc::<str>::from(route.as_str()));
            let handler = move |Call { service, request, .. }| {
                let (to, via) = (Arc::clone(&to), Arc::clone(&via));
                async move { intake::post(&service, &to, Some(&via), request).await }
            };
            let about = format!("documents of {} in", served.stream.name);
            let row = documents(Route::new(Method::Post, route.clone(), handler)).about(about).requires(right());
            routes.push(match served.stream.intake.reply {
                Reply::Receipt => row,
                Reply::Echo => row.answers::<intake::Echo>(200).answers::<intake::Echo>(400),
                Reply::Created => row.answers_text(201, "text/plain"),
            });
        }
        for (nth, action) in served.stream.intake.actions.iter().enumerate() {
            let to = Arc::clone(served);
            let handler = move |Call { service, request, .. }| {
                let to = Arc::clone(&to);
                async move { Ok(intake::action::call(&service, &to, &to.stream.intake.actions[nth], request).await) }
            };
            let method = match action.method {
                action::Method::Get => Method::Get,
                action::Method::Post => Method::Post,
            };
            routes.push(
                Route::new(method, action.path.as_str().to_owned(), handler)
                    .at(action.path.shape().to_string())
                    .about(format!("a call is an event of {}", served.stream.name))
                    .requires(right())
                    .with_any()
                    .answers_text(200, "text/plain")
                    .refuses(&[P::InvalidDocument, P::Overloaded, P::JournalUnavailable]),
            );
        }
    }
    routes
}

/// All routes of a process: of one with the gateway role, or of another that was told to listen.
pub fn of(service: &Service) -> Vec<Route> {
    let mut routes = if service.is_gateway { fixed() } else { Vec::new() };
    if service.is_gateway {
        routes.extend(of_streams(service));
        routes.extend((!service.streams.iter().any(|served| served.stream.answers_at("/"))).then(front));
    }
    routes.extend(of_health());
    routes
}
