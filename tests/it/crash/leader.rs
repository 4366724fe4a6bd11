//! A cluster of three brokers: the one that leads a partition is killed under load, and nothing is lost.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::cluster::Figures;
use super::{APPLIER, Books, Crew, GATEWAY};
use crate::support::{PATIENCE, eventually, services};

const PARTITIONS: usize = 4;

/// The node that leads partition 0 of the topic.
fn leader(client: &BaseConsumer, topic: &str) -> Option<i32> {
    let metadata = client.fetch_metadata(Some(topic), PATIENCE).ok()?;
    let partition = metadata.topics().first()?.partitions().iter().find(|partition| partition.id() == 0)?;
    Some(partition.leader()).filter(|leader| *leader > 0)
}

#[test]
fn the_leader_of_a_partition_is_killed() {
    let Some(database) = services::postgres() else { return };
    let Some(services) = services::Private::up(&["kafka", "--kafka-nodes", "3"]) else { return };
    let config = format!(
        "journal: kafka://{}?partitions={PARTITIONS}&replication=3\nstore: {}?sslmode=disable\n\
         streams:\n  activities: {{takes: changes, key: /activities/0/col_values/0}}\n",
        services.kafka(),
        database.url()
    );
    let members = [(config.clone(), GATEWAY), (config, APPLIER)];
    let crew = Crew::of_many_homes(&members, Books::Postgres(database.url()));
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", services.kafka()).create().unwrap();
    let mut figures = Figures::default();
    let ledger = Arc::clone(&crew.ledger);
    ledger.while_sending(Duration::from_millis(4), || {
        crew.flows_everywhere(PARTITIONS);
        for _ in 0..2 {
            let node = eventually(PATIENCE, "the partition has a leader", || leader(&client, "activities"));
            let node = node.to_string();
            crew.load(100, PATIENCE);
            services.stop(&["kafka", "--immediate", "--node", &node]);
            let before = eventually(PATIENCE, "PostgreSQL answers", || crew.books.standings());
            figures.note("the leader of a partition killed", crew.flows("another leader", &before));
            services.start(&["kafka", "--node", &node]);
        }
    });
    crew.settle();
    figures.check(&[("the leader of a partition killed", Duration::from_secs(15))]);
}
