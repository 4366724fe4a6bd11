//! Pages for browsers: the ways in, and what problems mean.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

use crate::http::answer::{Answer, Failure, ok, with_type};
use crate::http::table::Call;
use crate::near;
use crate::problem::ProblemType;
use crate::query::ways_in::{self, Link, WaysIn};
use crate::service::Service;
use crate::stream::Target;

/// `GET /`: a page to browsers, JSON to programs.
pub(in crate::http) async fn ways_in(Call { service, request, .. }: Call) -> Answer {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let ways = ways_in::list(&service);
    let mut response = match accept.to_ascii_lowercase().contains("text/html") {
        true => shown(html(&ways, &service)),
        false => ok(&ways),
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// `GET /problems/{name}`
pub(in crate::http) async fn problem(call: Call) -> Answer {
    let name = &call.name;
    match ProblemType::find(name) {
        Some(kind) => Ok(shown(page(name, &entry(kind)))),
        None => {
            let known = ProblemType::ALL.iter().map(|kind| kind.name());
            Err(Failure::new(ProblemType::NotFound, near::unknown("problem type", name, known)))
        }
    }
}

/// `GET /problems`
pub(in crate::http) async fn problems(_: Call) -> Answer {
    let entries: String = ProblemType::ALL.iter().map(|kind| entry(*kind)).collect();
    Ok(shown(page("problems", &entries)))
}

fn shown(page: String) -> Response<Body> {
    with_type(StatusCode::OK, "text/html; charset=utf-8", page)
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} · Sluicegate</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}}\
         code{{background:#eee;padding:.1em .3em}}small{{color:#666}}</style></head>\n\
         <body>{body}<p><small><a href=\"/problems\">All problems</a></small></p></body></html>\n"
    )
}

fn entry(kind: ProblemType) -> String {
    // The catalogue's texts are our own and hold nothing that HTML would take for markup but `code`.
    let mend: String = kind
        .mend()
        .split('`')
        .enumerate()
        .map(|(index, part)| if index % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() })
        .collect();
    format!(
        "<h2 id=\"{0}\"><code>{0}</code></h2><p><strong>{1}</strong> <small>HTTP {2}</small></p><p>{mend}</p>\n",
        kind.name(),
        kind.title(),
        kind.status()
    )
}

fn html(ways: &WaysIn, service: &Service) -> String {
    let streams: String = ways
        .streams
        .iter()
        .zip(&service.streams)
        .map(|(way, served)| {
            // Names of streams and routes are made of characters that HTML has no meaning for; tables are not.
            let posts: Vec<_> = way.post.iter().map(|path| format!("<code>POST {path}</code>")).collect();
            let table = match &served.stream.apply.target {
                Target::Tables => "into the tables that its documents name".to_owned(),
                Target::Records { table, .. } | Target::Summaries { table, .. } => {
                    format!("into the table <code>{}</code>", escaped(table))
                }
                Target::Journal => "kept in the journal".to_owned(),
            };
            let posts = if posts.is_empty() { "a topic that others write".to_owned() } else { posts.join(", ") };
            format!("<li><a href=\"/v1/streams/{0}\">{0}</a>: {posts}, {table}</li>\n", way.name)
        })
        .collect();
    let links =
        ways.links.iter().map(|Link { path, what }| format!("<li><a href=\"{path}\">{path}</a>: {what}</li>\n"));
    let links: String = links.collect();
    page(
        "The ways in",
        &format!("<h1>Sluicegate</h1>\n<h2>Streams</h2><ul>\n{streams}</ul>\n<h2>Elsewhere</h2><ul>\n{links}</ul>\n"),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
