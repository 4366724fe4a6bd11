//! Reading a topic as a member of a group, for something that is not apply: counting. What holds for every handler holds here:
//! failures are tried again from where the handler says, a halt is told and left, a panic hurts nobody, and a partition that
//! somebody moves is claimed again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sluicegate::document::TopicName;
use sluicegate::journal::memory::MemoryJournal;
use sluicegate::journal::sqlite::SqliteJournal;
use sluicegate::journal::{Batch, Log};
use sluicegate::reading::progress::Progress;
use sluicegate::reading::{Begin, Failure, Handler, Handling, Next, Reader, Title};
use sluicegate::record::{Headers, Record};
use sluicegate::shutdown::{self, Stop};

use crate::support::{PATIENCE, eventually};

/// What the world outside the process would keep: how far it is, and how often each offset was counted.
#[derive(Default)]
struct Kept {
    next_offset: i64,
    counted: Vec<i64>,
    halts: Vec<Option<String>>,
    /// What happens at an offset, once each.
    script: Vec<(i64, Event)>,
    /// A person has moved it.
    is_moved: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Later,
    Halt,
    Leave,
    Panic,
    /// Nothing before it is lost by a failure that comes in the middle of a batch.
    Half,
}

#[derive(Clone, Default)]
struct Counting {
    kept: Arc<Mutex<Kept>>,
    claims: Arc<AtomicUsize>,
}

impl Counting {
    /// A handler that panicked has left it whole.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Handling for Counting {
    type Ready = Batch;
    type Handler = Counting;

    fn handler(&self) -> Counting {
        self.clone()
    }

    fn prepare(&self, batch: Batch) -> Batch {
        batch
    }
}

#[async_trait]
impl Handler<Batch> for Counting {
    async fn claim(&mut self, _: i32) -> Result<Begin, Failure> {
        self.claims.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.kept();
        kept.is_moved = false;
        Ok(Begin { offset: kept.next_offset, is_end: false })
    }

    async fn handle(&mut self, _: i32, batch: Batch, _: &Stop) -> Result<i64, Failure> {
        let mut kept = self.kept();
        assert_eq!(batch.records[0].position.offset, kept.next_offset, "a batch begins where the one before ended");
        for record in &batch.records {
            let offset = record.position.offset;
            if let Some(at) = kept.script.iter().position(|(scripted, _)| *scripted == offset) {
                let (_, event) = kept.script.remove(at);
                let failed = |next| Failure::new(next, format!("scripted at {offset}"));
                match event {
                    Event::Later => return Err(Failure { reached: Some(kept.next_offset), ..failed(Next::Retry) }),
                    Event::Halt => return Err(Failure { reached: Some(kept.next_offset), ..failed(Next::Halt) }),
                    Event::Leave => return Err(failed(Next::Leave)),
                    Event::Half => return Ok(offset),
                    Event::Panic => {
                        drop(kept);
                        panic!("a scripted handler");
                    }
                }
            }
            kept.counted.push(offset);
            kept.next_offset = offset + 1;
        }
        Ok(batch.next_offset)
    }

    fn revoked(&mut self, _: i32) {}

    async fn moved(&mut self) -> Vec<i32> {
        if self.kept().is_moved { vec![0] } else { Vec::new() }
    }

    async fn note_halt(&mut self, _: i32, reason: Option<&str>) {
        self.kept().halts.push(reason.map(ToOwned::to_owned));
    }

    async fn prune(&mut self) {}
}

/// A reader at work on a journal of its own.
struct Scene {
    log: Arc<dyn Log>,
    topic: TopicName,
    counting: Counting,
    progress: Arc<Progress>,
    stopper: Option<shutdown::Stopper>,
    running: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn start(log: Arc<dyn Log>, folder: tempfile::TempDir, script: &[(i64, Event)]) -> Self {
        let topic = TopicName::parse("counted").unwrap();
        log.open_topic(&topic, u64::MAX).await.unwrap();
        let (counting, progress) = (Counting::default(), Arc::<Progress>::default());
        counting.kept().script = script.to_vec();
        let (stopper, stop) = shutdown::channel();
        let reader = Reader {
            title: Title { what: "The count", stream: "counted".into() },
            log: Arc::clone(&log),
            topic: topic.clone(),
            group: "counting".into(),
            records_max: 10,
            workers: 2,
            progress: Arc::clone(&progress),
            handling: Arc::new(counting.clone()),
        };
        let running = tokio::spawn(reader.run(stop));
        Scene { log, topic, counting, progress, stopper: Some(stopper), running, _folder: folder }
    }

