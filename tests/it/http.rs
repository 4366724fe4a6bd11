//! A careful server: every refusal is a problem that says what was found, and nothing is taken by accident.

use std::io::Write as _;

use serde_json::{Value, json};
use sluicegate::problem::ProblemType;

use crate::support::{Connection, Documents, Home, Process, Request, Response, Target, item};

const STREAM: &str = "/v1/streams/activities";

/// The default limit of a document.
const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// Fails unless `answer` is a problem of this type.
#[track_caller]
fn check_problem(answer: &Response, status: u16, kind: &str) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let body = answer.json();
    assert_eq!(body["type"], format!("/problems/{kind}"), "{body}");
    assert_eq!(body["status"], status);
    for member in ["title", "detail"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    }
    body
}

#[test]
fn every_refusal_is_a_problem_of_the_catalogue() {
    let post = |path: &str| Request::post(path, item(1));
    let get = Request::get;
    let typed = |media: &str| post(STREAM).header("Content-Type", media);
    let home = Home::new();
    let server = home.up();
    for (request, status, kind) in [
        (get("/nothing"), 404, "not-found"),
        (get("/nothing/here"), 404, "not-found"),
        (post("/nothing/here"), 404, "not-found"),
        (get("/problems/nothing"), 404, "not-found"),
        (get("/v1/streams/%FF"), 404, "not-found"),
        (post("/v1/streams/%FF"), 404, "not-found"),
        (post("/v1/streams/nothing"), 404, "unknown-stream"),
        (get("/v1/streams/nothing"), 404, "unknown-stream"),
        (get("/v1/tables/nothing"), 404, "unknown-table"),
        (get("/v1/tables/nothing/rows"), 404, "unknown-table"),
        (get("/v1/tables/_sluicegate_positions/rows"), 404, "unknown-table"),
        (get("/v1/tables/sqlite_schema/rows"), 404, "unknown-table"),
        (get("/v1/receipts/nothing"), 404, "unknown-receipt"),
        (get("/v1/dead-letters/activities-0-0"), 404, "unknown-dead-letter"),
        (post("/v1/dead-letters/nothing/retry"), 404, "unknown-dead-letter"),
        (get("/v1/dead-letters?reason=nothing"), 400, "bad-query"),
        (get("/v1/dead-letters?limit=0"), 400, "bad-query"),
        (post("/v1/streams/activities?dry=true"), 400, "bad-query"),
        (post("/v1/streams/activities?dry_run=perhaps"), 400, "bad-query"),
        (post(STREAM).header("Idempotency-Key", "\"\""), 400, "bad-header"),
        (post(STREAM).header("Idempotency-Key", "\"open"), 400, "bad-header"),
        (post(STREAM).header("Idempotency-Key", &"k".repeat(256)), 400, "bad-header"),
        (typed("text/plain"), 415, "unsupported-media-type"),
        (typed("application/x-www-form-urlencoded"), 415, "unsupported-media-type"),
        (typed("application/json; charset=latin1"), 415, "unsupported-media-type"),
        (post(STREAM).header("Content-Encoding", "br"), 415, "unsupported-media-type"),
        (post(STREAM).header("Content-Encoding", "gzip"), 400, "not-json"),
        (post(STREAM).header("Content-Encoding", "zstd"), 400, "not-json"),
        (Request::post(STREAM, ""), 400, "not-json"),
        (Request::post(STREAM, " \n"), 400, "not-json"),
        (Request::post(STREAM, "[1]"), 422, "invalid-document"),
    ] {
        let said = format!("{request:?}");
        let answer = server.send(request);
        assert_eq!(answer.status, status, "{said}: {}", answer.text());
        check_problem(&answer, status, kind);
    }
    assert_eq!(server.get("/v1/receipts/activities-0-0").status, 404, "none of these was kept");
}

