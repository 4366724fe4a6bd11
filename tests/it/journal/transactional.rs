//! What a journal promises in which records are appended and a position is moved in one step.

use std::sync::Arc;

use bytes::Bytes;
use sluicegate::document::TopicName;
use sluicegate::journal::{JournalError, Standing, Transactional};
use sluicegate::record::Record;

use super::{append, group, open, record, records, topic};

/// An input topic with records, an output topic beside it, and a group.
async fn scene(journal: &Arc<dyn Transactional>) -> (TopicName, TopicName, String) {
    let (input, output) = (open(journal, "in").await, topic("out"));
    append(journal, &input, records(0..10)).await;
    journal.open_output(&output, &input).await.unwrap();
    journal.open_output(&output, &input).await.unwrap();
    let group = group(&input, "rollup");
    (input, output, group)
}

fn keyed(key: &str, value: &str) -> Record {
    Record { key: Some(Bytes::copy_from_slice(key.as_bytes())), ..record(value.to_owned()) }
}

/// The values that whoever reads the topic from its beginning sees, with their keys.
async fn seen(journal: &Arc<dyn Transactional>, topic: &TopicName) -> Vec<(String, String)> {
    let extents = journal.extents(topic).await.unwrap();
    let (start, end) = (extents[0].start, extents[0].end);
    let mut follower = journal.follow(topic, &[(0, start)]).await.unwrap();
    let (mut found, mut next) = (Vec::new(), start);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let until = std::time::Instant::now() + super::PATIENCE;
    while next < end {
        assert!(std::time::Instant::now() < until, "what is committed is read in time, and that nothing follows it");
        let Some(batch) = follower.next(super::A_MOMENT).await.unwrap() else { continue };
        next = batch.next_offset;
        found.extend(
            batch
                .records
                .iter()
                .map(|kept| (kept.record.key.as_deref().map(text).unwrap_or_default(), text(&kept.record.value))),
        );
    }
    found
}

fn at(next_offset: i64, note: &str) -> Standing {
    Standing { partition: 0, next_offset, note: note.into() }
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.into(), value.into())
}

pub(super) async fn records_and_a_position_move_together(journal: &Arc<dyn Transactional>) {
    let (input, output, group) = scene(journal).await;
    assert_eq!(journal.standings(&input, &group).await.unwrap(), []);
    let mut mover = journal.mover(&input, &group, 0).await.unwrap();
    assert_eq!(mover.standing(), None, "nobody has moved it");
    mover.advance(&output, vec![keyed("a", "1"), keyed("b", "2")], 4, "{\"é\":1}".into()).await.unwrap();
    assert_eq!(journal.standings(&input, &group).await.unwrap(), [at(4, "{\"é\":1}")]);
    mover.advance(&output, Vec::new(), 7, "n".into()).await.unwrap();
    mover.advance(&output, vec![keyed("a", "3")], 10, String::new()).await.unwrap();
    drop(mover);
    assert_eq!(journal.mover(&input, &group, 0).await.unwrap().standing(), Some(&at(10, "")));
    assert_eq!(seen(journal, &output).await, [pair("a", "1"), pair("b", "2"), pair("a", "3")]);
}

pub(super) async fn whoever_is_no_mover_any_more_changes_nothing(journal: &Arc<dyn Transactional>) {
    let (input, output, group) = scene(journal).await;
    let mut first = journal.mover(&input, &group, 0).await.unwrap();
    first.advance(&output, vec![keyed("a", "first")], 2, "1".into()).await.unwrap();
    let mut second = journal.mover(&input, &group, 0).await.unwrap();
    assert_eq!(second.standing(), Some(&at(2, "1")));
    let failed = first.advance(&output, vec![keyed("a", "zombie")], 5, "z".into()).await;
    assert!(matches!(failed, Err(JournalError::Later(_))), "{failed:?}");
    second.advance(&output, vec![keyed("a", "second")], 3, "2".into()).await.unwrap();
    let failed = first.advance(&output, vec![keyed("a", "zombie")], 6, "z".into()).await;
    assert!(failed.is_err());
    assert_eq!(seen(journal, &output).await, [pair("a", "first"), pair("a", "second")]);
    assert_eq!(journal.standings(&input, &group).await.unwrap(), [at(3, "2")]);
}

pub(super) async fn groups_move_by_themselves(journal: &Arc<dyn Transactional>) {
    let (input, output, group) = scene(journal).await;
    let other = format!("{group}.other");
    let mut ours = journal.mover(&input, &group, 0).await.unwrap();
    let mut theirs = journal.mover(&input, &other, 0).await.unwrap();
    ours.advance(&output, Vec::new(), 3, "ours".into()).await.unwrap();
    theirs.advance(&output, Vec::new(), 5, "theirs".into()).await.unwrap();
    ours.advance(&output, Vec::new(), 4, "ours".into()).await.unwrap();
    assert_eq!(journal.standings(&input, &group).await.unwrap(), [at(4, "ours")]);
    assert_eq!(journal.standings(&input, &other).await.unwrap(), [at(5, "theirs")]);
}
