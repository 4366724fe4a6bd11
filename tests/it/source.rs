//! Topics that others write: applied as they are, and whatever stands in them is accounted for.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::support::{Documents, Home, PATIENCE, Process, Request, Target, eventually, item, services};

/// A topic, and somebody else who writes to it.
struct Other {
    kafka: String,
    topic: String,
    database: services::Database,
}

impl Other {
    fn new(name: &str) -> Option<Self> {
        Some(Other { kafka: services::kafka()?, topic: services::unique(name), database: services::postgres()? })
    }

    fn create(&self) {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.kafka).create().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let topic = NewTopic::new(&self.topic, 1, TopicReplication::Fixed(1));
        let created = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
        assert!(created.iter().all(Result::is_ok), "{created:?}");
    }

    /// Adds a partition, and appends a record to it.
    fn write_to_a_new_partition(&self, value: &[u8]) {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.kafka).create().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let more = NewPartitions::new(&self.topic, 2);
        let created = runtime.block_on(admin.create_partitions([&more], &AdminOptions::new())).unwrap();
        assert!(created.iter().all(Result::is_ok), "{created:?}");
        let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", &self.kafka).create().unwrap();
        let record = BaseRecord::<[u8], [u8]>::to(&self.topic).key(b"key").partition(1).payload(value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE).unwrap();
    }

    /// Appends records without headers; none is a tombstone.
    fn write(&self, values: &[Option<&[u8]>]) {
        let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", &self.kafka).create().unwrap();
        for value in values {
            let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic).key(b"key");
            record.payload = *value;
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    fn home(&self, from: &str) -> Home {
        Home::with(&format!(
            "journal: kafka://{}\nstore: {}\nstreams:\n  orders: {{takes: changes, source: {}, from: {from}}}\n",
            self.kafka,
            self.database.url(),
            self.topic
        ))
    }
}

/// Waits until the table has these ids.
#[track_caller]
fn items(process: &Process, expected: &[i64]) {
    let found = || {
        let answer = process.get("/v1/tables/item/rows?limit=1000");
        (answer.status == 200).then(|| {
            let mut ids = process.items();
            ids.sort_unstable();
            ids
        })
    };
    eventually(PATIENCE, &format!("{expected:?} are there"), || (found()? == expected).then_some(()));
}

#[test]
fn what_others_write_is_applied_and_what_is_no_document_is_a_dead_letter() {
    let Some(other) = Other::new("source") else { return };
    other.create();
    let (first, second) = (item(1), item(2));
    other.write(&[Some(first.as_bytes()), None, Some(b"\xff\xfe{"), Some(b""), Some(b"[1]"), Some(second.as_bytes())]);
    let home = other.home("beginning");
    let server = home.up();
    items(&server, &[1, 2]);
    let letters = server.get("/v1/dead-letters").expect(200).json();
    let reasons: Vec<_> =
        letters["dead_letters"].as_array().unwrap().iter().map(|letter| letter["reason"].clone()).collect();
    assert_eq!(reasons, ["unreadable-record"; 4], "{letters}");
    let balance = home.run(&["verify"]).expect(0).json()[0].clone();
    for (member, expected) in [("accepted", 6), ("applied", 2), ("dead_lettered", 4)] {
        assert_eq!(balance[member], expected, "{member} in {balance}");
    }
}

#[test]
fn a_topic_of_others_takes_nothing_in() {
    let Some(other) = Other::new("source-only") else { return };
    other.create();
    let home = other.home("beginning");
    let server = home.up();
    let refused = server.send(Request::post("/v1/streams/orders", item(1))).expect(405);
    assert_eq!(refused.json()["type"], "/problems/method-not-allowed");
    assert!(refused.header("allow").is_some_and(|allow| !allow.contains("POST")));
    let file = home.write("item.json", item(1));
    let ran = home.run(&["publish", "orders", file.to_str().unwrap()]).expect(2);
    assert!(ran.stderr.contains("orders"), "{}", ran.stderr);
    other.write(&[Some(item(7).as_bytes())]);
    items(&server, &[7]);
}

#[test]
fn from_the_end_skips_what_was_there_and_only_the_first_time() {
    let Some(other) = Other::new("source-end") else { return };
    other.create();
    other.write(&[Some(item(1).as_bytes()), Some(item(2).as_bytes())]);
    let home = other.home("end");
    let mut server = home.up();
    eventually(PATIENCE, "the topic is claimed", || {
        let positions = home.run(&["positions"]).expect(0).json();
        (positions[0]["state"] != "not begun").then_some(())
    });
    other.write(&[Some(item(3).as_bytes())]);
    items(&server, &[3]);
    assert!(server.stop().success());
    other.write(&[Some(item(4).as_bytes())]);
    let server = home.up();
    items(&server, &[3, 4]);
    let balance = home.run(&["verify"]).expect(0).json()[0].clone();
    assert_eq!(
        (&balance["applied"], &balance["lost"], &balance["waiting"]),
        (&2.into(), &0.into(), &0.into()),
        "{balance}"
    );
}

#[test]
fn a_partition_that_comes_after_the_beginning_is_read_from_its_own() {
    let Some(other) = Other::new("source-partitions") else { return };
    other.create();
    other.write(&[Some(item(1).as_bytes())]);
    let home = other.home("end");
    let mut server = home.up();
    eventually(PATIENCE, "the stream has begun", || {
        let positions = home.run(&["positions"]).expect(0).json();
        (positions[0]["state"] != "not begun").then_some(())
    });
    other.write(&[Some(item(2).as_bytes())]);
    items(&server, &[2]);
    assert!(server.stop().success());
    other.write_to_a_new_partition(item(3).as_bytes());
    let server = home.up();
    items(&server, &[2, 3]);
    let balances = home.run(&["verify"]).expect(0).json();
    let applied: Vec<_> = balances.as_array().unwrap().iter().map(|balance| balance["applied"].clone()).collect();
    assert_eq!(applied, [1, 1], "{balances}");
}

#[test]
fn a_topic_made_after_the_beginning_is_read_from_its_own() {
    let Some(other) = Other::new("source-made-later") else { return };
    let home = other.home("end");
    let mut server = home.up();
    eventually(PATIENCE, "readiness names the topic", || {
        let answer = server.get("/health/ready");
        (answer.status == 503 && answer.json()["checks"].to_string().contains(&other.topic)).then_some(())
    });
    assert!(server.stop().success());
    other.create();
    other.write(&[Some(item(1).as_bytes())]);
    let server = home.up();
    items(&server, &[1]);
}

#[test]
fn a_topic_that_is_not_there_is_named_and_read_as_soon_as_it_is() {
    let Some(other) = Other::new("source-late") else { return };
    let home = other.home("beginning");
    let server = home.up();
    let said = eventually(PATIENCE, "readiness names the topic", || {
        let answer = server.get("/health/ready");
        let checks = answer.json()["checks"].to_string();
        (answer.status == 503 && checks.contains(&other.topic)).then_some(checks)
    });
    println!("{said}");
    other.create();
    other.write(&[Some(item(1).as_bytes())]);
    items(&server, &[1]);
    eventually(PATIENCE, "it is ready", || (server.get("/health/ready").status == 200).then_some(()));
}
