//! The contract of a journal: one list of promises, and every journal keeps each of them.
//!
//! A new journal is one line in [`every_journal`], one in [`every_log`] if its records have offsets, and one in
//! [`every_journal_that_retains`] if it removes old records itself: Kafka's brokers do. What only one journal promises stands in `journal/sqlite.rs` and `journal/kafka*.rs`.

#[path = "journal/sqlite.rs"]
mod file;
mod kafka_group;
#[path = "journal/kafka.rs"]
mod kafka_only;
mod retention;
mod transactional;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluicegate::clock;
use sluicegate::document::TopicName;
use sluicegate::journal::kafka::KafkaJournal;
use sluicegate::journal::memory::MemoryJournal;
use sluicegate::journal::sqlite::SqliteJournal;
use sluicegate::journal::{
    Consumer, Delivery, Extent, Journal, JournalError, Log, Retention, RetentionLimits, Transactional,
};
use sluicegate::record::{Headers, Kept, Record};

use crate::support::services;

use self::retention::{
    a_follower_begins_where_the_topic_holds_records, age_lets_old_records_go, nothing_is_kept_for_a_follower,
    nothing_is_kept_for_a_group_that_is_forgotten, records_are_counted_one_by_one,
    retention_does_not_pass_a_group_that_still_reads,
    retention_waits_for_the_first_reader_of_a_topic_that_is_to_be_read, size_lets_the_oldest_records_go,
    the_size_limit_holds_however_many_records_have_gone, what_is_gone_is_not_read_and_its_offsets_are_not_given_again,
};

use self::transactional::{
    groups_move_by_themselves, records_and_a_position_move_together, whoever_is_no_mover_any_more_changes_nothing,
};

/// Everything that is waited for comes long before.
const PATIENCE: Duration = Duration::from_secs(10);

/// Long enough to show that nothing comes.
const A_MOMENT: Duration = Duration::from_millis(60);

const FOREVER: RetentionLimits = RetentionLimits { age: Duration::from_secs(1 << 40), bytes_max: u64::MAX };
const NOTHING: RetentionLimits = RetentionLimits { age: FOREVER.age, bytes_max: 0 };

/// A journal to be tested, and the folder it lives in.
struct Tested {
    journal: Arc<dyn Journal>,
    _folder: Option<tempfile::TempDir>,
}

/// A log, and what removes its old records.
struct Retaining {
    log: Arc<dyn Log>,
    retention: Arc<dyn Retention>,
}

impl Tested {
    fn journal(&self) -> Arc<dyn Journal> {
        Arc::clone(&self.journal)
    }

    fn log(&self) -> Arc<dyn Log> {
        self.journal().log().unwrap()
    }

    fn transactional(&self) -> Arc<dyn Transactional> {
        self.journal().transactional().unwrap()
    }

    fn retaining(&self) -> Retaining {
        Retaining { log: self.log(), retention: self.journal().retention().unwrap() }
    }
}

fn open_memory() -> Option<Tested> {
    Some(Tested { journal: Arc::new(MemoryJournal::new()), _folder: None })
}

fn open_sqlite() -> Option<Tested> {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(&folder.path().join("journal.db")).unwrap();
    Some(Tested { journal: Arc::new(journal), _folder: Some(folder) })
}

/// None when there is no Kafka, which was said.
fn open_kafka() -> Option<Tested> {
    let folder = tempfile::tempdir().unwrap();
    let journal = KafkaJournal::open(&services::kafka()?, folder.path()).unwrap();
    Some(Tested { journal: Arc::new(journal), _folder: Some(folder) })
}

macro_rules! suite {
    ($journal:ident, $open:path, $ask:path: $($promise:ident)+) => {
        mod $journal {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let Some(tested) = $open() else { return };
                super::$promise(&$ask(&tested)).await;
            })+
        }
    };
}

macro_rules! every_journal {
    ($($promise:ident)+) => {
        suite!(memory, super::open_memory, super::Tested::journal: $($promise)+);
        suite!(sqlite, super::open_sqlite, super::Tested::journal: $($promise)+);
        suite!(kafka, super::open_kafka, super::Tested::journal: $($promise)+);
    };
}

