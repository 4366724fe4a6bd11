//! `GET /problems/{name}`: what a problem means, and how to mend it.

use axum::body::Body;
use axum::extract::Path;
use axum::http::{Response, StatusCode};

use crate::http::answer::{Failure, with_type};
use crate::near;
use crate::problem::ProblemType;

pub(super) const HTML: &str = "text/html; charset=utf-8";

/// The page of one type.
pub async fn show(Path(name): Path<String>) -> Response<Body> {
    match ProblemType::find(&name) {
        Some(kind) => with_type(StatusCode::OK, HTML, page(&name, &entry(kind))),
        None => {
            let known = ProblemType::ALL.iter().map(|kind| kind.name());
            Failure::new(ProblemType::NotFound, near::unknown("problem type", &name, known)).into_response()
        }
    }
}

/// The page of all types.
pub async fn list() -> Response<Body> {
    let entries: String = ProblemType::ALL.iter().map(|kind| entry(*kind)).collect();
    with_type(StatusCode::OK, HTML, page("problems", &entries))
}

pub(super) fn page(title: &str, body: &str) -> String {
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
