//! Documents that are applied once by a key, with 3,000,000 keys remembered, beside documents without one.
//!
//! The same events with two columns, from the journal to rows, in one store: without a key, with one of a sender, with that
//! of a file, and with that of a CloudEvent. Whatever else it costs to apply a document is the same for all.

use std::sync::Arc;

use sluicegate::apply::Applier;
use sluicegate::change::ChangeSet;
use sluicegate::document::{Position, StreamName, TopicName};
use sluicegate::intake::files::FileKey;
use sluicegate::journal::sqlite::SqliteJournal;
use sluicegate::journal::{Journal, Log};
use sluicegate::problem::Problem;
use sluicegate::reading::progress::Progress;
use sluicegate::record::{EVENT_KEY, Headers, Kept, Record};
use sluicegate::store::sqlite::SqliteStore;
use sluicegate::store::{Document, Documents, Fate, Idempotency, Reads, Store};
use sluicegate::stream::Stream;

use crate::Fallible;
use crate::apply::run;
use crate::events;
use crate::load::cpu_seconds;
use crate::report::{Rounds, Target, head, line, short};
use crate::scale::Scaled;
use crate::scratch::Scratch;

const ROUNDS: Scaled<usize> = Scaled(5, 1);
const REMEMBERED: Scaled<i64> = Scaled(3_000_000, 3_000);

/// Documents of a kind and a round, on SQLite.
const DOCUMENTS: Scaled<i64> = Scaled(100_000, 1_000);
const APPENDED: i64 = 500;

/// Names the key of a document by its number.
type Name = fn(i64) -> Option<String>;

const KINDS: [(&str, Name); 4] = [
    ("none", |_| None),
    ("an `Idempotency-Key`", |n| Some(of_sender(n))),
    ("from files", |n| Some(FileKey { digest: half(n), occurrence: 1 }.to_string())),
    ("CloudEvents", |n| Some(format!("{EVENT_KEY}/sensors/{}\u{1}{}", n % 100, of_sender(n)))),
];

pub(crate) fn measure() -> Fallible {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let scratch = Scratch::new()?;
    let store = Arc::new(SqliteStore::open(&scratch.path().join("store.db"))?);
    let journal = Arc::new(SqliteJournal::open(&scratch.path().join("journal.db"))?);
    runtime.block_on(compare(store, journal, DOCUMENTS.now()))
}

/// Compares the kinds in a store, with so many documents of each in a round.
pub(crate) async fn compare(store: Arc<dyn Store>, journal: Arc<dyn Log>, documents: i64) -> Fallible {
    let stream = Arc::new(events::people()?);
    journal.open_topic(&stream.topic, stream.retention.size).await?;
    remember(&*store).await?;
    let (mut next, mut rates, mut cpu) = (0, [(); 4].map(|()| Rounds::default()), [(); 4].map(|()| Rounds::default()));
    for _ in 0..ROUNDS.now() {
        for (at, (_, name)) in KINDS.iter().enumerate() {
            let end = next + documents;
            append(&*journal, &stream, next..end, *name).await?;
            let progress = Arc::new(Progress::default());
            let (stream, journal, store) = (Arc::clone(&stream), Arc::clone(&journal), Arc::clone(&store));
            let before = cpu_seconds("self")?;
            let seconds = run(
                Applier { stream, journal, store, progress: Arc::clone(&progress), counts: Arc::default() },
                &progress,
                end,
            )
            .await?;
            rates[at].push(documents as f64 / seconds);
            cpu[at].push((cpu_seconds("self")? - before) * 1e6 / documents as f64);
            next = end;
        }
    }
    expect_each_applied(&*store, &stream, next).await?;
    head("documents/s");
    for (at, (what, _)) in KINDS.iter().enumerate().skip(1) {
        line(&format!("{what}, beside no key"), &rates[at], &rates[0], Target::AtLeast(0.5));
    }
    println!();
    for ((what, _), cpu) in KINDS.iter().zip(&cpu) {
        println!("- processor time of this process a document, key: {what}: {} µs", cpu.text());
    }
    println!("- most resident memory of this process: {} MiB", short(peak_mib()?));
    Ok(())
}

async fn expect_each_applied(store: &dyn Store, stream: &Stream, count: i64) -> Fallible {
    let applied: i64 =
        store.books().positions(Some(&stream.name)).await?.iter().map(|standing| standing.counters.applied).sum();
    if applied != count {
        return Err(format!("of {count} documents {applied} were applied").into());
    }
    Ok(())
}

/// Reads records as documents that change nothing, by their keys.
struct KeysAlone(StreamName);

impl Reads for KeysAlone {
    fn read<'a>(&'a self, kept: &'a Kept) -> Result<Document<'a>, Problem> {
        let Kept { position, record } = kept;
        let key = record.headers.idempotency_key.as_deref();
        let idempotency = key.map(|key| Idempotency { key, digest: sluicegate::digest(&record.value) });
        Ok(Document { stream: &self.0, position, changes: ChangeSet::default(), idempotency })
    }
}

/// Has the store remember the keys of documents that change nothing.
async fn remember(store: &dyn Store) -> Fallible {
    const TRANSACTION: i64 = 5_000;
    let (stream, topic) = (StreamName::parse("before")?, TopicName::parse("before")?);
    let rules = Default::default();
    for first in (0..REMEMBERED.now()).step_by(TRANSACTION as usize) {
        let numbers = first..REMEMBERED.now().min(first + TRANSACTION);
        let position = |offset| Position { topic: topic.clone(), partition: 0, offset };
        let record = |n: i64| Record {
            key: None,
            value: n.to_be_bytes().to_vec().into(),
            headers: Headers { idempotency_key: Some(of_sender(n)), ..Headers::default() },
            timestamp_ms: 0,
        };
        let known: Vec<_> = numbers.map(|n| Kept { position: position(n), record: record(n) }).collect();
        let documents = Arc::new(Documents::read(Arc::new(KeysAlone(stream.clone())), known));
        let mut transaction = store.begin(&rules, None).await?;
        let fates = transaction.apply(&documents.whole()).await.map_err(|refusal| refusal.error)?;
        if fates.iter().any(|fate| *fate != Fate::Applied) {
            return Err("a new key was taken for a known one".into());
        }
        transaction.commit().await?;
    }
    Ok(())
}

async fn append(journal: &dyn Journal, stream: &Stream, numbers: std::ops::Range<i64>, name: Name) -> Fallible {
    let end = numbers.end;
    for first in numbers.step_by(APPENDED as usize) {
        let record = |n| {
            let mut record = events::record(n);
            record.headers.idempotency_key = name(n);
            record
        };
        let records: Vec<Record> = (first..end.min(first + APPENDED)).map(record).collect();
        journal.append(&stream.topic, records).await?;
    }
    Ok(())
}

/// What a sender might choose: a random UUID.
fn of_sender(n: i64) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(half(n)));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn half(n: i64) -> [u8; 16] {
    let digest = sluicegate::digest(&n.to_le_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

fn peak_mib() -> Fallible<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
}