macro_rules! every_log {
    ($($promise:ident)+) => {
        suite!(memory_log, super::open_memory, super::Tested::log: $($promise)+);
        suite!(sqlite_log, super::open_sqlite, super::Tested::log: $($promise)+);
        suite!(kafka_log, super::open_kafka, super::Tested::log: $($promise)+);
    };
}

macro_rules! every_transactional_journal {
    ($($promise:ident)+) => {
        suite!(memory_moves, super::open_memory, super::Tested::transactional: $($promise)+);
        suite!(sqlite_moves, super::open_sqlite, super::Tested::transactional: $($promise)+);
        suite!(kafka_moves, super::open_kafka, super::Tested::transactional: $($promise)+);
    };
}

macro_rules! every_journal_that_retains {
    ($($promise:ident)+) => {
        suite!(memory_retains, super::open_memory, super::Tested::retaining: $($promise)+);
        suite!(sqlite_retains, super::open_sqlite, super::Tested::retaining: $($promise)+);
    };
}

every_journal! {
    it_is_itself_and_takes_documents
    appended_records_get_positions_in_their_topic
}

every_log! {
    appended_records_stand_at_consecutive_positions
    records_come_back_byte_for_byte
    appends_of_many_tasks_get_distinct_positions_in_each_tasks_order
    a_reader_begins_where_it_seeks
    a_seek_to_where_nothing_is_stops
    nothing_is_delivered_before_a_seek
    nothing_from_before_a_seek_is_delivered_after_it
    a_waiting_reader_is_woken_by_an_append
    a_paused_reader_gets_nothing_until_it_seeks
    a_held_reader_goes_on_where_it_was
    a_cancelled_wait_loses_nothing
    one_member_of_a_group_reads_and_the_other_takes_over_when_it_leaves
    two_groups_each_get_everything
    topics_do_not_mix
    a_follower_reads_without_being_a_member_and_is_woken
    extents_tell_what_is_there
}

every_transactional_journal! {
    records_and_a_position_move_together
    whoever_is_no_mover_any_more_changes_nothing
    groups_move_by_themselves
}

every_journal_that_retains! {
    a_follower_begins_where_the_topic_holds_records
    nothing_is_kept_for_a_follower
    what_is_gone_is_not_read_and_its_offsets_are_not_given_again
    age_lets_old_records_go
    size_lets_the_oldest_records_go
    the_size_limit_holds_however_many_records_have_gone
    retention_does_not_pass_a_group_that_still_reads
    retention_waits_for_the_first_reader_of_a_topic_that_is_to_be_read
    nothing_is_kept_for_a_group_that_is_forgotten
    records_are_counted_one_by_one
}

#[tokio::test]
async fn a_journal_says_what_it_can_do() {
    for (open, retains) in [(open_memory as fn() -> _, true), (open_sqlite, true), (open_kafka, false)] {
        let Some(Tested { journal, .. }) = open() else { continue };
        let log = Arc::clone(&journal).log().expect("all of them are logs");
        assert_eq!(log.identity(), journal.identity(), "the log is the journal itself");
        assert_eq!(journal.retention().is_some(), retains);
    }
}

/// A name that no other test has.
fn topic(name: &str) -> TopicName {
    TopicName::parse(&services::unique(name)).unwrap()
}

/// A new topic.
async fn open<J: Journal + ?Sized>(journal: &Arc<J>, name: &str) -> TopicName {
    let topic = topic(name);
    journal.open_topic(&topic, u64::MAX).await.unwrap();
    topic
}

/// A group that only readers of this topic are in.
fn group(topic: &TopicName, name: &str) -> String {
    format!("{topic}.{name}")
}

fn record(value: impl Into<Bytes>) -> Record {
    let headers = Headers {
        id: "id".into(),
        source: "s".into(),
        form: "event".into(),
        idempotency_key: None,
        ..Headers::default()
    };
    Record { key: None, value: value.into(), headers, timestamp_ms: clock::now_ms() }
}

fn records(values: std::ops::Range<u32>) -> Vec<Record> {
    values.map(|value| record(value.to_string())).collect()
}

