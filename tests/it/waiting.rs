//! Waiting for what another process applies: the store is asked by one of those who wait, for all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sluicegate::document::{Position, StreamName, TopicName};
use sluicegate::journal::memory::MemoryJournal;
use sluicegate::service::Service;
use sluicegate::store::books::{Audit, Books, Counters, LetterFilter, Listed, Outcome, Standing};
use sluicegate::store::moves::{Move, Moved};
use sluicegate::store::rows::Rows;
use sluicegate::store::sqlite::SqliteStore;
use sluicegate::store::{ApplyRules, Claim, ClaimRequest, Letter, Limits, Place, Store, StoreError, Transaction};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::store::stream;
use crate::support::PATIENCE;

/// How often a store may be asked.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// A store that says how often it was asked for positions, which are another process's.
struct Asked {
    inner: SqliteStore,
    /// The first offset of the stream's topic without an outcome; of another topic's, all have one.
    next_offset: AtomicI64,
    asked: AtomicUsize,
    asking: AtomicUsize,
    /// The most questions that were asked beside each other.
    most: AtomicUsize,
    /// An answer takes a permit, and gives it back.
    answers: Semaphore,
    _folder: tempfile::TempDir,
}

#[async_trait]
impl Store for Asked {
    fn identity(&self) -> &str {
        self.inner.identity()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn claim(&self, claim: ClaimRequest<'_>) -> Result<Claim, StoreError> {
        self.inner.claim(claim).await
    }

    async fn begin<'s>(
        &'s self,
        rules: &'s ApplyRules,
        claim: Option<&Claim>,
    ) -> Result<Box<dyn Transaction + 's>, StoreError> {
        Store::begin(&self.inner, rules, claim).await
    }

    fn books(&self) -> &dyn Books {
        self
    }

    fn rows(&self) -> &dyn Rows {
        self.inner.rows()
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.inner.check().await
    }
}

/// Counts a question until it is answered, or dropped.
struct Asking<'a>(&'a AtomicUsize);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Books for Asked {
    async fn positions(&self, stream: Option<&StreamName>) -> Result<Vec<Standing>, StoreError> {
        let stream = stream.expect("one stream is asked about");
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.most.fetch_max(self.asking.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let _asking = Asking(&self.asking);
        let next_offset = self.next_offset.load(Ordering::SeqCst);
        let _answer = self.answers.acquire().await.unwrap();
        let standing = |topic: &str, next_offset| Standing {
            place: Place { stream: stream.clone(), topic: TopicName::parse(topic).unwrap(), partition: 0 },
            journal: String::new(),
            first_offset: 0,
            next_offset,
            epoch: 1,
            owner: "another process".into(),
            counters: Counters::default(),
            halted: None,
        };
        Ok(vec![standing("topic", next_offset), standing("the-one-before", i64::MAX)])
    }

    async fn outcome(&self, stream: &StreamName, position: &Position) -> Result<Outcome, StoreError> {
        self.inner.outcome(stream, position).await
    }

    async fn letters(&self, filter: &LetterFilter) -> Result<Vec<Listed>, StoreError> {
        self.inner.letters(filter).await
    }

    async fn letter(&self, position: &Position) -> Result<Option<Letter>, StoreError> {
        self.inner.letter(position).await
    }

    async fn begin(&self, journal: &str, places: &[(Place, i64)]) -> Result<(), StoreError> {
        Books::begin(&self.inner, journal, places).await
    }

    async fn move_position(&self, place: &Place, how: &Move) -> Result<Moved, StoreError> {
        self.inner.move_position(place, how).await
    }

    async fn note_halt(&self, place: &Place, reason: Option<&str>) -> Result<(), StoreError> {
        self.inner.note_halt(place, reason).await
    }

    async fn prune(&self, place: &Place, before_ms: i64, journal_start: i64) -> Result<u64, StoreError> {
        self.inner.prune(place, before_ms, journal_start).await
    }

    async fn audit(&self, place: &Place) -> Result<Audit, StoreError> {
        self.inner.audit(place).await
    }
}

/// A process with a stream, and the store that it asks.
struct Scene {
    store: Arc<Asked>,
    service: Arc<Service>,
}

impl Scene {
    /// Where so many answers may be on their way at once.
    fn with(answers: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Asked {
            inner: SqliteStore::open(&folder.path().join("store.db")).unwrap(),
            next_offset: AtomicI64::new(0),
            asked: AtomicUsize::new(0),
            asking: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            answers: Semaphore::new(answers),
            _folder: folder,
        });
        let journal = Arc::new(MemoryJournal::new());
        let asked = Arc::clone(&store) as Arc<dyn Store>;
        let service = Service::new(vec![Arc::new(stream())], journal, None, Some(asked), true, false);
        Scene { store, service: Arc::new(service) }
    }

