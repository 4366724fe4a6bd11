//! `publish -`: what PostgreSQL's log sends through a pipe, however often it sends it, and what stops it.

use std::io::Write as _;
use std::process::Stdio;

use crate::support::{Documents, Home, PATIENCE, Process, eventually};

/// A transaction of wal2json v2 that inserts one row.
fn transaction(lsn: u32, xid: u32, id: i64) -> String {
    let says = format!(r#""xid":{xid},"lsn":"0/{:X}","nextlsn":"0/{lsn:X}""#, lsn - 8);
    format!("{{\"action\":\"B\",{says}}}\n{}\n{{\"action\":\"C\",{says}}}\n", row(lsn - 16, xid, id))
}

/// A row as a line.
fn row(lsn: u32, xid: u32, id: i64) -> String {
    let columns = format!(r#"[{{"name":"id","type":"integer","value":{id}}}]"#);
    format!(r#"{{"action":"I","xid":{xid},"lsn":"0/{lsn:X}","table":"item","columns":{columns}}}"#)
}

/// The same transaction in v1.
fn v1(lsn: u32, xid: u32, id: i64) -> String {
    let change = format!(
        r#"{{"kind":"insert","table":"item","columnnames":["id"],"columntypes":["integer"],"columnvalues":[{id}]}}"#
    );
    format!("{{\"xid\":{xid},\"nextlsn\":\"0/{lsn:X}\",\"change\":[{change}]}}\n")
}

fn item_rows(home: &Home, accepted: i64) -> Vec<i64> {
    let server = home.up();
    eventually(PATIENCE, "everything is applied", || {
        let balance = home.run(&["verify", "activities"]).expect(0).json()[0].clone();
        (balance["accepted"] == accepted && balance["waiting"] == 0 && balance["dead_lettered"] == 0).then_some(())
    });
    server.items()
}

#[test]
fn a_commit_that_is_sent_again_is_applied_once() {
    let copy = |xid, ids: &[i64]| ids.iter().map(|id| row(0x500, xid, *id) + "\n").collect::<String>();
    let message = r#"{"action":"M","xid":7,"lsn":"0/500","transactional":true,"prefix":"p","content":"c"}"#;
    let cases = [
        ("whole transactions", vec![transaction(0x100, 7, 1) + &transaction(0x200, 8, 1); 2], vec![1, 1], 4),
        ("the first version", vec![v1(0x100, 7, 1) + &v1(0x200, 8, 1); 2], vec![1, 1], 4),
        ("within one pipe", vec![(transaction(0x100, 7, 1) + &transaction(0x200, 8, 2)).repeat(2)], vec![1, 2], 4),
        (
            "from another commit on",
            vec![
                transaction(0x100, 7, 1) + &transaction(0x200, 8, 2),
                transaction(0x200, 8, 2) + &transaction(0x300, 9, 3),
            ],
            vec![1, 2, 3],
            4,
        ),
        ("rows of a COPY, two alike", vec![copy(7, &[1, 1, 2]); 2], vec![1, 1, 2], 6),
        ("a message at the place of a row", vec![format!("{message}\n{}", copy(7, &[1])); 2], vec![1], 4),
        ("the same place, another transaction", vec![copy(7, &[1]), copy(8, &[1])], vec![1, 1], 2),
        (
            "cut off and begun again",
            vec![
                transaction(0x100, 7, 1).split_inclusive('\n').take(2).collect::<String>() + &transaction(0x100, 7, 1),
            ],
            vec![1],
            1,
        ),
    ];
    for (what, pipes, rows, accepted) in cases {
        let home = Home::new();
        for pipe in pipes {
            home.run_with(&["publish", "activities", "-"], pipe.as_bytes()).expect(0);
        }
        assert_eq!(item_rows(&home, accepted), rows, "{what}");
    }
}

#[test]
fn a_file_that_holds_a_commit_twice_applies_it_once() {
    let home = Home::new();
    let twice =
        (transaction(0x100, 7, 1) + &transaction(0x200, 8, 1)).repeat(2) + &row(0x500, 9, 4) + "\n" + &row(0x500, 9, 4);
    let path = home.write("twice.ndjson", twice);
    home.run(&["publish", "activities", path.to_str().unwrap()]).expect(0);
    home.run(&["publish", "activities", path.to_str().unwrap()]).expect(0);
    assert_eq!(item_rows(&home, 12), [1, 1, 4, 4]);
}

#[test]
fn a_sender_that_does_not_say_its_commits_is_told_how() {
    let home = Home::new();
    for input in
        ["{\"change\":[]}\n{\"change\":[]}\n", "{\"action\":\"B\"}\n{\"action\":\"C\"}\n", "{\"xid\":7,\"change\":[]}"]
    {
        let said = home.run_with(&["publish", "activities", "-"], input.as_bytes()).expect(0).stderr;
        assert_eq!(said.matches("-o include-lsn=on -o include-xids=on").count(), 1, "{said}");
    }
    let said = home.run_with(&["publish", "activities", "-"], v1(1, 1, 1).as_bytes()).expect(0).stderr;
    assert!(!said.contains("warning"), "{said}");
}

#[test]
fn standard_input_stops_at_the_first_refusal_and_says_where_the_slot_stands() {
    let bad = |lsn| transaction(lsn, 8, 2).replace("\"item\"", "\"pg_item\"");
    let large = transaction(0x200, 8, 2).replace("\"item\"", &format!("\"{}\"", "x".repeat(2 << 20)));
    let refusals =
        [("invalid-document", bad(0x200)), ("document-too-large", large), ("not-json", "nonsense\n".to_owned())];
    for (kind, refused) in refusals {
        let home = Home::new();
        let input = transaction(0x100, 7, 1) + &refused + &transaction(0x300, 9, 3);
        let said = home.run_with(&["publish", "activities", "-"], input.as_bytes()).expect(1).stderr;
        for part in [
            &format!("error[{kind}]"),
            "1 accepted, 1 rejected",
            "of the slot, everything up to 0/100 (transaction 7) is in the journal",
            "stopped at the refused document on line 4",
            "--keep-going",
        ] {
            assert!(said.contains(part), "{part} is not in {said}");
        }
        assert_eq!(said.contains("0/200 (transaction 8)"), kind != "not-json", "{said}");
        let said = home.run_with(&["publish", "activities", "-", "--keep-going"], input.as_bytes()).expect(1).stderr;
        assert!(said.contains("2 accepted, 1 rejected") && said.contains("up to 0/300"), "{said}");
        assert_eq!(item_rows(&home, 3), [1, 3], "{kind}");
    }
}

#[test]
fn an_input_that_ends_inside_a_document_is_a_failure_unless_it_may() {
    let home = Home::new();
    let cut = transaction(0x100, 7, 1) + &transaction(0x200, 8, 2);
    for length in [cut.len() - 4, cut.len() - 60, cut.len() / 2 + 3] {
        let input = &cut.as_bytes()[..length];
        home.run_with(&["publish", "activities", "-"], input).expect(1);
        let said = home.run_with(&["publish", "activities", "-", "--allow-unfinished"], input).expect(0).stderr;
        assert!(said.contains("up to 0/100 (transaction 7)"), "{said}");
        let file = home.write("cut.ndjson", input);
        home.run(&["publish", "activities", file.to_str().unwrap()]).expect(1);
        home.run(&["publish", "activities", file.to_str().unwrap(), "--allow-unfinished"]).expect(0);
    }
    let bad = transaction(0x100, 7, 1).replace("\"item\"", "\"pg_item\"");
    home.run_with(&["publish", "activities", "-", "--allow-unfinished"], bad.as_bytes()).expect(1);
}

#[test]
fn a_pipe_waits_for_a_journal_that_is_locked_and_says_so_once() {
    let home = Home::new();
    home.run_with(&["publish", "activities", "-"], transaction(0x80, 6, 1).as_bytes()).expect(0);
    let lock = rusqlite::Connection::open(home.journal()).unwrap();
    let mut command = home.command(&["publish", "activities", "-"]);
    command.stdin(Stdio::piped());
    let mut publisher = Process::start(&mut command);
    let mut input = publisher.input();
    input.write_all(transaction(0x100, 7, 2).as_bytes()).unwrap();
    eventually(PATIENCE, "the journal is open", || {
        let count = lock.query_row("SELECT count(*) FROM records_1", [], |row| row.get::<_, i64>(0));
        (count.ok()? == 2).then_some(())
    });
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    input.write_all(transaction(0x200, 8, 3).as_bytes()).unwrap();
    // It is told after the lock was waited for in vain, which took over 5 s.
    let said = publisher.wait_to_say("documents wait for the journal");
    assert_eq!(said.matches("documents wait").count(), 1, "{said}");
    lock.execute_batch("COMMIT").unwrap();
    drop(input);
    assert!(publisher.ended(PATIENCE).success());
    assert!(publisher.said().contains("everything up to 0/200"), "{}", publisher.said());
    assert_eq!(item_rows(&home, 3), [1, 2, 3]);
}

#[test]
fn a_signal_ends_a_pipe_that_waits_and_tells_where_the_slot_stands() {
    for signal in ["TERM", "INT"] {
        let home = Home::new();
        let mut command = home.command(&["publish", "activities", "-"]);
        command.stdin(Stdio::piped());
        let mut publisher = Process::start(&mut command);
        let mut input = publisher.input();
        let whole = transaction(0x100, 7, 1);
        input.write_all((whole.clone() + &transaction(0x200, 8, 2)[..80]).as_bytes()).unwrap();
        let records = || {
            let journal = rusqlite::Connection::open(home.journal()).ok()?;
            journal.query_row("SELECT count(*) FROM records_1", [], |row| row.get::<_, i64>(0)).ok()
        };
        eventually(PATIENCE, "the first is in the journal", || (records()? == 1).then_some(()));
        publisher.signal(signal);
        assert_eq!(publisher.ended(PATIENCE).code(), Some(1));
        publisher.wait_to_say("everything up to 0/100 (transaction 7) is in the journal");
    }
}