async fn append<J: Journal + ?Sized>(journal: &Arc<J>, topic: &TopicName, records: Vec<Record>) -> Vec<i64> {
    let positions = journal.append(topic, records).await.unwrap();
    assert!(positions.iter().all(|position| position.topic == *topic && position.partition == 0));
    positions.into_iter().map(|position| position.offset).collect()
}

/// Waits until `consumer` is assigned partition 0.
async fn assigned(consumer: &mut dyn Consumer) {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match consumer.next(A_MOMENT).await.unwrap() {
            Delivery::Assigned(partition) => return assert_eq!(partition, 0),
            Delivery::Nothing => {}
            other => panic!("expected to be assigned, not {other:?}"),
        }
    }
    panic!("was not assigned in time");
}

/// A member of `group` that reads from `offset`.
async fn reader(journal: &Arc<dyn Log>, topic: &TopicName, group: &str, offset: i64) -> Box<dyn Consumer> {
    let mut consumer = journal.subscribe(topic, &self::group(topic, group), 500).await.unwrap();
    assigned(&mut *consumer).await;
    consumer.seek(0, offset).await.unwrap();
    consumer
}

/// Reads `count` records.
async fn read(consumer: &mut dyn Consumer, count: usize) -> Vec<Kept> {
    let until = Instant::now() + PATIENCE;
    let mut found: Vec<Kept> = Vec::new();
    while found.len() < count {
        assert!(Instant::now() < until, "{} of {count} records came in time", found.len());
        match consumer.next(PATIENCE).await.unwrap() {
            Delivery::Records(batch) => {
                assert_eq!(batch.next_offset, batch.records.last().unwrap().position.offset + 1);
                found.extend(batch.records);
            }
            other => panic!("expected records, not {other:?}"),
        }
    }
    found
}

fn offsets(found: &[Kept]) -> Vec<i64> {
    found.iter().map(|kept| kept.position.offset).collect()
}

async fn bounds(journal: &Arc<dyn Log>, topic: &TopicName) -> (i64, i64) {
    let extents = journal.extents(topic).await.unwrap();
    let [Extent { partition: 0, start, end }] = extents[..] else { panic!("{extents:?}") };
    if let Some(retention) = Arc::clone(journal).retention() {
        assert_eq!(retention.count(topic, 0).await.unwrap(), Some(end - start), "of {extents:?}");
    }
    (start, end)
}

async fn it_is_itself_and_takes_documents(journal: &Arc<dyn Journal>) {
    journal.check().await.unwrap();
    assert!(!journal.identity().is_empty());
    assert!(journal.record_bytes_max() >= 1 << 20);
    for other in [open_memory(), open_sqlite()] {
        assert_ne!(other.unwrap().journal.identity(), journal.identity());
    }
}

async fn appended_records_get_positions_in_their_topic(journal: &Arc<dyn Journal>) {
    let topic = open(journal, "t").await;
    let offsets = append(journal, &topic, records(0..3)).await;
    assert_eq!(offsets.iter().collect::<BTreeSet<_>>().len(), 3, "each its own: {offsets:?}");
    assert_eq!(append(journal, &topic, Vec::new()).await, [0; 0]);
}

async fn appended_records_stand_at_consecutive_positions(journal: &Arc<dyn Log>) {
    let topic = open(journal, "t").await;
    for (count, expected) in [(1, 0..1), (3, 1..4), (0, 4..4), (700, 4..704)] {
        assert_eq!(append(journal, &topic, records(0..count)).await, expected.collect::<Vec<i64>>());
    }
    assert_eq!(bounds(journal, &topic).await, (0, 704));
}

