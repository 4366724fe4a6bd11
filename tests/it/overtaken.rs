//! Retention that removed what was not applied yet: the stream stops and says so, and goes on when a person gives it up.

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::support::{Documents, Home, PATIENCE, Target, eventually, item, services};

/// Removes the records of partition 0 before `offset`, as retention does.
fn remove_before(kafka: &str, topic: &str, offset: i64) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", kafka).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let removed = runtime.block_on(admin.delete_records(&list, &AdminOptions::new())).unwrap();
    assert!(removed.elements().iter().all(|element| element.error().is_ok()), "{removed:?}");
}

#[test]
fn retention_that_overtook_a_stopped_applier_stops_the_stream_until_the_loss_is_accepted() {
    let (Some(kafka), Some(database)) = (services::kafka(), services::postgres()) else { return };
    let topic = services::unique("overtaken");
    let home = Home::with(&format!(
        "journal: kafka://{kafka}\nstore: {}\nstreams:\n  activities: {{takes: changes, topic: {topic}}}\n",
        database.url()
    ));
    let gateway = home.up_with(&["--role", "gateway"]);
    let apply = || home.up_with(&["--role", "apply"]);
    let mut applier = apply();
    for id in 0..10 {
        gateway.post("/v1/streams/activities", item(id)).expect(202);
    }
    gateway.applied(item(10));
    assert!(applier.stop().success());
    for id in 11..20 {
        gateway.post("/v1/streams/activities", item(id)).expect(202);
    }
    // Eleven were applied; of the nine that wait, four go.
    remove_before(&kafka, &topic, 15);

    let applier = apply();
    let checks = eventually(PATIENCE, "readiness says it", || {
        let answer = applier.get("/health/ready");
        let checks = answer.json()["checks"].clone();
        (answer.status == 503 && checks["stream activities"].is_string()).then_some(checks)
    });
    let said = checks["stream activities"].as_str().unwrap();
    assert!(said.contains("positions accept-loss activities"), "{said}");
    assert!(said.contains("11") && said.contains("15"), "{said}");
    assert_eq!(gateway.get("/health/ready").status, 200, "documents are still accepted");
    gateway.post("/v1/streams/activities", item(20)).expect(202);
    let position = home.run(&["positions", "--output", "json"]).expect(0).json()[0].clone();
    assert_eq!((&position["position"], &position["begin"]), (&11.into(), &15.into()), "{position}");
    let state = position["state"].as_str().unwrap();
    assert!(state.contains("stands still") || state.contains("4 are gone"), "{position}");
    assert_eq!(home.run(&["verify"]).status, 1);
    assert_eq!(gateway.items(), (0..11).collect::<Vec<_>>());

    let said = home.run(&["positions", "accept-loss", "activities", "--yes"]).expect(0).stderr;
    assert!(said.contains("goes on at 15"), "{said}");
    eventually(PATIENCE, "it goes on", || (gateway.items().len() == 17).then_some(()));
    let expected: Vec<_> = (0..11).chain(15..21).collect();
    assert_eq!(gateway.items(), expected);
    eventually(PATIENCE, "it is ready", || (applier.get("/health/ready").status == 200).then_some(()));
    let balance = home.run(&["verify"]).expect(0).json()[0].clone();
    for (member, expected) in [("accepted", 21), ("applied", 17), ("lost", 4), ("waiting", 0)] {
        assert_eq!(balance[member], expected, "{member} in {balance}");
    }
}
