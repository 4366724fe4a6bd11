//! Apply between a journal and a store that fails: nothing is lost, nothing doubled, and no document is blamed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sluicegate::apply::Applier;
use sluicegate::journal::memory::MemoryJournal;
use sluicegate::journal::{Journal, Log};
use sluicegate::reading::progress::Progress;
use sluicegate::record::{Headers, Record};
use sluicegate::shutdown::{self, Stopper};
use sluicegate::store::sqlite::SqliteStore;
use sluicegate::store::{ApplyRules, Store, StoreError};

use super::scripted::{Kind, Scripted, Step};
use crate::store::{balances, insert, stream};
use crate::support::{PATIENCE, eventually};

/// Pauses after failures sum up to a few seconds.
const LONG: Duration = PATIENCE;

/// An applier that runs until it goes out of scope.
pub(crate) struct Running {
    pub(crate) runtime: tokio::runtime::Runtime,
    journal: Arc<MemoryJournal>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) progress: Arc<Progress>,
    stopper: Stopper,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn new(store: Arc<dyn Store>) -> Self {
        Self::open(async || store)
    }

    /// With a store that is opened where it is used.
    pub(crate) fn open(open: impl AsyncFnOnce() -> Arc<dyn Store>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let store = runtime.block_on(open());
        let (journal, progress) = (Arc::new(MemoryJournal::new()), Arc::new(Progress::default()));
        let (stopper, stop) = shutdown::channel();
        let applier = Applier {
            stream: Arc::new(stream()),
            journal: Arc::clone(&journal) as Arc<dyn Log>,
            store: Arc::clone(&store),
            progress: Arc::clone(&progress),
            counts: Arc::default(),
        };
        let handle = runtime.handle().clone();
        let thread = Some(std::thread::spawn(move || handle.block_on(applier.run(stop))));
        Running { runtime, journal, store, progress, stopper, thread }
    }

    pub(crate) fn append(&self, documents: &[String]) {
        let record = |text: &String| Record {
            key: None,
            value: text.clone().into(),
            headers: Headers::default(),
            timestamp_ms: sluicegate::clock::now_ms(),
        };
        let records = documents.iter().map(record).collect();
        self.runtime.block_on(self.journal.append(&stream().topic, records)).unwrap();
    }

    pub(crate) fn wait_for(&self, next_offset: i64) {
        eventually(LONG, "everything is applied", || (self.progress.next_offset(0)? >= next_offset).then_some(()));
    }

    /// Checks that all of `count` documents were applied, exactly once, or set aside.
    fn check(&self, count: i64, dead_lettered: i64) {
        let balance = self.runtime.block_on(balances(&self.journal, &*self.store, &stream()));
        assert_eq!((balance.applied, balance.dead_lettered), (count - dead_lettered, dead_lettered), "{balance:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the applier panicked");
    }
}

fn open(folder: &Path) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(&folder.join("store.db")).unwrap())
}

fn rows(folder: &Path) -> i64 {
    let file = rusqlite::Connection::open(folder.join("store.db")).unwrap();
    file.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_failure_at_any_step_is_tried_again_and_doubles_nothing() {
    use Step::*;
    let steps = [Claim, Begin, Apply, SetAside, Advance, Commit, Reply];
    let documents = || {
        let mut documents: Vec<_> = (0..20).map(|id| insert("t", &format!("id INTEGER {id}"))).collect();
        documents.insert(7, insert("t", "id TEXT \"no number\""));
        documents
    };
    let check = |script: Vec<(Step, Kind)>| {
        let folder = tempfile::tempdir().unwrap();
        let scripted = Arc::new(Scripted::new(open(folder.path()), script.clone()));
        let running = Running::new(Arc::clone(&scripted) as Arc<dyn Store>);
        running.append(&documents());
        running.wait_for(21);
        eventually(LONG, "every fault happens", || (scripted.left() == 0).then_some(()));
        running.wait_for(21);
        running.check(21, 1);
        assert_eq!(rows(folder.path()), 20, "{script:?}");
    };
    std::thread::scope(|scope| {
        let check = &check;
        for step in steps {
            // After a commit whose reply is lost there is nothing left to be tried again.
            let times = if step == Reply { 1 } else { 2 };
            scope.spawn(move || check(vec![(step, Kind::Later); times]));
            scope.spawn(move || check(vec![(step, Kind::Stop)]));
            scope.spawn(move || check(vec![(step, Kind::Lost); times]));
        }
        scope.spawn(move || check(vec![(Advance, Kind::Fenced)]));
        // What may be a race is over after a few tries.
        for step in [Apply, Advance, Commit] {
            scope.spawn(move || check(vec![(step, Kind::Contested); 3]));
        }
        scope.spawn(move || check(steps.map(|step| (step, Kind::Later)).into()));
    });
}

#[test]
fn a_document_that_a_commit_refuses_is_set_aside_alone_and_found_at_once_where_it_is_named() {
    for names_refused in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let scripted = Scripted::new(open(folder.path()), Vec::new());
        let scripted = Arc::new(Scripted { refused: Some(40), names_refused, ..scripted });
        let running = Running::new(Arc::clone(&scripted) as Arc<dyn Store>);
        running.append(&(0..64).map(|id| insert("t", &format!("id INTEGER {id}"))).collect::<Vec<_>>());
        running.wait_for(64);
        running.check(64, 1);
        assert_eq!(rows(folder.path()), 63, "named: {names_refused}");
        let file = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
        let missing: i64 = file.query_row("SELECT count(*) FROM t WHERE id = 40", [], |row| row.get(0)).unwrap();
        assert_eq!(missing, 0, "the one that is refused is set aside, and no other");
        let refusals = scripted.refusals.load(std::sync::atomic::Ordering::SeqCst);
        // With those before it, with those behind it, and alone. Unnamed it is looked for by halves.
        assert_eq!(refusals <= 3, names_refused, "named: {names_refused}, refused {refusals} times");
    }
}

