//! Events judged by a JSON Schema, and the typed columns of the rows they become.

use serde_json::{Value, json};

use crate::support::{Documents, Home, Process, Request, Response, Target};

const PERSON: &str = r##"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0},
        "home": {"$ref": "parts/address.json"},
        "born": {"type": "string", "format": "date"},
        "friend": {"$ref": "#"}
    }
}"##;

const ADDRESS: &str = r#"{"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}}"#;

const PEOPLE: &str = "
streams:
  people:
    takes: events
    schema: person.schema.json
    formats: assert
    table: people
    columns: {name: /name, age: /age, city: /home/city, born: /born, kind: ce.type}
";

/// A home with the schema of people beside the configuration.
fn home(config: &str) -> Home {
    let home = Home::with(config);
    std::fs::create_dir_all(home.path("parts")).unwrap();
    home.write("person.schema.json", PERSON);
    home.write("parts/address.json", ADDRESS);
    home
}

#[track_caller]
fn post(server: &Process, document: impl AsRef<[u8]>) -> Response {
    server.send(Request::post("/v1/streams/people", document).wait(20))
}

#[test]
fn every_violation_of_the_schema_is_told_with_both_its_places() {
    let home = home(PEOPLE);
    let server = home.up();
    let wrong = r#"{"age":-1,"home":{"city":5},"born":"yesterday","friend":{"name":""}}"#;
    let body = post(&server, wrong).expect(422).json();
    assert_eq!(body["type"], "/problems/invalid-document");
    let errors: Vec<_> = body["errors"].as_array().unwrap().iter().collect();
    for (pointer, part, place) in [
        ("", "\"name\" is missing", "person.schema.json#/required"),
        ("/age", "-1 is less than 0", "person.schema.json#/properties/age/minimum"),
        ("/home/city", "5 is not of type string", "parts/address.json#/properties/city/type"),
        ("/born", "is not in the format date", "person.schema.json#/properties/born/format"),
        ("/friend/name", "\"\" has fewer than 1 character", "person.schema.json#/properties/name/minLength"),
    ] {
        let says = |error: &&&Value| {
            let detail = error["detail"].as_str().unwrap();
            error["pointer"] == pointer && detail.contains(part) && detail.contains(place)
        };
        assert!(errors.iter().any(|error| says(&error)), "{pointer} {part} {place} is not among {errors:#?}");
    }
    assert!(!body.to_string().contains(home.path("").to_str().unwrap()), "paths of the machine are told to nobody");
    let stream = server.get("/v1/streams/people").expect(200).json();
    assert_eq!(stream["schema"]["properties"]["age"]["minimum"], 0);
    assert_eq!(stream["columns"]["age"], json!({"at": "/age", "type": "BIGINT"}));
}

#[test]
fn documents_become_rows_with_typed_columns_and_nulls() {
    let home = home(PEOPLE);
    let server = home.up();
    for document in [
        r#"{"name":"george","age":24,"home":{"city":"Oslo"},"born":"2001-02-03","extra":[1.5]}"#,
        r#"{"name":"anna"}"#,
        r#"{"name":"ida","age":31.0}"#,
    ] {
        assert_eq!(post(&server, document).expect(200).json()["changes"], 1, "{document}");
    }
    let mut rows = server.rows("people");
    let receipts: Vec<_> = rows.iter_mut().map(|row| row.as_object_mut().unwrap().remove("receipt").unwrap()).collect();
    assert_eq!(receipts, ["people-0-0", "people-0-1", "people-0-2"]);
    rows.iter_mut().for_each(|row| drop(row.as_object_mut().unwrap().remove("received_at").unwrap()));
    assert_eq!(
        rows,
        [
            json!({"name": "george", "age": 24, "city": "Oslo", "born": "2001-02-03", "kind": "event",
                "document": {"name": "george", "age": 24, "home": {"city": "Oslo"}, "born": "2001-02-03", "extra": [1.5]}}),
            json!({"name": "anna", "age": null, "city": null, "born": null, "kind": "event", "document": {"name": "anna"}}),
            json!({"name": "ida", "age": 31, "city": null, "born": null, "kind": "event",
                "document": {"name": "ida", "age": 31.0}}),
        ]
    );
    let columns = server.get("/v1/tables/people").expect(200).json()["columns"].clone();
    let columns: Vec<_> = columns.as_array().unwrap().iter().map(|column| column["name"].clone()).collect();
    assert_eq!(columns, ["receipt", "received_at", "name", "age", "city", "born", "kind", "document"]);
}