    fn asked(&self) -> usize {
        self.store.asked.load(Ordering::SeqCst)
    }

    /// Somebody who waits for the document at an offset.
    fn wait(&self, offset: i64, patience: Duration) -> JoinHandle<bool> {
        let service = Arc::clone(&self.service);
        tokio::spawn(async move {
            let served = Arc::clone(&service.streams[0]);
            let position = Position { topic: served.stream.topic.clone(), partition: 0, offset };
            service.wait_for(&served, &position, Instant::now() + patience).await
        })
    }

    /// Until the store has been asked so often.
    async fn until_asked(&self, count: usize) {
        let is_asked = async {
            while self.asked() < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, is_asked).await.expect("the store is asked");
    }
}

async fn all(waiting: Vec<JoinHandle<bool>>, expected: bool, what: &str) {
    for one in waiting {
        let told = tokio::time::timeout(PATIENCE, one).await.unwrap_or_else(|_| panic!("{what}: somebody waits on"));
        assert_eq!(told.unwrap(), expected, "{what}");
    }
}

#[tokio::test]
async fn a_hundred_who_wait_ask_the_store_as_one_would_and_are_told_by_the_first_answer() {
    let scene = Scene::with(usize::MAX >> 4);
    let begun = Instant::now();
    let waiting: Vec<_> = (0..100).map(|offset| scene.wait(offset, PATIENCE)).collect();
    scene.until_asked(10).await;
    let (asked, at_most) = (scene.asked(), begun.elapsed().as_millis() / ASK_EVERY.as_millis() + 1);
    assert!(asked as u128 <= at_most, "{asked} questions, where {at_most} would do");
    assert!(!waiting.iter().any(JoinHandle::is_finished));
    scene.store.next_offset.store(100, Ordering::SeqCst);
    let asked = scene.asked();
    all(waiting, true, "a hundred").await;
    // The one that is under way may have been answered before that.
    assert!(scene.asked() <= asked + 2, "{} questions more", scene.asked() - asked);
    assert_eq!(scene.store.most.load(Ordering::SeqCst), 1);
    // Who comes later with what is known already asks nobody.
    let asked = scene.asked();
    all(vec![scene.wait(99, PATIENCE)], true, "what is known").await;
    assert_eq!(scene.asked(), asked);
}

#[tokio::test]
async fn when_the_one_who_asks_leaves_another_one_asks() {
    let scene = Scene::with(0);
    let mut asking = scene.wait(0, PATIENCE);
    scene.until_asked(1).await;
    for count in 2..=4 {
        let next = scene.wait(0, PATIENCE);
        tokio::task::yield_now().await;
        assert_eq!(scene.asked(), count - 1, "whoever comes second is told by the first one's question");
        asking.abort();
        scene.until_asked(count).await;
        asking = next;
    }
    scene.store.next_offset.store(1, Ordering::SeqCst);
    scene.store.answers.add_permits(1);
    all(vec![asking], true, "the last one").await;
    assert_eq!(scene.store.most.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_this_process_applies_itself_is_not_asked_for() {
    let scene = Scene::with(usize::MAX >> 4);
    let progress = &scene.service.streams[0].progress;
    progress.claimed(0, 0, false);
    let waiting: Vec<_> = (0..100).map(|offset| scene.wait(offset, PATIENCE)).collect();
    tokio::task::yield_now().await;
    progress.advance(0, 100);
    all(waiting, true, "a hundred").await;
    assert_eq!(scene.asked(), 0);
    // It is another's from now on, and then this one's again.
    let waiting = vec![scene.wait(100, PATIENCE)];
    tokio::task::yield_now().await;
    progress.stand_by(0);
    scene.until_asked(2).await;
    progress.claimed(0, 101, true);
    all(waiting, true, "the partition is back").await;
}

#[tokio::test]
async fn whoever_waits_in_vain_is_told_in_time_also_by_a_store_that_does_not_answer() {
    for answers in [0, usize::MAX >> 4] {
        let scene = Scene::with(answers);
        let waiting = (0..10).map(|offset| scene.wait(offset, Duration::from_millis(100))).collect();
        all(waiting, false, "in vain").await;
        assert!(scene.asked() > 0);
    }
}
