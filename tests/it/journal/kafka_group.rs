//! The members of a group in Kafka: partitions that are shared and move, names that outlive a process, and what is left
//! behind when somebody is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use sluicegate::journal::kafka::KafkaJournal;
use sluicegate::journal::{Consumer, Delivery, JournalError, Log};
use sluicegate::record::Record;

use super::kafka_only::member;
use super::{A_MOMENT, PATIENCE, group, offsets, open, reader, record};
use crate::support::{Home, Process, Request, Target, item, services};

/// Several members of one group, and what each has.
struct Readers {
    readers: Vec<Option<Box<dyn Consumer>>>,
    owned: Vec<BTreeSet<i32>>,
    /// What was read of each partition.
    read: BTreeMap<i32, Vec<i64>>,
}

impl Readers {
    fn new() -> Self {
        Readers { readers: Vec::new(), owned: Vec::new(), read: BTreeMap::new() }
    }

    fn add(&mut self, reader: Box<dyn Consumer>) {
        self.readers.push(Some(reader));
        self.owned.push(BTreeSet::new());
    }

    /// Lets every reader have its turn until the condition holds. Each goes on behind what was read by any.
    async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "not in time: {what}; {:?} {:?}", self.owned, self.read);
            for number in 0..self.readers.len() {
                let Some(reader) = &mut self.readers[number] else { continue };
                match reader.next(Duration::from_millis(5)).await.unwrap() {
                    Delivery::Assigned(partition) => {
                        let has_owner = self.owned.iter().any(|owned| owned.contains(&partition));
                        assert!(!has_owner, "partition {partition} has two owners");
                        let next = self.read.get(&partition).and_then(|read| read.last()).map_or(0, |last| last + 1);
                        reader.seek(partition, next).await.unwrap();
                        self.owned[number].insert(partition);
                    }
                    Delivery::Lost(partition) => assert!(self.owned[number].remove(&partition)),
                    Delivery::Records(batch) => {
                        assert!(self.owned[number].contains(&batch.partition), "it reads what it does not have");
                        self.read.entry(batch.partition).or_default().extend(offsets(&batch.records));
                    }
                    Delivery::Nothing => {}
                }
            }
        }
    }

    fn count(&self) -> usize {
        self.read.values().map(Vec::len).sum()
    }
}

