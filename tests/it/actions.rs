//! Actions: what a call records, what it answers, and that nothing a caller sends breaks out of its template.

use serde_json::{Value, json};

use crate::support::{Connection, Documents, Home, PATIENCE, Process, Request, Target, eventually, services};

const GAME: &str = r#"
streams:
  game_users_events:
    takes: events
    actions:
      GET /: {record: default, answer: "This is the default response!"}
      GET /purchase_a_sword: {record: purchased_sword, answer: "Sword Purchased!"}
      GET /purchase_a_knife: {record: purchased_knife, answer: "Knife Purchased!"}
      GET /join_guild: {record: joined_guild, answer: "Guild Joined!"}
"#;

const SHOP: &str = r#"
streams:
  shop:
    takes: events
    table: shop
    actions:
      GET /buy/{item}:
        record: {user: "{query.user}", item: "{path.item}", n: 1.25, tags: [a, null, true], "by/{x}": "{{{header.X-By}}}"}
        answer: "{path.item} for {query.user}"
      POST /buy/{thing}: {record: {thing: "{path.thing}", from: "{address}"}}
      GET /shout/{word}: {record: "{path.word}!"}
      POST /word: {record: word}
  plain:
    takes: events
    actions:
      GET /plain: {record: "{query.text}", answer: "{query.text}"}
"#;

/// The values of a topic, one a line.
#[track_caller]
fn lines(home: &Home, topic: &str) -> Vec<String> {
    home.run(&["tail", topic, "--exit"]).expect(0).stdout.lines().map(str::to_owned).collect()
}

/// The documents of the table `shop`.
#[track_caller]
fn shop(up: &Process, count: usize) -> Vec<Value> {
    let rows = eventually(PATIENCE, "the events are rows", || {
        let rows = up.get("/v1/tables/shop/rows?limit=1000");
        (rows.status == 200).then(|| rows.json()["rows"].as_array().unwrap().clone()).filter(|rows| rows.len() == count)
    });
    rows.into_iter().map(|row| row["document"].clone()).collect()
}

