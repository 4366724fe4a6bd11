//! The doors: which requests come in at all, by their `Host` and by the web page that a browser sends them for.
//!
//! A page in somebody's browser can reach a gate on that person's machine. It cannot read answers, since they carry no
//! CORS header, but it can post, and by a name that it lets point to the machine (DNS rebinding) it could read as well. So
//! what records or changes something needs a page that the configuration names, and a connection to a loopback address a
//! `Host` of loopback. What records or changes something is told by the rights of the route table. Requests of programs have neither `Origin` nor `Sec-Fetch-Site`, and pass with three look-ups.
//!
//! It does not know tokens.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};

use super::answer::Failure;
use super::rights::{Right, Rights};
use crate::excerpt;
use crate::problem::ProblemType;
use crate::service::Service;

/// Browsers say with it how the page and the address are related; no script can set it.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// So much of a header is shown in a refusal.
const SHOWN_CHARS_MAX: usize = 200;

/// The headers of one request and its address, in bytes.
pub const HEADER_BYTES_MAX: usize = 64 << 10;

/// So long a browser may remember that it may send what it asked for, in seconds: less than what Chromium takes at most.
const PREFLIGHT_SECONDS: u32 = 600;

/// The request headers that mean something here.
const REQUEST_HEADERS: &str = "content-type, content-encoding, idempotency-key, prefer, authorization, \
     ce-id, ce-source, ce-specversion, ce-type, ce-subject, ce-time, ce-dataschema";

/// What the configuration says of who may come in.
pub struct Doors {
    hosts: Vec<String>,
    origins: Vec<String>,
    rights: Rights,
    service: Arc<Service>,
}

/// A request that may come in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// It is routed, and answered as it is.
    In,
    /// It is routed, and the page of this origin may see the answer.
    Seen(String),
    /// A browser asks whether a page of this origin may send what it wants to send: it may.
    Preflight(String),
}

/// What a page may do with a request.
enum Entry<'r> {
    /// It reads, and its browser keeps the answer from it.
    Reads,
    /// It may ask with a body, and its browser keeps the answer from it.
    Asks,
    /// It may record or change something, and see the answer.
    Sends,
    /// Nothing: its origin must be named, by that stream or for everything.
    Closed(Option<&'r str>),
}

/// A web page of another site that a browser sends a request for.
struct Foreign {
    /// Its origin, when the browser says it: not for an image or a link.
    origin: Option<String>,
}

impl Foreign {
    /// Whether the page's origin is among these, of which `*` stands for any page.
    fn is_named_in(&self, origins: &[String]) -> bool {
        let is_it = |allowed: &String| allowed == "*" || self.origin.as_ref() == Some(allowed);
        origins.iter().any(is_it)
    }
}

impl Doors {
    /// `hosts` are allowed beside those of loopback, `origins` for everything that `rights` are about.
    pub fn new(hosts: Vec<String>, origins: Vec<String>, rights: Rights, service: Arc<Service>) -> Self {
        Doors { hosts, origins, rights, service }
    }

    /// Judges a request that came in on a loopback address or not.
    pub(super) fn judge<B>(&self, request: &Request<B>, is_loopback: bool) -> Result<Pass, Failure> {
        let judged = self.pass(request, is_loopback);
        if let Err(failure) = &judged {
            self.service.refused_at_the_door(failure.problem());
        }
        judged
    }

