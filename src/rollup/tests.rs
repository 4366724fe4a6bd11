//! The fold as a whole.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::*;
use crate::document::{Position, TopicName};
use crate::record::{Headers, Kept, Record};

fn at(pointer: &str) -> Place {
    Place::parse(pointer).unwrap()
}

fn summary(name: &str, function: Function, of: &str) -> Summary {
    Summary { name: name.into(), function, of: at(of) }
}

/// Every function, over one field and one time.
fn everything() -> Definition {
    Definition {
        key: vec![Named { name: "userId".into(), at: at("/userId") }],
        summaries: vec![
            summary("smallest", Function::Min, "/x"),
            summary("greatest", Function::Max, "/x"),
            summary("documents", Function::Count, ""),
            summary("xs", Function::Count, "/x"),
            summary("total", Function::Sum, "/x"),
            summary("mean", Function::Average, "/x"),
            summary("first", Function::First(at("/m/t")), "/x"),
            summary("last", Function::Last(at("/m/t")), ""),
        ],
        chosen: None,
        window: None,
    }
}

fn sightings() -> Definition {
    Definition {
        key: vec![Named { name: "userId".into(), at: at("/userId") }],
        summaries: vec![
            summary("firstSeen", Function::Min, "/metadata/timestamp"),
            summary("lastSeen", Function::Max, "/metadata/timestamp"),
        ],
        chosen: None,
        window: None,
    }
}

fn kept(offset: i64, value: &str) -> Kept {
    let position = Position { topic: TopicName::parse("t").unwrap(), partition: 0, offset };
    let value = Bytes::copy_from_slice(value.as_bytes());
    Kept { position, record: Record { key: None, value, headers: Headers::default(), timestamp_ms: 1_000 } }
}

fn values(definition: &Definition, documents: &[&str]) -> Vec<String> {
    let kept: Vec<Kept> = (0..).zip(documents).map(|(offset, text)| kept(offset, text)).collect();
    let (states, _) = fold(definition, [&kept[..]]);
    states.iter().map(|(key, state)| state.value(definition, key)).collect()
}

/// Folds batches one after the other, as a running rollup does.
fn fold<'k>(
    definition: &Definition,
    batches: impl IntoIterator<Item = &'k [Kept]>,
) -> (BTreeMap<Key, State>, Vec<Counts>) {
    let rollup = Rollup::new(definition.clone());
    let (mut watermark, mut seen) = (Watermark::default(), Seen::new(i64::MAX));
    let (mut states, mut counts) = (BTreeMap::<Key, State>::new(), Vec::new());
    for records in batches {
        let mut batch = Batch::default();
        for kept in records {
            let _ = batch.take(&rollup, (kept, rollup.read(kept)), &mut watermark, &mut seen, false);
        }
        let (changed, counted, _) = batch.finish();
        assert_eq!(counted.read(), records.len() as u64, "every record is counted once");
        counts.push(counted);
        seen.commit(0);
        for (key, state) in changed {
            match states.get_mut(&key) {
                Some(known) => known.merge(state),
                None => drop(states.insert(key, state)),
            }
        }
    }
    (states, counts)
}

