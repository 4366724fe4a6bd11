//! What retention promises: the limits let old records go, and never one that a reader still needs.

use std::sync::Arc;
use std::time::Duration;

use sluicegate::clock;
use sluicegate::journal::{Journal, Retention};
use sluicegate::record::{Headers, Record};

use super::{FOREVER, NOTHING, append, bounds, open, record, records};

pub(super) async fn age_lets_old_records_go(journal: &Arc<dyn Journal>) {
    let topic = open(journal, "t").await;
    let now_ms = clock::now_ms();
    let aged = |age_ms| Record { timestamp_ms: now_ms - age_ms, ..record("x") };
    append(journal, &topic, [90_000, 70_000, 1_000, 80_000].map(aged).into()).await;
    let minute = Retention { age: Duration::from_secs(60), ..FOREVER };
    assert_eq!(journal.retain(&topic, FOREVER, false).await.unwrap(), 0);
    assert_eq!(journal.retain(&topic, minute, false).await.unwrap(), 2);
    assert_eq!(bounds(journal, &topic).await, (2, 4), "what stands behind a young record stays");
}

pub(super) async fn size_lets_the_oldest_records_go(journal: &Arc<dyn Journal>) {
    let topic = open(journal, "t").await;
    append(journal, &topic, (0..10).map(|_| record(vec![0; 10_000])).collect()).await;
    let limits = Retention { bytes_max: 35_000, ..FOREVER };
    assert_eq!(journal.retain(&topic, limits, false).await.unwrap(), 7, "three are left, and smaller than the limit");
    assert_eq!(journal.retain(&topic, limits, false).await.unwrap(), 0);
}

pub(super) async fn the_size_limit_holds_however_many_records_have_gone(journal: &Arc<dyn Journal>) {
    let topic = open(journal, "t").await;
    // Small values, so that keys and headers weigh.
    let headers = Headers { idempotency_key: Some("kläüß".into()), ..record("").headers };
    let small = Record { key: Some("key".into()), headers, ..record("1") };
    let bytes_max = small.size() as u64 * 20;
    for round in 0..30 {
        append(journal, &topic, vec![small.clone(); 50]).await;
        journal.retain(&topic, Retention { bytes_max, ..FOREVER }, false).await.unwrap();
        let (start, end) = bounds(journal, &topic).await;
        assert!((5..=20).contains(&(end - start)), "round {round}: {} records are left", end - start);
    }
}

pub(super) async fn retention_waits_for_the_first_reader_of_a_topic_that_is_to_be_read(journal: &Arc<dyn Journal>) {
    let topic = open(journal, "t").await;
    append(journal, &topic, records(0..10)).await;
    assert_eq!(journal.retain(&topic, NOTHING, true).await.unwrap(), 0);
    assert_eq!(journal.retain(&topic, NOTHING, false).await.unwrap(), 10);
}
