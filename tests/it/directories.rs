//! Watched directories: each document once, whatever becomes of its file and of the process.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::random::Random;
use crate::support::{Documents, Home, PATIENCE, Process, Target, eventually, item};

/// A stream that is kept in the journal only, so that nothing but the watcher can keep a document from coming twice.
const KEPT: &str = "streams: {events: {takes: events, directories: [inbox]}}";

const UP: &[&str] = &["up", "--role", "watch"];

fn home(config: &str) -> Home {
    let home = Home::with(config);
    fs::create_dir(home.path("inbox")).unwrap();
    home
}

/// Puts a whole file into the inbox.
fn put(home: &Home, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let unfinished = home.write("unfinished", content);
    let path = home.path("inbox").join(name);
    fs::rename(unfinished, &path).unwrap();
    path
}

/// What the topic holds, sorted.
fn kept(home: &Home) -> Vec<String> {
    let ran = home.run(&["tail", "events", "--exit"]);
    let mut lines: Vec<_> = ran.stdout.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[track_caller]
fn wait_for(home: &Home, line: &str) {
    eventually(PATIENCE, &format!("{line} is published"), || kept(home).contains(&line.to_owned()).then_some(()));
}

/// Waits until everything that was put there before has been looked at, by a document that is put there last.
#[track_caller]
fn settle(home: &Home, mark: &str) {
    put(home, &format!("{mark}.json"), format!("\"{mark}\""));
    wait_for(home, &format!("\"{mark}\""));
}

/// The problem beside a file.
fn problem(home: &Home, name: &str) -> Option<Value> {
    let text = fs::read_to_string(home.path("inbox").join(format!("{name}.problem.json"))).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

#[test]
fn files_of_every_kind_are_published_as_they_come() {
    let home = home(
        "streams: {people: {takes: events, table: people, directories: [inbox]}, shop: {takes: changes, directories: [shop/in]}}",
    );
    fs::create_dir_all(home.path("shop/in")).unwrap();
    put(&home, "before.json", r#"{"name":"early"}"#);
    let up = home.up();
    put(&home, "one.json", "{\"name\":\"george\"}\n{\"name\":\"anna\"}");
    put(&home, "lines.ndjson", "{\"name\":\"bob\"}\n\n{\"name\":\"carol\"}\n");
    put(&home, "ignored.txt", "{}");
    put(&home, ".hidden.json", "{}");
    fs::write(home.path("shop/in/items.ndjson"), [item(1), item(2)].join("\n") + "\n").unwrap();
    let names = eventually(PATIENCE, "all are rows", || {
        let rows = up.get("/v1/tables/people/rows");
        let rows = (rows.status == 200).then(|| rows.json()["rows"].as_array().unwrap().clone())?;
        let mut names: Vec<_> = rows.iter().map(|row| row["document"]["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        (names.len() >= 5).then_some(names)
    });
    assert_eq!(names, ["anna", "bob", "carol", "early", "george"]);
    eventually(PATIENCE, "changes are applied", || {
        (up.get("/v1/tables/item/rows").status == 200 && up.items() == [1, 2]).then_some(())
    });
    home.run(&["verify"]).expect(0);
}

#[test]
fn what_becomes_of_a_file_publishes_nothing_twice() {
    let home = home(KEPT);
    let mut up = home.start(UP);
    let inbox = home.path("inbox");
    let path = put(&home, "a.ndjson", "{\"n\":1}\n{\"n\":2}\n{\"n\":2}\n");
    settle(&home, "mark-1");
    let mut expected = vec!["\"mark-1\"", "{\"n\":1}", "{\"n\":2}", "{\"n\":2}"];
    assert_eq!(kept(&home), expected, "a line that stands twice in its file is two documents");

    // Renamed, while it runs and while it does not.
    fs::rename(&path, inbox.join("b.ndjson")).unwrap();
    settle(&home, "mark-2");
    up.kill();
    fs::rename(inbox.join("b.ndjson"), inbox.join("c.ndjson")).unwrap();
    up = home.start(UP);
    settle(&home, "mark-3");
    // Touched, copied, and copied under the name that it had.
    fs::File::options()
        .append(true)
        .open(inbox.join("c.ndjson"))
        .unwrap()
        .set_modified(std::time::SystemTime::now())
        .unwrap();
    fs::copy(inbox.join("c.ndjson"), inbox.join("d.ndjson")).unwrap();
    fs::copy(inbox.join("c.ndjson"), inbox.join("a.ndjson")).unwrap();
    settle(&home, "mark-4");
    expected.splice(1..1, ["\"mark-2\"", "\"mark-3\"", "\"mark-4\""]);
    assert_eq!(kept(&home), expected);

    // Grown by lines: only the new ones, and the one that its file holds a third time.
    let mut file = fs::File::options().append(true).open(inbox.join("c.ndjson")).unwrap();
    file.write_all(b"{\"n\":3}\n{\"n\":2}\n").unwrap();
    settle(&home, "mark-5");
    expected.splice(4..4, ["\"mark-5\""]);
    expected.extend(["{\"n\":2}", "{\"n\":3}"]);
    assert_eq!(kept(&home), expected);

    // Removed, and there again.
    fs::remove_file(inbox.join("c.ndjson")).unwrap();
    settle(&home, "mark-6");
    put(&home, "e.ndjson", "{\"n\":3}\n");
    up.stop();
    let _up = home.start(UP);
    settle(&home, "mark-7");
    expected.splice(5..5, ["\"mark-6\"", "\"mark-7\""]);
    assert_eq!(kept(&home), expected);
}

#[test]
fn however_often_it_is_killed_each_document_is_published_once() {
    let home = home(KEPT);
    let mut random = Random::new(7);
    let mut expected = BTreeMap::new();
    for round in 0..12 {
        let mut up = home.start(UP);
        for file in 0..random.below(40) + 5 {
            let lines: Vec<_> = (0..random.below(30) + 1).map(|line| format!("\"{round} {file} {line}\"")).collect();
            expected.extend(lines.iter().map(|line| (line.clone(), 1)));
            put(&home, &format!("{round}-{file}.ndjson"), lines.join("\n") + "\n");
        }
        let begun = kept(&home).len();
        let more = random.below(200) as usize;
        let patience = Duration::from_millis(500);
        let since = std::time::Instant::now();
        eventually(PATIENCE, "some are published", || {
            (kept(&home).len() > begun + more || since.elapsed() > patience).then_some(())
        });
        up.kill();
    }
    let _up = home.start(UP);
    settle(&home, "mark");
    expected.insert("\"mark\"".into(), 1);
    let found = eventually(PATIENCE, "all are published", || {
        let mut found: BTreeMap<String, i32> = BTreeMap::new();
        kept(&home).into_iter().for_each(|line| *found.entry(line).or_default() += 1);
        (found.len() >= expected.len()).then_some(found)
    });
    let wrong: Vec<_> = found.iter().filter(|(line, count)| expected.get(*line) != Some(count)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_bad_file_gets_its_problem_beside_it_and_stops_nothing() {
    let home = home(KEPT);
    let mut up = home.start(UP);
    put(&home, "bad.ndjson", "{\"n\":1}\n{\"n\":}\n{\"n\":3}\n{\"n\":3,\"n\":4}\n");
    put(&home, "good.json", "{\"n\":5}");
    let name = "x".repeat(250) + ".json";
    fs::write(home.path("inbox").join(&name), "no problem fits beside this").unwrap();
    let told = eventually(PATIENCE, "the problem is told", || problem(&home, "bad.ndjson"));
    assert_eq!((&told["type"], &told["status"]), (&json!("/problems/not-json"), &json!(400)));
    assert!(told["detail"].as_str().unwrap().contains("2 of 4"), "{told}");
    let lines: Vec<_> =
        told["errors"].as_array().unwrap().iter().map(|error| error["line"].as_i64().unwrap()).collect();
    assert_eq!(lines, [2, 4]);
    assert_eq!(told["errors"][1]["pointer"], "/n");
    settle(&home, "mark-1");
    assert_eq!(kept(&home), ["\"mark-1\"", "{\"n\":1}", "{\"n\":3}", "{\"n\":5}"]);
    up.wait_to_say("cannot be written beside it");

    // The problem stays while nothing changes, and goes when the file is mended, or gone.
    up.stop();
    let _up = home.start(UP);
    settle(&home, "mark-2");
    assert_eq!(problem(&home, "bad.ndjson"), Some(told));
    put(&home, "bad.ndjson", "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n");
    put(&home, "gone.json", "[");
    eventually(PATIENCE, "the problem of the mended file is gone", || {
        problem(&home, "bad.ndjson").is_none().then_some(())
    });
    eventually(PATIENCE, "the other's is told", || problem(&home, "gone.json"));
    fs::remove_file(home.path("inbox/gone.json")).unwrap();
    eventually(PATIENCE, "and goes with its file", || problem(&home, "gone.json").is_none().then_some(()));
    assert_eq!(kept(&home)[2..], ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}", "{\"n\":4}", "{\"n\":5}"]);
}

#[test]
fn a_file_that_is_being_written_is_left_until_it_is_whole() {
    let home = home(KEPT);
    let _up = home.start(UP);
    let mut json = fs::File::create(home.path("inbox/half.json")).unwrap();
    let mut lines = fs::File::create(home.path("inbox/half.ndjson")).unwrap();
    json.write_all(b"{\"n\":[1,").unwrap();
    lines.write_all(b"{\"n\":2}\n{\"n\":3").unwrap();
    settle(&home, "mark-1");
    json.write_all(b"2]}").unwrap();
    lines.write_all(b"3}").unwrap();
    wait_for(&home, "{\"n\":33}");
    settle(&home, "mark-2");
    assert_eq!(kept(&home), ["\"mark-1\"", "\"mark-2\"", "{\"n\":2}", "{\"n\":33}", "{\"n\":[1,2]}"]);
    eventually(PATIENCE, "nothing is wrong", || problem(&home, "half.json").is_none().then_some(()));
}

#[test]
fn nothing_outside_of_the_directory_is_read() {
    let home = home(KEPT);
    let secret = home.write("secret.json", "\"secret\"");
    let outside = home.path("outside");
    fs::create_dir_all(outside.join("inner")).unwrap();
    fs::write(outside.join("inner.json"), "\"inner\"").unwrap();
    let inbox = home.path("inbox");
    std::os::unix::fs::symlink(&secret, inbox.join("link.json")).unwrap();
    std::os::unix::fs::symlink(&outside, inbox.join("folder.json")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", inbox.join("zero.ndjson")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(inbox.join("pipe.json")).status().unwrap().success());
    fs::create_dir(inbox.join("within.json")).unwrap();
    fs::write(inbox.join("within.json/x.json"), "\"within\"").unwrap();
    let mut up = home.start(UP);
    settle(&home, "mark-1");
    std::os::unix::fs::symlink(&secret, inbox.join("later.json")).unwrap();
    settle(&home, "mark-2");
    // A name that was a file and is a link now.
    std::os::unix::fs::symlink(&secret, home.path("link")).unwrap();
    fs::rename(home.path("link"), inbox.join("mark-1.json")).unwrap();
    // What is wrong is not written through a link either.
    let victim = home.write("victim", "whole");
    std::os::unix::fs::symlink(&victim, inbox.join("bad.json.problem.json")).unwrap();
    std::os::unix::fs::symlink(&victim, inbox.join(".bad.json.problem.json")).unwrap();
    put(&home, "bad.json", "}");
    eventually(PATIENCE, "the problem is told", || {
        inbox.join("bad.json.problem.json").symlink_metadata().is_ok_and(|metadata| metadata.is_file()).then_some(())
    });
    settle(&home, "mark-3");
    assert_eq!(kept(&home), ["\"mark-1\"", "\"mark-2\"", "\"mark-3\""]);
    assert_eq!(fs::read_to_string(victim).unwrap(), "whole");
    assert!(up.stop().success());
}

#[test]
fn one_process_watches_and_another_takes_over() {
    let home = home(KEPT);
    let mut first = home.start(UP);
    settle(&home, "mark-1");
    let second = home.start(UP);
    second.wait_to_say("stands by");
    settle(&home, "mark-2");
    first.kill();
    settle(&home, "mark-3");
    assert_eq!(kept(&home), ["\"mark-1\"", "\"mark-2\"", "\"mark-3\""]);
}

#[test]
fn a_directory_may_come_later_and_come_anew() {
    let home = Home::with(KEPT);
    let up = home.start(UP);
    up.wait_to_say("cannot be read");
    for (nth, name) in ["mark-1", "mark-2"].into_iter().enumerate() {
        if nth > 0 {
            fs::remove_dir_all(home.path("inbox")).unwrap();
        }
        fs::create_dir(home.path("inbox")).unwrap();
        settle(&home, name);
    }
    assert_eq!(kept(&home), ["\"mark-1\"", "\"mark-2\""]);
}

#[test]
fn another_journal_gets_everything() {
    let home = home(KEPT);
    let mut up = home.start(UP);
    settle(&home, "mark");
    up.stop();
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(home.path(format!("data/journal.db{end}")));
    }
    let _up = home.start(UP);
    wait_for(&home, "\"mark\"");
}

#[test]
fn a_directory_belongs_to_one_stream() {
    let home = Home::with(
        "streams:\n  a: {takes: events, directories: [inbox]}\n  b: {takes: events, directories: [other, ./inbox/]}\n",
    );
    let ran = home.run(&["check"]).expect(1);
    let said = ran.stdout + &ran.stderr;
    assert!(said.contains("sluicegate.yaml:3:") && said.contains("belongs to `a` (line 2)"), "{said}");
    let home = Home::new();
    assert!(home.run(UP).expect(2).stderr.contains("directories"));
}

#[test]
fn many_files_are_published_and_known_again() {
    let home = home(KEPT);
    const COUNT: usize = 3_000;
    for file in 0..COUNT {
        fs::write(home.path(format!("inbox/{file}.json")), format!("{{\"file\":{file}}}")).unwrap();
    }
    let published = |up: &Process| {
        eventually(PATIENCE, "all are published", || {
            (home.run(&["tail", "events", "--exit"]).stdout.lines().count() == COUNT).then_some(())
        });
        assert!(!up.said().contains("WARN"), "{}", up.said());
    };
    let mut up = home.start(UP);
    published(&up);
    up.stop();
    let up = home.start(UP);
    settle(&home, "mark");
    drop(up);
    assert_eq!(kept(&home).len(), COUNT + 1);
}
