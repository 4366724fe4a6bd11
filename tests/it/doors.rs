//! Doors: no web page uses a gate on its visitor's machine, and a gate on a loopback address is asked by a name of loopback.

use std::net::SocketAddr;

use sluicegate::http::rights::Right;
use sluicegate::http::routes;

use crate::support::{Connection, Documents, Home, Process, Request, Response, Target, unapplicable};

const CONFIG: &str = r#"
allowed_hosts: [gate.internal, "fe80::1"]
allowed_origins: ["https://console.example"]
streams:
  closed: {takes: events, table: closed, queries: true, routes: [/closed]}
  open: {takes: events, cors: ["https://shop.example"], routes: [/open]}
  wide:
    takes: events
    cors: ["*"]
    actions: {GET /wide: {record: wide}}
  game:
    takes: events
    cors: ["https://shop.example"]
    actions: {"GET /buy/{item}": {record: "{path.item}"}, POST /sell: {record: sold}}
  quiet:
    takes: events
    actions: {GET /ring: {record: rang}}
"#;

/// What a browser says of the page that it sends a request for.
type Page<'p> = &'p [(&'p str, &'p str)];

const SHOP: Page<'_> = &[("Origin", "https://shop.example"), ("Sec-Fetch-Site", "cross-site")];
const CONSOLE: Page<'_> = &[("Origin", "https://console.example"), ("Sec-Fetch-Site", "cross-site")];
const EVIL: Page<'_> = &[("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")];

/// Pages that nobody has named, as browsers tell of them in their many ways.
fn foreign_pages(address: SocketAddr) -> Vec<Vec<(&'static str, String)>> {
    let origin = |text: &str| vec![("Origin", text.to_owned())];
    let site = |text: &str| vec![("Sec-Fetch-Site", text.to_owned())];
    vec![
        EVIL.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        origin("https://evil.example"),
        // A sandboxed frame, a file, a redirect.
        origin("null"),
        origin(""),
        // Another port and another name of the same machine are other pages.
        origin("http://localhost"),
        origin(&format!("http://127.0.0.1:{}", address.port())),
        origin("http://localhost.evil.example"),
        origin("http://evil.example/localhost"),
        origin("https://shop.example.evil.example"),
        // An image, a link, a form's GET: no origin.
        site("cross-site"),
        site("same-site"),
        site("something-new"),
        [site("same-origin"), site("cross-site")].concat(),
        [site("same-origin"), origin("https://evil.example")].concat(),
        [origin(&format!("http://localhost:{}", address.port())), origin("https://evil.example")].concat(),
    ]
}

fn with(request: Request, page: &[(&str, impl AsRef<str>)]) -> Request {
    page.iter().fold(request, |request, (name, value)| request.header(name, value.as_ref()))
}

