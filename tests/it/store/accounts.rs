//! The books: dead letters, outcomes, moved positions, and the balance of it all.

use sluicegate::clock;
use sluicegate::document::Position;
use sluicegate::journal::Log;
use sluicegate::journal::memory::MemoryJournal;
use sluicegate::problem::{Problem, ProblemType};
use sluicegate::record::FILE_KEY;
use sluicegate::store::books::{LetterFilter, Outcome, Standing};
use sluicegate::store::moves::{Move, Moved, Seen, Why};
use sluicegate::store::{Closing, Fate, StoreError};

use super::bench::{Bench, insert};

const REASON: ProblemType = ProblemType::UnknownTable;

fn one() -> String {
    insert("t", "id INTEGER 1")
}

async fn close(bench: &Bench, letter: &Position, how: Closing<'_>) -> bool {
    let mut transaction = bench.store.begin(&bench.stream.apply.rules, None).await.unwrap();
    let is_there = transaction.close_letter(letter, how).await.unwrap();
    transaction.commit().await.unwrap();
    is_there
}

/// Applied, duplicate, dead letter, dropped letter, lost, applied: offsets 0 to 5.
async fn one_of_each(bench: &mut Bench) {
    bench.apply_with(&[(Some("key"), &one()), (Some("key"), &one())]).await.unwrap();
    let letters = bench.set_aside(REASON, &[(None, "{}"), (None, "{}")]).await;
    assert!(close(bench, &letters[1], Closing::Dropped).await);
    bench.append(&[(None, &one())]).await;
    move_to(bench, true, 5).await;
    bench.apply(&[&one()]).await.unwrap();
}

/// A move of somebody who has seen where the partition stands.
async fn a_move(bench: &Bench, why: Why, to: i64) -> Move {
    let Standing { journal, next_offset, .. } = bench.standing().await;
    Move { seen: Some(Seen { journal, next_offset }), start: 0, to, journal: bench.journal_identity().to_owned(), why }
}

/// Moves the position as a person does, and claims anew.
async fn move_to(bench: &mut Bench, is_set: bool, to: i64) {
    let how = a_move(bench, if is_set { Why::Set } else { Why::AcceptLoss }, to).await;
    let moved = bench.store.books().move_position(&bench.place(), &how).await.unwrap();
    assert!(matches!(moved, Moved::Done { to: at, .. } if at == to), "{moved:?}");
    bench.claim = bench.claim_again().await.unwrap();
    assert_eq!(bench.claim.next_offset, to);
}

pub(super) async fn letters_commit_with_rows_and_position(bench: &mut Bench) {
    let sent = [(Some("key"), "\u{feff} not {JSON"), (None, "")];
    let letters = bench.set_aside(REASON, &sent).await;
    for (position, (key, text)) in letters.iter().zip(sent) {
        let letter = bench.store.books().letter(position).await.unwrap().unwrap();
        assert_eq!((&letter.stream, &letter.position), (&bench.stream.name, position));
        assert_eq!(letter.record.value, text);
        assert_eq!(letter.record.headers.idempotency_key.as_deref(), key);
        assert_eq!(letter.problem, Problem::new(REASON, "because"));
        assert_eq!((letter.set_aside_ms, letter.attempts), (1_767_315_845_678, 1));
    }
    let balance = bench.balances().await;
    assert_eq!((balance.accepted, balance.dead_lettered, balance.waiting), (2, 2, 0));
}

pub(super) async fn closing_a_letter_moves_one_unit(bench: &mut Bench) {
    let letters = bench.set_aside(REASON, &[(None, "1"), (None, "2"), (None, "3")]).await;
    assert!(close(bench, &letters[0], Closing::Applied).await);
    assert!(close(bench, &letters[1], Closing::Dropped).await);
    let balance = bench.balances().await;
    assert_eq!((balance.applied, balance.dropped, balance.dead_lettered), (1, 1, 1));
    for closed in &letters[..2] {
        assert_eq!(bench.store.books().letter(closed).await.unwrap(), None);
        for again in [Closing::Applied, Closing::Dropped, Closing::Failed(&Problem::new(REASON, ""))] {
            assert!(!close(bench, closed, again).await, "there is no such letter any more");
        }
    }
    assert_eq!(bench.balances().await, balance);
    let mut transaction = bench.store.begin(&bench.stream.apply.rules, None).await.unwrap();
    assert!(transaction.close_letter(&letters[2], Closing::Applied).await.unwrap());
    drop(transaction);
    assert_eq!(bench.balances().await, balance, "without a commit nothing moves");
}

