//! A wrong folder: what only looks says that there is nothing, and makes nothing.

use crate::support::Home;

/// Everything that reads data and makes none.
const READERS: &[&[&str]] = &[
    &["verify"],
    &["rows", "events"],
    &["tail", "events", "--exit"],
    &["positions"],
    &["positions", "set", "events", "--to", "end", "--yes"],
    &["positions", "forget", "events", "--yes"],
    &["positions", "accept-loss", "events", "--yes"],
    &["dead-letters", "list"],
    &["dead-letters", "show", "events-0-0"],
    &["dead-letters", "retry", "--all"],
    &["dead-letters", "drop", "events-0-0"],
    &["receipt", "events-0-0"],
];

#[test]
fn what_only_looks_says_that_there_is_no_data_and_makes_none() {
    let home = Home::new();
    for arguments in READERS {
        let ran = home.run(arguments).expect(1);
        for words in ["there is no data here: /", "data/", ".db does not exist", "sluicegate up", "--data", "--config"]
        {
            assert!(ran.stderr.contains(words), "{arguments:?}: {words}: {}", ran.stderr);
        }
        assert!(!home.path("data").exists(), "{arguments:?}");
    }
    let checked = home.run(&["check"]).expect(1);
    assert!(checked.stdout.contains("wrong  journal        there is no data here: /"), "{}", checked.stdout);
    assert!(!home.path("data").exists());
}

#[test]
fn beside_a_configuration_a_check_before_the_first_start_finds_nothing_wrong_and_makes_nothing() {
    let home = Home::with("streams: {events: {takes: events, table: events}}");
    let checked = home.run(&["check"]).expect(0);
    assert!(checked.stdout.contains("ok     journal        there is no data here: /"), "{}", checked.stdout);
    assert!(!home.path("data").exists());
}

#[test]
fn publish_makes_the_data_that_others_then_find() {
    let home = Home::new();
    home.run_with(&["publish", "events", "-"], b"{}").expect(0);
    home.run(&["verify"]).expect(0);
    let waiting = home.run(&["receipt", "events-0-0"]).expect(0).json();
    assert_eq!(waiting["status"], "accepted");
}
