//! From the configuration to the parts that run: journal, store, and the streams of `streams.rs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::plans::{not_transactional, plans};
use super::streams::streams;
use super::{Done, Failed, capability};
use crate::config::{BackendUrl, Config};
use crate::journal::{Journal, JournalError, Log, Retention, Transactional};
use crate::near;
use crate::reason::{Reason, chain};
use crate::registry;
use crate::roll::Plan;
use crate::service::Service;
use crate::store::readable::Readable;
use crate::store::{Store, StoreError};
use crate::stream::Stream;

/// The outside of the program, opened.
pub(super) struct Outside {
    pub(super) journal: Arc<dyn Journal>,
    /// The journal, if it is a log. What of the streams needs one was refused otherwise.
    pub(super) log: Option<Arc<dyn Log>>,
    /// What removes the journal's old records, if that is ours to do.
    pub(super) retention: Option<Arc<dyn Retention>>,
    pub(super) store: Option<Arc<dyn Store>>,
    pub(super) streams: Vec<Arc<Stream>>,
    /// What the rollups do, and the folder of their state.
    pub(super) plans: Vec<Arc<Plan>>,
    pub(super) rollups: PathBuf,
    /// The journal, if it appends and moves a position in one step.
    pub(super) transactional: Option<Arc<dyn Transactional>>,
}

/// What is done about a server that does not answer when the program starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It is an error.
    None,
    /// It is waited for.
    ForBoth,
    /// The journal is waited for; the store may come later.
    ForJournal,
}

/// How often a server that does not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Opens a journal and a store that are there, and builds the streams: what only looks makes no data, and no topic either.
pub(super) async fn open_existing(config: &Config) -> Result<Outside, Failed> {
    must_exist([Some(&config.journal), config.store.as_ref()])?;
    reach(config, Patience::None).await
}

/// What is said where a command needs a store, and there is none.
pub(super) fn no_store() -> Failed {
    Failed::Usage("there is no store: give one with --store or `store:`".into())
}

/// Says that there is no data when one of these is a file that is not there.
pub(super) fn must_exist<'u>(urls: impl IntoIterator<Item = Option<&'u BackendUrl>>) -> Done {
    match urls.into_iter().flatten().find_map(registry::missing_file) {
        None => Ok(()),
        Some(path) => Err(Failed::Error(no_data(path).into())),
    }
}

/// What is said where an embedded journal or store is not there.
pub(super) fn no_data(path: &Path) -> String {
    // A path that is relative says nothing to who is in the wrong folder.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    format!(
        "there is no data here: {} does not exist; `sluicegate up` and `sluicegate publish` make it, and --data DIR or \
         --config FILE says where it is",
        path.display()
    )
}

/// Opens journal and store with patience, and builds the streams. Without a store that was asked for, it may come later:
/// see [`reach_store`].
pub(super) async fn open_with(config: &Config, patience: Patience) -> Result<Outside, Failed> {
    let outside = reach(config, patience).await?;
    let mut again = Again::new("journal");
    for stream in outside.streams.iter().filter(|stream| !stream.is_foreign) {
        loop {
            match outside.journal.open_topic(&stream.topic, stream.retention.size).await {
                Err(JournalError::Later(reason)) if patience != Patience::None => again.after(reason).await,
                opened => break opened?,
            }
        }
    }
    Ok(outside)
}

/// Opens journal and store, and builds the streams, whose topics may be missing.
async fn reach(config: &Config, patience: Patience) -> Result<Outside, Failed> {
    let mut again = Again::new("journal");
    let journal = loop {
        match registry::open_journal(&config.journal, &config.data).await {
            Err(JournalError::Later(reason)) if patience != Patience::None => again.after(reason).await,
            opened => break opened?,
        }
    };
    let store = match &config.store {
        None => None,
        Some(url) if patience == Patience::ForBoth => Some(reach_store(url).await?),
        Some(url) => match registry::open_store(url).await {
            Err(StoreError::Later(reason)) if patience == Patience::ForJournal => {
                let error = chain(&reason);
                tracing::warn!(error, "The store cannot be reached yet; documents are accepted all the same.");
                None
            }
            opened => Some(opened?),
        },
    };
    let streams = streams(config, store.as_deref())?;
    let plans = plans(config, &streams)?;
    let transactional = Arc::clone(&journal).transactional();
    if let (Some(plan), None) = (plans.first(), &transactional) {
        return Err(not_transactional(plan));
    }
    let (log, retention) = (Arc::clone(&journal).log(), Arc::clone(&journal).retention());
    let lacks_log = |stream: &Arc<Stream>| capability::lacks_log(stream, config.store.is_some());
    if log.is_none()
        && let Some(words) = streams.iter().find_map(lacks_log)
    {
        return Err(Failed::Error(words.into()));
    }
    let rollups = config.data.join("rollups");
    Ok(Outside { journal, log, retention, store, streams, plans, rollups, transactional })
}

/// Opens a store, and waits until it can be reached.
pub(super) async fn reach_store(url: &BackendUrl) -> Result<Arc<dyn Store>, StoreError> {
    let mut again = Again::new("store");
    loop {
        match registry::open_store(url).await {
            Err(StoreError::Later(reason)) => again.after(reason).await,
            opened => return opened,
        }
    }
}

/// A journal that was just reached may not know its topics yet: asked for so long.
const SETTLE: Duration = Duration::from_secs(15);

/// Asks a journal again while time may heal why it does not answer, and not for long.
pub(super) async fn patiently<T>(ask: impl AsyncFn() -> Result<T, JournalError>) -> Result<T, JournalError> {
    let begun = std::time::Instant::now();
    loop {
        match ask().await {
            Err(JournalError::Later(_)) if begun.elapsed() < SETTLE => tokio::time::sleep(ASK_AGAIN).await,
            answered => return answered,
        }
    }
}

/// Another attempt at what time may heal.
struct Again {
    what: &'static str,
    is_told: bool,
}

impl Again {
    fn new(what: &'static str) -> Self {
        Again { what, is_told: false }
    }

    /// Says once what is waited for, and waits.
    async fn after(&mut self, reason: Reason) {
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(error = chain(&reason), "The {} cannot be reached yet; waiting.", self.what);
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

impl Outside {
    /// The store, for commands that cannot do without.
    pub(super) fn store(&self) -> Result<&Arc<dyn Store>, Failed> {
        self.store.as_ref().ok_or_else(no_store)
    }

    /// What questions are put to. Whoever has the configuration and the URL of the store may read what the store lets them.
    pub(super) fn service(&self) -> Service {
        let (journal, log) = (Arc::clone(&self.journal), self.log.clone());
        Service::new(self.streams.clone(), journal, log, self.store.clone(), false, false)
            .showing(Readable::all())
            .rolling(self.transactional.clone(), &self.plans, &self.rollups)
    }

    /// The journal as a log, for commands that cannot do without.
    pub(super) fn log(&self) -> Result<&Arc<dyn Log>, Failed> {
        self.log.as_ref().ok_or_else(capability::no_log)
    }

    /// The stream that the command line names.
    pub(super) fn stream(&self, name: &str) -> Result<&Arc<Stream>, Failed> {
        self.streams.iter().find(|stream| stream.name.as_str() == name).ok_or_else(|| self.unknown_stream(name))
    }

    /// That there is no stream of that name, with the near one.
    pub(super) fn unknown_stream(&self, name: &str) -> Failed {
        let known = self.streams.iter().map(|stream| stream.name.as_str());
        Failed::Error(near::unknown("stream", name, known).into())
    }
}