pub(super) async fn a_failed_retry_counts_and_keeps_the_letter(bench: &mut Bench) {
    let letters = bench.set_aside(REASON, &[(None, "1")]).await;
    let problem = Problem::new(ProblemType::TypeConflict, "now it is this");
    assert!(close(bench, &letters[0], Closing::Failed(&problem)).await);
    let letter = bench.store.books().letter(&letters[0]).await.unwrap().unwrap();
    assert_eq!((letter.problem, letter.attempts), (problem, 2));
    assert_eq!(bench.balances().await.dead_lettered, 1);
}

pub(super) async fn letters_are_listed_in_order_and_by_filter(bench: &mut Bench) {
    let mut all = bench.set_aside(REASON, &[(None, "a"); 9]).await;
    all.extend(bench.set_aside(ProblemType::TypeConflict, &[(None, "b"); 3]).await);
    let other = sluicegate::document::StreamName::parse("other").unwrap();
    let everything = LetterFilter { limit: 100, ..LetterFilter::default() };
    for (filter, expected) in [
        (everything.clone(), &all[..]),
        (LetterFilter { limit: 10, ..everything.clone() }, &all[..10]),
        (LetterFilter { after: Some(all[7].clone()), limit: 3, ..everything.clone() }, &all[8..11]),
        (LetterFilter { reason: Some("type-conflict".into()), ..everything.clone() }, &all[9..]),
        (LetterFilter { stream: Some(bench.stream.name.clone()), ..everything.clone() }, &all[..]),
        (LetterFilter { stream: Some(other), ..everything.clone() }, &[]),
    ] {
        let found = bench.store.books().letters(&filter).await.unwrap();
        let found: Vec<_> = found.into_iter().map(|letter| letter.position).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

pub(super) async fn an_outcome_is_told_for_every_document(bench: &mut Bench) {
    one_of_each(bench).await;
    bench.append(&[(None, &one())]).await;
    let at = |offset| Position { topic: bench.stream.topic.clone(), partition: 0, offset };
    let problem = Problem::new(REASON, "because");
    for (offset, expected) in [
        (0, Outcome::Applied),
        (1, Outcome::Duplicate { of: at(0) }),
        (2, Outcome::DeadLettered { problem }),
        (3, Outcome::Dropped),
        (4, Outcome::Dropped),
        (5, Outcome::Applied),
        (6, Outcome::Accepted),
    ] {
        assert_eq!(bench.store.books().outcome(&bench.stream.name, &at(offset)).await.unwrap(), expected, "{offset}");
    }
}

pub(super) async fn every_move_of_a_position_keeps_the_balance(bench: &mut Bench) {
    one_of_each(bench).await;
    let balance = bench.balances().await;
    let counts = [balance.applied, balance.duplicates, balance.dead_lettered, balance.dropped, balance.lost];
    assert_eq!((counts, balance.accepted, balance.waiting), ([2, 1, 1, 1, 1], 6, 0));
    // There and back, over all that the books know, and applied again in between.
    for to in [6, 5, 7, 3, 4, 2, 7, 0, 8] {
        let end = bench.journal.extents(&bench.stream.topic).await.unwrap()[0].end;
        move_to(bench, true, to.min(end)).await;
        assert_eq!(bench.balances().await.waiting, end - to.min(end), "at {to}");
        bench.apply_with(&[(Some("key"), &one())]).await.unwrap();
        assert_eq!(bench.balances().await.waiting, 0, "after {to}");
    }
}

pub(super) async fn books_about_another_journal_are_a_fault(bench: &mut Bench) {
    one_of_each(bench).await;
    let stream = bench.stream.clone();
    let faults = async |journal: &MemoryJournal| {
        let store = Some(&*bench.store);
        let balances = sluicegate::apply::verify::balance(journal, Some(journal), store, &stream).await.unwrap();
        balances.into_iter().flat_map(|balance| balance.faults).collect::<Vec<_>>()
    };
    assert_eq!(faults(&*bench.journal).await, [""; 0]);
    let another = MemoryJournal::new();
    let faults = faults(&another).await.join("; ");
    assert!(faults.contains("another journal") && faults.contains("ends at 0"), "{faults}");
}

pub(super) async fn a_letter_does_not_lend_its_receipt_to_a_document_of_another_journal(bench: &mut Bench) {
    one_of_each(bench).await;
    bench.journal = std::sync::Arc::new(MemoryJournal::new());
    bench.append(&[(None, "{}"), (None, &one())]).await;
    let accept = a_move(bench, Why::AcceptLoss, 0).await;
    match bench.store.books().move_position(&bench.place(), &accept).await {
        Err(StoreError::Stop(reason)) => assert!(reason.words().contains("1 dead letter"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let letter = Position { topic: bench.stream.topic.clone(), partition: 0, offset: 2 };
    assert!(close(bench, &letter, Closing::Dropped).await);
    move_to(bench, false, 0).await;
    let balance = bench.balances().await;
    assert_eq!((balance.accepted, balance.waiting, balance.lost), (2, 2, 0));
    assert_eq!(bench.store.books().outcome(&bench.stream.name, &letter).await.unwrap(), Outcome::Accepted);
}

pub(super) async fn a_halt_is_noted_until_the_position_moves(bench: &mut Bench) {
    for is_said in [true, false] {
        bench.store.books().note_halt(&bench.place(), Some("why")).await.unwrap();
        assert_eq!(bench.standing().await.halted.as_deref(), Some("why"));
        match is_said {
            true => bench.store.books().note_halt(&bench.place(), None).await.unwrap(),
            false => drop(bench.apply(&[&one()]).await.unwrap()),
        }
        assert_eq!(bench.standing().await.halted, None);
    }
}

pub(super) async fn old_keys_and_duplicates_go_and_the_balance_stays(bench: &mut Bench) {
    let file = format!("{FILE_KEY}/a/b:1");
    for key in ["key", &file] {
        bench.apply_with(&[(Some(key), &one()), (Some(key), &one())]).await.unwrap();
    }
    let (place, later_ms) = (bench.place(), clock::now_ms() + 1_000);
    for (before_ms, journal_start, gone, duplicates) in
        [(0, 4, 0, 2), (later_ms, 0, 1, 2), (later_ms, 2, 1, 1), (later_ms, 4, 1, 0), (later_ms, 4, 0, 0)]
    {
        let removed = bench.store.books().prune(&place, before_ms, journal_start).await.unwrap();
        let audit = bench.store.books().audit(&place).await.unwrap();
        assert_eq!((removed, audit.duplicates), (gone, duplicates), "before {before_ms}, from {journal_start}");
        assert_eq!(bench.balances().await.duplicates, 2);
    }
    let fates = bench.apply_with(&[(Some("key"), &one()), (Some(&file), &one())]).await.unwrap();
    let is_applied = [fates[0] == Fate::Applied, fates[1] == Fate::Applied];
    assert_eq!(is_applied, [true, false], "a file's key lasts as long as its file");
}

/// Two who act on what they saw at the same moment: the second one's move is refused where it would do something else.
pub(super) async fn a_move_does_only_what_was_shown(bench: &mut Bench) {
    for _ in 0..3 {
        bench.apply(&[&one()]).await.unwrap();
    }
    let back = a_move(bench, Why::Set, 1).await;
    let on = a_move(bench, Why::Set, 3).await;
    let loss = a_move(bench, Why::AcceptLoss, 1).await;
    bench.apply(&[&one(), &one()]).await.unwrap();
    let before = bench.standing().await;
    for (how, expected) in [(&back, Moved::Stale), (&loss, Moved::Stale), (&on, Moved::Done { to: 5, lost: 0 })] {
        assert_eq!(bench.store.books().move_position(&bench.place(), how).await.unwrap(), expected, "{how:?}");
        assert_eq!(bench.standing().await, before, "{how:?}");
    }
    bench.append(&[(None, &one()), (None, &one()), (None, &one())]).await;
    let on = a_move(bench, Why::Set, 8).await;
    // One of the three that were to be given up is applied meanwhile.
    bench.advance_to(6).await;
    let moved = bench.store.books().move_position(&bench.place(), &on).await.unwrap();
    assert_eq!(moved, Moved::Done { to: 8, lost: 2 });
    assert_eq!(bench.balances().await.lost, 2);
    let unseen = Move { seen: None, ..on };
    assert_eq!(bench.store.books().move_position(&bench.place(), &unseen).await.unwrap(), Moved::Stale);
}

pub(super) async fn what_is_skipped_before_the_beginning_is_counted(bench: &mut Bench) {
    let place = sluicegate::store::Place { partition: 1, ..bench.place() };
    let journal = bench.journal_identity().to_owned();
    let how = Move { seen: None, start: 2, to: 5, journal, why: Why::Set };
    assert_eq!(bench.store.books().move_position(&place, &how).await.unwrap(), Moved::Done { to: 5, lost: 3 });
    assert_eq!(bench.store.books().move_position(&place, &how).await.unwrap(), Moved::Stale);
    let standings = bench.store.books().positions(None).await.unwrap();
    let standing = standings.iter().find(|standing| standing.place == place).unwrap();
    assert_eq!((standing.first_offset, standing.next_offset, standing.counters.lost), (2, 5, 3));
}