    fn pass<B>(&self, request: &Request<B>, is_loopback: bool) -> Result<Pass, Failure> {
        check_size(request)?;
        self.check_host(request, is_loopback)?;
        let Some(foreign) = foreign(request) else { return Ok(Pass::In) };
        let (method, path) = (request.method(), request.uri().path());
        if *method == Method::OPTIONS {
            let wanted = request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD);
            let wanted = wanted.and_then(|wanted| wanted.to_str().ok());
            let entry = wanted.map(|wanted| self.entry(wanted, path, &foreign));
            return Ok(match (entry, foreign.origin) {
                (Some(Entry::Asks | Entry::Sends), Some(origin)) => Pass::Preflight(origin),
                _ => Pass::In,
            });
        }
        match self.entry(method.as_str(), path, &foreign) {
            Entry::Reads | Entry::Asks => Ok(Pass::In),
            Entry::Sends => Ok(foreign.origin.map_or(Pass::In, Pass::Seen)),
            Entry::Closed(stream) => Err(refusal(&foreign, stream).last()),
        }
    }

    /// What a page may do with a request, by what its route requires and by what the configuration says of the page.
    fn entry<'r>(&'r self, method: &str, path: &'r str, foreign: &Foreign) -> Entry<'r> {
        let is_reading = matches!(method, "GET" | "HEAD");
        let is_allowed = foreign.is_named_in(&self.origins);
        let required = self.rights.of(method, path);
        match required.map(|required| (required.right, required.stream)) {
            Some((Right::Publish(_), stream)) => {
                let served = stream.and_then(|name| self.service.stream(name));
                match served.is_some_and(|served| foreign.is_named_in(&served.stream.intake.cors)) || is_allowed {
                    true => Entry::Sends,
                    false => Entry::Closed(served.map(|served| served.stream.name.as_str())),
                }
            }
            Some((Right::Read | Right::None, _)) | None if is_reading => Entry::Reads,
            _ if !is_allowed => Entry::Closed(None),
            Some((Right::Read, _)) => Entry::Asks,
            _ => Entry::Sends,
        }
    }

    /// RFC 9112, 3.2: one `Host`. One that is asked for by its whole address is asked for by that name.
    fn check_host<B>(&self, request: &Request<B>, is_loopback: bool) -> Result<(), Failure> {
        let mut lines = request.headers().get_all(header::HOST).iter();
        let line = match (lines.next(), lines.next()) {
            (Some(line), None) => Some(line.as_bytes()),
            (None, _) if request.version() < Version::HTTP_11 => None,
            (None, _) => return Err(bad_host("there is none, and there must be one".into())),
            (Some(_), Some(_)) => return Err(bad_host("it stands there more than once".into())),
        };
        let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
        for authority in [line, target].into_iter().flatten() {
            let Some(host) = host_of(authority) else {
                return Err(bad_host(format!("{} is no host and port", shown(authority))));
            };
            if is_loopback && !is_of_loopback(host) && !self.is_allowed(host) {
                let detail = format!(
                    "{} is no name of a loopback address, on which this came in; if a proxy or a name of your own leads here, add it to `allowed_hosts`",
                    shown(host)
                );
                return Err(Failure::new(ProblemType::Forbidden, detail).last());
            }
        }
        Ok(())
    }

    fn is_allowed(&self, host: &[u8]) -> bool {
        let host = host.strip_suffix(b".").unwrap_or(host);
        let plain = address_in_brackets(host).map(|address| format!("[{address}]"));
        let host = plain.as_ref().map_or(host, |plain| plain.as_bytes());
        self.hosts.iter().any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(host))
    }
}

/// hyper looks at the size of its buffer, which may be larger by what one read brings.
fn check_size<B>(request: &Request<B>) -> Result<(), Failure> {
    // With each header come a colon, a space and the end of the line.
    let sizes = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if sizes.sum::<usize>() + target <= HEADER_BYTES_MAX {
        return Ok(());
    }
    let detail = format!("the headers and the address take more than {HEADER_BYTES_MAX} bytes");
    Err(Failure::new(ProblemType::HeadersTooLarge, detail).last())
}

/// The answer to a browser that asks before a page sends something.
pub(super) fn preflight(origin: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    open_to(headers, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_HEADERS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(PREFLIGHT_SECONDS));
    response
}

/// Lets a web page of `origin` see the answer.
pub(super) fn open_to(headers: &mut HeaderMap, origin: &str) {
    // It came in a header.
    headers.extend(HeaderValue::from_str(origin).ok().map(|origin| (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin)));
    let seen = HeaderValue::from_static("location, preference-applied, retry-after");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, seen);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

/// The refusal of a page, by the words of the configuration that would let it in.
fn refusal(foreign: &Foreign, stream: Option<&str>) -> Failure {
    let page = match &foreign.origin {
        Some(origin) => format!("a web page of {}", shown(origin.as_bytes())),
        None => "a web page of another site".to_owned(),
    };
    let setting = match stream {
        Some(stream) => format!("`cors` of the stream {stream}, or `allowed_origins`"),
        None => "`allowed_origins`".to_owned(),
    };
    let detail = format!("{page} may not send this; its origin must stand in {setting}");
    Failure::new(ProblemType::Forbidden, detail)
}

/// The page that a browser sends the request for, when that is not one of ours.
fn foreign<B>(request: &Request<B>) -> Option<Foreign> {
    let headers = request.headers();
    let (site, origin) = (headers.get(SITE), headers.get(header::ORIGIN));
    if site.is_none() && origin.is_none() {
        return None;
    }
    // A person who types an address, or follows a bookmark, is `none`. What is not known is as good as foreign.
    let is_own_site = headers.get_all(SITE).iter().all(|site| site == "same-origin" || site == "none");
    let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let host = target.or_else(|| headers.get(header::HOST).map(HeaderValue::as_bytes));
    let is_own_origin = origin.is_none_or(|origin| host.is_some_and(|host| is_at(origin.as_bytes(), host)));
    let is_one = headers.get_all(header::ORIGIN).iter().count() <= 1;
    if is_own_site && is_own_origin && is_one {
        return None;
    }
    let origin = origin.filter(|_| is_one).and_then(|origin| Some(origin.to_str().ok()?.to_owned()));
    Some(Foreign { origin })
}

