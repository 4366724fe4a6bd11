//! What is refused: settings that are not built yet, and names that would not work later on.
//!
//! Each judgement takes a text and answers with words. It does not know where the text stands.

use super::fields::listed;
use super::url::shown;
use crate::change::{ColumnType, Family, reserved};
use crate::document::{BadName, StreamName, TopicName, is_name_char};
use crate::json::pointer;
use crate::near;

/// The types that columns of records have most, for advice.
const COLUMN_TYPES: [&str; 9] =
    ["integer", "bigint", "numeric", "boolean", "text", "timestamptz", "date", "uuid", "json"];

/// Forms that later versions have.
pub(super) const NOT_BUILT_FORMS: [&str; 1] = ["debezium"];

/// Where the gate itself answers: these paths and all below them.
const RESERVED: [&str; 8] = [
    "/v1",
    "/api/v1/query_unstructured_data",
    "/api/v1/query_relational_data",
    "/health",
    "/metrics",
    "/openapi.json",
    "/problems",
    "/console",
];

/// The URL of a Pushgateway.
pub(super) fn push_url(url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("http://").filter(|rest| !rest.is_empty() && !rest.contains(['@', '?', '#', ' ']));
    match rest {
        Some(_) => Ok(()),
        None => Err("must be a URL such as http://127.0.0.1:9091, without a name, a password or a query".to_owned()),
    }
}

/// A label that tells a process from others: a name of Prometheus.
pub(super) fn grouping_label(label: &str) -> Result<(), String> {
    let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_right =
        is_name(label) && !label.is_empty() && !label.starts_with("__") && !label.as_bytes()[0].is_ascii_digit();
    match is_right && label != "job" {
        true => Ok(()),
        false => Err("is no label; letters, digits and _ make one, and `job` has a word of its own".to_owned()),
    }
}

/// The value of such a label, which stands in the path of a URL.
pub(super) fn grouping_value(value: &str) -> Result<(), String> {
    match value.is_empty() || value.contains('/') || value == "." || value == ".." {
        true => Err("cannot be empty, `.` or `..`, nor hold a slash: it stands in the path of a URL".to_owned()),
        false => Ok(()),
    }
}

/// Longer paths are no use, and proxies cut them.
const ROUTE_CHARS_MAX: usize = 1000;

/// PostgreSQL cuts longer identifiers off.
const IDENTIFIER_BYTES_MAX: usize = 63;

/// A request that waits holds memory.
pub(super) const WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(60);

/// Larger documents do not fit a value of SQLite, which holds 1,000,000,000 bytes at most.
pub(super) const DOCUMENT_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Whether a stream can have that name.
pub(super) fn stream_name(name: &str) -> Result<(), String> {
    let wrong = |bad: BadName| format!("`{}` cannot be a stream's name; use {}", shown(name), bad.rule());
    StreamName::parse(name).map(drop).map_err(wrong)
}

/// Whether a topic can have that name, on every journal.
pub(super) fn topic(name: &str) -> Result<(), String> {
    let wrong = |bad: BadName| format!("cannot be \"{}\"; use {}", shown(name), bad.rule());
    TopicName::parse(name).map(drop).map_err(wrong)
}

/// Whether a stream can be posted to at that path.
pub(super) fn route(path: &str) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err(format!("cannot be \"{}\"; a route begins with `/`", shown(path)));
    }
    let is_char = |char: char| is_name_char(char) || matches!(char, '/' | '~');
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..");
    let is_plain = path.chars().all(is_char) && (path == "/" || path[1..].split('/').all(is_segment));
    if !is_plain || path.len() > ROUTE_CHARS_MAX {
        return Err(format!(
            "cannot be \"{}\"; a route is a plain path of up to {ROUTE_CHARS_MAX} letters, digits, `_`, `.`, `~` and `-` between single `/`, without one at the end",
            shown(path),
        ));
    }
    let is_below =
        |reserved: &&&str| path.strip_prefix(**reserved).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match RESERVED.iter().find(is_below) {
        Some(reserved) => Err(format!("cannot be \"{}\"; the gate itself answers at {reserved}", shown(path))),
        None => Ok(()),
    }
}

/// Whether text is a JSON Pointer (RFC 6901) into a document.
pub(super) fn pointer(text: &str) -> Result<(), String> {
    if !text.starts_with('/') {
        return Err(format!("cannot be \"{}\"; write a JSON Pointer, such as /userId", shown(text)));
    }
    if pointer::is_escaped(text) {
        return Ok(());
    }
    Err(format!("cannot be \"{}\"; in a JSON Pointer `~` is written `~0`, and `/` within a name `~1`", shown(text)))
}

/// Whether text says where the value of a column stands: in the document, or in an attribute of a CloudEvent.
pub(super) fn column_place(text: &str) -> Result<(), String> {
    let Some(name) = text.strip_prefix("ce.") else {
        let hint = |words: String| format!("{words}, or ce.type for an attribute of a CloudEvent");
        return pointer(text).map_err(|words| if text.starts_with('/') { words } else { hint(words) });
    };
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        return Ok(());
    }
    Err(format!("cannot be \"{}\"; attributes of CloudEvents are named by a-z and 0-9, such as ce.type", shown(text)))
}

/// Whether text names a type that a column can have.
pub(super) fn column_type(name: &str) -> Result<(), String> {
    if ColumnType::parse(name).family() != Family::Unknown {
        return Ok(());
    }
    let right = match near::nearest(name, COLUMN_TYPES.into_iter()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write one such as {}", listed(COLUMN_TYPES.into_iter(), "or")),
    };
    Err(format!("cannot be \"{}\", which is no type; {right}", shown(name)))
}