#[test]
fn a_method_that_is_not_there_is_told_those_that_are() {
    let home = Home::new();
    let server = home.up();
    for (path, allowed) in [
        ("/v1/streams", "GET,HEAD"),
        (STREAM, "GET,HEAD,POST"),
        ("/api/activities", "POST"),
        ("/v1/tables", "GET,HEAD"),
        ("/v1/tables/x/rows", "GET,HEAD"),
        ("/v1/receipts/x", "GET,HEAD"),
        ("/v1/dead-letters", "GET,HEAD"),
        ("/v1/dead-letters/x", "GET,HEAD,DELETE"),
        ("/v1/dead-letters/x/retry", "POST"),
        ("/health/ready", "GET,HEAD"),
    ] {
        let sorted = |answer: &Response| {
            let mut methods: Vec<_> =
                answer.header("allow").unwrap_or("").split(',').map(|it| it.trim().to_owned()).collect();
            methods.sort();
            methods.retain(|method| method != "OPTIONS");
            methods
        };
        let mut expected: Vec<_> = allowed.split(',').map(str::to_owned).collect();
        expected.sort();
        let refused = server.send(Request::new("PATCH", path));
        check_problem(&refused, 405, "method-not-allowed");
        assert_eq!(sorted(&refused), expected, "{path}");
        let options = server.send(Request::new("OPTIONS", path)).expect(204);
        assert_eq!(sorted(&options), expected, "{path}");
    }
}

#[test]
fn head_answers_as_get_does_without_the_body() {
    let home = Home::new();
    let server = home.up();
    for path in ["/v1/streams", "/health/live", "/problems/not-json", "/v1/tables/nothing"] {
        let (get, head) = (server.get(path), server.send(Request::new("HEAD", path)));
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert_eq!(head.header("content-length"), Some(&*get.body.len().to_string()), "{path}");
    }
}

fn document_of(bytes: usize) -> String {
    let empty = r#"{"activities":[]}"#;
    format!("{}{empty}", " ".repeat(bytes - empty.len()))
}

#[test]
fn a_document_is_taken_up_to_its_limit_and_refused_beyond() {
    let home = Home::new();
    let server = home.up();
    server.applied(document_of(DOCUMENT_BYTES_MAX));
    server.send(Request::post(STREAM, document_of(DOCUMENT_BYTES_MAX)).chunked()).expect(202);
    let refused = server.send(Request::post(STREAM, document_of(DOCUMENT_BYTES_MAX + 1)).chunked());
    let body = check_problem(&refused, 413, "document-too-large");
    assert!(body["detail"].as_str().unwrap().contains("document_bytes_max"), "{body}");
    // With a Content-Length it is refused before the body is sent.
    let mut connection = Connection::open(server.address()).unwrap();
    let head =
        format!("POST {STREAM} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", DOCUMENT_BYTES_MAX + 1);
    connection.write(head.as_bytes()).unwrap();
    let refused = connection.answer(false).unwrap();
    let body = check_problem(&refused, 413, "document-too-large");
    assert!(body["detail"].as_str().unwrap().contains("include-transaction"), "{body}");
    assert_eq!(refused.header("connection"), Some("close"), "what follows is no request");
}

