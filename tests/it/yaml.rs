//! YAML where JSON is taken: bodies of one document and of several, and files.

use serde_json::{Value, json};

use crate::support::{Documents, Home, Process, Request, Response, Target, fixture};

#[track_caller]
fn post(server: &Process, yaml: impl AsRef<[u8]>) -> Response {
    server.send(Request::post("/v1/streams/events", yaml).header("Content-Type", "application/yaml").wait(20))
}

/// The documents in the table `events`.
#[track_caller]
fn documents(server: &Process) -> Vec<Value> {
    server.rows("events").into_iter().map(|row| row["document"].clone()).collect()
}

#[test]
fn a_body_of_one_document_is_kept_as_its_json() {
    let home = Home::new();
    let server = home.up();
    for media in ["application/yaml", "application/x-yaml", "text/yaml; charset=utf-8", "application/vnd.x+yaml"] {
        let request = Request::post("/v1/streams/events", "name: george\nage: 24 # years\nis: no\n");
        let answer = server.send(request.header("Content-Type", media).wait(20)).expect(200);
        assert_eq!(answer.json()["status"], "applied", "{media}");
    }
    assert_eq!(documents(&server), vec![json!({"name": "george", "age": 24, "is": "no"}); 4]);
}

#[test]
fn several_documents_in_a_body_are_answered_each() {
    let home = Home::new();
    let server = home.up();
    let body = "---\nname: george\n---\nname: [anna\n---\n# nothing\n---\nname: !!binary aGk=\n---\nname: ida\n";
    let answer = post(&server, body).expect(207).json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(2), &json!(2)));
    let results = answer["results"].as_array().unwrap();
    let lines: Vec<_> = results.iter().map(|result| result["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [1, 3, 7, 9]);
    assert_eq!(results[0]["status"], "applied");
    assert_eq!(results[1]["problem"]["type"], "/problems/not-json");
    assert_eq!(results[2]["problem"]["errors"][0]["pointer"], "/name");
    assert!(results[2]["problem"]["errors"][0]["detail"].as_str().unwrap().contains("line 8"));
    assert_eq!(documents(&server), [json!({"name": "george"}), json!({"name": "ida"})]);
}

#[test]
fn a_body_that_is_no_yaml_is_refused_with_its_place() {
    let home = Home::new();
    let server = home.up();
    for (yaml, status, part) in [
        ("a: [1,\nb: 2", 400, "this is not YAML"),
        ("", 400, "no YAML document"),
        ("# only a comment\n---\n", 400, "no YAML document"),
        ("a: 1\na: 2", 422, "line 2, column 1"),
        ("a: \"\\0\"", 422, "U+0000"),
    ] {
        let answer = post(&server, yaml);
        assert_eq!(answer.status, status, "{yaml:?}: {}", answer.text());
        assert!(answer.text().contains(part), "{yaml:?}: {}", answer.text());
    }
    server.get("/v1/tables/events").expect(404);
}

#[test]
fn change_documents_may_be_yaml() {
    let home = Home::new();
    let server = home.up();
    let yaml =
        "activities:\n- {operation: insert, table: item, col_names: [id], col_types: [INTEGER], col_values: [7]}\n";
    let request = Request::post("/api/activities", yaml).header("Content-Type", "application/yaml");
    let answer = server.send(request).expect(200).json();
    assert_eq!(answer["payload"]["activities"][0]["table"], "item");
    let broken = Request::post("/api/activities", "activities: [").header("Content-Type", "application/yaml");
    assert_eq!(server.send(broken).expect(400).json()["message"], "Invalid Schema");
    server.applied(crate::support::item(8));
    assert_eq!(server.items(), [7, 8]);
}

#[test]
fn files_of_yaml_are_published_once() {
    let home = Home::new();
    let people = home.write("people.yaml", fixture("files/two-people.yaml"));
    let person = home.write("person.yml", fixture("files/person.yml"));
    let bad = home.write("bad.yaml", "name: x\n---\nname: *nobody\n");
    let publish = |path: &std::path::Path| home.run(&["publish", "events", path.to_str().unwrap()]);
    assert!(publish(&people).expect(0).stderr.contains("2 accepted, 0 rejected"));
    assert!(publish(&person).expect(0).stderr.contains("1 accepted, 0 rejected"));
    // The same people, written differently.
    home.write("people.yaml", [b"# again\n", &fixture("files/two-people.yaml")[..]].concat());
    publish(&people).expect(0);
    let said = publish(&bad).expect(1).stderr;
    assert!(said.contains("bad.yaml:2") && said.contains("line 3, column"), "{said}");
    let server = home.up();
    server.send(Request::post("/v1/streams/events", "1").wait(20)).expect(200);
    let names: Vec<_> = documents(&server).into_iter().map(|document| document["name"].clone()).collect();
    assert_eq!(names.len(), 5, "two people, one person, one of the bad file, and the number: {names:?}");
}
