//! How lists and objects print, and print again.

use crate::support::{Documents, Home, PATIENCE, Process, eventually, item, unapplicable};

#[test]
fn every_list_prints_as_each_kind() {
    let home = Home::new();
    let mut server = home.up();
    server.applied(item(1));
    server.set_aside(unapplicable());
    assert!(server.stop().success());
    for (arguments, column) in [
        (&["rows", "item"][..], "id"),
        (&["positions"], "stream"),
        (&["verify"], "stream"),
        (&["dead-letters", "list"], "id"),
    ] {
        let run = |kind: &str| home.run(&[arguments, &["--output", kind]].concat()).expect(0);
        let json = run("json").json();
        let items = json.as_array().unwrap_or_else(|| panic!("{arguments:?}: {json}"));
        assert!(!items.is_empty() && items.iter().all(|item| item.get(column).is_some()), "{arguments:?}: {json}");
        let lines = run("ndjson").stdout;
        let parsed: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(&parsed, items, "{arguments:?}");
        for kind in ["csv", "table"] {
            let text = run(kind).stdout;
            assert!(text.lines().next().unwrap().starts_with(column), "{arguments:?}: {text}");
            assert_eq!(text.lines().count(), items.len() + 1, "{arguments:?}: {text}");
        }
        assert_eq!(
            home.run(arguments).expect(0).json(),
            json,
            "{arguments:?}: elsewhere than on a terminal it is JSON"
        );
    }
    for arguments in [&["receipt", "activities-0-0"][..], &["dead-letters", "show", "activities-0-1"]] {
        let json = home.run(&[arguments, &["--output", "json"]].concat()).expect(0).json();
        let line = home.run(&[arguments, &["--output", "ndjson"]].concat()).expect(0).stdout;
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), json, "{arguments:?}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

#[test]
fn tail_prints_the_kinds_that_it_says_and_refuses_others_with_words() {
    let home = Home::new();
    home.run_with(&["publish", "events", "-"], b"1\n2\n3\n4\n5\n6\n7").expect(0);
    let tail = |arguments: &[&str]| home.run(&[&["tail", "events", "--exit"], arguments].concat());
    assert_eq!(tail(&["-n", "3"]).expect(0).stdout, "5\n6\n7\n");
    assert_eq!(tail(&["-n", "3", "--output", "value"]).expect(0).stdout, "5\n6\n7\n");
    assert_eq!(tail(&["--last", "100"]).expect(0).stdout, "1\n2\n3\n4\n5\n6\n7\n");
    assert_eq!(tail(&["-n", "0"]).expect(0).stdout, "");
    assert_eq!(tail(&["-n", "1", "--output", "json"]).expect(0).json()["payload"], "7");
    for kind in ["table", "csv", "ndjson"] {
        let refused = tail(&["--output", kind]).expect(2).stderr;
        assert!(refused.contains("it has value and json"), "{refused}");
    }
}

#[test]
fn a_watch_prints_again_what_has_changed_until_it_is_asked_to_leave() {
    let home = Home::new();
    let server = home.up();
    server.applied(item(1));
    let watched = |name: &str, arguments: &[&str]| {
        let path = home.path(name);
        let arguments = [arguments, &["--watch", "100ms", "--output", "ndjson"]].concat();
        let process = Process::start(home.command(&arguments).stdout(std::fs::File::create(&path).unwrap()));
        (process, path)
    };
    let (mut rows, seen_rows) = watched("rows", &["rows", "item", "--select", "id"]);
    let (mut letters, seen_letters) = watched("letters", &["dead-letters", "list"]);
    let (mut positions, seen_positions) = watched("positions", &["positions"]);
    let holds = |path: &std::path::Path, text: &str, times: usize| {
        eventually(PATIENCE, &format!("{text} is printed {times} times"), || {
            (std::fs::read_to_string(path).unwrap().matches(text).count() >= times).then_some(())
        });
    };
    holds(&seen_rows, "{\"id\":1}\n", 2);
    holds(&seen_positions, "\"position\":1", 2);
    server.applied(item(2));
    let (dead, _) = server.set_aside(unapplicable());
    holds(&seen_rows, "{\"id\":2}\n", 2);
    holds(&seen_letters, &dead, 2);
    holds(&seen_positions, "\"position\":3", 2);
    for (process, path) in [(&mut rows, seen_rows), (&mut letters, seen_letters), (&mut positions, seen_positions)] {
        process.signal("INT");
        assert_eq!(process.ended(PATIENCE).code(), Some(0), "{path:?}");
        assert!(!std::fs::read_to_string(&path).unwrap().contains('\u{1b}'), "a file is no terminal");
    }
}
