//! A transaction as its owner has it: each call is a step that runs on the thread that writes, in the work that began there.
//!
//! While it is open, the thread waits for its next step and does nothing else: it is the one transaction that writes. It ends
//! with its commit, or when its owner drops it, and is rolled back then.

use std::sync::mpsc::{Receiver, Sender, channel};

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::transaction::Work;
use super::writer::{Writer, WriterThread, panicked};
use crate::document::Position;
use crate::store::{
    ApplyRules, Claim, Closing, CommitRefusal, Fate, Letter, Part, Refusal, StoreError, Tally, Transaction,
};

type Step = Box<dyn FnOnce(&mut Work<'_>) + Send>;

pub(super) struct Session {
    steps: Sender<Step>,
    /// The SQL that ran, when somebody wants to see it.
    statements: Option<Vec<String>>,
}

impl Session {
    /// Begins when the thread's turn comes to it.
    pub(super) async fn begin(thread: &WriterThread, rules: ApplyRules) -> Result<Self, StoreError> {
        let (steps, queue) = channel();
        let (answer, answered) = oneshot::channel();
        thread.send(move |writer| run(writer, &rules, &queue, answer));
        answered.await.unwrap_or_else(|_| Err(panicked()))?;
        Ok(Session { steps, statements: None })
    }

    /// Runs a step on the thread.
    async fn step<T: Send + 'static>(
        &self,
        step: impl FnOnce(&mut Work<'_>) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let step: Step = Box::new(move |work| drop(answer.send(step(work))));
        // Work that is over drops the step, and what would answer with it.
        let _ = self.steps.send(step);
        answered.await.map_err(|_| panicked())
    }
}

/// A transaction on the thread, from its beginning to its end.
fn run(
    writer: &mut Writer,
    rules: &ApplyRules,
    queue: &Receiver<Step>,
    answer: oneshot::Sender<Result<(), StoreError>>,
) {
    if answer.is_closed() {
        return;
    }
    let mut work = match Work::begin(writer, rules) {
        Ok(work) => work,
        Err(error) => return drop(answer.send(Err(error))),
    };
    if answer.send(Ok(())).is_err() {
        return;
    }
    while work.is_open()
        && let Ok(step) = queue.recv()
    {
        step(&mut work);
    }
}

#[async_trait]
impl Transaction for Session {
    async fn apply(&mut self, part: &Part) -> Result<Vec<Fate>, Refusal> {
        let (part, is_recorded) = (part.clone(), self.statements.is_some());
        let applied = self.step(move |work| {
            let applied = work.apply(&part.documents(), is_recorded);
            (applied, work.take_statements())
        });
        let (applied, ran) = applied.await.map_err(|error| Refusal { error, at: None, is_void: true })?;
        if let Some(statements) = &mut self.statements {
            statements.extend(ran);
        }
        applied
    }

    async fn set_aside(&mut self, letter: &Letter) -> Result<(), StoreError> {
        let letter = letter.clone();
        self.step(move |work| work.set_aside(&letter)).await?
    }

    async fn advance(&mut self, claim: &Claim, next_offset: i64, tally: Tally) -> Result<(), StoreError> {
        let claim = claim.clone();
        self.step(move |work| work.advance(&claim, next_offset, tally)).await?
    }

    async fn close_letter(&mut self, letter: &Position, how: Closing<'_>) -> Result<bool, StoreError> {
        let letter = letter.clone();
        match how {
            Closing::Applied => self.step(move |work| work.close_letter(&letter, Closing::Applied)).await?,
            Closing::Dropped => self.step(move |work| work.close_letter(&letter, Closing::Dropped)).await?,
            Closing::Failed(problem) => {
                let problem = problem.clone();
                self.step(move |work| work.close_letter(&letter, Closing::Failed(&problem))).await?
            }
        }
    }

    fn statements(&self) -> Vec<String> {
        self.statements.clone().unwrap_or_default()
    }

    fn record_statements(&mut self) {
        self.statements.get_or_insert_default();
    }

    async fn commit(self: Box<Self>) -> Result<(), CommitRefusal> {
        self.step(|work| work.commit()).await?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::SqliteStore;
    use super::*;
    use crate::store::Store;

    /// What a transaction writes that is not to be seen.
    const WRITE: &str = "CREATE TABLE t (id INTEGER)";

    struct Scene {
        store: Arc<SqliteStore>,
        _folder: tempfile::TempDir,
    }

    impl Scene {
        fn open() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Arc::new(SqliteStore::open(&folder.path().join("store.db")).unwrap());
            Scene { store, _folder: folder }
        }

        async fn begin(&self) -> Session {
            Session::begin(&self.store.writer, ApplyRules::default()).await.unwrap()
        }

        /// Whether the store writes, and nothing is left of what was not committed.
        async fn check(&self, what: &str) {
            self.store.check().await.unwrap_or_else(|error| panic!("{what}: {error}"));
            let left = self.store.writer.run(|writer| Ok(writer.connection.table_exists(None, "t").unwrap())).await;
            assert!(!left.unwrap(), "{what}");
        }
    }

    async fn write(session: &Session) {
        session.step(|work| work.run(WRITE, [])).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_panic_fails_its_own_transaction_and_nothing_else() {
        let scene = Scene::open();
        let session = scene.begin().await;
        write(&session).await;
        for _ in 0..2 {
            let failed = session.step(|_| panic!("a scripted step")).await.map(|()| 0);
            assert!(
                matches!(&failed, Err(StoreError::Later(why)) if why.words().contains("a fault of Sluicegate")),
                "{failed:?}"
            );
        }
        let committed = Box::new(session).commit().await;
        assert!(
            matches!(&committed, Err(CommitRefusal { error: StoreError::Later(_), .. })),
            "what panicked cannot be committed: {committed:?}"
        );
        scene.check("a step").await;
        let failed = scene.store.writer.write(|connection| {
            connection.execute_batch(WRITE).unwrap();
            panic!("a scripted job")
        });
        assert!(matches!(failed.await.map(|()| 0), Err(StoreError::Later(_))));
        scene.check("a job").await;
    }

    #[tokio::test]
    async fn whoever_is_dropped_leaves_nothing_and_is_not_waited_for() {
        let scene = Scene::open();
        let first = scene.begin().await;
        write(&first).await;
        // Two who wait for their turn, and go before it comes.
        let waits = || Box::pin(Session::begin(&scene.store.writer, ApplyRules::default()));
        let (mut second, mut third) = (waits(), Box::pin(scene.store.check()));
        assert!(futures_util::poll!(&mut second).is_pending() && futures_util::poll!(&mut third).is_pending());
        drop((second, third));
        // In the middle of a step, too.
        let mut step = Box::pin(first.step(|work| work.run("CREATE TABLE other (id INTEGER)", [])));
        let _ = futures_util::poll!(&mut step);
        drop(step);
        drop(first);
        scene.check("dropped").await;
    }

    #[tokio::test]
    async fn transactions_are_begun_in_the_order_in_which_they_were_asked_for() {
        let scene = Scene::open();
        let open = scene.begin().await;
        let order = std::sync::Mutex::new(Vec::new());
        let one = |number: usize| {
            let (scene, order) = (&scene, &order);
            async move {
                let session = scene.begin().await;
                order.lock().unwrap().push(number);
                Box::new(session).commit().await.unwrap();
            }
        };
        let all = futures_util::future::join_all((0..20).map(one));
        futures_util::future::join(all, async { drop(open) }).await;
        assert_eq!(order.into_inner().unwrap(), (0..20).collect::<Vec<_>>());
    }
}
