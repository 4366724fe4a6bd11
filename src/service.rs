//! What requests work with: the streams, the journal, the store, and how far apply is.

mod elsewhere;
mod refusals;
mod rolled;
mod veil;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use self::elsewhere::Elsewhere;
pub use self::refusals::Refusals;
pub use self::rolled::Rolled;
pub use self::veil::Veil;
use crate::budget::Budget;
use crate::document::Position;
use crate::intake::directory::health::Folders;
use crate::journal::{Journal, Log, Transactional};
use crate::metrics::{Applied, Intake, Metrics, Way};
use crate::near;
use crate::problem::{Problem, ProblemType};
use crate::reading::progress::Progress;
use crate::roll::Plan;
use crate::shutdown::Stop;
use crate::store::books::Outcome;
use crate::store::readable::Readable;
use crate::store::rows::Listed;
use crate::store::{Store, StoreError};
use crate::stream::Stream;

/// Shared by all requests.
pub struct Service {
    /// The streams, in the order of the configuration.
    pub streams: Vec<Arc<Served>>,
    /// The rollups, in the order of the configuration.
    pub rollups: Vec<Arc<Rolled>>,
    /// The journal, if it appends and moves a position in one step.
    pub transactional: Option<Arc<dyn Transactional>>,
    /// Where documents are kept.
    pub journal: Arc<dyn Journal>,
    /// The journal, if it is a log.
    pub log: Option<Arc<dyn Log>>,
    /// Whether this process takes documents.
    pub is_gateway: bool,
    /// Whether this process applies them.
    pub is_applying: bool,
    /// Bounds the bodies in memory.
    pub bodies: Arc<Budget>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Says in the log which documents were refused.
    refusals: Refusals,
    /// Where documents go; a gateway may have none, or not yet.
    store: OnceLock<Arc<dyn Store>>,
    /// Says that the process ends; none for a command, which nobody asks to.
    stop: OnceLock<Stop>,
    readable: Readable,
    by_name: HashMap<String, Arc<Served>>,
}

/// Who sent a request, as far as the connection tells: an extension of every request.
#[derive(Debug, Clone, Copy)]
pub struct Caller(pub std::net::IpAddr);

/// A stream and how far it is applied.
pub struct Served {
    /// The stream.
    pub stream: Arc<Stream>,
    /// How far this process has applied it.
    pub progress: Arc<Progress>,
    /// How far others have.
    elsewhere: Elsewhere,
    /// How its watched folders are.
    pub folders: Arc<Folders>,
    /// Counts what comes in.
    ways: Intake,
    /// Counts what became of it here.
    pub applied: Arc<Applied>,
}

/// What stands for a stream's own address among its ways in.
pub const BY_NAME: &str = "/v1/streams/{stream}";

/// What stands for its watched folders.
pub const BY_DIRECTORY: &str = "directory";

impl Served {
    /// A stream of which nothing is known yet, whose documents are counted in `metrics`.
    fn new(stream: Arc<Stream>, metrics: &Metrics) -> Self {
        let actions = stream.intake.actions.iter().map(|action| action.path.as_str());
        let folders = stream.intake.directories.first().map(|_| BY_DIRECTORY);
        let ways =
            [BY_NAME].into_iter().chain(stream.intake.routes.iter().map(String::as_str)).chain(actions).chain(folders);
        let ways = metrics.intake(stream.name.as_str(), ways);
        let applied = metrics.applied(stream.name.as_str());
        let (progress, elsewhere, folders) = Default::default();
        Served { stream, progress, elsewhere, folders, ways, applied }
    }

    /// The counters of a way in, by its route as the configuration writes it.
    pub fn way(&self, via: &str) -> &Way {
        self.ways.way(via)
    }
}

impl Service {
    /// Puts the parts together.
    pub fn new(
        streams: Vec<Arc<Stream>>,
        journal: Arc<dyn Journal>,
        log: Option<Arc<dyn Log>>,
        store: Option<Arc<dyn Store>>,
        is_gateway: bool,
        is_applying: bool,
    ) -> Self {
        let metrics = Arc::new(Metrics::default());
        let streams: Vec<_> = streams.into_iter().map(|stream| Arc::new(Served::new(stream, &metrics))).collect();
        let by_name = streams.iter().map(|served| (served.stream.name.to_string(), Arc::clone(served))).collect();
        let bodies = Arc::default();
        let store = store.map_or_else(OnceLock::new, OnceLock::from);
        let refusals = Refusals::default();
        Service {
            streams,
            rollups: Vec::new(),
            transactional: None,
            journal,
            log,
            is_gateway,
            is_applying,
            bodies,
            metrics,
            refusals,
            store,
            stop: OnceLock::new(),
            readable: Readable::nothing(),
            by_name,
        }
    }

    /// Where documents go; none for a gateway that was given none, or that has not reached it yet.
    pub fn store(&self) -> Option<&Arc<dyn Store>> {
        self.store.get()
    }

    /// Says that the store was reached. Whoever was first is right.
    pub fn reached(&self, store: Arc<dyn Store>) {
        let _ = self.store.set(store);
    }