const OPEN: &str = "
streams:
  people:
    takes: events
    table: people
    columns: {name: /name, age: {at: /age, type: integer}, first: /list/0, json: {at: /json, type: jsonb}}
";

#[test]
fn a_value_that_its_column_cannot_hold_is_refused_or_null() {
    let fine = [
        (r#"{"name":"george","age":"24"}"#, json!({"name": "george", "age": 24, "first": null, "json": null})),
        (
            r#"{"name":5,"list":[{"a":1}],"json":"x"}"#,
            json!({"name": "5", "age": null, "first": "{\"a\":1}", "json": "x"}),
        ),
        ("[1,2]", json!({"name": null, "age": null, "first": null, "json": null})),
    ];
    let home = Home::with(OPEN);
    let server = home.up();
    for (wrong, part) in
        [("1.5", "1.5 is not a whole number"), ("\"x\"", "\"x\""), ("2147483648", "out of range"), ("{}", "an object")]
    {
        let body = post(&server, format!(r#"{{"age":{wrong}}}"#)).expect(422).json();
        assert_eq!(body["errors"][0]["pointer"], "/age");
        let detail = body["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(part) && detail.contains("column \"age\""), "{detail}");
    }
    for (document, _) in &fine {
        post(&server, document).expect(200);
    }
    let rows = server.rows("people/rows?select=name,age,first,json");
    assert_eq!(rows, fine.map(|(_, row)| row));

    let home = Home::with(&format!("{OPEN}    misfit: \"null\"\n"));
    let server = home.up();
    post(&server, r#"{"name":"george","age":"old"}"#).expect(200);
    let rows = server.rows("people/rows?select=name,age,document");
    assert_eq!(rows, [json!({"name": "george", "age": null, "document": {"name": "george", "age": "old"}})]);
}

#[test]
fn columns_that_are_added_later_are_added_to_the_table() {
    let home = Home::with("streams: {people: {takes: events, table: people}}");
    let mut server = home.up();
    post(&server, r#"{"name":"george","age":24}"#).expect(200);
    assert!(server.stop().success());
    home.write(
        "sluicegate.yaml",
        "streams: {people: {takes: events, table: people, columns: {age: {at: /age, type: integer}}}}",
    );
    let server = home.up();
    post(&server, r#"{"name":"anna","age":31}"#).expect(200);
    let rows = server.rows("people/rows?select=age,document");
    assert_eq!(
        rows,
        [
            json!({"age": null, "document": {"name": "george", "age": 24}}),
            json!({"age": 31, "document": {"name": "anna", "age": 31}}),
        ]
    );
}

#[test]
fn a_broken_schema_is_an_error_of_check_and_up_with_its_place() {
    for (file, text, part) in [
        ("person.schema.json", "{\"type\": 5}", "person.schema.json is broken at /type"),
        ("person.schema.json", "{\"type\": ", "it is not JSON"),
        (
            "person.schema.json",
            "{\"$ref\": \"none.json\"}",
            "person.schema.json is broken at /$ref: the file none.json cannot be read",
        ),
        ("person.schema.json", "{\"$ref\": \"https://127.0.0.1:1/x.json\"}", "nothing is, from the network"),
        ("parts/address.json", "{\"minimum\": \"x\"}", "parts/address.json is broken at /minimum"),
    ] {
        let home = home(PEOPLE);
        home.write(file, text);
        let checked = home.run(&["check"]).expect(1);
        assert!(
            checked.stdout.contains("wrong  stream") && checked.stdout.contains(part),
            "{text}: {}",
            checked.stdout
        );
        let upped = home.run(&["up", "--listen", "127.0.0.1:0"]).expect(1);
        assert!(upped.stderr.contains(part), "{text}: {}", upped.stderr);
    }
    assert!(home(PEOPLE).run(&["check"]).expect(0).stdout.contains("into table people"));
}

#[test]
fn records_are_judged_again_when_they_are_applied() {
    let home = home("streams: {people: {takes: events, table: people}}");
    let mut server = home.up_with(&["--role", "gateway"]);
    server.post("/v1/streams/people", r#"{"age":24}"#).expect(202);
    server.post("/v1/streams/people", r#"{"name":"anna"}"#).expect(202);
    assert!(server.stop().success());
    home.write("sluicegate.yaml", PEOPLE);
    let server = home.up();
    post(&server, r#"{"name":"ida"}"#).expect(200);
    let receipt = server.receipt("people-0-0");
    assert_eq!(
        (&receipt["status"], &receipt["problem"]["type"]),
        (&json!("dead-lettered"), &json!("/problems/unreadable-record"))
    );
    assert!(receipt["problem"]["errors"][0]["detail"].as_str().unwrap().contains("\"name\" is missing"));
    assert_eq!(server.rows("people/rows?select=name"), [json!({"name": "anna"}), json!({"name": "ida"})]);
}

#[test]
fn nasty_texts_are_kept_as_they_are_and_change_nothing_else() {
    let home = Home::with(&format!("{OPEN}  other: {{takes: events, table: other}}\n"));
    let server = home.up();
    server.send(Request::post("/v1/streams/other", "1").wait(20)).expect(200);
    let nasty = [
        "'; DROP TABLE other; --",
        "\" OR \"\"=\"",
        "Robert'); DELETE FROM people;--",
        "${HOME} {{7*7}} %s %n $(id) `id`",
        "\\' \\\" \\\\ \\u0000 \\x00",
        "<script>alert(1)</script>",
        "\u{202e}\u{feff}\u{200b}é\u{301} 👩‍👩‍👧 ☃",
        "NULL",
        "\r\n\t\u{1}\u{7f}",
        "../../etc/passwd",
    ];
    for text in nasty {
        let document = json!({"name": text, text: text, "list": [text], "json": {text: [text]}});
        post(&server, document.to_string()).expect(200);
    }
    let rows = server.rows("people/rows?select=name,first,json,document");
    for (row, text) in rows.iter().zip(nasty) {
        assert_eq!((&row["name"], &row["first"]), (&json!(text), &json!(text)));
        assert_eq!(row["json"], json!({text: [text]}));
        assert_eq!(row["document"][text], json!(text));
    }
    assert_eq!((rows.len(), server.rows("other").len()), (nasty.len(), 1));
}

#[test]
fn nasty_names_of_columns_and_members_are_only_names() {
    let names = ["a\"b", "c'd; --", "e f", "SELECT", "ü☃", "g/h~i", "rowid"];
    let columns: Vec<_> = names
        .iter()
        .map(|name| {
            let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            format!("{}: {}", json!(name), json!(pointer))
        })
        .collect();
    let home = Home::with(&format!(
        "streams: {{people: {{takes: events, table: 'peo\"ple;--', columns: {{{}}}}}}}",
        columns.join(", ")
    ));
    let server = home.up();
    let document: serde_json::Map<_, _> = names.iter().map(|name| ((*name).to_owned(), json!(name))).collect();
    post(&server, Value::Object(document).to_string()).expect(200);
    let rows = server.rows("peo%22ple;--/rows");
    for name in names {
        assert_eq!(rows[0][name], name, "{rows:?}");
    }
}