async fn records_come_back_byte_for_byte(journal: &Arc<dyn Log>) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let headers = |key: Option<&str>| Headers {
        id: "0197-ü".into(),
        source: "a stream".into(),
        form: "\"form\"\n".into(),
        idempotency_key: key.map(str::to_owned),
        further: [("subject".to_owned(), "ü \"%\" \n".to_owned()), ("tenant".to_owned(), String::new())].into(),
    };
    let sent: Vec<_> = [
        (None, Bytes::new(), headers(None), 0),
        (Some(Bytes::new()), Bytes::from_static(b"{}"), headers(Some("")), 1_767_315_845_678),
        (Some(every_byte.clone().into()), every_byte.clone().into(), headers(Some("\u{1}file:/ä b")), -1),
        (Some(Bytes::from_static(b"k")), vec![b'x'; 1 << 20].into(), headers(Some("é")), i64::MAX),
    ]
    .map(|(key, value, headers, timestamp_ms)| Record { key, value, headers, timestamp_ms })
    .into();
    let topic = open(journal, "t").await;
    append(journal, &topic, sent.clone()).await;
    let mut consumer = reader(journal, &topic, "g", 0).await;
    let found = read(&mut *consumer, sent.len()).await;
    for (kept, sent) in found.into_iter().zip(sent) {
        assert!(kept.record == sent, "{:?} came back as another", sent.headers);
    }
}

async fn appends_of_many_tasks_get_distinct_positions_in_each_tasks_order(journal: &Arc<dyn Log>) {
    const TASKS: usize = 40;
    let topic = open(journal, "t").await;
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let (journal, topic) = (Arc::clone(journal), topic.clone());
        tasks.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            for turn in 0..10 {
                let pair = vec![record(format!("{task} {turn} a")), record(format!("{task} {turn} b"))];
                let at = append(&journal, &topic, pair).await;
                assert_eq!(at[1], at[0] + 1, "what is appended together stands together");
                mine.extend(at);
            }
            mine
        }));
    }
    let mut all = BTreeSet::new();
    for task in tasks {
        let mine = task.await.unwrap();
        assert!(mine.is_sorted(), "{mine:?}");
        all.extend(mine);
    }
    let count = TASKS * 20;
    assert_eq!(all, (0..count as i64).collect());
    let found = read(&mut *reader(journal, &topic, "g", 0).await, count).await;
    for pair in found.chunks(2) {
        let [first, second] = pair else { panic!() };
        assert_eq!(first.record.value.strip_suffix(b"a"), second.record.value.strip_suffix(b"b"));
    }
}

async fn a_reader_begins_where_it_seeks(journal: &Arc<dyn Log>) {
    let topic = open(journal, "t").await;
    append(journal, &topic, records(0..10)).await;
    let mut consumer = reader(journal, &topic, "g", 0).await;
    for from in [3, 0, 9, 5] {
        consumer.seek(0, from).await.unwrap();
        let found = read(&mut *consumer, (10 - from) as usize).await;
        assert_eq!(offsets(&found), (from..10).collect::<Vec<_>>());
        assert_eq!(found[0].record.value, from.to_string());
    }
    consumer.seek(0, 10).await.unwrap();
    assert!(matches!(consumer.next(A_MOMENT).await.unwrap(), Delivery::Nothing), "the end holds nothing yet");
    append(journal, &topic, records(10..11)).await;
    assert_eq!(offsets(&read(&mut *consumer, 1).await), [10]);
}

async fn a_seek_to_where_nothing_is_stops(journal: &Arc<dyn Log>) {
    let topic = open(journal, "t").await;
    append(journal, &topic, records(0..10)).await;
    let mut consumer = reader(journal, &topic, "g", 4).await;
    for offset in [-1, 11, i64::MAX] {
        stops(&mut *consumer, offset, "10").await;
    }
    consumer.seek(0, 10).await.unwrap();
}

/// Fails unless a seek there stops, with a reason that names what is there.
async fn stops(consumer: &mut dyn Consumer, offset: i64, named: &str) {
    match consumer.seek(0, offset).await {
        Err(JournalError::Stop(reason)) => {
            assert!(reason.words().contains('t') && reason.words().contains(named), "{reason}")
        }
        other => panic!("{offset}: {other:?}"),
    }
}