fn keyed(number: u32) -> Record {
    Record { key: Some(format!("key {number}").into()), ..record(number.to_string()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_share_partitions_and_take_over_without_loss_or_doubles() {
    let Some(servers) = services::kafka() else { return };
    let url = format!("{servers}?partitions=4");
    let (first, second) = (member(&url), member(&url));
    let topic = open(&first.journal, "shared").await;
    let group = group(&topic, "g");
    let mut sent = 0;
    let mut send = async |count: u32| {
        sent += count;
        first.journal.append(&topic, (sent - count..sent).map(keyed).collect()).await.unwrap();
        sent as usize
    };
    let mut readers = Readers::new();
    let total = send(400).await;
    readers.add(first.journal.subscribe(&topic, &group, 10).await.unwrap());
    readers.until("the first has everything", |now| now.owned[0].len() == 4 && now.count() == total).await;

    readers.add(second.journal.subscribe(&topic, &group, 10).await.unwrap());
    let total = send(400).await;
    let is_shared = |now: &Readers| now.owned.iter().all(|owned| owned.len() == 2);
    readers.until("each has two", |now| is_shared(now) && now.count() == total).await;

    let total = send(400).await;
    readers.readers[0].take().unwrap().leave().await;
    readers.owned[0].clear();
    readers.until("the second has all", |now| now.owned[1].len() == 4 && now.count() == total).await;
    for (partition, read) in &readers.read {
        assert_eq!(*read, (0..read.len() as i64).collect::<Vec<_>>(), "partition {partition}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_partition_waits_while_the_others_go_on() {
    let Some(servers) = services::kafka() else { return };
    let member = member(&format!("{servers}?partitions=3"));
    let topic = open(&member.journal, "held").await;
    member.journal.append(&topic, (0..600).map(keyed).collect()).await.unwrap();
    let mut readers = Readers::new();
    readers.add(member.journal.subscribe(&topic, &group(&topic, "g"), 10).await.unwrap());
    readers.until("it has read some of each", |now| now.read.len() == 3).await;
    let held = readers.read[&1].clone();
    readers.readers[0].as_mut().unwrap().pause(1);
    let all = |now: &Readers, partition: i32, end: i64| now.read[&partition].last() == Some(&(end - 1));
    let mut ends = BTreeMap::new();
    for extent in member.journal.extents(&topic).await.unwrap() {
        ends.insert(extent.partition, extent.end);
    }
    readers.until("the others are read", |now| [0, 2].iter().all(|number| all(now, *number, ends[number]))).await;
    assert_eq!(readers.read[&1], held);
    readers.readers[0].as_mut().unwrap().resume(1);
    readers.until("it is read as well", |now| all(now, 1, ends[&1])).await;
    assert_eq!(readers.count(), 600, "nothing is lost or doubled");
}

/// Between the two steps of a rebalance the leader of the group is gone, and comes back under its name: the broker gives it
/// what it had been given in the first step, and the partitions that it was to hand over are nobody's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_a_rebalance_left_behind_are_read_again() {
    let Some(servers) = services::kafka() else { return };
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let url = format!("{servers}?partitions=4");
    let open_in = |folder: &Path| -> Arc<dyn Log> { Arc::new(KafkaJournal::open(&url, folder).unwrap()) };
    let journal = open_in(first.path());
    let topic = open(&journal, "left").await;
    let group = group(&topic, "g");
    let subscribe = async |journal: &Arc<dyn Log>| journal.subscribe(&topic, &group, 500).await.unwrap();
    let mut leader = subscribe(&journal).await;
    let mut partitions = BTreeSet::new();
    while partitions.len() < 4 {
        if let Delivery::Assigned(partition) = leader.next(PATIENCE).await.unwrap() {
            partitions.insert(partition);
        }
    }

    // Another one joins; the leader shares in the first step, and is never asked for what it is to hand over.
    let member = member(&url);
    let mut other = subscribe(&member.journal).await;
    let until = Instant::now() + PATIENCE;
    let asker = lookup_of(&servers);
    while !is_half_given(&asker, &group) {
        assert!(Instant::now() < until, "the first step never came");
        assert!(matches!(other.next(A_MOMENT).await.unwrap(), Delivery::Nothing));
    }
    std::mem::forget(leader);
    std::fs::copy(first.path().join("kafka-member-0"), second.path().join("kafka-member-0")).unwrap();
    let reborn = open_in(second.path());

    let mut held = [BTreeSet::new(), BTreeSet::new()];
    let mut consumers = [other, subscribe(&reborn).await];
    while held[0].union(&held[1]).count() < 4 {
        assert!(Instant::now() < until + PATIENCE, "{held:?}");
        for ((consumer, held), journal) in consumers.iter_mut().zip(&mut held).zip([&member.journal, &reborn]) {
            match consumer.next(A_MOMENT).await {
                Ok(Delivery::Assigned(partition)) => drop(held.insert(partition)),
                Ok(Delivery::Lost(partition)) => drop(held.remove(&partition)),
                Ok(_) => {}
                // As apply does.
                Err(JournalError::Later(_)) => {
                    let new = subscribe(journal).await;
                    std::mem::replace(consumer, new).leave().await;
                    held.clear();
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(held[0].is_disjoint(&held[1]), "{held:?}");
}

/// A client that asks about groups.
fn lookup_of(servers: &str) -> BaseConsumer {
    ClientConfig::new().set("bootstrap.servers", servers).create().unwrap()
}

/// Whether a group of two rests, and one of them was given nothing: after the first step of a cooperative rebalance.
fn is_half_given(asker: &BaseConsumer, group: &str) -> bool {
    let list = asker.client().fetch_group_list(Some(group), PATIENCE).unwrap();
    let Some(found) = list.groups().iter().find(|found| found.name() == group) else { return false };
    let given: Vec<_> = found.members().iter().map(|member| member.assignment().map_or(0, <[u8]>::len)).collect();
    // A version, no topic, no data of the assignor's.
    found.state() == "Stable" && given.len() == 2 && given.contains(&10)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_data_folder_is_an_error_that_says_so() {
    let Some(servers) = services::kafka() else { return };
    let first = tempfile::tempdir().unwrap();
    let second = tempfile::tempdir().unwrap();
    let open_in = |folder: &Path| -> Arc<dyn Log> { Arc::new(KafkaJournal::open(&servers, folder).unwrap()) };
    let journal = open_in(first.path());
    let topic = open(&journal, "copied").await;
    let mut victim = reader(&journal, &topic, "g", 0).await;
    std::fs::copy(first.path().join("kafka-member-0"), second.path().join("kafka-member-0")).unwrap();
    let copy = open_in(second.path());
    let _usurper = reader(&copy, &topic, "g", 0).await;
    let until = Instant::now() + PATIENCE;
    let reason = loop {
        assert!(Instant::now() < until, "it was not told");
        match victim.next(A_MOMENT).await {
            Err(JournalError::Stop(reason)) => break reason,
            Err(other) => panic!("{other}"),
            Ok(_) => {}
        }
    };
    assert!(reason.words().contains("data folder"), "{reason}");
}

/// Posts a document and waits until it is a row.
fn applied(server: &Process, id: i64) {
    let answer = server.send(Request::post("/v1/streams/activities", item(id)).wait(20));
    assert_eq!(answer.expect(200).json()["status"], "applied");
}

#[test]
fn a_process_that_was_killed_lets_rows_flow_within_2_s_of_its_start() {
    let Some(servers) = services::kafka() else { return };
    let topic = services::unique("killed");
    let home = Home::with(&format!(
        "journal: kafka://{servers}?partitions=2\nstore: sqlite://store.db\nstreams: {{activities: {{takes: changes, topic: {topic}}}}}\n"
    ));
    let mut server = home.up();
    applied(&server, 1);
    server.kill();
    let begun = Instant::now();
    let server = home.up();
    let up = begun.elapsed();
    applied(&server, 2);
    eprintln!("listening after {up:?}, applied after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(home.run(&["rows", "item"]).expect(0).json().as_array().unwrap().len(), 2, "both are rows");
}