#[test]
fn a_line_beyond_the_limit_spoils_no_neighbour() {
    let home = Home::new();
    let server = home.up();
    let long = format!(r#"{{"activities":[],"note":"{}"}}"#, "x".repeat(DOCUMENT_BYTES_MAX));
    let body = [item(1), long, item(2)].join("\n");
    let answer = server.send(Request::post(STREAM, body).lines().wait(20)).expect(207).json();
    assert_eq!(answer["results"][1]["problem"]["type"], "/problems/document-too-large");
    assert_eq!(server.items(), [1, 2]);
    // The results of a body are held in memory, so their number is limited too.
    let refused = server.send(Request::post("/v1/streams/events", "1\n".repeat(20_001)).lines());
    check_problem(&refused, 413, "document-too-large");
    assert_eq!(server.get("/v1/receipts/events-0-0").status, 404, "nothing of it was kept");
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn packed_bodies_are_unpacked_within_the_limit() {
    let home = Home::new();
    let server = home.up();
    let post = |packing: &str, body: Vec<u8>| {
        server.send(Request::post(STREAM, body).header("Content-Encoding", packing).wait(20))
    };
    let zstd = |text: &[u8]| zstd::encode_all(text, 3).unwrap();
    post("gzip", gzip(item(1).as_bytes())).expect(200);
    post("zstd", zstd(item(2).as_bytes())).expect(200);
    post("identity", item(3).into_bytes()).expect(200);
    assert_eq!(server.items(), [1, 2, 3]);
    let bomb = vec![b' '; 64 << 20];
    for (packing, packed) in [("gzip", gzip(&bomb)), ("zstd", zstd(&bomb))] {
        assert!(packed.len() < DOCUMENT_BYTES_MAX, "it looks small");
        check_problem(&post(packing, packed), 413, "document-too-large");
    }
    let mut cut = gzip(item(4).as_bytes());
    cut.truncate(cut.len() - 9);
    check_problem(&post("gzip", cut), 400, "not-json");
    let lines = [item(5), item(6)].join("\n");
    let request = Request::post(STREAM, gzip(lines.as_bytes())).lines().header("Content-Encoding", "gzip");
    server.send(request.wait(20)).expect(202);
    assert_eq!(server.items(), [1, 2, 3, 5, 6]);
}

#[test]
fn what_is_not_json_is_told_line_and_column() {
    let home = Home::new();
    let server = home.up();
    for (body, place) in [
        (&b"{\"activities\":"[..], "line 1, column 15"),
        (b"{\"activities\":[}", "line 1, column 16"),
        (b"{\"activities\":[]}\n  x", "line 2, column 3"),
        (b"{\n  \"activities\": [\n    {,", "line 3, column 6"),
        (b"{\"activities\":[01]}", "line 1, column 16"),
        (b"{\"activities\":[]\xff}", "line 1, column 17"),
        ("{\"é\": nul}".as_bytes(), "line 1, column 7"),
        (b"\xff", "line 1, column 1"),
        (b"nonsense", "line 1, column 1"),
    ] {
        let answer = server.post(STREAM, body);
        let text = String::from_utf8_lossy(body);
        let problem = check_problem(&answer, 400, "not-json");
        assert!(problem["detail"].as_str().unwrap().contains(place), "{text}: {problem}");
    }
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let home = Home::new();
    let server = home.up();
    let mut connection = Connection::open(server.address()).unwrap();
    for id in 0..20 {
        connection.send(&Request::post(STREAM, item(id)).wait(20)).unwrap().expect(200);
        connection.send(&Request::post(STREAM, "{")).unwrap().expect(400);
        connection.send(&Request::new("HEAD", "/health/live")).unwrap().expect(200);
    }
    assert_eq!(server.items(), (0..20).collect::<Vec<_>>());
}

#[test]
fn every_type_of_problem_has_a_page_that_says_how_to_mend_it() {
    let home = Home::new();
    let server = home.up();
    let all = server.get("/problems").expect(200).text();
    for kind in ProblemType::ALL {
        let page = server.get(&format!("/problems/{}", kind.name())).expect(200);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        let text = page.text();
        for part in [kind.name(), kind.title()] {
            assert!(text.contains(part) && all.contains(part), "{part}: {text}");
        }
    }
}

#[test]
fn health_says_what_the_process_can_do() {
    let home = Home::new();
    let server = home.up();
    assert_eq!(server.get("/health/live").expect(200).json()["status"], "live");
    let expected = json!({"status": "ready", "checks": {"journal": "ok", "store": "ok"}});
    assert_eq!(server.get("/health/ready").expect(200).json(), expected);
}

#[test]
fn streams_tell_what_they_take_and_where_it_goes() {
    let home = Home::new();
    let server = home.up();
    let streams = server.get("/v1/streams").expect(200).json()["streams"].clone();
    assert_eq!(streams, json!([server.get(STREAM).json(), server.get("/v1/streams/events").json()]));
    let (changes, events) = (&streams[0], &streams[1]);
    assert_eq!((&changes["name"], &changes["takes"]), (&json!("activities"), &json!("changes")));
    assert_eq!(changes["routes"], json!([STREAM, "/api/activities"]));
    assert_eq!(changes["forms"], json!(["activities", "wal2json"]));
    assert_eq!((&events["takes"], &events["table"]), (&json!("events"), &json!("events")));
}

const REPLIES: &str = "
streams:
  echo: {takes: changes, routes: [/echo], reply: echo}
  created: {takes: changes, routes: [/created], reply: created}
  receipt: {takes: changes, routes: [/receipt]}
";

fn echo(server: &Process, body: impl AsRef<[u8]>, status: u16) -> Value {
    let body = server.post("/echo", body).expect(status).json();
    assert_eq!(body["status"], status);
    body
}

#[test]
fn a_stream_replies_on_its_own_routes_as_it_is_told() {
    let home = Home::with(REPLIES);
    let server = home.up();
    let sent: Value = serde_json::from_str(&item(1)).unwrap();
    let accepted = echo(&server, item(1), 200);
    assert_eq!(accepted, json!({"status": 200, "message": "Valid Schema", "error": null, "payload": sent}));
    for (body, payload) in [
        (&br#"{"activities":[{}]}"#[..], json!({"activities": [{}]})),
        (b"[1.50]", serde_json::from_str("[1.50]").unwrap()),
        (b"{\"activities\":", Value::Null),
        (b"\xff", Value::Null),
        (b"", Value::Null),
    ] {
        let refused = echo(&server, body, 400);
        assert_eq!((&refused["message"], &refused["payload"]), (&json!("Invalid Schema"), &payload));
        assert!(refused["error"].as_str().is_some_and(|error| !error.is_empty()), "{refused}");
    }
    let created = server.post("/created", item(1)).expect(201);
    assert_eq!(created.text(), "OK");
    assert_eq!(created.header("location"), Some("/v1/receipts/created-0-0"));
    check_problem(&server.post("/created", "{"), 400, "not-json");
    assert_eq!(server.post("/receipt", item(1)).expect(202).receipt(), "receipt-0-0");
    // A stream's address under /v1 always answers with receipts, and errors are problems everywhere.
    for stream in ["echo", "created"] {
        server.post(&format!("/v1/streams/{stream}"), item(1)).expect(202).receipt();
        check_problem(&server.post(&format!("/v1/streams/{stream}"), "{"), 400, "not-json");
    }
    check_problem(
        &server.send(Request::post("/echo", "x").header("Content-Type", "text/plain")),
        415,
        "unsupported-media-type",
    );
    check_problem(
        &server.send(Request::post("/echo", document_of(DOCUMENT_BYTES_MAX + 1)).chunked()),
        413,
        "document-too-large",
    );
}

#[test]
fn the_root_names_the_ways_in_unless_a_stream_has_it() {
    let home = Home::with(
        "streams: {shop: {takes: changes, routes: [/api/shop]}, a: {takes: events, table: '<b>', actions: {GET /buy: {record: x}}}, \
         theirs: {takes: changes, source: t}}",
    );
    let up = home.up();
    let root = up.get("/").expect(200);
    assert_eq!(root.header("content-type"), Some("application/json"));
    let ways = root.json();
    assert_eq!(ways["streams"][0]["post"], serde_json::json!(["/v1/streams/shop", "/api/shop"]));
    assert_eq!(ways["streams"][1]["actions"], serde_json::json!(["GET /buy"]));
    assert_eq!(ways["streams"][2]["post"], serde_json::json!([]), "others write its topic");
    for link in ways["links"].as_array().unwrap() {
        up.get(link["path"].as_str().unwrap()).expect(200);
    }
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let page = up.send(Request::get("/").header("Accept", accept)).expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    for part in ["<!doctype html>", "POST /api/shop", "href=\"/v1/tables\"", "&lt;b&gt;"] {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
    up.send(Request::new("HEAD", "/")).expect(200);
    up.post("/", "{}").expect(405);

    let home = Home::with("streams: {a: {takes: events, actions: {GET /: {record: x, answer: own}}}}");
    assert_eq!(home.up().get("/").expect(200).text(), "own");
    let home = Home::with("streams: {a: {takes: events, routes: [/]}}");
    let up = home.up();
    up.get("/").expect(405);
    up.post("/", "{}").expect(202);
}

#[test]
fn a_stream_that_is_not_there_is_answered_with_the_near_one() {
    let home = Home::new();
    let up = home.up();
    for response in [up.get("/v1/streams/activties"), up.post("/v1/streams/activties", "{}")] {
        let problem = response.expect(404).json();
        assert_eq!(problem["type"], "/problems/unknown-stream");
        assert_eq!(problem["detail"], "there is no stream \"activties\"; did you mean \"activities\"?");
    }
    let detail = up.get("/v1/streams/x").expect(404).json()["detail"].clone();
    assert_eq!(detail, "there is no stream \"x\"; there are activities, events");
    let letters = up.get("/v1/dead-letters?stream=evnets").expect(404).json();
    assert_eq!(letters["detail"], "there is no stream \"evnets\"; did you mean \"events\"?");
    assert_eq!(up.get("/v1/dead-letters?stream=events").expect(200).json()["dead_letters"], serde_json::json!([]));
    let page = up.get("/problems/not-jsn").expect(404).json();
    assert!(page["detail"].as_str().unwrap().contains("did you mean \"not-json\"?"), "{page}");
}
