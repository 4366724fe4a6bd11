//! A store with one stream, a journal that says how much there is, and a way to apply documents written as JSON.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sluicegate::apply::verify::{Balance, balance};
use sluicegate::document::{Position, StreamName, TopicName};
use sluicegate::gate::{DocumentKind, Gate, KeyRule};
use sluicegate::journal::Journal;
use sluicegate::journal::memory::MemoryJournal;
use sluicegate::judgement::Rules;
use sluicegate::problem::{Problem, ProblemType};
use sluicegate::record::{Headers, Kept, Record};
use sluicegate::settings::intake::IntakeSettings;
use sluicegate::settings::{ApplySettings, RetentionSettings};
use sluicegate::store::books::Standing;
use sluicegate::store::rows::RowQuery;
use sluicegate::store::{ApplyRules, Claim, ClaimRequest, Documents, Fate, Letter, Place, Store, StoreError, Tally};
use sluicegate::stream::{Applying, Stream, Target};

/// The stream of change documents that these tests work with.
pub(crate) fn stream() -> Stream {
    let forms = ["activities", "wal2json"].map(str::to_owned).into();
    let gate = Gate {
        takes: DocumentKind::Changes { forms },
        rules: Rules::default(),
        key: KeyRule::None,
        document_bytes_max: 1 << 20,
    };
    Stream {
        name: StreamName::parse("changes").unwrap(),
        topic: TopicName::parse("topic").unwrap(),
        is_foreign: false,
        intake: IntakeSettings::default(),
        gate,
        apply: Applying {
            target: Target::Tables,
            rules: ApplyRules { create: true, ..ApplyRules::default() },
            settings: ApplySettings { duplicates_kept: Duration::from_secs(3600), ..ApplySettings::default() },
        },
        retention: RetentionSettings { age: Duration::from_secs(3600), size: u64::MAX },
    }
}

/// Balances a stream; every balance must be without faults.
pub(crate) async fn balances(journal: &MemoryJournal, store: &dyn Store, stream: &Stream) -> Balance {
    let balances = balance(journal, Some(journal), Some(store), stream).await.unwrap();
    let [balance] = &balances[..] else { panic!("{balances:?}") };
    assert_eq!(balance.faults, [""; 0], "{balance:?}");
    balance.clone()
}

/// A document of one insert: `insert("t", "id INTEGER 1, name TEXT \"a\"")`.
pub(crate) fn insert(table: &str, cells: &str) -> String {
    let (mut names, mut types, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for cell in cells.split(", ") {
        let mut words = cell.splitn(3, ' ');
        names.push(format!("{:?}", words.next().unwrap()));
        types.push(format!("{:?}", words.next().unwrap()));
        values.push(words.next().unwrap());
    }
    format!(
        r#"{{"activities":[{{"operation":"insert","table":"{table}","col_names":[{}],"col_types":[{}],"col_values":[{}]}}]}}"#,
        names.join(","),
        types.join(","),
        values.join(",")
    )
}

/// Records that are documents, with those.
pub(crate) fn documents(stream: &Stream, kept: &[Kept]) -> Arc<Documents> {
    let documents = Arc::new(Documents::read(Arc::new(stream.clone()), kept.to_vec()));
    assert_eq!(documents.unreadable(), []);
    documents
}

/// A store under test.
pub(crate) struct Bench {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) stream: Stream,
    pub(crate) claim: Claim,
}

impl Bench {
    pub(crate) async fn new(store: Arc<dyn Store>) -> Self {
        let (journal, stream) = (Arc::new(MemoryJournal::new()), stream());
        let place = Place { stream: stream.name.clone(), topic: stream.topic.clone(), partition: 0 };
        journal.open_topic(&stream.topic, u64::MAX).await.unwrap();
        let request = ClaimRequest { place: &place, journal: journal.identity(), start: 0, owner: "test" };
        let claim = store.claim(request).await.unwrap();
        Bench { store, journal, stream, claim }
    }

    pub(crate) fn place(&self) -> Place {
        self.claim.place.clone()
    }

    pub(crate) fn journal_identity(&self) -> &str {
        self.journal.identity()
    }

    pub(crate) async fn claim_again(&mut self) -> Result<Claim, StoreError> {
        let place = self.place();
        let request = ClaimRequest { place: &place, journal: self.journal.identity(), start: 0, owner: "again" };
        self.store.claim(request).await
    }

    /// Keeps documents in the journal.
    pub(crate) async fn append(&self, sent: &[(Option<&str>, &str)]) -> Vec<Kept> {
        let record = |(key, text): &(Option<&str>, &str)| Record {
            key: None,
            value: Bytes::copy_from_slice(text.as_bytes()),
            headers: Headers { idempotency_key: key.map(str::to_owned), ..Headers::default() },
            timestamp_ms: sluicegate::clock::now_ms(),
        };
        let records: Vec<_> = sent.iter().map(record).collect();
        let positions = self.journal.append(&self.stream.topic, records.clone()).await.unwrap();
        positions.into_iter().zip(records).map(|(position, record)| Kept { position, record }).collect()
    }