async fn nothing_from_before_a_seek_is_delivered_after_it(journal: &Arc<dyn Log>) {
    let topic = open(journal, "t").await;
    append(journal, &topic, records(0..2000)).await;
    let mut consumer = journal.subscribe(&topic, &group(&topic, "g"), 7).await.unwrap();
    assigned(&mut *consumer).await;
    for turn in 0..60 {
        let from = turn * 797 % 1990;
        consumer.seek(0, from).await.unwrap();
        // Of what was fetched, some is taken, and the rest is void.
        let found = read(&mut *consumer, 7).await;
        let expected: Vec<_> = (from..from + found.len() as i64).collect();
        assert_eq!(offsets(&found), expected, "turn {turn}");
    }
}

async fn a_held_reader_goes_on_where_it_was(journal: &Arc<dyn Log>) {
    let topic = open(journal, "t").await;
    append(journal, &topic, records(0..10)).await;
    let mut consumer = journal.subscribe(&topic, &group(&topic, "g"), 4).await.unwrap();
    assigned(&mut *consumer).await;
    consumer.seek(0, 0).await.unwrap();
    let before = offsets(&read(&mut *consumer, 1).await);
    consumer.pause(0);
    assert!(matches!(consumer.next(A_MOMENT).await.unwrap(), Delivery::Nothing));
    append(journal, &topic, records(10..12)).await;
    assert!(matches!(consumer.next(A_MOMENT).await.unwrap(), Delivery::Nothing));
    consumer.resume(0);
    let after = offsets(&read(&mut *consumer, 12 - before.len()).await);
    assert_eq!([before, after].concat(), (0..12).collect::<Vec<_>>());
    consumer.pause(0);
    consumer.seek(0, 3).await.unwrap();
    assert!(matches!(consumer.next(A_MOMENT).await.unwrap(), Delivery::Nothing), "a seek does not release");
    consumer.resume(0);
    assert_eq!(offsets(&read(&mut *consumer, 9).await), (3..12).collect::<Vec<_>>());
}

async fn nothing_is_delivered_before_a_seek(journal: &Arc<dyn Log>) {
    let topic = open(journal, "t").await;
    append(journal, &topic, records(0..1)).await;
    let mut consumer = journal.subscribe(&topic, &group(&topic, "g"), 500).await.unwrap();
    assigned(&mut *consumer).await;
    assert!(matches!(consumer.next(A_MOMENT).await.unwrap(), Delivery::Nothing));
    consumer.seek(0, 0).await.unwrap();
    read(&mut *consumer, 1).await;
}

async fn a_paused_reader_gets_nothing_until_it_seeks(journal: &Arc<dyn Log>) {
    let topic = open(journal, "t").await;
    append(journal, &topic, records(0..2)).await;
    let mut consumer = reader(journal, &topic, "g", 1).await;
    consumer.suspend(0);
    assert!(matches!(consumer.next(A_MOMENT).await.unwrap(), Delivery::Nothing));
    consumer.seek(0, 0).await.unwrap();
    assert_eq!(offsets(&read(&mut *consumer, 2).await), [0, 1]);
}

async fn a_waiting_reader_is_woken_by_an_append(journal: &Arc<dyn Log>) {
    let topic = open(journal, "t").await;
    append(journal, &topic, Vec::new()).await;
    let mut consumer = reader(journal, &topic, "g", 0).await;
    let waiting = tokio::spawn(async move { read(&mut *consumer, 1).await });
    tokio::task::yield_now().await;
    append(journal, &topic, records(0..1)).await;
    let woken = Instant::now();
    waiting.await.unwrap();
    assert!(woken.elapsed() < Duration::from_millis(250), "{:?}", woken.elapsed());
}

async fn a_cancelled_wait_loses_nothing(journal: &Arc<dyn Log>) {
    let topic = open(journal, "t").await;
    journal.open_topic(&topic, u64::MAX).await.unwrap();
    let mut consumer = journal.subscribe(&topic, &group(&topic, "g"), 500).await.unwrap();
    let (mut found, mut sent) = (Vec::new(), 0);
    let until = Instant::now() + PATIENCE;
    while found.len() < 200 {
        assert!(Instant::now() < until, "{} records came in time", found.len());
        if sent < 200 {
            append(journal, &topic, records(sent..sent + 5)).await;
            sent += 5;
        }
        let patience = Duration::from_micros(u64::from(sent) * 7 % 900);
        match tokio::time::timeout(patience, consumer.next(PATIENCE)).await {
            Ok(Ok(Delivery::Assigned(_))) => consumer.seek(0, 0).await.unwrap(),
            Ok(Ok(Delivery::Records(batch))) => found.extend(offsets(&batch.records)),
            Ok(other) => panic!("{other:?}"),
            Err(_cancelled) => {}
        }
    }
    assert_eq!(found, (0..200).collect::<Vec<_>>());
}

