//! A store that fails where it is told to, and a transaction that loses its reply.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sluicegate::document::Position;
use sluicegate::problem::{Problem, ProblemType};
use sluicegate::store::books::Books;
use sluicegate::store::rows::Rows;
use sluicegate::store::{
    ApplyRules, Claim, ClaimRequest, Closing, CommitRefusal, Fate, Letter, Limits, Part, Refusal, Store, StoreError,
    Tally, Transaction,
};

/// Where a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Claim,
    Begin,
    Apply,
    SetAside,
    Advance,
    Commit,
    /// The commit is done, and its reply is lost.
    Reply,
}

/// What the caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Later,
    Lost,
    Contested,
    Stop,
    Fenced,
    /// Nothing: the store panics.
    Panic,
}

impl Kind {
    fn error(self) -> StoreError {
        match self {
            Kind::Later => StoreError::later("scripted"),
            Kind::Lost => StoreError::lost("scripted"),
            Kind::Contested => StoreError::Contested(Box::new(Problem::new(ProblemType::DatabaseRefused, "scripted"))),
            Kind::Stop => StoreError::stop("scripted"),
            Kind::Fenced => StoreError::Fenced,
            Kind::Panic => panic!("the scripted store panics"),
        }
    }
}

/// Replays faults in order; each when its step comes.
pub(super) struct Scripted {
    pub(super) inner: Arc<dyn Store>,
    pub(super) script: Mutex<VecDeque<(Step, Kind)>>,
    /// The offset of a document that no transaction is committed with.
    pub(super) refused: Option<i64>,
    /// Whether it is named then.
    pub(super) names_refused: bool,
    /// How often it was refused.
    pub(super) refusals: AtomicUsize,
}

impl Scripted {
    /// A store that fails at these steps.
    pub(super) fn new(inner: Arc<dyn Store>, script: Vec<(Step, Kind)>) -> Self {
        let (script, refusals) = (Mutex::new(script.into()), AtomicUsize::new(0));
        Scripted { inner, script, refused: None, names_refused: false, refusals }
    }

    /// How many faults are still to come.
    pub(super) fn left(&self) -> usize {
        self.script.lock().unwrap().len()
    }

    fn pass(&self, step: Step) -> Result<(), StoreError> {
        let mut script = self.script.lock().unwrap();
        match script.front() {
            Some((at, kind)) if *at == step => {
                let kind = *kind;
                script.pop_front();
                // What panics must not poison the script.
                drop(script);
                Err(kind.error())
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Store for Scripted {
    fn identity(&self) -> &str {
        self.inner.identity()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn claim(&self, claim: ClaimRequest<'_>) -> Result<Claim, StoreError> {
        self.pass(Step::Claim)?;
        self.inner.claim(claim).await
    }

    async fn begin<'s>(
        &'s self,
        rules: &'s ApplyRules,
        claim: Option<&Claim>,
    ) -> Result<Box<dyn Transaction + 's>, StoreError> {
        self.pass(Step::Begin)?;
        Ok(Box::new(ScriptedTransaction {
            store: self,
            applied: Vec::new(),
            inner: self.inner.begin(rules, claim).await?,
        }))
    }

    fn books(&self) -> &dyn Books {
        self.inner.books()
    }

    fn rows(&self) -> &dyn Rows {
        self.inner.rows()
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.inner.check().await
    }
}

struct ScriptedTransaction<'s> {
    store: &'s Scripted,
    applied: Vec<Position>,
    inner: Box<dyn Transaction + 's>,
}

#[async_trait]
impl Transaction for ScriptedTransaction<'_> {
    async fn apply(&mut self, part: &Part) -> Result<Vec<Fate>, Refusal> {
        self.store.pass(Step::Apply).map_err(|error| Refusal::new(error, None))?;
        let fates = self.inner.apply(part).await?;
        self.applied.extend(part.documents()[..fates.len()].iter().map(|document| document.position.clone()));
        Ok(fates)
    }

    async fn set_aside(&mut self, letter: &Letter) -> Result<(), StoreError> {
        self.store.pass(Step::SetAside)?;
        self.inner.set_aside(letter).await
    }

    async fn advance(&mut self, claim: &Claim, next_offset: i64, tally: Tally) -> Result<(), StoreError> {
        self.store.pass(Step::Advance)?;
        self.inner.advance(claim, next_offset, tally).await
    }

    async fn close_letter(&mut self, letter: &Position, how: Closing<'_>) -> Result<bool, StoreError> {
        self.inner.close_letter(letter, how).await
    }

    fn statements(&self) -> Vec<String> {
        self.inner.statements()
    }

    fn record_statements(&mut self) {
        self.inner.record_statements();
    }

    async fn commit(self: Box<Self>) -> Result<(), CommitRefusal> {
        self.store.pass(Step::Commit)?;
        if let Some(refused) = self.applied.iter().find(|position| Some(position.offset) == self.store.refused) {
            let problem = Problem::new(ProblemType::ConstraintViolated, "scripted");
            self.store.refusals.fetch_add(1, Ordering::SeqCst);
            let document = self.store.names_refused.then(|| refused.clone());
            return Err(CommitRefusal { error: StoreError::Document(Box::new(problem)), document });
        }
        self.inner.commit().await?;
        self.store.pass(Step::Reply).map_err(CommitRefusal::from)
    }
}
