//! Claims, fences and transactions: all or nothing, once.

use sluicegate::document::Position;
use sluicegate::problem::ProblemType;
use sluicegate::store::{ClaimRequest, Fate, Place, StoreError, Tally};

use super::bench::{Bench, documents, insert, refused};

const ONE: &str = "id INTEGER 1";
const TWO: &str = "id INTEGER 2";

/// A document that makes a table before it fails.
const BAD: &str = r#"{"activities":[
    {"operation":"insert","table":"made_by_bad","col_names":["id"],"col_types":["INTEGER"],"col_values":[1]},
    {"operation":"delete","table":"nowhere","old_value":{"col_names":["a"],"col_types":["TEXT"],"col_values":["b"]}}]}"#;

pub(super) async fn a_new_stream_begins_where_its_journal_begins(bench: &mut Bench) {
    for (name, start) in [("fresh", 0), ("late", 7)] {
        let place = Place { topic: sluicegate::document::TopicName::parse(name).unwrap(), ..bench.place() };
        let request = ClaimRequest { place: &place, journal: bench.journal_identity(), start, owner: "me" };
        let claim = bench.store.claim(request).await.unwrap();
        assert_eq!((claim.next_offset, &claim.place), (start, &place));
        let standings = bench.store.books().positions(None).await.unwrap();
        let standing = standings.iter().find(|standing| standing.place == place).unwrap();
        assert_eq!((standing.first_offset, standing.next_offset, &*standing.owner), (start, start, "me"));
    }
}

pub(super) async fn a_later_claim_goes_on_where_the_earlier_one_was(bench: &mut Bench) {
    bench.apply(&[&insert("t", ONE), &insert("t", TWO)]).await.unwrap();
    let claim = bench.claim_again().await.unwrap();
    assert_eq!(claim.next_offset, 2);
    assert!(claim.epoch > bench.claim.epoch);
    assert_eq!(bench.standing().await.owner, "again");
}

