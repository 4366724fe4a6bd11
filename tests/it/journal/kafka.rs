//! What the journal in Kafka promises beyond the contract: topics of other writers, crowds of senders, and answers
//! in words and in time when the cluster does not do what it is asked for.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use sluicegate::document::TopicName;
use sluicegate::journal::kafka::KafkaJournal;
use sluicegate::journal::{AppendError, Delivery, JournalError, Log, Outcome};
use sluicegate::reason::chain;
use sluicegate::record::Headers;

use super::{A_MOMENT, PATIENCE, append, bounds, offsets, open, read, reader, record, records, stops};
use crate::support::services;

/// A journal of one process: its data folder tells it from others.
pub(super) struct Member {
    pub(super) journal: Arc<dyn Log>,
    _folder: tempfile::TempDir,
}

pub(super) fn member(url: &str) -> Member {
    let folder = tempfile::tempdir().unwrap();
    let journal = KafkaJournal::open(url, folder.path()).unwrap();
    Member { journal: Arc::new(journal), _folder: folder }
}

fn refused(url: &str) -> JournalError {
    let folder = tempfile::tempdir().unwrap();
    KafkaJournal::open(url, folder.path()).map(|_| ()).expect_err(url)
}

/// A client as other programs have it.
fn other(servers: &str, settings: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

fn flush(producer: &BaseProducer) {
    producer.flush(PATIENCE).unwrap();
}

fn admin(servers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", servers).create().unwrap()
}

/// Creates a topic as somebody else would.
async fn create(servers: &str, topic: &TopicName, settings: &[(&str, &str)]) {
    let mut new = NewTopic::new(topic.as_str(), 1, TopicReplication::Fixed(1));
    for (name, value) in settings {
        new = new.set(name, value);
    }
    let created = admin(servers).create_topics([&new], &AdminOptions::new()).await.unwrap();
    assert!(created.iter().all(Result::is_ok), "{created:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_other_writers_are_read_as_they_are() {
    let Some(servers) = services::kafka() else { return };
    let Some(mut kcat) = services::tool("kcat") else { return };
    let member = member(&servers);
    let topic = open(&member.journal, "others").await;
    kcat.args(["-P", "-b", &servers, "-t", topic.as_str(), "-K", ":"]).stdin(Stdio::piped());
    let mut writer = kcat.spawn().unwrap();
    writer.stdin.take().unwrap().write_all(b"k:{\"a\":1}\n").unwrap();
    assert!(writer.wait().unwrap().success());

    let producer = other(&servers, &[]);
    let to = || BaseRecord::<[u8], [u8]>::to(topic.as_str());
    let garbage: Vec<u8> = (0..=255).rev().collect();
    let strange = OwnedHeaders::new()
        .insert(Header { key: "ce_id", value: Some(&[0xff, b'%'][..]) })
        .insert(Header { key: "ce_type", value: None::<&[u8]> })
        .insert(Header { key: "idempotency-key", value: Some(&b"a%20b%ZZ"[..]) });
    let records = [to().key(b"tombstone"), to().payload(&garbage), to().payload(b"{}").headers(strange)];
    for record in records {
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    flush(&producer);

    let found = read(&mut *reader(&member.journal, &topic, "g", 0).await, 4).await;
    let values: Vec<_> = found.iter().map(|kept| kept.record.value.to_vec()).collect();
    assert_eq!(values, [b"{\"a\":1}".to_vec(), Vec::new(), garbage, b"{}".to_vec()]);
    assert_eq!(found[0].record.key.as_deref(), Some(&b"k"[..]));
    assert!(found[0].record.timestamp_ms > 0);
    assert_eq!(found[0].record.headers, Headers::default());
    assert_eq!(found[1].record.key.as_deref(), Some(&b"tombstone"[..]));
    let headers = &found[3].record.headers;
    assert_eq!((headers.id.as_str(), headers.form.as_str()), ("\u{fffd}%", ""));
    assert_eq!(headers.idempotency_key.as_deref(), Some("a%20b%ZZ"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_topics_are_read_and_written() {
    let Some(servers) = services::kafka() else { return };
    for codec in ["zstd", "gzip", "snappy", "lz4"] {
        let member = member(&format!("{servers}?compression.type={codec}"));
        let topic = open(&member.journal, codec).await;
        append(&member.journal, &topic, records(0..100)).await;
        let found = read(&mut *reader(&member.journal, &topic, "g", 0).await, 100).await;
        assert_eq!(found[99].record.value, "99", "{codec}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aborted_records_and_the_marks_of_transactions_are_gaps() {
    let Some(servers) = services::kafka() else { return };
    let member = member(&servers);
    let topic = open(&member.journal, "transactions").await;
    let producer = other(&servers, &[("transactional.id", topic.as_str())]);
    producer.init_transactions(PATIENCE).unwrap();
    for (value, is_kept) in [("a", true), ("b", false), ("c", true), ("d", false)] {
        producer.begin_transaction().unwrap();
        let record = BaseRecord::<str, str>::to(topic.as_str()).payload(value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        flush(&producer);
        if is_kept {
            producer.commit_transaction(PATIENCE).unwrap();
        } else {
            producer.abort_transaction(PATIENCE).unwrap();
        }
    }
    // The last mark comes a moment after its transaction is said to be over.
    let until = Instant::now() + PATIENCE;
    while bounds(&member.journal, &topic).await != (0, 8) {
        assert!(Instant::now() < until, "{:?}", bounds(&member.journal, &topic).await);
    }
    let mut consumer = reader(&member.journal, &topic, "g", 0).await;
    let (mut found, mut next_offset) = (Vec::new(), 0);
    let until = Instant::now() + PATIENCE;
    while next_offset < 8 {
        assert!(Instant::now() < until, "it stands at {next_offset}");
        if let Delivery::Records(batch) = consumer.next(A_MOMENT).await.unwrap() {
            next_offset = batch.next_offset;
            found.extend(batch.records);
        }
    }
    assert_eq!(offsets(&found), [0, 4]);
    // What comes behind the gap is not lost.
    append(&member.journal, &topic, records(0..2)).await;
    assert_eq!(offsets(&read(&mut *consumer, 2).await), [8, 9]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_removed_is_not_passed_in_silence() {
    let Some(servers) = services::kafka() else { return };
    let member = member(&servers);
    let topic = open(&member.journal, "removed").await;
    append(&member.journal, &topic, records(0..10)).await;
    let mut consumer = reader(&member.journal, &topic, "g", 0).await;
    consumer.pause(0);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic.as_str(), 0, Offset::Offset(4)).unwrap();
    admin(&servers).delete_records(&list, &AdminOptions::new()).await.unwrap();
    assert_eq!(bounds(&member.journal, &topic).await, (4, 10));
    for offset in [0, 3] {
        stops(&mut *consumer, offset, "4").await;
    }
    consumer.resume(0);
    consumer.seek(0, 4).await.unwrap();
    assert_eq!(offsets(&read(&mut *consumer, 6).await), [4, 5, 6, 7, 8, 9]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_record_is_what_the_smallest_topic_takes() {
    let Some(servers) = services::kafka() else { return };
    let member = member(&servers);
    let topic = super::topic("small");
    create(&servers, &topic, &[("max.message.bytes", "20000")]).await;
    member.journal.open_topic(&topic, u64::MAX).await.unwrap();
    let most = member.journal.record_bytes_max();
    assert!((19_000..20_000).contains(&most), "{most}");
    let headers = record("").size();
    let largest = record(vec![b'x'; most - headers]);
    append(&member.journal, &topic, vec![largest.clone(), largest.clone(), largest]).await;
    // Many that are small, together more than a batch may have.
    append(&member.journal, &topic, records(0..2000)).await;
    match member.journal.append(&topic, vec![record(vec![b'x'; 30_000])]).await {
        Err(AppendError::Unavailable { kept: Outcome::No, source: JournalError::Stop(reason) }) => {
            assert!(
                reason.words().contains("max.message.bytes") && reason.words().contains(topic.as_str()),
                "{reason}"
            );
        }
        other => panic!("{other:?}"),
    }
    append(&member.journal, &topic, records(0..1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_not_there_is_named_and_not_created() {
    let Some(servers) = services::kafka() else { return };
    let member = member(&servers);
    let never = super::topic("never");
    let deleted = open(&member.journal, "deleted").await;
    append(&member.journal, &deleted, records(0..1)).await;
    admin(&servers).delete_topics(&[deleted.as_str()], &AdminOptions::new()).await.unwrap();
    for topic in [&never, &deleted] {
        let begun = Instant::now();
        match member.journal.append(topic, records(0..1)).await {
            Err(AppendError::Unavailable { kept: Outcome::No, source: JournalError::Stop(reason) }) => {
                assert!(
                    reason.words().contains(topic.as_str()) && reason.words().contains("no such topic"),
                    "{reason}"
                );
            }
            other => panic!("{other:?}"),
        }
        assert!(begun.elapsed() < PATIENCE);
        assert_eq!(member.journal.extents(topic).await.unwrap(), []);
    }
}

#[test]
fn a_url_that_cannot_work_is_refused_at_once_and_in_words() {
    let begun = Instant::now();
    for (url, named) in [
        ("127.0.0.1:9?compresion.type=zstd", "`compresion.type`"),
        ("127.0.0.1:9?linger.ms=s3cret", "`linger.ms`"),
        ("127.0.0.1:9?acks=1", "`acks`"),
        ("127.0.0.1:9?security.protocol=SSL&ssl.ca.location=/no/such/file", "ssl.ca.location"),
    ] {
        match refused(url) {
            JournalError::Stop(reason) => {
                assert!(reason.words().contains(named) && !chain(&reason).contains("s3cret"), "{reason}")
            }
            other => panic!("{url}: {other}"),
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn brokers_that_do_not_answer_are_named_in_time() {
    let begun = Instant::now();
    match refused("127.0.0.1:9,127.0.0.1:10") {
        JournalError::Later(reason) => assert!(reason.words().contains("127.0.0.1:9"), "{reason}"),
        other => panic!("{other}"),
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_passwords_work_and_their_failures_are_told_apart() {
    let Some((servers, ca)) = services::kafka_tls() else { return };
    let url = |user: &str| format!("{user}@{servers}?ssl.ca.location={ca}&append_timeout=2s");
    let writer = member(&url("writer:s3cret-writer"));
    let topic = open(&writer.journal, "secret").await;
    append(&writer.journal, &topic, records(0..3)).await;
    assert_eq!(read(&mut *reader(&writer.journal, &topic, "g", 0).await, 3).await.len(), 3);

    match refused(&url("writer:s3cret-wrong")) {
        JournalError::Stop(reason) => {
            assert!(reason.words().contains("password") && !chain(&reason).contains("s3cret"), "{reason}");
        }
        other => panic!("{other}"),
    }
    match refused(&format!("writer:s3cret-writer@{servers}")) {
        JournalError::Stop(reason) => {
            assert!(reason.words().contains("ssl"), "a certificate nobody vouches for: {reason}")
        }
        other => panic!("{other}"),
    }
    let nobody = member(&url("nobody:s3cret-nobody"));
    for opened in [nobody.journal.open_topic(&topic, 1).await, nobody.journal.open_topic(&super::topic("x"), 1).await] {
        match opened {
            Err(JournalError::Stop(reason)) => {
                assert!(reason.words().contains("grant") || reason.words().contains("may not"), "{reason}")
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Enough of them, for long enough, that their records are gathered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_senders_is_answered_one_by_one_and_each_in_its_order() {
    const SENDERS: usize = 256;
    const EACH: usize = 60;
    let Some(servers) = services::kafka() else { return };
    let member = member(&servers);
    let topic = open(&member.journal, "crowd").await;
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let (journal, topic) = (Arc::clone(&member.journal), topic.clone());
        senders.spawn(async move {
            let mut sent = Vec::new();
            for nth in 0..EACH {
                // Some append several at once.
                let values: Vec<_> = (0..1 + sender % 3).map(|part| format!("{sender} {nth} {part}")).collect();
                let offsets = append(&journal, &topic, values.iter().cloned().map(record).collect()).await;
                sent.extend(offsets.into_iter().zip(values));
            }
            sent
        });
    }
    let mut answered = BTreeMap::new();
    while let Some(sent) = senders.join_next().await {
        let sent = sent.unwrap();
        assert!(sent.is_sorted_by_key(|(offset, _)| *offset), "{sent:?}");
        answered.extend(sent);
    }
    let count = SENDERS * EACH + (0..SENDERS).map(|sender| sender % 3 * EACH).sum::<usize>();
    assert_eq!(answered.len(), count, "each has a place of its own");
    let found = read(&mut *reader(&member.journal, &topic, "g", 0).await, count).await;
    for kept in found {
        let value = String::from_utf8(kept.record.value.to_vec()).unwrap();
        assert_eq!(answered.remove(&kept.position.offset), Some(value));
    }
    assert_eq!(answered, BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_broker_that_is_gone_is_told_in_time_and_what_was_acknowledged_is_there_when_it_returns() {
    let Some(kafka) = services::Private::up(&["kafka"]) else { return };
    let member = member(&format!("{}?append_timeout=2s", kafka.kafka()));
    let journal = &member.journal;
    let topic = open(journal, "gone").await;
    append(journal, &topic, records(0..100)).await;
    let mut consumer = reader(journal, &topic, "g", 0).await;
    assert_eq!(read(&mut *consumer, 100).await.len(), 100);
    journal.check().await.unwrap();
    kafka.stop(&["kafka", "--immediate"]);

    let begun = Instant::now();
    let mut appends = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (journal, topic) = (Arc::clone(journal), topic.clone());
        appends.spawn(async move { journal.append(&topic, vec![record(vec![b'x'; 1 << 20])]).await });
    }
    let mut kept = [0, 0];
    while let Some(done) = appends.join_next().await {
        match done.unwrap() {
            Err(AppendError::Unavailable { kept: Outcome::No, .. } | AppendError::Overloaded { .. }) => kept[0] += 1,
            Err(AppendError::Unavailable { kept: Outcome::Unknown, .. }) => kept[1] += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(kept[0] >= 8, "what does not fit or has not left is certainly not kept: {kept:?}");
    assert!(journal.check().await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());

    kafka.start(&["kafka"]);
    let returned = Instant::now();
    loop {
        match journal.append(&topic, vec![record("after")]).await {
            Ok(_) => break,
            Err(error) => assert!(returned.elapsed() < PATIENCE, "{error}"),
        }
    }
    let until = Instant::now() + PATIENCE;
    let (mut last, mut next_offset) = (None, 100);
    while last.as_deref() != Some(&b"after"[..]) {
        assert!(Instant::now() < until, "the reader does not go on");
        let delivery = match consumer.next(A_MOMENT).await {
            Ok(delivery) => delivery,
            // The answer to its joining got lost with the broker: it joins anew, as apply does.
            Err(JournalError::Later(_)) => {
                drop(consumer);
                consumer = reader(journal, &topic, "g", next_offset).await;
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        match delivery {
            Delivery::Records(batch) => {
                assert_eq!(batch.records[0].position.offset, next_offset);
                next_offset = batch.next_offset;
                last = batch.records.last().map(|kept| kept.record.value.to_vec());
            }
            // Its session had run out.
            Delivery::Assigned(partition) => consumer.seek(partition, next_offset).await.unwrap(),
            Delivery::Lost(_) | Delivery::Nothing => {}
        }
    }
    eprintln!("after its return, Kafka was read and written within {:?}", returned.elapsed());
    let (start, end) = bounds(journal, &topic).await;
    assert!(start == 0 && end >= 101);
    let found = read(&mut *reader(journal, &topic, "h", 0).await, end as usize).await;
    let first: Vec<_> = found[..100].iter().map(|kept| kept.record.value.clone()).collect();
    assert_eq!(first, (0..100).map(|value| value.to_string()).collect::<Vec<_>>());
}
