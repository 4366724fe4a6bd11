//! What retention promises: the limits let old records go, and never one that a reader still needs.

use std::time::Duration;

use sluicegate::clock;
use sluicegate::journal::{JournalError, RetentionLimits};
use sluicegate::record::{Headers, Record};

use super::{
    FOREVER, NOTHING, PATIENCE, Retaining, append, bounds, group, offsets, open, reader, record, records, stops, topic,
};

pub(super) async fn age_lets_old_records_go(Retaining { log: journal, retention }: &Retaining) {
    let topic = open(journal, "t").await;
    let now_ms = clock::now_ms();
    let aged = |age_ms| Record { timestamp_ms: now_ms - age_ms, ..record("x") };
    append(journal, &topic, [90_000, 70_000, 1_000, 80_000].map(aged).into()).await;
    let minute = RetentionLimits { age: Duration::from_secs(60), ..FOREVER };
    assert_eq!(retention.retain(&topic, FOREVER, false).await.unwrap(), 0);
    assert_eq!(retention.retain(&topic, minute, false).await.unwrap(), 2);
    assert_eq!(bounds(journal, &topic).await, (2, 4), "what stands behind a young record stays");
}

pub(super) async fn size_lets_the_oldest_records_go(Retaining { log: journal, retention }: &Retaining) {
    let topic = open(journal, "t").await;
    append(journal, &topic, (0..10).map(|_| record(vec![0; 10_000])).collect()).await;
    let limits = RetentionLimits { bytes_max: 35_000, ..FOREVER };
    assert_eq!(retention.retain(&topic, limits, false).await.unwrap(), 7, "three are left, and smaller than the limit");
    assert_eq!(retention.retain(&topic, limits, false).await.unwrap(), 0);
}

pub(super) async fn the_size_limit_holds_however_many_records_have_gone(
    Retaining { log: journal, retention }: &Retaining,
) {
    let topic = open(journal, "t").await;
    // Small values, so that keys and headers weigh.
    let headers = Headers { idempotency_key: Some("kläüß".into()), ..record("").headers };
    let small = Record { key: Some("key".into()), headers, ..record("1") };
    let bytes_max = small.size() as u64 * 20;
    for round in 0..30 {
        append(journal, &topic, vec![small.clone(); 50]).await;
        retention.retain(&topic, RetentionLimits { bytes_max, ..FOREVER }, false).await.unwrap();
        let (start, end) = bounds(journal, &topic).await;
        assert!((5..=20).contains(&(end - start)), "round {round}: {} records are left", end - start);
    }
}

pub(super) async fn retention_waits_for_the_first_reader_of_a_topic_that_is_to_be_read(
    Retaining { log: journal, retention }: &Retaining,
) {
    let topic = open(journal, "t").await;
    append(journal, &topic, records(0..10)).await;
    assert_eq!(retention.retain(&topic, NOTHING, true).await.unwrap(), 0);
    assert_eq!(retention.retain(&topic, NOTHING, false).await.unwrap(), 10);
}

pub(super) async fn nothing_is_kept_for_a_follower(Retaining { log: journal, retention }: &Retaining) {
    let topic = open(journal, "t").await;
    append(journal, &topic, records(0..10)).await;
    let mut follower = journal.follow(&topic, &[(0, 3)]).await.unwrap();
    assert_eq!(follower.next(PATIENCE).await.unwrap().unwrap().records.len(), 7);
    assert_eq!(retention.retain(&topic, NOTHING, false).await.unwrap(), 10);
}

pub(super) async fn a_follower_begins_where_the_topic_holds_records(Retaining { log: journal, retention }: &Retaining) {
    let topic = open(journal, "t").await;
    append(journal, &topic, records(0..10)).await;
    retention.retain(&topic, NOTHING, false).await.unwrap();
    append(journal, &topic, records(0..2)).await;
    for offset in [-1, 9, 13, i64::MAX] {
        let refused = journal.follow(&topic, &[(0, offset)]).await.err();
        assert!(matches!(refused, Some(JournalError::Stop(_))), "{offset}: {refused:?}");
    }
    let mut follower = journal.follow(&topic, &[(0, 10)]).await.unwrap();
    assert_eq!(offsets(&follower.next(PATIENCE).await.unwrap().unwrap().records), [10, 11]);
}

pub(super) async fn what_is_gone_is_not_read_and_its_offsets_are_not_given_again(
    Retaining { log: journal, retention }: &Retaining,
) {
    let topic = open(journal, "t").await;
    append(journal, &topic, records(0..10)).await;
    let mut consumer = reader(journal, &topic, "g", 0).await;
    consumer.commit(0, 4).await;
    consumer.leave().await;
    assert_eq!(retention.retain(&topic, NOTHING, true).await.unwrap(), 4);
    let mut consumer = reader(journal, &topic, "g", 4).await;
    for offset in [0, 3] {
        stops(&mut *consumer, offset, "10").await;
    }
    consumer.commit(0, 10).await;
    consumer.leave().await;
    assert_eq!(retention.retain(&topic, NOTHING, false).await.unwrap(), 6);
    assert_eq!(bounds(journal, &topic).await, (10, 10), "an empty topic still knows where it ends");
    assert_eq!(append(journal, &topic, records(0..1)).await, [10]);
}

pub(super) async fn retention_does_not_pass_a_group_that_still_reads(
    Retaining { log: journal, retention }: &Retaining,
) {
    let topic = open(journal, "t").await;
    append(journal, &topic, records(0..10)).await;
    let mut fast = reader(journal, &topic, "fast", 0).await;
    let mut slow = reader(journal, &topic, "slow", 0).await;
    fast.commit(0, 8).await;
    fast.leave().await;
    for is_read in [true, false] {
        assert_eq!(retention.retain(&topic, NOTHING, is_read).await.unwrap(), 0, "`slow` has read nothing");
    }
    slow.commit(0, 3).await;
    slow.leave().await;
    assert_eq!(retention.retain(&topic, NOTHING, true).await.unwrap(), 3);
    assert_eq!(bounds(journal, &topic).await, (3, 10));
}

pub(super) async fn nothing_is_kept_for_a_group_that_is_forgotten(Retaining { log: journal, retention }: &Retaining) {
    let topic = open(journal, "t").await;
    append(journal, &topic, records(0..10)).await;
    for (group, read) in [("gone", 0), ("here", 4)] {
        let mut reader = reader(journal, &topic, group, 0).await;
        reader.commit(0, read).await;
        reader.leave().await;
    }
    let [gone, here] = ["gone", "here"].map(|name| group(&topic, name));
    assert_eq!(journal.groups(&topic).await.unwrap(), [gone.clone(), here.clone()]);
    assert_eq!(retention.retain(&topic, NOTHING, true).await.unwrap(), 0);
    journal.forget_group(&topic, &gone).await.unwrap();
    assert_eq!(journal.groups(&topic).await.unwrap(), [here]);
    assert_eq!(retention.retain(&topic, NOTHING, true).await.unwrap(), 4);
}

pub(super) async fn records_are_counted_one_by_one(Retaining { log: journal, retention }: &Retaining) {
    let topic = topic("t");
    assert_eq!(retention.count(&topic, 0).await.unwrap(), None, "there is no such topic");
    journal.open_topic(&topic, u64::MAX).await.unwrap();
    for (appended, count) in [(0, 0), (3, 3), (2, 5)] {
        append(journal, &topic, records(0..appended)).await;
        assert_eq!(retention.count(&topic, 0).await.unwrap(), Some(count));
    }
}