#[test]
fn first_and_last_seen_are_what_the_sightings_say() {
    let sighting = |user: &str, time: i64| format!(r#"{{"userId":"{user}","metadata":{{"timestamp":{time}}}}}"#);
    let documents = [sighting("j2", 5), sighting("j1", 1534386588), sighting("j1", 1534382478), sighting("j2", 4)];
    let documents: Vec<&str> = documents.iter().map(String::as_str).collect();
    assert_eq!(
        values(&sightings(), &documents),
        [
            r#"{"userId":"j1","firstSeen":1534382478,"lastSeen":1534386588}"#,
            r#"{"userId":"j2","firstSeen":4,"lastSeen":5}"#
        ]
    );
}

#[test]
fn each_function_sums_up_what_it_says() {
    let documents = [
        r#"{"userId":"a","x":1.50,"m":{"t":"2026-01-01T01:00:00+01:00"}}"#,
        r#"{"userId":"a","x":9223372036854775807,"m":{"t":"2026-01-01T00:00:00Z"}}"#,
        r#"{"userId":"a","m":{"t":"2026-01-01T00:00:00Z"}}"#,
        r#"{"userId":"a","x":null,"m":{"t":1}}"#,
    ];
    assert_eq!(
        values(&everything(), &documents),
        [concat!(
            r#"{"userId":"a","smallest":1.50,"greatest":9223372036854775807,"documents":4,"xs":2,"#,
            r#""total":9223372036854775808.50,"mean":4611686018427387904.25,"first":1.50,"#,
            r#""last":{"userId":"a","m":{"t":"2026-01-01T00:00:00Z"}}}"#
        )]
    );
}

#[test]
fn what_cannot_be_summed_up_says_why() {
    let mut windowed = everything();
    windowed.window = Some(Window { of_ms: 3_600_000, at: at("/m/t"), unit: Unit::Seconds, keep_ms: None });
    let long = format!(r#"{{"userId":"{}","m":{{"t":1}}}}"#, "x".repeat(TEXT_BYTES_MAX + 1));
    for (text, reason, place) in [
        ("{", Reason::UnreadableRecord, "line 1"),
        (r#"{"userId":"a","m":{"t":1}} x"#, Reason::UnreadableRecord, "line 1"),
        ("5", Reason::MissingKey, "/userId"),
        (r#"{"m":{"t":1}}"#, Reason::MissingKey, "/userId"),
        (r#"{"userId":null}"#, Reason::MissingKey, "/userId"),
        (r#"{"userId":["a"]}"#, Reason::WrongKind, "/userId"),
        (r#"{"userId":1e9999}"#, Reason::ValueOutOfRange, "/userId"),
        (&long, Reason::ValueOutOfRange, "/userId"),
        (r#"{"userId":"a"}"#, Reason::MissingTime, "/m/t"),
        (r#"{"userId":"a","m":{"t":"soon"}}"#, Reason::WrongKind, "/m/t"),
        (r#"{"userId":"a","m":{"t":true}}"#, Reason::WrongKind, "/m/t"),
        (r#"{"userId":"a","m":{"t":1e30}}"#, Reason::ValueOutOfRange, "/m/t"),
        (r#"{"userId":"a","m":{"t":1},"x":"5"}"#, Reason::WrongKind, "/x"),
        (r#"{"userId":"a","m":{"t":1},"x":[5]}"#, Reason::WrongKind, "/x"),
        (r#"{"userId":"a","m":{"t":1},"x":1e100000}"#, Reason::ValueOutOfRange, "/x"),
    ] {
        let Reading::Skipped(skipped) = Rollup::new(windowed.clone()).read(&kept(0, text)) else {
            panic!("{text:.40} is summed up");
        };
        assert_eq!(skipped.reason, reason, "{text:.40}");
        assert!(skipped.detail.contains(place), "{text:.40}: {}", skipped.detail);
    }
}

#[test]
fn keys_are_equal_where_their_values_are() {
    let mut definition = sightings();
    for (documents, keys) in [
        (vec!["1", "1.0", "1e0", "10e-1"], vec!["[1]"]),
        (vec!["0", "-0", "0.00"], vec!["[0]"]),
        (vec!["1", "\"1\"", "true"], vec!["[\"1\"]", "[1]", "[true]"]),
        (vec![r#""a\/b""#, r#""a/b""#, r#""\u0061/b""#], vec!["[\"a/b\"]"]),
    ] {
        let texts: Vec<Kept> =
            (0..).zip(&documents).map(|(offset, key)| kept(offset, &format!(r#"{{"userId":{key}}}"#))).collect();
        let (states, _) = fold(&definition, [&texts[..]]);
        assert_eq!(states.keys().map(Key::as_str).collect::<Vec<_>>(), keys, "{documents:?}");
    }
    definition.key =
        vec![Named { name: "type".into(), at: at("ce.type") }, Named { name: "second".into(), at: at("/list/1") }];
    let mut record = kept(0, r#"{"list":[1,"b"]}"#);
    record.record.headers.form = "seen".into();
    let (states, _) = fold(&definition, [&[record][..]]);
    let values: Vec<_> = states.iter().map(|(key, state)| state.value(&definition, key)).collect();
    assert_eq!(values, [r#"{"type":"seen","second":"b","firstSeen":null,"lastSeen":null}"#]);
}

#[test]
fn only_what_is_chosen_counts() {
    let mut definition = sightings();
    for (wanted, text, is_chosen) in [
        (vec!["\"Event\""], r#"{"userId":"a","type":"Event"}"#, true),
        (vec!["\"Event\""], r#"{"userId":"a","type":"Other"}"#, false),
        (vec!["\"Event\""], r#"{"userId":"a"}"#, false),
        (vec!["1", "null"], r#"{"userId":"a","type":1.0}"#, true),
        (vec!["1", "null"], r#"{"userId":"a","type":null}"#, true),
        (vec!["1", "null"], r#"{"userId":"a","type":"1"}"#, false),
        // What does not count need not have a key.
        (vec!["true"], r#"{"type":false}"#, false),
    ] {
        definition.chosen = Some(Chosen { at: at("/type"), values: wanted.iter().map(|it| (*it).into()).collect() });
        let reading = Rollup::new(definition.clone()).read(&kept(0, text));
        assert_eq!(matches!(reading, Reading::One(_)), is_chosen, "{wanted:?} {text}");
        assert_eq!(reading == Reading::NotChosen, !is_chosen, "{wanted:?} {text}");
    }
}

#[test]
fn a_window_is_part_of_the_key_and_late_documents_are_counted() {
    let mut definition = sightings();
    let at = at("/metadata/timestamp");
    definition.window = Some(Window { of_ms: 3_600_000, at, unit: Unit::Seconds, keep_ms: Some(3_600_000) });
    let documents: Vec<Kept> = (0..)
        .zip([0, 3_599, 3_600, 10, 7_199, 7_200, 20, 3_601])
        .map(|(offset, time)| {
            let mut kept = kept(offset, &format!(r#"{{"userId":"a","metadata":{{"timestamp":{time}}}}}"#));
            kept.record.timestamp_ms = 7_200_000;
            kept
        })
        .collect();
    let (states, counts) = fold(&definition, [&documents[..]]);
    let values: Vec<_> = states.iter().map(|(key, state)| state.value(&definition, key)).collect();
    assert_eq!(
        values,
        [
            r#"{"userId":"a","window":"1970-01-01T00:00:00Z","firstSeen":0,"lastSeen":3599}"#,
            r#"{"userId":"a","window":"1970-01-01T01:00:00Z","firstSeen":3600,"lastSeen":7199}"#,
            r#"{"userId":"a","window":"1970-01-01T02:00:00Z","firstSeen":7200,"lastSeen":7200}"#,
        ]
    );
    assert_eq!((counts[0].summed, counts[0].late), (7, 1), "20 came when its window had closed");
    for one in documents.chunks(1).map(|one| one.to_vec()).collect::<Vec<_>>().windows(1) {
        assert_eq!(fold(&definition, [&one[0][..]]).1[0].late, 0, "time is that of the events before it");
    }
    let split: Vec<&[Kept]> = documents.chunks(1).collect();
    assert_eq!(fold(&definition, split).0, states, "how the records are cut into batches says nothing");
}

#[test]
fn a_repeated_idempotency_key_counts_once() {
    let keyed = |offset, key: Option<&str>, ms| {
        let mut kept = kept(offset, r#"{"userId":"a","x":1,"m":{"t":1}}"#);
        kept.record.headers.idempotency_key = key.map(str::to_owned);
        kept.record.timestamp_ms = ms;
        kept
    };
    let rollup = Rollup::new(everything());
    let (mut watermark, mut seen) = (Watermark::default(), Seen::new(100));
    let mut take = |seen: &mut Seen, kept: Kept| {
        let mut batch = Batch::default();
        batch.take(&rollup, (&kept, rollup.read(&kept)), &mut watermark, seen, false).unwrap();
        let (_, counts, _) = batch.finish();
        (counts.summed, counts.duplicates)
    };
    assert_eq!(take(&mut seen, keyed(0, Some("k"), 0)), (1, 0));
    assert_eq!(take(&mut seen, keyed(1, Some("k"), 1)), (0, 1));
    assert_eq!(take(&mut seen, keyed(2, None, 2)), (1, 0));
    assert_eq!(take(&mut seen, keyed(3, None, 3)), (1, 0));
    let written: Vec<_> = seen.fresh().collect();
    seen.commit(99);
    let mut restored = Seen::new(100);
    written.into_iter().for_each(|(at, digest)| restored.restore(at, digest));
    assert!(restored.knows(&keyed(4, Some("k"), 4)) && !restored.knows(&keyed(4, Some("l"), 4)));
    assert_eq!(take(&mut restored, keyed(4, Some("k"), 4)), (0, 1), "after a restart");
    assert_eq!(seen.commit(100), 1);
    assert_eq!(take(&mut seen, keyed(5, Some("k"), 101)), (1, 0), "forgotten by its age");
}

#[test]
fn a_state_of_another_definition_is_refused() {
    let definition = everything();
    let documents = [kept(0, r#"{"userId":"a","x":1,"m":{"t":1}}"#)];
    let (states, _) = fold(&definition, [&documents[..]]);
    let (key, state) = states.iter().next().unwrap();
    assert!(State::from_value(&definition, &state.value(&definition, key), None).is_ok_and(|it| it != *state));
    for text in ["", "{}", "[]", "[[],[]]", "[[1,2,3,4,5,6,7,8],[null,null,null,null,null,5]]", "nonsense"] {
        assert!(State::from_text(&definition, text).is_err(), "{text}");
    }
    assert!(State::from_value(&definition, r#"{"userId":"a"}"#, None).is_err());
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        (any::<i32>(), 0u32..9).prop_map(|(digits, scale)| format!("{digits}.{scale:03}")),
        (-99i32..99, -30i32..30).prop_map(|(digits, exponent)| format!("{digits}e{exponent}")),
    ]
}

fn document() -> impl Strategy<Value = String> {
    let time = prop_oneof![
        (0..20i64).prop_map(|time| time.to_string()),
        (0..20i64).prop_map(|second| format!("\"2026-01-01T00:00:{second:02}Z\"")),
        (0..20i64).prop_map(|second| format!("\"2026-01-01T01:00:{second:02}+01:00\"")),
    ];
    let x = prop_oneof![4 => number(), 1 => Just("null".to_owned()), 1 => Just("\"wrong\"".to_owned())];
    (0..4, x, time).prop_map(|(user, x, time)| format!(r#"{{"userId":"j{user}","x":{x},"m":{{"t":{time}}}}}"#))
}

proptest! {
    #[test]
    fn any_order_and_any_cut_give_the_plain_fold(
        documents in proptest::collection::vec(document(), 0..40),
        shuffle in any::<u64>(),
        cut in 1usize..10,
    ) {
        let definition = everything();
        let records: Vec<Kept> = (0..).zip(&documents).map(|(offset, text)| kept(offset, text)).collect();
        let (plain, _) = fold(&definition, [&records[..]]);
        let mut shuffled = records.clone();
        shuffled.sort_by_key(|kept| crate::digest(&[kept.position.offset.to_be_bytes(), shuffle.to_be_bytes()].concat()));
        prop_assert_eq!(&fold(&definition, shuffled.chunks(cut)).0, &plain);
        // Halves that were folded apart merge to the same.
        let (left, right) = shuffled.split_at(shuffled.len() / 2);
        let (mut merged, _) = fold(&definition, [left]);
        for (key, state) in fold(&definition, [right]).0 {
            match merged.get_mut(&key) {
                Some(known) => known.merge(state),
                None => drop(merged.insert(key, state)),
            }
        }
        prop_assert_eq!(merged, plain);
    }

    #[test]
    fn records_with_keys_that_come_again_change_nothing(documents in proptest::collection::vec(document(), 1..20)) {
        let definition = everything();
        let records: Vec<Kept> = (0..).zip(&documents).map(|(offset, text)| {
            let mut kept = kept(offset, text);
            kept.record.headers.idempotency_key = Some(format!("k{offset}"));
            kept
        }).collect();
        let (plain, _) = fold(&definition, [&records[..]]);
        prop_assert_eq!(fold(&definition, [&records[..], &records[..], &records[..]]).0, plain);
    }

    #[test]
    fn what_is_written_down_is_read_back_exactly(documents in proptest::collection::vec(document(), 1..20)) {
        let definition = everything();
        let records: Vec<Kept> = (0..).zip(&documents).map(|(offset, text)| kept(offset, text)).collect();
        for (key, state) in fold(&definition, [&records[..]]).0 {
            let rest = state.rest();
            let value = state.value(&definition, &key);
            let broken = |error: Broken| TestCaseError::fail(error.to_string());
            prop_assert_eq!(&State::from_value(&definition, &value, rest.as_deref()).map_err(broken)?, &state);
            prop_assert_eq!(&State::from_text(&definition, &state.text()).map_err(broken)?, &state);
            crate::json::check(&value).map_err(|fault| TestCaseError::fail(fault.to_string()))?;
        }
    }
}
