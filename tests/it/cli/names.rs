//! One rule for the code a command leaves with: 2 when the command line cannot be read, 1 when what it names is not there or
//! was not done.

use crate::support::{Documents, Home, item, unapplicable};

#[test]
fn a_name_that_is_not_there_leaves_with_1_and_names_the_near_one() {
    let home = Home::new();
    let mut server = home.up();
    server.applied(item(1));
    server.set_aside(unapplicable());
    assert!(server.stop().success());
    for (arguments, words) in [
        (&["publish", "activties", "-"][..], "did you mean \"activities\"?"),
        (&["verify", "activties"], "did you mean \"activities\"?"),
        (&["positions", "set", "activties", "--to", "end", "--yes"], "did you mean \"activities\"?"),
        (&["positions", "forget", "activties", "--yes"], "did you mean \"activities\"?"),
        (&["positions", "accept-loss", "activties", "--yes"], "did you mean \"activities\"?"),
        (&["positions", "set", "activities", "--to", "end", "--partition", "7", "--yes"], "no partition 7"),
        (&["dead-letters", "list", "--stream", "evnets"], "did you mean \"events\"?"),
        (&["dead-letters", "retry", "--stream", "evnets"], "did you mean \"events\"?"),
        (&["dead-letters", "list", "--stream", "nope"], "there is no stream \"nope\"; there are activities, events"),
        (&["dead-letters", "show", "activities-0-99"], "activities-0-99"),
        (&["dead-letters", "retry", "nonsense"], "nonsense"),
        (&["dead-letters", "drop", "activities-0-99"], "activities-0-99"),
        (&["tail", "activties", "--exit"], "did you mean \"activities\"?"),
        (&["tail", "activities", "--exit", "--partition", "3"], "no partition 3"),
        (&["rows", "itme"], "did you mean \"item\"?"),
        (&["receipt", "activities-0-99"], "activities-0-99"),
        (&["receipt", "nonsense"], "nonsense"),
        (&["publish", "activities", "not-there.json"], "not-there.json"),
        (&["check", "--config", "not-there.yaml"], "not-there.yaml"),
        (&["up", "--listen", "nonsense"], "HOST:PORT"),
    ] {
        let ran = home.run(arguments).expect(1);
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
        assert!(!ran.stdout.contains('{'), "{arguments:?}: {}", ran.stdout);
    }
    let of_one = home.run(&["dead-letters", "list", "--stream", "events"]).expect(0);
    assert_eq!(of_one.stdout, "[]\n", "a stream without letters is no misspelt one");
}

#[test]
fn a_command_line_that_cannot_be_read_leaves_with_2() {
    let home = Home::new();
    let mut server = home.up();
    server.applied(item(1));
    assert!(server.stop().success());
    for arguments in [
        &[][..],
        &["nonsense"],
        &["up", "--role", "nothing"],
        &["publish", "activities"],
        &["receipt"],
        &["rows", "item", "--where", "nonsense"],
        &["rows", "item", "--watch=often"],
        &["dead-letters", "retry"],
        &["dead-letters", "list", "--reason", "unknown-tabel"],
        &["positions", "set", "activities", "--to", "middle", "--yes"],
        &["tail", "activities", "--from", "middle"],
        &["tail", "activities", "-n", "5", "--from", "end"],
        &["tail", "activities", "--output", "csv"],
        &["verify", "--output", "value"],
        &["check", "--output", "json"],
        &["completions", "cmd"],
        &["up", "--log", "xml"],
        &["up", "--quiet", "--log-level", "debug"],
    ] {
        home.run(arguments).expect(2);
    }
    for arguments in [&["--help"][..], &["--version"], &["up", "--help"], &["help", "rows"]] {
        home.run(arguments).expect(0);
    }
}