async fn one_member_of_a_group_reads_and_the_other_takes_over_when_it_leaves(journal: &Arc<dyn Log>) {
    let topic = open(journal, "t").await;
    append(journal, &topic, records(0..4)).await;
    let mut first = reader(journal, &topic, "g", 0).await;
    let mut second = journal.subscribe(&topic, &group(&topic, "g"), 500).await.unwrap();
    assert!(matches!(second.next(A_MOMENT).await.unwrap(), Delivery::Nothing), "one of two is assigned");
    assert_eq!(offsets(&read(&mut *first, 4).await), [0, 1, 2, 3]);
    first.commit(0, 2).await;
    first.leave().await;
    let left = Instant::now();
    assigned(&mut *second).await;
    assert!(left.elapsed() < Duration::from_secs(1), "the other takes over at once, not after {:?}", left.elapsed());
    second.seek(0, 2).await.unwrap();
    assert_eq!(offsets(&read(&mut *second, 2).await), [2, 3]);
}

async fn two_groups_each_get_everything(journal: &Arc<dyn Log>) {
    let topic = open(journal, "t").await;
    let expected = append(journal, &topic, records(0..600)).await;
    let mut readers = [reader(journal, &topic, "a", 0).await, reader(journal, &topic, "b", 0).await];
    for consumer in &mut readers {
        assert_eq!(offsets(&read(&mut **consumer, 600).await), expected);
    }
}

async fn topics_do_not_mix(journal: &Arc<dyn Log>) {
    let one = open(journal, "one").await;
    let other = TopicName::parse(&format!("{one}.other-1")).unwrap();
    journal.open_topic(&other, u64::MAX).await.unwrap();
    assert_eq!(append(journal, &one, records(0..2)).await, [0, 1]);
    assert_eq!(append(journal, &other, records(10..11)).await, [0]);
    let found = read(&mut *reader(journal, &other, "g", 0).await, 1).await;
    assert_eq!((&found[0].position.topic, &found[0].record.value[..]), (&other, &b"10"[..]));
    assert_eq!(bounds(journal, &one).await, (0, 2));
}

async fn a_follower_reads_without_being_a_member_and_is_woken(journal: &Arc<dyn Log>) {
    let topic = open(journal, "t").await;
    append(journal, &topic, records(0..1200)).await;
    let mut follower = journal.follow(&topic, &[(0, 3)]).await.unwrap();
    let mut found = Vec::new();
    while found.len() < 1197 {
        let batch = follower.next(PATIENCE).await.unwrap().unwrap();
        found.extend(offsets(&batch.records));
        assert_eq!((batch.partition, Some(&(batch.next_offset - 1))), (0, found.last()));
    }
    assert_eq!(found, (3..1200).collect::<Vec<_>>());
    assert!(follower.next(A_MOMENT).await.unwrap().is_none(), "the end holds nothing yet");
    let waiting = tokio::spawn(async move { follower.next(PATIENCE).await.unwrap().unwrap() });
    tokio::task::yield_now().await;
    append(journal, &topic, records(0..1)).await;
    assert_eq!(offsets(&waiting.await.unwrap().records), [1200]);
    assert_eq!(journal.groups(&topic).await.unwrap(), [""; 0]);
}

async fn extents_tell_what_is_there(journal: &Arc<dyn Log>) {
    let topic = topic("t");
    assert_eq!(journal.extents(&topic).await.unwrap(), []);
    for _ in 0..2 {
        journal.open_topic(&topic, u64::MAX).await.unwrap();
        assert_eq!(bounds(journal, &topic).await, (0, 0));
    }
    append(journal, &topic, records(0..3)).await;
    assert_eq!(bounds(journal, &topic).await, (0, 3));
}