/// Whether an origin is that of the host asked. A proxy in front may speak TLS, so either scheme is right.
fn is_at(origin: &[u8], host: &[u8]) -> bool {
    let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

fn bad_host(why: String) -> Failure {
    Failure::new(ProblemType::BadHeader, format!("Host: {why}")).last()
}

/// A part of a request in a sentence: no more than fits one, and nothing that a terminal would obey.
fn shown(bytes: &[u8]) -> String {
    excerpt::quoted(&String::from_utf8_lossy(bytes), SHOWN_CHARS_MAX)
}

/// The host in `host` or `host:port` (RFC 3986, 3.2.2), an IPv6 address with its brackets; none when it is something else.
fn host_of(authority: &[u8]) -> Option<&[u8]> {
    let end = match authority.first()? {
        b'[' => authority.iter().position(|byte| *byte == b']')? + 1,
        _ => authority.iter().position(|byte| *byte == b':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at(end);
    let is_port = match rest.split_first() {
        None => true,
        Some((colon, port)) => {
            *colon == b':' && port.iter().all(u8::is_ascii_digit) && (port.is_empty() || number(port).is_some())
        }
    };
    let is_name_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(byte);
    let is_host = match host.first()? {
        b'[' => address_in_brackets(host).is_some(),
        _ => host.iter().all(is_name_byte),
    };
    (is_host && is_port).then_some(host)
}

fn number(port: &[u8]) -> Option<u16> {
    std::str::from_utf8(port).ok()?.parse().ok()
}

fn address_in_brackets(host: &[u8]) -> Option<Ipv6Addr> {
    let inside = host.strip_prefix(b"[")?.strip_suffix(b"]")?;
    std::str::from_utf8(inside).ok()?.parse().ok()
}

/// Whether a host can be nothing but this machine: `localhost` and what is below it (RFC 6761), 127.0.0.0/8 and `::1`.
fn is_of_loopback(host: &[u8]) -> bool {
    if let Some(address) = address_in_brackets(host) {
        return address.to_canonical().is_loopback();
    }
    let name = host.strip_suffix(b".").unwrap_or(host);
    if name.first().is_some_and(u8::is_ascii_digit) {
        let address = std::str::from_utf8(name).ok().and_then(|name| name.parse::<Ipv4Addr>().ok());
        return address.is_some_and(|address| address.is_loopback());
    }
    let Some(at) = name.len().checked_sub(b"localhost".len()) else { return false };
    let (below, last) = name.split_at(at);
    last.eq_ignore_ascii_case(b"localhost") && (below.is_empty() || below.len() > 1 && below.ends_with(b"."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_apart() {
        let (loopback, other, broken) = (Some(true), Some(false), None);
        for (authority, expected) in [
            ("localhost", loopback),
            ("localhost:8080", loopback),
            ("LocalHost.:1", loopback),
            ("gate.localhost", loopback),
            ("127.0.0.1", loopback),
            ("127.255.1.2:80", loopback),
            ("[::1]", loopback),
            ("[0:0::1]:8080", loopback),
            ("[::ffff:127.0.0.1]", loopback),
            ("localhost:", loopback),
            ("evil.example", other),
            ("evil.example:8080", other),
            ("localhost.evil.example", other),
            ("evillocalhost", other),
            (".localhost", other),
            ("127.0.0.1.evil.example", other),
            ("128.0.0.1", other),
            ("0.0.0.0", other),
            ("2130706433", other),
            ("0x7f.1", other),
            ("127.1", other),
            ("127.000.0.1", other),
            ("[::]", other),
            ("[fe80::1]", other),
            ("[fe80::1%25lo]", broken),
            ("::1", broken),
            ("[::1", broken),
            ("[localhost]", broken),
            ("[::1]8080", broken),
            ("", broken),
            (":8080", broken),
            ("user@localhost", broken),
            ("localhost:80a", broken),
            ("localhost:-1", broken),
            ("localhost:65536", broken),
            ("localhost:80:80", broken),
            ("localhost/", broken),
            ("local host", broken),
            ("localhost\\", broken),
            ("localhost#", broken),
            ("locälhost", broken),
        ] {
            let found = host_of(authority.as_bytes()).filter(|host| !host.is_empty());
            assert_eq!(found.map(is_of_loopback), expected, "{authority:?}");
        }
    }

    #[test]
    fn only_the_host_asked_is_no_foreign_origin() {
        for (origin, host, expected) in [
            ("http://localhost:8080", "localhost:8080", true),
            ("https://gate.example", "GATE.example", true),
            ("http://localhost:3000", "localhost:8080", false),
            ("http://localhost", "localhost:8080", false),
            ("http://127.0.0.1:8080", "localhost:8080", false),
            ("null", "null", false),
            ("file://", "", false),
            ("http://localhost:8080/", "localhost:8080", false),
            ("", "", false),
        ] {
            assert_eq!(is_at(origin.as_bytes(), host.as_bytes()), expected, "{origin} {host}");
        }
    }
}
