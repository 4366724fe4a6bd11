//! Questions over HTTP: takes what a request says, asks `query`, and makes of the answer a status, headers and a body.
//!
//! What may be asked, and what the answer is, is for `query` to say.

pub(super) mod export;
pub(super) mod health;
pub(super) mod letters;
pub(super) mod metrics;
pub(super) mod pages;
pub(super) mod records;
pub(super) mod rollups;
pub(super) mod rows;
pub(super) mod streams;

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};

use crate::query::Unanswered;
use crate::query::parameters::bad;
use crate::query_string::encode;

/// The longest `next` link: the headers of a request must hold it.
const LINK_BYTES_MAX: usize = 32 << 10;

/// The address of the page that begins behind `after`.
fn link(path: &str, parameters: &[(String, String)], after: &str) -> Result<String, Unanswered> {
    let mut link = format!("{path}?");
    for (name, value) in parameters.iter().filter(|(name, _)| name != "after") {
        link.push_str(&format!("{}={}&", encode(name), encode(value)));
    }
    link.push_str(&format!("after={}", encode(after)));
    if link.len() > LINK_BYTES_MAX {
        let why = "the values that rows are ordered by are too long for a link to the next page; order by something \
                   shorter, or accept text/csv or application/x-ndjson";
        return Err(bad("order", why));
    }
    Ok(link)
}

/// An answer that nobody on the way may keep: it may be another one in a moment.
fn not_kept(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