/// Whether a column can have that name in every store.
pub(super) fn column(name: &str) -> Result<(), String> {
    if name.len() <= IDENTIFIER_BYTES_MAX && !name.contains('\0') {
        return Ok(());
    }
    Err(format!("cannot be \"{}\"; a name has at most {IDENTIFIER_BYTES_MAX} bytes, and no NUL", shown(name)))
}

/// Whether a stream may write into a table of that name, in every store.
pub(super) fn table(name: &str) -> Result<(), String> {
    if let Some(prefix) = reserved::prefix(name) {
        return Err(format!("cannot be \"{}\"; tables that begin with {prefix} belong to the machinery", shown(name)));
    }
    column(name)
}

/// Whether text is an address to listen on, `HOST:PORT`.
pub(super) fn listen(text: &str) -> Result<(), &'static str> {
    let right = "write HOST:PORT, such as 127.0.0.1:8080";
    let Some((host, port)) = text.rsplit_once(':') else { return Err(right) };
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(is_name_char),
    };
    match (is_host, port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()) {
        (true, true) => Ok(()),
        (true, false) => Err("its port must be a number from 0 to 65535; write HOST:PORT, such as 127.0.0.1:8080"),
        (false, _) if host.contains(':') => Err("write an IPv6 address in brackets, such as [::1]:8080"),
        (false, _) if host == "*" || host.is_empty() => Err("for every address write 0.0.0.0, such as 0.0.0.0:8080"),
        (false, _) => Err(right),
    }
}

/// A host's name or address as requests have it in `Host`, without the port, in small letters.
pub(super) fn host(text: &str) -> Result<String, String> {
    let right = "write the name or the address alone, such as gate.internal";
    let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = address.parse::<std::net::Ipv6Addr>() {
        return Ok(format!("[{address}]"));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_name = !name.is_empty() && name.split('.').all(|label| !label.is_empty() && label.chars().all(is_name_char));
    match (is_name, text.contains(':') && !text.contains("://")) {
        (true, _) => Ok(name.to_ascii_lowercase()),
        (false, true) => Err(format!("cannot have \"{}\"; any port is right: {right}", shown(text))),
        (false, false) => Err(format!("cannot have \"{}\"; {right}", shown(text))),
    }
}

/// An origin as browsers write it (RFC 6454): `https://shop.example`, with the port where it is not the usual one.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let wrong = |why: &str| {
        Err(format!("cannot have \"{}\"; {why}: write an origin such as https://shop.example", shown(text)))
    };
    if matches!(text, "*" | "null") {
        return wrong("that would be every page there is; `cors` of a stream can say \"*\" for that stream");
    }
    let Some((scheme, authority)) = text.split_once("://") else { return wrong("it has no scheme") };
    let is_scheme = scheme.starts_with(|char: char| char.is_ascii_alphabetic())
        && scheme.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '+' | '-' | '.'));
    if !is_scheme || authority.contains(['/', '?', '#', '@', '*', ' ']) || authority.is_empty() {
        return wrong("an origin is a scheme, a host and perhaps a port, and nothing behind them");
    }
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("http://") && lower.ends_with(":80")
        || lower.starts_with("https://") && lower.ends_with(":443")
    {
        return wrong("browsers leave the usual port out");
    }
    Ok(lower)
}

/// Whether a backend of this build is meant; `what` is "journal" or "store".
pub(super) fn scheme(scheme: &str, what: &str, known: &[&str]) -> Result<(), String> {
    let urls = known.iter().map(|known| format!("{known}://")).collect::<Vec<_>>().join(", ");
    match scheme {
        "" => Err(format!("is not a URL; write one that begins with a {what} of this version: {urls}")),
        _ if known.contains(&scheme) => Ok(()),
        _ => Err(format!("names `{scheme}://`, which is no {what} of this version; known are {urls}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<E: std::fmt::Debug>(judge: fn(&str) -> Result<(), E>, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(judge(text).is_ok(), "{text}: {:?}", judge(text));
        }
        for text in bad {
            assert!(judge(text).is_err(), "{text} must be refused");
        }
    }

    #[test]
    fn names_that_would_not_work_are_refused() {
        let long = "x".repeat(250);
        check(
            route,
            &["/", "/api/activities", "/v1x", "/healthy", "/a.b/~c"],
            &[
                "",
                "a",
                "//",
                "/a/",
                "/a//b",
                "/a?b",
                "/{a}",
                "/:a b",
                "/a/../b",
                "/v1",
                "/v1/x",
                "/metrics",
                "/console/x",
            ],
        );
        check(pointer, &["/", "/a", "/a~0b/~1", "/a b"], &["", "a", "/a~", "/a~2"]);
        check(table, &["people", "sales.orders"], &["_sluicegate_x", "SQLITE_x", "pg_x", &long]);
        check(
            listen,
            &["127.0.0.1:8080", "0.0.0.0:0", "localhost:80", "[::1]:8080"],
            &["8080", ":8080", "*:8080", "::1:8080", "a:b", "a:", "a:65536", "a:+1", "http://a:80"],
        );
        check(
            |text| host(text).map(drop),
            &["gate.internal", "GATE", "gate.", "10.0.0.1", "::1", "[fe80::1]"],
            &["", ".", "a..b", "gate:8080", "[::1]:8080", "http://gate", "*", "a b", "a/b", "a@b"],
        );
        check(
            |text| origin(text).map(drop),
            &[
                "https://shop.example",
                "http://localhost:3000",
                "HTTPS://A",
                "chrome-extension://abc",
                "http://[::1]:8080",
            ],
            &[
                "",
                "*",
                "null",
                "shop.example",
                "https://",
                "https://a/",
                "https://a:443",
                "http://a:80",
                "https://*.a",
                "://a",
            ],
        );
    }
}
