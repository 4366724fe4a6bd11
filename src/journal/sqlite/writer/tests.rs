//! A writer whose jobs panic, and one whose file is full.

use super::super::SqliteJournal;
use super::*;
use crate::journal::Journal;
use crate::record::Headers;

fn record(bytes: usize) -> Record {
    Record { key: None, value: vec![b'1'; bytes].into(), headers: Headers::default(), timestamp_ms: 0 }
}

#[tokio::test]
async fn a_job_that_panics_ends_neither_the_writer_nor_what_waits_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(&folder.path().join("journal.db")).unwrap();
    let topic = TopicName::parse("t").unwrap();
    journal.open_topic(&topic, u64::MAX).await.unwrap();
    let panics = journal.writer.run(|transaction| -> rusqlite::Result<()> {
        transaction.execute("DELETE FROM topics", [])?;
        panic!("a job fails")
    });
    let error = panics.await.unwrap_err();
    assert!(error.to_string().contains("a fault of Sluicegate"), "{error}");
    let appended = journal.append(&topic, vec![record(1)]).await.unwrap();
    assert_eq!(appended[0].offset, 0, "what it had begun is undone");
    journal.check().await.unwrap();
}

#[tokio::test]
async fn a_journal_that_could_not_write_a_group_is_well_only_once_so_much_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(&folder.path().join("journal.db")).unwrap();
    let topic = TopicName::parse("t").unwrap();
    journal.open_topic(&topic, u64::MAX).await.unwrap();
    let pages =
        |pages: i64| journal.writer.run(move |transaction| transaction.pragma_update(None, "max_page_count", pages));
    pages(40).await.unwrap();
    journal.append(&topic, vec![record(400_000)]).await.unwrap_err();
    for _ in 0..2 {
        // A write that changes nothing would go through.
        let error = journal.check().await.unwrap_err();
        assert!(error.to_string().contains("full"), "{error}");
    }
    pages(1 << 20).await.unwrap();
    journal.check().await.unwrap();
    journal.append(&topic, vec![record(400_000)]).await.unwrap();
    let rest: i64 = journal
        .writer
        .run(|transaction| {
            transaction.query_row("SELECT count(*) FROM sqlite_master WHERE name = 'probe'", [], |row| row.get(0))
        })
        .await
        .unwrap();
    assert_eq!(rest, 0, "nothing of the attempt is left");
}

#[tokio::test]
async fn a_topic_that_is_full_says_so_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(&folder.path().join("journal.db")).unwrap();
    let topic = TopicName::parse("t").unwrap();
    journal.open_topic(&topic, 100).await.unwrap();
    journal.check_topic(&topic).await.unwrap();
    journal.append(&topic, vec![record(200)]).await.unwrap();
    let error = journal.check_topic(&topic).await.unwrap_err();
    assert!(error.to_string().contains("retention.size"), "{error}");
    journal.check().await.unwrap();
}