pub(super) async fn an_old_claim_is_fenced_and_nothing_of_its_transaction_remains(bench: &mut Bench) {
    bench.apply(&[&insert("t", ONE)]).await.unwrap();
    let new = bench.claim_again().await.unwrap();
    let before = bench.standing().await;
    let both = [(Some("key"), &*insert("t", TWO)), (None, &*insert("new", ONE))];
    assert!(matches!(bench.apply_with(&both).await, Err(StoreError::Fenced)));
    assert_eq!(bench.standing().await, before);
    assert_eq!(bench.rows("t").await.unwrap(), [r#"{"id":1}"#]);
    assert_eq!(bench.rows("new").await, None);
    bench.claim = new;
    let fates = bench.apply_with(&[(Some("key"), &insert("t", "id INTEGER 3"))]).await.unwrap();
    assert_eq!(fates, [Fate::Applied], "the key is free");
}

pub(super) async fn another_journal_stops_the_claim(bench: &mut Bench) {
    let place = bench.place();
    let request = ClaimRequest { place: &place, journal: "another", start: 0, owner: "me" };
    match bench.store.claim(request).await {
        Err(StoreError::Stop(reason)) => assert!(reason.words().contains("accept-loss changes"), "{reason}"),
        other => panic!("{other:?}"),
    }
    bench.apply(&[&insert("t", ONE)]).await.expect("the claim that was refused fences nobody");
}

pub(super) async fn documents_apply_in_order_and_all_or_none(bench: &mut Bench) {
    let kept = bench.append(&[(None, &insert("t", ONE)), (None, &insert("t", TWO)), (None, BAD)]).await;
    let documents = documents(&bench.stream, &kept);
    let mut transaction = bench.store.begin(&bench.stream.apply.rules, None).await.unwrap();
    let refusal = transaction.apply(&documents.whole()).await.unwrap_err();
    assert!(refusal.at.is_none_or(|at| at == 2), "{refusal:?}");
    refused::<()>(Err(refusal.error), ProblemType::UnknownTable);
    // The transaction goes on without it.
    assert_eq!(transaction.apply(&documents.part(0..2)).await.unwrap(), [Fate::Applied, Fate::Applied]);
    let letter = bench.letter(&kept[2], ProblemType::UnknownTable);
    transaction.set_aside(&letter).await.unwrap();
    let tally = Tally { applied: 2, dead_lettered: 1, ..Tally::default() };
    transaction.advance(&bench.claim, 3, tally).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(bench.rows("t").await.unwrap(), [r#"{"id":1}"#, r#"{"id":2}"#]);
    assert_eq!(bench.rows("made_by_bad").await, None);
    let balance = bench.balances().await;
    assert_eq!((balance.accepted, balance.applied, balance.dead_lettered, balance.waiting), (3, 2, 1, 0));
}

pub(super) async fn the_same_batch_twice_changes_nothing(bench: &mut Bench) {
    let kept = bench.append(&[(Some("key"), &insert("t", ONE)), (None, &insert("t", TWO))]).await;
    let before = bench.claim.clone();
    bench.apply_kept(&kept).await.unwrap();
    let (after, standing) = (std::mem::replace(&mut bench.claim, before), bench.standing().await);
    assert!(matches!(bench.apply_kept(&kept).await, Err(StoreError::Fenced)));
    assert_eq!(bench.standing().await, standing);
    assert_eq!(bench.rows("t").await.unwrap().len(), 2);
    bench.claim = after;
    bench.apply(&[&insert("t", "id INTEGER 3")]).await.expect("the claim itself still holds");
    bench.balances().await;
}

pub(super) async fn a_dropped_transaction_leaves_nothing(bench: &mut Bench) {
    let before = bench.standing().await;
    let kept = bench.append(&[(Some("key"), &insert("t", ONE)), (None, BAD)]).await;
    for _ in 0..2 {
        let document = documents(&bench.stream, &kept[..1]);
        let mut transaction = bench.store.begin(&bench.stream.apply.rules, None).await.unwrap();
        assert_eq!(transaction.apply(&document.whole()).await.unwrap(), [Fate::Applied]);
        transaction.set_aside(&bench.letter(&kept[1], ProblemType::UnknownTable)).await.unwrap();
        let tally = Tally { applied: 1, dead_lettered: 1, ..Tally::default() };
        transaction.advance(&bench.claim, 2, tally).await.unwrap();
        drop(transaction);
        assert_eq!(bench.standing().await, before);
        assert_eq!(bench.rows("t").await, None);
        assert_eq!(bench.store.books().letter(&kept[1].position).await.unwrap(), None);
    }
    bench.apply_kept(&kept[..1]).await.expect("what the store knew of the tables was forgotten as well");
    assert_eq!(bench.rows("t").await.unwrap(), [r#"{"id":1}"#]);
}

pub(super) async fn a_table_goes_with_the_document_that_made_it(bench: &mut Bench) {
    bench.apply(&[&insert("t", ONE)]).await.unwrap();
    let widen = insert("t", "id INTEGER 2, extra TEXT \"x\"");
    let widen = format!("{},{}", widen.strip_suffix("]}").unwrap(), BAD.trim_start_matches("{\"activities\":["));
    for document in [BAD, &widen] {
        refused(bench.apply(&[document]).await, ProblemType::UnknownTable);
    }
    assert_eq!(bench.rows("made_by_bad").await, None);
    assert_eq!(bench.rows("t").await.unwrap(), [r#"{"id":1}"#]);
    // Others may make the table and the column otherwise.
    let otherwise = [insert("made_by_bad", "id TEXT \"x\""), insert("t", "id INTEGER 3, extra BOOLEAN true")];
    bench.apply(&[&otherwise[0], &otherwise[1]]).await.unwrap();
    assert_eq!(bench.rows("made_by_bad").await.unwrap(), [r#"{"id":"x"}"#]);
    assert_eq!(bench.rows("t").await.unwrap()[1], r#"{"id":3,"extra":true}"#);
    bench.balances().await;
}

pub(super) async fn a_key_stands_for_one_document(bench: &mut Bench) {
    let (one, two) = (insert("t", ONE), insert("t", TWO));
    let first = bench.append(&[(Some("key"), &one), (Some("key"), &one), (Some("other"), &one)]).await;
    let of = first[0].position.clone();
    let fates = bench.apply_kept(&first).await.unwrap();
    assert_eq!(fates, [Fate::Applied, Fate::Duplicate { of: of.clone() }, Fate::Applied]);
    assert_eq!(bench.apply_with(&[(Some("key"), &one)]).await.unwrap(), [Fate::Duplicate { of }], "also later");
    assert_eq!(bench.rows("t").await.unwrap().len(), 2);
    let problem = refused(bench.apply_with(&[(Some("key"), &two)]).await, ProblemType::IdempotencyKeyReused);
    assert!(problem.detail.contains("topic-0-0"), "{problem}");
    let balance = bench.balances().await;
    assert_eq!((balance.applied, balance.duplicates, balance.waiting), (2, 2, 1));
}

pub(super) async fn many_keys_at_once_are_noted_and_those_that_are_known_found(bench: &mut Bench) {
    let document = insert("t", ONE);
    let (mut first, mut next_offset) = (std::collections::HashMap::new(), 0);
    // All new, some known, all known, all new again, some twice, few of them known.
    for keys in [0..100, 50..150, 0..150, 200..300, 290..310, 300..400, 0..1, 500..510] {
        let names: Vec<_> =
            keys.clone().chain(keys.start..keys.start + keys.len() / 10).map(|n| format!("key {n}")).collect();
        let sent: Vec<_> = names.iter().map(|name| (Some(name.as_str()), document.as_str())).collect();
        let fates = bench.apply_with(&sent).await.unwrap();
        for (name, fate) in names.iter().zip(fates) {
            let of = *first.entry(name.clone()).or_insert(next_offset);
            let expected = match of == next_offset {
                true => Fate::Applied,
                false => {
                    Fate::Duplicate { of: Position { topic: bench.stream.topic.clone(), partition: 0, offset: of } }
                }
            };
            assert_eq!(fate, expected, "{name} at {next_offset}");
            next_offset += 1;
        }
    }
    assert_eq!(bench.rows("t").await.unwrap().len(), first.len());
    bench.balances().await;
    // A refused document does not spoil it.
    let names: Vec<_> = (600..640).map(|n| format!("key {n}")).collect();
    let mut sent: Vec<_> = names.iter().map(|name| (Some(name.as_str()), document.as_str())).collect();
    sent[20].1 = BAD;
    refused(bench.apply_with(&sent).await, ProblemType::UnknownTable);
    sent.remove(20);
    assert_eq!(bench.apply_with(&sent).await.unwrap(), vec![Fate::Applied; 39]);
}

pub(super) async fn a_key_is_free_when_its_document_did_not_apply(bench: &mut Bench) {
    refused(bench.apply_with(&[(Some("key"), BAD)]).await, ProblemType::UnknownTable);
    let fates = bench.apply_with(&[(Some("key"), &insert("t", ONE))]).await.unwrap();
    assert_eq!(fates, [Fate::Applied]);
}

pub(super) async fn a_dead_letter_keeps_its_key(bench: &mut Bench) {
    let letters = bench.set_aside(ProblemType::UnknownTable, &[(Some("key"), BAD)]).await;
    let again = bench.apply_with(&[(Some("key"), BAD)]).await.unwrap();
    assert_eq!(again, [Fate::Duplicate { of: letters[0].clone() }]);
    let another = bench.apply_with(&[(Some("key"), &insert("t", ONE))]).await;
    refused(another, ProblemType::IdempotencyKeyReused);
}

pub(super) async fn statements_are_told_when_asked_for(bench: &mut Bench) {
    let kept = bench.append(&[(None, &insert("t", ONE))]).await;
    for is_asked in [false, true] {
        let mut transaction = bench.store.begin(&bench.stream.apply.rules, None).await.unwrap();
        if is_asked {
            transaction.record_statements();
        }
        transaction.apply(&documents(&bench.stream, &kept).whole()).await.unwrap();
        let statements = transaction.statements().join("\n");
        for word in ["CREATE TABLE", "INSERT INTO"] {
            assert_eq!(statements.contains(word), is_asked, "{statements}");
        }
    }
}