    /// With rollups, whose state is in files of `folder`.
    pub fn rolling(self, transactional: Option<Arc<dyn Transactional>>, plans: &[Arc<Plan>], folder: &Path) -> Self {
        let rolled = |plan: &Arc<Plan>| Arc::new(Rolled::new(Arc::clone(plan), folder.to_owned()));
        Service { rollups: plans.iter().map(rolled).collect(), transactional, ..self }
    }

    /// Finds a rollup by its name.
    pub fn rollup(&self, name: &str) -> Option<&Arc<Rolled>> {
        self.rollups.iter().find(|rolled| rolled.plan.name.as_str() == name)
    }

    /// Says which tables are shown; without it, none.
    pub fn showing(self, readable: Readable) -> Self {
        Service { readable, ..self }
    }

    /// The tables that are shown.
    pub fn readable(&self) -> &Readable {
        &self.readable
    }

    /// What is kept from who may write and not read.
    pub async fn veil(&self) -> Veil<'_> {
        let tables = if self.readable.tells_all() { None } else { self.tables().await };
        Veil::new(&self.readable, tables)
    }

    /// The store's tables; none when it does not say.
    pub async fn tables(&self) -> Option<Vec<Listed>> {
        match self.store() {
            Some(store) => store.rows().tables().await.ok(),
            None => Some(Vec::new()),
        }
    }

    /// From `stop` on nobody waits any more.
    pub fn ends_with(&self, stop: Stop) {
        let _ = self.stop.set(stop);
    }

    /// Whether the process ends.
    pub fn is_stopping(&self) -> bool {
        self.stop.get().is_some_and(Stop::is_set)
    }

    /// Waits until the process ends.
    pub async fn stopping(&self) {
        match self.stop.get() {
            Some(stop) => stop.wait().await,
            None => std::future::pending().await,
        }
    }

    /// Counts a document that was refused, and says so in the log.
    pub fn refused(&self, served: &Served, via: &str, problem: &Problem) {
        served.way(via).rejected(problem.kind);
        self.refusals.note(&served.stream, via, problem);
    }

    /// Says in the log that a request was refused at the door.
    pub fn refused_at_the_door(&self, problem: &Problem) {
        self.refusals.note_at_the_door(problem);
    }

    /// Finds a stream by its name.
    pub fn stream(&self, name: &str) -> Option<&Arc<Served>> {
        self.by_name.get(name)
    }

    /// What is answered where there is no stream of that name: with the near one.
    pub fn unknown_stream(&self, name: &str) -> Problem {
        let known = self.streams.iter().map(|served| served.stream.name.as_str());
        Problem::new(ProblemType::UnknownStream, near::unknown("stream", name, known))
    }

    /// Finds the stream that a topic belongs to.
    pub fn stream_of_topic(&self, position: &Position) -> Option<&Arc<Served>> {
        self.streams.iter().find(|served| served.stream.topic == position.topic)
    }

    /// Waits until the documents before `position.offset + 1` have their outcome, at most until `deadline` or until the
    /// process ends. False when they do not have it by then, or nobody can tell.
    pub async fn wait_for(&self, served: &Served, position: &Position, deadline: Instant) -> bool {
        tokio::select! {
            biased;
            has_outcome = self.has_outcome(served, position) => has_outcome,
            () = tokio::time::sleep_until(deadline.into()) => false,
            () = self.stopping() => false,
        }
    }

    /// Waits without end. False when nobody can tell.
    async fn has_outcome(&self, served: &Served, position: &Position) -> bool {
        let Served { stream, progress, elsewhere, .. } = served;
        let partition = position.partition;
        loop {
            let here = progress.when(partition, |here| here.is_none_or(|next_offset| next_offset > position.offset));
            if here.await.is_some() {
                return true;
            }
            // Another process applies the partition, as far as this one knows.
            let Some(store) = self.store() else { return false };
            tokio::select! {
                biased;
                () = elsewhere.reaches(&**store, stream, position) => return true,
                _ = progress.when(partition, |here| here.is_some()) => {}
            }
        }
    }

    /// What became of the document at `position`, as far as its sender may know. None when there can be no such document.
    pub async fn outcome(&self, served: &Served, position: &Position) -> Result<Option<Outcome>, StoreError> {
        let later = |error: crate::journal::JournalError| StoreError::later(error.reason());
        // Without a log there are no such positions.
        let Some(log) = &self.log else { return Ok(None) };
        let extents = log.extents(&position.topic).await.map_err(later)?;
        let extent = extents.iter().find(|extent| extent.partition == position.partition);
        if extent.is_none_or(|extent| position.offset >= extent.end || position.offset < 0) {
            return Ok(None);
        }
        let Some(store) = self.store().filter(|_| served.stream.is_applied()) else {
            return Ok(Some(Outcome::Accepted));
        };
        match store.books().outcome(&served.stream.name, position).await? {
            Outcome::DeadLettered { problem } => {
                Ok(Some(Outcome::DeadLettered { problem: self.veil().await.over(problem) }))
            }
            other => Ok(Some(other)),
        }
    }
}
