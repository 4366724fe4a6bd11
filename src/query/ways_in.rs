//! `GET /`: the ways in, as a page to browsers and as JSON to programs.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::problems::{HTML, page};
use crate::http::answer::{json as json_answer, with_type};
use crate::service::Service;
use crate::stream::{Stream, Target};

/// Routes besides the streams': a path and what is there.
const LINKS: &[(&str, &str)] = &[
    ("/v1/streams", "the streams: what each takes, and where it goes"),
    ("/v1/tables", "the tables"),
    ("/v1/dead-letters", "documents that could not be applied"),
    ("/health/ready", "whether documents can be accepted and applied"),
    ("/problems", "what each error means, and how to mend it"),
];

/// The ways in.
pub async fn show(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response<Body> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let streams = service.streams.iter().map(|served| &*served.stream);
    let mut response = match accept.to_ascii_lowercase().contains("text/html") {
        true => with_type(StatusCode::OK, HTML, html(streams)),
        false => json_answer(StatusCode::OK, json(streams).to_string()),
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// Where a stream is posted to; none where others write its topic.
fn posts(stream: &Stream) -> Vec<String> {
    let own = format!("/v1/streams/{}", stream.name);
    if stream.is_foreign { Vec::new() } else { std::iter::once(own).chain(stream.routes.iter().cloned()).collect() }
}

fn json<'s>(streams: impl Iterator<Item = &'s Stream>) -> Value {
    let streams = streams.map(|stream| {
        let actions: Vec<_> =
            stream.actions.iter().map(|action| format!("{} {}", action.method.word(), action.path.as_str())).collect();
        json!({"name": stream.name.as_str(), "about": format!("/v1/streams/{}", stream.name), "post": posts(stream), "actions": actions})
    });
    let links: Vec<_> = LINKS.iter().map(|(path, what)| json!({"path": path, "what": what})).collect();
    json!({"name": "Sluicegate", "version": env!("CARGO_PKG_VERSION"), "streams": streams.collect::<Vec<_>>(), "links": links})
}

fn html<'s>(streams: impl Iterator<Item = &'s Stream>) -> String {
    let streams: String = streams
        .map(|stream| {
            // Names of streams and routes are made of characters that HTML has no meaning for; tables are not.
            let posts: Vec<_> = posts(stream).iter().map(|path| format!("<code>POST {path}</code>")).collect();
            let table = match &stream.table {
                Target::Tables => "into the tables that its documents name".to_owned(),
                Target::Records { table, .. } => format!("into the table <code>{}</code>", escaped(table)),
                Target::Journal => "kept in the journal".to_owned(),
            };
            let posts = if posts.is_empty() { "a topic that others write".to_owned() } else { posts.join(", ") };
            format!("<li><a href=\"/v1/streams/{0}\">{0}</a>: {posts}, {table}</li>\n", stream.name)
        })
        .collect();
    let links: String =
        LINKS.iter().map(|(path, what)| format!("<li><a href=\"{path}\">{path}</a>: {what}</li>\n")).collect();
    page(
        "The ways in",
        &format!("<h1>Sluicegate</h1>\n<h2>Streams</h2><ul>\n{streams}</ul>\n<h2>Elsewhere</h2><ul>\n{links}</ul>\n"),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