    /// Appends documents and applies them in one transaction; on a refusal they stay in the journal, not applied.
    pub(crate) async fn apply_with(&mut self, sent: &[(Option<&str>, &str)]) -> Result<Vec<Fate>, StoreError> {
        let kept = self.append(sent).await;
        self.apply_kept(&kept).await
    }

    pub(crate) async fn apply(&mut self, sent: &[&str]) -> Result<Vec<Fate>, StoreError> {
        let sent: Vec<_> = sent.iter().map(|text| (None, *text)).collect();
        self.apply_with(&sent).await
    }

    pub(crate) async fn apply_kept(&mut self, kept: &[Kept]) -> Result<Vec<Fate>, StoreError> {
        let documents = documents(&self.stream, kept);
        let mut transaction = self.store.begin(&self.stream.apply.rules, None).await?;
        let fates = transaction.apply(&documents.whole()).await.map_err(|refusal| refusal.error)?;
        let next_offset = kept.last().map_or(self.claim.next_offset, |kept| kept.position.offset + 1);
        let applied = fates.iter().filter(|fate| **fate == Fate::Applied).count() as i64;
        let duplicates = fates.len() as i64 - applied;
        let gaps = next_offset - self.claim.next_offset - applied - duplicates;
        let tally = Tally { applied, duplicates, gaps, ..Tally::default() };
        transaction.advance(&self.claim, next_offset, tally).await?;
        transaction.commit().await?;
        self.claim.next_offset = next_offset;
        Ok(fates)
    }

    /// Moves the position over documents of which each counts as applied.
    pub(crate) async fn advance_to(&mut self, next_offset: i64) {
        let mut transaction = self.store.begin(&self.stream.apply.rules, None).await.unwrap();
        let tally = Tally { applied: next_offset - self.claim.next_offset, ..Tally::default() };
        transaction.advance(&self.claim, next_offset, tally).await.unwrap();
        transaction.commit().await.unwrap();
        self.claim.next_offset = next_offset;
    }

    /// Sets the documents aside, with `kind` as the reason.
    pub(crate) async fn set_aside(&mut self, kind: ProblemType, sent: &[(Option<&str>, &str)]) -> Vec<Position> {
        let kept = self.append(sent).await;
        let mut transaction = self.store.begin(&self.stream.apply.rules, None).await.unwrap();
        for kept in &kept {
            transaction.set_aside(&self.letter(kept, kind)).await.unwrap();
        }
        let next_offset = kept.last().unwrap().position.offset + 1;
        let dead_lettered = kept.len() as i64;
        let gaps = next_offset - self.claim.next_offset - dead_lettered;
        let tally = Tally { dead_lettered, gaps, ..Tally::default() };
        transaction.advance(&self.claim, next_offset, tally).await.unwrap();
        transaction.commit().await.unwrap();
        self.claim.next_offset = next_offset;
        kept.into_iter().map(|kept| kept.position).collect()
    }

    pub(crate) fn letter(&self, kept: &Kept, kind: ProblemType) -> Letter {
        Letter {
            stream: self.stream.name.clone(),
            position: kept.position.clone(),
            record: kept.record.clone(),
            problem: Problem::new(kind, "because"),
            set_aside_ms: 1_767_315_845_678,
            attempts: 1,
        }
    }

    pub(crate) async fn standing(&self) -> Standing {
        let standings = self.store.books().positions(Some(&self.stream.name)).await.unwrap();
        let [standing] = &standings[..] else { panic!("{standings:?}") };
        standing.clone()
    }

    /// The rows of a table as JSON, in the order in which they were made; none without such a table.
    pub(crate) async fn rows(&self, table: &str) -> Option<Vec<String>> {
        let columns = self.store.rows().columns(table).await.unwrap()?;
        let mut query = RowQuery::of(table, &columns);
        let mut rows = Vec::new();
        loop {
            let page = self.store.rows().page(&query).await.unwrap();
            rows.extend(page.rows);
            query.after = page.next;
            if query.after.is_none() {
                return Some(rows);
            }
        }
    }

    pub(crate) async fn balances(&self) -> Balance {
        balances(&self.journal, &*self.store, &self.stream).await
    }
}

/// Fails unless the store refused a document for this reason.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>, kind: ProblemType) -> Problem {
    match result {
        Err(StoreError::Document(problem)) if problem.kind == kind => *problem,
        other => panic!("expected {}, not {other:?}", kind.name()),
    }
}