#[test]
fn a_panic_at_any_step_is_told_begun_again_after_and_loses_and_doubles_nothing() {
    use Step::*;
    std::thread::scope(|scope| {
        for step in [Claim, Begin, Apply, Advance, Commit, Reply] {
            scope.spawn(move || {
                let folder = tempfile::tempdir().unwrap();
                let times = if step == Reply { 1 } else { 2 };
                let scripted = Arc::new(Scripted::new(open(folder.path()), vec![(step, Kind::Panic); times]));
                let running = Running::new(Arc::clone(&scripted) as Arc<dyn Store>);
                running.append(&(0..20).map(|id| insert("t", &format!("id INTEGER {id}"))).collect::<Vec<_>>());
                let reason = eventually(LONG, "it says that it panicked", || running.progress.trouble("activities"));
                assert!(reason.contains("panicked") && reason.contains("the scripted store panics"), "{reason}");
                running.wait_for(20);
                running.check(20, 0);
                assert_eq!(rows(folder.path()), 20, "{step:?}");
                eventually(LONG, "it is well again", || running.progress.trouble("activities").is_none().then_some(()));
            });
        }
    });
}

#[test]
fn a_full_disk_stops_apply_keeps_everything_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let running = Running::new(Arc::clone(&store) as Arc<dyn Store>);
    running.append(&[insert("t", "id INTEGER 0, filler TEXT \"x\"")]);
    running.wait_for(1);
    // No page more than there is.
    running.runtime.block_on(store.limit_pages(1)).unwrap();
    let large = format!("{:?}", "x".repeat(20_000));
    // Some fit in what is there.
    let filler = |id| if id < 4 { "\"x\"" } else { &large };
    let documents = (1..60).map(|id| insert("t", &format!("id INTEGER {id}, filler TEXT {}", filler(id))));
    let documents: Vec<_> = documents.collect();
    running.append(&documents);
    let reason = eventually(LONG, "apply stands still", || running.progress.halted());
    assert!(reason.contains("full"), "{reason}");
    running.check(1, 0);
    assert_eq!(rows(folder.path()), 1, "no document is there by half");
    running.runtime.block_on(store.limit_pages(1 << 20)).unwrap();
    running.wait_for(60);
    eventually(LONG, "it no longer stands still", || running.progress.halted().is_none().then_some(()));
    running.check(60, 0);
    assert_eq!(rows(folder.path()), 60);
}

#[test]
fn what_undoes_whole_transactions_is_one_documents_and_undoes_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::new(open(folder.path()));
    running.append(&[insert("t", "id INTEGER 0")]);
    running.wait_for(1);
    let file = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
    file.busy_timeout(PATIENCE).unwrap();
    let trigger =
        "CREATE TRIGGER strict BEFORE INSERT ON t WHEN new.id % 10 = 3 BEGIN SELECT raise(ROLLBACK, 'no'); END";
    file.execute_batch(trigger).unwrap();
    let documents: Vec<_> = (1..40).map(|id| insert("t", &format!("id INTEGER {id}"))).collect();
    running.append(&documents);
    running.wait_for(40);
    assert_eq!(running.progress.halted(), None);
    running.check(40, 4);
    assert_eq!(rows(folder.path()), 36);
}

#[test]
fn a_locked_file_is_waited_for_and_nobodys_document_is_blamed() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::new(open(folder.path()));
    running.append(&[insert("t", "id INTEGER 0")]);
    running.wait_for(1);
    let another = open(folder.path());
    let lock = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
    lock.busy_timeout(PATIENCE).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    running.append(&[insert("t", "id INTEGER 1")]);
    // The applier has begun before this one, and has given up once when this one does.
    let rules = ApplyRules::default();
    match running.runtime.block_on(another.begin(&rules, None)) {
        Err(StoreError::Later(reason)) => assert!(reason.words().contains("locked"), "{reason}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("two transactions at once"),
    }
    running.check(1, 0);
    lock.execute_batch("ROLLBACK").unwrap();
    running.wait_for(2);
    running.check(2, 0);
    assert_eq!(rows(folder.path()), 2);
}