#[test]
fn calls_leave_exactly_their_words() {
    let home = Home::with(GAME);
    let up = home.up();
    let answers = [
        ("/", "default", "This is the default response!"),
        ("/purchase_a_sword", "purchased_sword", "Sword Purchased!"),
        ("/", "default", "This is the default response!"),
        ("/join_guild", "joined_guild", "Guild Joined!"),
        ("/join_guild", "joined_guild", "Guild Joined!"),
        ("/purchase_a_knife", "purchased_knife", "Knife Purchased!"),
        ("/purchase_a_knife", "purchased_knife", "Knife Purchased!"),
        ("/purchase_a_sword", "purchased_sword", "Sword Purchased!"),
    ];
    for (path, _, answer) in answers {
        let response = up.get(path).expect(200);
        assert_eq!(response.text(), answer, "{path}");
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    assert_eq!(lines(&home, "game_users_events"), answers.map(|(_, word, _)| word));
    let listed = up.get("/v1/streams/game_users_events").expect(200).json();
    assert_eq!(listed["actions"][1], "GET /purchase_a_sword");
}

#[test]
fn kcat_prints_exactly_the_words() {
    let (Some(kafka), Some(mut kcat)) = (services::kafka(), services::tool("kcat")) else { return };
    let topic = services::unique("game");
    let game = GAME.replace("    takes: events", &format!("    takes: events\n    topic: {topic}"));
    let home = Home::with(&format!("journal: kafka://{kafka}\n{game}"));
    let up = home.up();
    for path in ["/", "/purchase_a_sword", "/", "/join_guild", "/join_guild"] {
        up.get(path).expect(200);
    }
    for path in ["/purchase_a_knife", "/purchase_a_knife", "/purchase_a_sword"] {
        up.get(path).expect(200);
    }
    let words =
        "default purchased_sword default joined_guild joined_guild purchased_knife purchased_knife purchased_sword";
    let printed = kcat.args(["-q", "-C", "-e", "-b", &kafka, "-t", &topic]).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert_eq!(printed.lines().collect::<Vec<_>>().join(" "), words);
    assert_eq!(lines(&home, &topic).join(" "), words, "tail prints the same");
}

#[test]
fn other_methods_record_nothing() {
    let home = Home::with(GAME);
    let up = home.up();
    let head = up.send(Request::new("HEAD", "/join_guild")).expect(200);
    assert_eq!((head.header("content-length"), head.header("cache-control")), (Some("13"), Some("no-store")));
    let options = up.send(Request::new("OPTIONS", "/join_guild")).expect(204);
    let allow = options.header("allow").unwrap();
    assert!(allow.contains("GET") && allow.contains("HEAD") && !allow.contains("POST"), "{allow}");
    up.post("/join_guild", "").expect(405);
    assert_eq!(lines(&home, "game_users_events"), [""; 0]);
}

#[test]
fn templates_take_values_and_name_those_that_are_missing() {
    let home = Home::with(SHOP);
    let up = home.up();
    let buy = Request::get("/buy/long%20sword?user=g+e%C3%B6%2Frge&more=1").header("X-By", "a").header("x-by", "b\"");
    assert_eq!(up.send(buy).expect(200).text(), "long sword for g eö/rge");
    assert_eq!(up.post("/buy/knife", "a body that nobody reads").expect(200).text(), "OK");
    up.get("/shout/hey").expect(200);
    up.post("/word", "").expect(200);
    let expected = [
        json!({"user": "g eö/rge", "item": "long sword", "n": 1.25, "tags": ["a", null, true], "by/{x}": "{a, b\"}"}),
        json!({"thing": "knife", "from": "127.0.0.1"}),
        json!("hey!"),
        json!("word"),
    ];
    assert_eq!(shop(&up, 4), expected, "bare text is kept as a JSON string");
    assert_eq!(lines(&home, "shop")[2..], ["hey!", "word"], "and is bare in the topic");
    home.run(&["verify"]).expect(0);

    for (request, status, errors) in [
        (Request::get("/buy/x").header("x-by", "a"), 422, &[("/user", "the query parameter `user` is missing")][..]),
        (
            Request::get("/buy/x"),
            422,
            &[("/user", "the query parameter `user` is missing"), ("/by~1{x}", "the header `x-by` is missing")],
        ),
        (Request::get("/buy/x?user=a&user=b").header("x-by", "a"), 422, &[("/user", "more than once")]),
        (Request::get("/buy/x?user=%FF").header("x-by", "a"), 422, &[("/user", "not UTF-8")]),
        (Request::get("/buy/x?user=%00").header("x-by", "a"), 422, &[("/user", "U+0000")]),
        (Request::get("/buy/x?user=a").header("x-by", "\u{7f}é"), 400, &[]),
        (Request::get("/buy/%FF?user=a").header("x-by", "a"), 404, &[]),
        (Request::get("/buy/?user=a"), 404, &[]),
        (Request::get("/buy/a/b?user=a"), 404, &[]),
    ] {
        let response = up.send(request.clone());
        if response.status == 400 {
            continue;
        }
        let found = response.expect(status).json();
        for (nth, (pointer, detail)) in errors.iter().enumerate() {
            let error = &found["errors"][nth];
            assert_eq!(error["pointer"], **pointer, "{request:?}: {found}");
            assert!(error["detail"].as_str().unwrap().contains(detail), "{request:?}: {found}");
        }
    }
}

/// Texts that have broken out of quotes, templates and lines elsewhere.
const NASTY: &[&str] = &[
    "\"",
    "\\",
    "\\\"",
    "\",\"admin\":true,\"x\":\"",
    "'; DROP TABLE shop; --",
    "{query.user}",
    "{{address}}",
    "{",
    "}",
    "\n",
    "\r\n{\"a\":1}",
    "\u{1}file:00000000000000000000000000000000:1",
    "\u{2028}",
    "\u{feff}",
    "😀\u{0301}",
    "${HOME}",
    "%00",
    "%",
    "null",
    "1e999",
    "[]",
    "{\"item\":1}",
    "<script>alert(1)</script>",
    " ",
    "a&b=c",
    "../../etc/passwd",
];

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn nothing_breaks_out_of_a_template() {
    let home = Home::with(SHOP);
    let up = home.up();
    let mut connection = Connection::open(up.address()).unwrap();
    for nasty in NASTY {
        let path = format!("/buy/{0}?user={0}", encoded(nasty));
        let answer = connection.send(&Request::get(&path).header("X-By", "b")).unwrap().expect(200);
        assert_eq!(answer.text(), format!("{nasty} for {nasty}"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let answer = connection.send(&Request::get(&format!("/plain?text={}", encoded(nasty)))).unwrap().expect(200);
        assert_eq!(answer.text(), **nasty);
    }
    for (document, nasty) in shop(&up, NASTY.len()).iter().zip(NASTY) {
        let expected = json!({"user": nasty, "item": nasty, "n": 1.25, "tags": ["a", null, true], "by/{x}": "{b}"});
        assert_eq!(*document, expected);
    }
    let records = home.run(&["tail", "plain", "--exit", "--output", "json"]).expect(0).stdout;
    let payloads: Vec<Value> =
        records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["payload"].clone()).collect();
    assert_eq!(payloads, NASTY, "bare text is what was sent, and nothing else");
}

#[test]
fn a_repeated_idempotency_key_is_applied_once() {
    let home = Home::with(SHOP);
    let up = home.up();
    for _ in 0..2 {
        up.send(Request::post("/word", "").header("Idempotency-Key", "\"k\"")).expect(200);
    }
    up.post("/word", "").expect(200);
    assert_eq!(shop(&up, 2), ["word", "word"]);
    eventually(PATIENCE, "the repeated one is a duplicate", || {
        (up.receipt("shop-0-1")["status"] == "duplicate").then_some(())
    });
}

#[test]
fn actions_that_cannot_work_are_refused_with_their_place() {
    for (config, expected) in [
        ("{GET join: {record: x}}", "1:40: a route in `streams.a.actions` cannot be"),
        ("{PUT /join: {record: x}}", "the methods are GET and POST"),
        ("{GET /v1/x: {record: x}}", "the gate itself answers at /v1"),
        ("{\"GET /{x}\": {record: x}}", "first segment"),
        ("{\"GET /a/{x}/{x}\": {record: x}}", "stands twice"),
        ("{GET /a: {record: \"{body.x}\"}}", "`{body.x}` is no source of a value"),
        (
            "{GET /a: {record: {b: [\"{path.x}\"]}}}",
            "1:62: `streams.a.actions.GET /a.record`: the route /a has no parameter `x`",
        ),
        ("{GET /a: {record: x, answer: \"{\"}}", "stands alone"),
        ("{GET /a: {answer: x}}", "must say what it records"),
        ("{GET /a: {record: x, anwser: y}}", "did you mean `answer`"),
        ("{GET /a: {record: {n: 0x1F}}}", "JSON has no such number"),
        ("{\"GET /a/{x}\": {record: x}, \"GET /a/{y}\": {record: y}}", "belongs to `a`"),
        ("{POST /b: {record: x}}, routes: [/b]", "belongs to `a`"),
        ("{GET /a: {record: x}}, key: /user", "bare text"),
        ("{GET /a: {record: {name: x}}}, key: /user", "`GET /a` records nothing at /user, the `key` of `a`"),
        ("{GET /a: {record: {user: {id: x}}}}, key: /user/name", "records nothing at /user/name"),
        ("{GET /a: {record: {user: \"{query.user}\"}}}, key: /user/id", "records nothing at /user/id"),
        ("{GET /a: {record: {user: \"{body/user}\"}}}", "a GET has no body to take a value from; write `POST /a`"),
        ("{GET /a: {record: x, answer: \"{body}\"}}", "a GET has no body"),
        ("{GET /a: {record: {n: \"{number query.n:-x}\"}}}", "its default \"x\" is none"),
        ("{POST /a: {record: {n: \"{body/a~b}\"}}}", "`~` is written `~0`"),
    ] {
        let home = Home::with(&format!("streams: {{a: {{takes: events, actions: {config}}}}}"));
        let ran = home.run(&["check"]).expect(1);
        let said = ran.stdout + &ran.stderr;
        assert!(said.contains(expected) && said.contains("sluicegate.yaml:1:"), "{config}: {said}");
    }
}

const ORDERS: &str = r#"
streams:
  orders:
    takes: events
    table: shop
    key: /item/id
    actions:
      POST /order/{from}:
        record: {item: "{body/item}", price: "{number body/price}", note: "{body/note:-none}", from: "{path.from}",
                 count: "{number query.count:-1}", at: "{time}", said: "<{body/item/name}>"}
        answer: "{number query.count:-1} of {body/item/name}"
      GET /seen: {record: {item: {id: "{query.id:-nobody}"}, at: "{time}"}}
"#;

#[test]
fn templates_take_numbers_defaults_the_time_and_parts_of_a_body() {
    let home = Home::with(ORDERS);
    let up = home.up();
    let body = r#"{"item":{"id":12345678901234567890.50,"name":"a\"b\u0041"},"price":"17.50"}"#;
    let before = std::time::SystemTime::now();
    assert_eq!(up.post("/order/web?count=3", body).expect(200).text(), "3 of a\"bA");
    up.get("/seen").expect(200);
    up.send(Request::get("/seen?id=7")).expect(200);
    let documents = shop(&up, 3);
    assert!(documents[0].to_string().contains("12345678901234567890.50"), "every digit is kept: {}", documents[0]);
    let order = &documents[0];
    assert_eq!(order["item"]["name"], "a\"bA");
    assert_eq!(
        (order["price"].to_string(), &order["note"], &order["from"]),
        ("17.50".into(), &json!("none"), &json!("web"))
    );
    assert_eq!((&order["count"], &order["said"]), (&json!(3), &json!("<a\"bA>")));
    let at = order["at"].as_str().unwrap();
    assert!((20..=24).contains(&at.len()) && at.ends_with('Z') && at.starts_with("20"), "{at} after {before:?}");
    assert_eq!((&documents[1]["item"]["id"], &documents[2]["item"]["id"]), (&json!("nobody"), &json!("7")));

    let order = |body: &str| Request::post("/order/web", body);
    for (request, status, expected) in [
        (order(r#"{"price":1}"#), 422, r#"{"pointer":"/item","detail":"the body's `/item` is missing"}"#),
        (order(r#"{"item":{"id":1,"name":"x"},"price":"1,5"}"#), 422, "the body's `/price` is no number"),
        (order(r#"{"item":{"id":1,"name":["x"]},"price":1}"#), 422, "is an array or an object, where text is wanted"),
        (order(r#"{"item":{"name":"x"},"price":1}"#), 422, "nothing stands at /item/id"),
        (order(r#"{"item":{"id":1,"id":2,"name":"x"},"price":1}"#), 422, "id"),
        (order(""), 422, "the body's `/item` is missing"),
        (order("{\"item\":"), 400, "not-json"),
        (order("{}").header("Content-Type", "text/plain"), 415, "unsupported-media-type"),
        (order("{}").header("Content-Type", "application/yaml"), 415, "application/json"),
        (order(&"x".repeat(2 << 20)), 413, "document-too-large"),
        (Request::post("/order/web?count=many", body), 422, "the query parameter `count` is no number"),
    ] {
        let said = format!("{request:?}").chars().take(200).collect::<String>();
        let answer = up.send(request).expect(status).text();
        assert!(answer.contains(expected), "{said}: {answer}");
    }
    assert_eq!(shop(&up, 3).len(), 3, "none of these was kept");
}

#[test]
fn nothing_in_a_body_breaks_out_of_a_template() {
    let home = Home::with(ORDERS);
    let up = home.up();
    for nasty in NASTY {
        let body = json!({"item": {"id": 1, "name": nasty, "nasty": [nasty]}, "price": 1, "note": nasty});
        up.post("/order/web", body.to_string()).expect(200);
    }
    for (document, nasty) in shop(&up, NASTY.len()).iter().zip(NASTY) {
        assert_eq!(document["item"], json!({"id": 1, "name": nasty, "nasty": [nasty]}));
        assert_eq!((&document["note"], &document["said"]), (&json!(nasty), &json!(format!("<{nasty}>"))));
        assert_eq!(document.as_object().unwrap().len(), 7, "{document}");
    }
}