    async fn append(&self, count: usize) {
        let record = || Record { key: None, value: "1".into(), headers: Headers::default(), timestamp_ms: 0 };
        self.log.append(&self.topic, (0..count).map(|_| record()).collect()).await.unwrap();
    }

    fn wait(&self, what: &str, condition: impl Fn(&Kept) -> bool) {
        tokio::task::block_in_place(|| eventually(PATIENCE, what, || condition(&self.counting.kept()).then_some(())));
    }

    async fn end(mut self) -> Vec<i64> {
        self.stopper.take().unwrap().stop();
        self.running.await.unwrap();
        let kept = self.counting.kept();
        kept.counted.clone()
    }
}

/// Each journal whose records have offsets and that needs no server.
fn logs() -> Vec<(Arc<dyn Log>, tempfile::TempDir)> {
    let folder = || tempfile::tempdir().unwrap();
    let file = folder();
    let sqlite: Arc<dyn Log> = Arc::new(SqliteJournal::open(&file.path().join("journal.db")).unwrap());
    vec![(Arc::new(MemoryJournal::new()), folder()), (sqlite, file)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_each_record_is_handled_once_and_in_order() {
    let scripts: &[&'static [(i64, Event)]] = &[
        &[],
        &[(0, Event::Later)],
        &[(5, Event::Later), (5, Event::Later), (17, Event::Half)],
        &[(9, Event::Halt), (30, Event::Leave)],
        &[(12, Event::Panic)],
        &[(3, Event::Half), (4, Event::Panic), (20, Event::Later), (40, Event::Halt), (41, Event::Half)],
    ];
    let run = |script: &'static [(i64, Event)], (log, folder): (Arc<dyn Log>, tempfile::TempDir)| async move {
        let scene = Scene::start(log, folder, script).await;
        scene.append(25).await;
        scene.append(25).await;
        scene.wait(&format!("{script:?}"), |kept| kept.next_offset == 50 && kept.script.is_empty());
        assert_eq!(scene.end().await, (0..50).collect::<Vec<_>>(), "{script:?}");
    };
    let mut runs = tokio::task::JoinSet::new();
    for script in scripts {
        logs().into_iter().for_each(|log| drop(runs.spawn(run(script, log))));
    }
    runs.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_is_told_with_its_words_and_is_over_once_it_is_mended() {
    for (log, folder) in logs() {
        let scene = Scene::start(log, folder, &[(2, Event::Halt), (2, Event::Halt)]).await;
        scene.append(5).await;
        let told = || eventually(PATIENCE, "the halt is told", || scene.progress.halted());
        assert_eq!(tokio::task::block_in_place(told), "scripted at 2");
        scene.wait("it goes on", |kept| kept.next_offset == 5);
        assert_eq!(scene.counting.kept().halts, [Some("scripted at 2".to_owned())], "it is noted once");
        let goes = || (scene.progress.next_offset(0)? == 5 && scene.progress.halted().is_none()).then_some(());
        tokio::task::block_in_place(|| eventually(PATIENCE, "the halt is over", goes));
        assert_eq!(scene.end().await, (0..5).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_a_person_has_moved_is_claimed_again_and_read_from_there() {
    for (log, folder) in logs() {
        let scene = Scene::start(log, folder, &[]).await;
        scene.append(8).await;
        scene.wait("everything is counted", |kept| kept.next_offset == 8);
        {
            let mut kept = scene.counting.kept();
            (kept.next_offset, kept.is_moved) = (3, true);
        }
        scene.wait("what was set back is counted again", |kept| kept.next_offset == 8);
        assert_eq!(scene.end().await, (0..8).chain(3..8).collect::<Vec<_>>());
    }
}
