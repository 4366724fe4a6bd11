//! The balance holds, and fails as soon as a row or a unit of the bookkeeping is taken away.

use rusqlite::Connection;

use crate::support::{Documents, Home, Request, Target, item, unapplicable};

/// A stopped home with two applied documents, a duplicate, two dead letters and a dropped one.
fn stopped() -> Home {
    let home = Home::new();
    let mut server = home.up();
    let keyed = || {
        let request = Request::post("/v1/streams/activities", item(1)).header("Idempotency-Key", "k");
        server.send(request.wait(20)).expect(200)
    };
    keyed();
    keyed();
    server.applied(item(2));
    server.set_aside(unapplicable());
    server.set_aside(unapplicable());
    let (dropped, _) = server.set_aside(unapplicable());
    server.send(Request::new("DELETE", &format!("/v1/dead-letters/{dropped}"))).expect(200);
    server.send(Request::post("/v1/streams/events", "1").wait(20)).expect(200);
    assert!(server.stop().success());
    home
}

#[test]
fn the_balance_names_every_unit() {
    let balance = stopped().run(&["verify", "activities"]).expect(0).json()[0].clone();
    for (member, expected) in [
        ("accepted", 6),
        ("applied", 2),
        ("duplicates", 1),
        ("dead_lettered", 2),
        ("dropped", 1),
        ("lost", 0),
        ("waiting", 0),
    ] {
        assert_eq!(balance[member], expected, "{member} in {balance}");
    }
}

/// Fails unless `verify` leaves with 1 after `sql` ran on the store or the journal.
#[track_caller]
fn check(is_store: bool, sql: &str) {
    let home = stopped();
    let file = if is_store { home.store() } else { home.journal() };
    let changed = Connection::open(file).unwrap().execute(sql, []).unwrap();
    assert_eq!(changed, 1, "{sql}");
    let ran = home.run(&["verify"]);
    assert_eq!(ran.status, 1, "{sql}: {}", ran.stdout);
    assert!(ran.stderr.contains("error: stream activities"), "{sql}: {}", ran.stderr);
}

#[test]
fn a_missing_dead_letter_is_found() {
    check(true, r#"DELETE FROM "_sluicegate_dead_letters" WHERE "offset" = 3"#);
}

#[test]
fn a_missing_dropped_letter_is_found() {
    check(true, r#"DELETE FROM "_sluicegate_dead_letters" WHERE "offset" = 5"#);
}

#[test]
fn a_missing_duplicate_is_found() {
    check(true, r#"DELETE FROM "_sluicegate_duplicates""#);
}

#[test]
fn a_missing_unit_of_each_counter_is_found() {
    for counter in ["applied", "duplicates", "dead_lettered", "dropped", "next_offset"] {
        let sql =
            format!(r#"UPDATE "_sluicegate_positions" SET {counter} = {counter} - 1 WHERE stream = 'activities'"#);
        check(true, &sql);
    }
}

#[test]
fn a_unit_too_many_is_found() {
    for counter in ["applied", "lost", "gaps", "next_offset", "first_offset"] {
        let sql =
            format!(r#"UPDATE "_sluicegate_positions" SET {counter} = {counter} + 1 WHERE stream = 'activities'"#);
        check(true, &sql);
    }
}

#[test]
fn a_missing_record_of_the_journal_is_found() {
    for offset in [0, 1, 3, 5] {
        check(false, &format!("DELETE FROM records_1 WHERE offset = {offset}"));
    }
}

#[test]
fn a_journal_that_ends_before_the_position_is_found() {
    check(false, "UPDATE topics SET next_offset = 4 WHERE name = 'activities'");
}

#[test]
fn another_journal_is_found() {
    check(false, "UPDATE journal SET identity = 'another'");
}

#[test]
fn commands_that_only_look_make_no_topic_of_a_stream_that_was_added() {
    let home = Home::with("streams: {old: {takes: events, table: old}}");
    let mut server = home.up();
    server.send(Request::post("/v1/streams/old", "1").wait(20)).expect(200);
    assert!(server.stop().success());
    home.write("sluicegate.yaml", "streams: {old: {takes: events, table: old}, new: {takes: events, table: new}}");
    for command in [
        &["positions"][..],
        &["verify"],
        &["dead-letters", "list"],
        &["rows", "old"],
        &["receipt", "old-0-0"],
        &["tail", "old", "--exit"],
    ] {
        home.run(command).expect(0);
        let file = rusqlite::Connection::open(home.journal()).unwrap();
        let mut names = file.prepare("SELECT name FROM topics ORDER BY name").unwrap();
        let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(names, ["old"], "{command:?}");
    }
}