#[track_caller]
fn refused(answer: &Response, setting: &str) {
    assert_eq!(answer.status, 403, "{}", answer.text());
    let problem = answer.json();
    assert_eq!(problem["type"], "/problems/forbidden");
    assert!(problem["detail"].as_str().unwrap().contains(setting), "{problem}");
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

/// How many records a topic holds.
#[track_caller]
fn records(home: &Home, topic: &str) -> usize {
    home.run(&["tail", topic, "--exit"]).expect(0).stdout.lines().count()
}

fn own(server: &Process) -> String {
    format!("localhost:{}", server.address().port())
}

#[test]
fn a_foreign_page_records_and_changes_nothing() {
    let home = Home::with(CONFIG);
    let server = home.up();
    let own = own(&server);
    let bodies = ["application/json", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", ""];
    for page in foreign_pages(server.address()) {
        let ask = |request: Request| server.send(with(request.header("Host", &own), &page));
        for (path, setting) in [("/v1/streams/closed", "`cors` of the stream closed"), ("/closed", "`allowed_origins`")]
        {
            for media in bodies {
                let request = Request::post(path, r#"{"a":1}"#);
                let request = if media.is_empty() { request } else { request.header("Content-Type", media) };
                refused(&ask(request), setting);
            }
        }
        refused(&ask(Request::post("/v1/streams/open", "{}")), "`cors` of the stream open");
        refused(&ask(Request::post("/open", "{}").chunked()), "`cors`");
        for path in ["/ring", "/buy/a"] {
            refused(&ask(Request::get(path)), "`cors`");
            ask(Request::new("HEAD", path)).expect(403);
        }
        refused(&ask(Request::post("/sell", "")), "`cors` of the stream game");
        for request in [
            Request::post("/v1/dead-letters/retry", ""),
            Request::post("/v1/dead-letters/closed-0-0/retry", ""),
            Request::new("DELETE", "/v1/dead-letters/closed-0-0"),
            Request::post("/api/v1/query_unstructured_data", r#"{"key":"a","value":1}"#),
            Request::post("/nothing", "{}"),
            Request::new("PUT", "/v1/streams/closed"),
            Request::new("PATCH", "/v1/streams/open"),
        ] {
            refused(&ask(request), "`allowed_origins`");
        }
        for path in ["/v1/streams", "/v1/tables", "/health/ready", "/problems/forbidden"] {
            let read = ask(Request::get(path)).expect(200);
            assert_eq!(read.header("access-control-allow-origin"), None, "{path}");
        }
    }
    for topic in ["closed", "open", "game", "quiet"] {
        assert_eq!(records(&home, topic), 0, "{topic}");
    }
}

#[test]
fn whatever_route_there_is_a_foreign_page_only_reads_by_it() {
    let home = Home::with(CONFIG);
    let server = home.up();
    for route in routes::fixed().into_iter().chain(routes::of_health()) {
        let path: Vec<_> = route.path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
        let (method, path) = (route.method.word(), path.join("/"));
        let ask = |page| server.send(with(Request::new(method, &path).header("Host", &own(&server)), page));
        let is_reading = method == "GET";
        if matches!(route.right, Right::Publish(_) | Right::Operate) {
            assert!(!is_reading, "{path} records or changes something, and is a GET");
        }
        assert_eq!(ask(EVIL).status == 403, !is_reading, "{method} {path}");
        let named = ask(CONSOLE);
        assert_ne!(named.status, 403, "{method} {path}");
        let is_seen = named.header("access-control-allow-origin").is_some();
        assert_eq!(is_seen, matches!(route.right, Right::Publish(_) | Right::Operate), "{method} {path}");
    }
}

#[test]
fn programs_own_pages_and_named_pages_come_in() {
    let home = Home::with(CONFIG);
    let server = home.up();
    let own = own(&server);
    let origin = format!("http://{own}");
    let secure = format!("https://{own}");
    let (typed, page) = ([("Sec-Fetch-Site", "none")], [("Origin", &*origin), ("Sec-Fetch-Site", "same-origin")]);
    let pages: [(Page<'_>, &[&str]); 7] = [
        (&[], &["/v1/streams/closed", "/closed", "/open", "/ring", "/buy/a", "/wide"]),
        (&typed, &["/v1/streams/closed", "/closed", "/ring", "/buy/a"]),
        (&page, &["/v1/streams/closed", "/closed", "/ring", "/buy/a"]),
        (&[("Origin", &*secure)], &["/v1/streams/closed", "/closed"]),
        (CONSOLE, &["/v1/streams/closed", "/closed", "/open", "/ring", "/buy/a", "/wide"]),
        (SHOP, &["/v1/streams/open", "/open", "/buy/a", "/wide"]),
        (&[("Sec-Fetch-Site", "cross-site")], &["/wide", "/v1/streams/wide"]),
    ];
    for (page, paths) in pages {
        for path in paths {
            let is_action = ["/ring", "/buy/a", "/wide"].contains(path);
            let request = if is_action { Request::get(path) } else { Request::post(path, "{}") };
            let answer = server.send(with(request.header("Host", &own), page));
            assert_eq!(answer.status, if is_action { 200 } else { 202 }, "{path} {page:?} {}", answer.text());
            let seen = page.iter().find(|_| page == SHOP || page == CONSOLE).map(|(_, origin)| *origin);
            assert_eq!(answer.header("access-control-allow-origin"), seen, "{path} {page:?}");
            assert_eq!(answer.header("vary"), seen.map(|_| "origin"));
        }
    }
}

#[test]
fn a_browser_that_asks_first_is_told_what_a_named_page_may_send() {
    let home = Home::with(CONFIG);
    let server = home.up();
    for (page, method, path, is_open) in [
        (SHOP, "POST", "/v1/streams/open", true),
        (SHOP, "POST", "/open", true),
        (SHOP, "GET", "/buy/a", true),
        (EVIL, "POST", "/v1/streams/wide", true),
        (CONSOLE, "DELETE", "/v1/dead-letters/closed-0-0", true),
        (SHOP, "POST", "/closed", false),
        (SHOP, "GET", "/ring", false),
        (SHOP, "DELETE", "/v1/dead-letters/closed-0-0", false),
        (EVIL, "POST", "/open", false),
        (CONSOLE, "GET", "/v1/tables", false),
    ] {
        let ask = Request::new("OPTIONS", path).header("Access-Control-Request-Method", method);
        let answer = server.send(with(ask, page)).expect(204);
        let origin = is_open.then_some(page[0].1);
        assert_eq!(answer.header("access-control-allow-origin"), origin, "{method} {path} {page:?}");
        let headers = answer.header("access-control-allow-headers").unwrap_or_default();
        assert_eq!(headers.contains("content-type") && headers.contains("idempotency-key"), is_open);
        assert_eq!(answer.header("content-type"), None);
    }
}

#[test]
fn on_a_loopback_address_the_host_is_of_loopback_or_named() {
    let home = Home::with(CONFIG);
    let server = home.up();
    for (hosts, status) in [
        (&["localhost"] as &[&str], 200),
        (&["LOCALHOST.:9"], 200),
        (&["a.localhost:1"], 200),
        (&["127.0.0.1:8080"], 200),
        (&["127.9.9.9"], 200),
        (&["[::1]:8080"], 200),
        (&["gate.internal"], 200),
        (&["Gate.Internal.:443"], 200),
        (&["[fe80:0::1]:80"], 200),
        (&["evil.example"], 403),
        (&["evil.example:8080"], 403),
        (&["localhost.evil.example"], 403),
        (&["gate.internal.evil.example"], 403),
        (&["10.0.0.1"], 403),
        (&["0.0.0.0:8080"], 403),
        (&["2130706433"], 403),
        (&["127.1"], 403),
        (&[], 400),
        (&[""], 400),
        (&["localhost", "localhost"], 400),
        (&["localhost", "evil.example"], 400),
        (&["localhost, evil.example"], 400),
        (&["user@localhost"], 400),
        (&["localhost:port"], 400),
        (&["localhost:99999"], 400),
        (&["[fe80::1%25lo]"], 400),
        (&["http://localhost"], 400),
        (&["local\thost"], 400),
    ] {
        for target in ["GET /health/live", "POST /v1/streams/closed"] {
            let lines: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
            let length = if target.starts_with("POST") { "Content-Length: 2\r\n\r\n{}" } else { "\r\n" };
            let (method, path) = target.split_once(' ').unwrap();
            let answer = raw(&server, &format!("{method} {path} HTTP/1.1\r\n{lines}{length}"));
            let expected = if status == 200 && method == "POST" { 202 } else { status };
            assert_eq!(answer.status, expected, "{target} {hosts:?} {}", answer.text());
            match status {
                403 => refused(&answer, "`allowed_hosts`"),
                400 => assert_eq!(answer.json()["type"], "/problems/bad-header", "{hosts:?}"),
                _ => {}
            }
        }
    }
}

#[test]
fn an_address_asked_whole_is_asked_by_its_name() {
    let home = Home::with(CONFIG);
    let server = home.up();
    for (head, status) in [
        ("GET http://localhost/health/live HTTP/1.1\r\nHost: localhost", 200),
        ("GET http://evil.example/health/live HTTP/1.1\r\nHost: localhost", 403),
        ("GET http://localhost/health/live HTTP/1.1\r\nHost: evil.example", 403),
        ("GET http://localhost/health/live HTTP/1.1\r\nA: b", 400),
        ("GET http://user@localhost/health/live HTTP/1.1\r\nHost: localhost", 400),
        // Only programs leave it out, and HTTP/1.0 lets them.
        ("GET /health/live HTTP/1.0\r\nA: b", 200),
        ("GET /health/live HTTP/1.0\r\nHost: evil.example", 403),
        ("GET /health/live HTTP/1.0\r\nHost: localhost\r\nHost: localhost", 400),
        ("POST /closed HTTP/1.0\r\nOrigin: http://localhost\r\nContent-Length: 0", 403),
    ] {
        assert_eq!(raw(&server, &format!("{head}\r\n\r\n")).status, status, "{head}");
    }
}

#[test]
fn on_other_addresses_any_one_host_is_right() {
    let Some(address) = other_address() else {
        eprintln!("SKIPPED: this machine has no address but loopback");
        return;
    };
    let home = Home::with(CONFIG);
    let server = home.start(&["up", "--listen", &format!("{address}:0")]).listening();
    for (hosts, status) in [("Host: evil.example\r\n", 200), ("", 400), ("Host: a\r\nHost: b\r\n", 400)] {
        let answer = raw(&server, &format!("GET /health/live HTTP/1.1\r\n{hosts}\r\n"));
        assert_eq!(answer.status, status, "{hosts:?}");
    }
    let page = with(Request::post("/closed", "{}").header("Host", "gate.example"), EVIL);
    refused(&server.send(page), "`cors`");
}

#[test]
fn dead_letters_are_not_retried_by_a_page() {
    let home = Home::new();
    let server = home.up();
    let (receipt, _) = server.set_aside(unapplicable());
    let path = format!("/v1/dead-letters/{receipt}");
    refused(&server.send(with(Request::post(&format!("{path}/retry"), "{}"), EVIL)), "`allowed_origins`");
    refused(&server.send(with(Request::new("DELETE", &path), EVIL)), "`allowed_origins`");
    server.get(&path).expect(200);
}

#[track_caller]
fn raw(server: &Process, bytes: &str) -> Response {
    let mut connection = Connection::open(server.address()).unwrap();
    connection.write(bytes.as_bytes()).unwrap();
    connection.answer(false).unwrap_or_else(|error| panic!("{error} after {bytes:?}"))
}

/// An address of this machine that is not loopback. Nothing is sent: the system only chooses the way.
fn other_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|address| !address.is_loopback())
}

#[test]
fn what_is_refused_at_the_door_leaves_a_line_and_many_are_counted() {
    let home = Home::with(CONFIG);
    let server = home.up();
    for (request, status, parts) in [
        (
            with(Request::post("/v1/streams/closed", "{}"), EVIL),
            403,
            &["reason=\"forbidden\"", "https://evil.example", "`cors` of the stream closed"][..],
        ),
        (
            Request::get("/v1/tables").header("Host", "evil\tx.example"),
            400,
            &["reason=\"bad-header\"", "is no host and port"],
        ),
        (Request::get("/v1/tables").header("X-Long", &"x".repeat(70_000)), 431, &["reason=\"headers-too-large\""]),
    ] {
        let before = server.said().len();
        server.send(request).expect(status);
        for part in parts {
            let said = server.wait_to_say_after(before, part);
            assert!(said.contains("A request was refused at the door."), "{part}: {said}");
        }
    }
    for _ in 0..50 {
        server.send(Request::get("/v1/tables").header("Host", "rebound.example")).expect(403);
    }
    // One line of that reason is there from above.
    server.wait_to_say("46 more requests were refused at the door.");
    assert_eq!(server.said().matches("rebound.example").count(), 4);
}
