//! From the configuration to the parts that run: streams, journal, store.

use std::sync::Arc;
use std::time::Duration;

use super::Failed;
use crate::config::{self, BackendUrl, Config, Key, UnknownTypes};
use crate::document::{StreamName, TopicName};
use crate::gate::{Gate, KeyRule, Takes};
use crate::journal::{Journal, JournalError};
use crate::judgement::{Operation, Rules};
use crate::registry;
use crate::store::{ApplyRules, Limits, Store, StoreError};
use crate::stream::{OnFailure, Reply, Stream, Target, Where};

/// Without a store nobody has said what names it holds: PostgreSQL's limit fits every database.
const LIMITS_UNKNOWN: Limits = Limits { identifier_bytes_max: 63, batch_records_max: 1, writers_max: 1 };

/// The outside of the program, opened.
pub(super) struct Outside {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) store: Option<Arc<dyn Store>>,
    pub(super) streams: Vec<Arc<Stream>>,
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

/// Opens journal and store, and builds the streams.
pub(super) async fn open(config: &Config) -> Result<Outside, Failed> {
    open_with(config, Patience::None).await
}

/// Opens journal and store with patience, and builds the streams. Without a store that was asked for, it may come later:
/// see [`reach_store`].
pub(super) async fn open_with(config: &Config, patience: Patience) -> Result<Outside, Failed> {
    let mut again = Again::new("journal");
    let journal = loop {
        match registry::open_journal(&config.journal, &config.data) {
            Err(JournalError::Later(reason)) if patience != Patience::None => again.after(&reason).await,
            opened => break opened?,
        }
    };
    let store = match &config.store {
        None => None,
        Some(url) if patience == Patience::ForBoth => Some(reach_store(url).await?),
        Some(url) => match registry::open_store(url).await {
            Err(StoreError::Later(reason)) if patience == Patience::ForJournal => {
                tracing::warn!(reason, "The store cannot be reached yet; documents are accepted all the same.");
                None
            }
            opened => Some(opened?),
        },
    };
    let streams = streams(config, store.as_deref())?;
    for stream in streams.iter().filter(|stream| !stream.is_foreign) {
        loop {
            match journal.open_topic(&stream.topic, stream.retention_bytes).await {
                Err(JournalError::Later(reason)) if patience != Patience::None => again.after(&reason).await,
                opened => break opened?,
            }
        }
    }
    Ok(Outside { journal, store, streams })
}

/// Opens a store, and waits until it can be reached.
pub(super) async fn reach_store(url: &BackendUrl) -> Result<Arc<dyn Store>, StoreError> {
    let mut again = Again::new("store");
    loop {
        match registry::open_store(url).await {
            Err(StoreError::Later(reason)) => again.after(&reason).await,
            opened => return opened,
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
    async fn after(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(reason, "The {} cannot be reached yet; waiting.", self.what);
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

impl Outside {
    /// The store, for commands that cannot do without.
    pub(super) fn store(&self) -> Result<&Arc<dyn Store>, Failed> {
        self.store.as_ref().ok_or_else(|| Failed::Usage("there is no store: give one with --store or `store:`".into()))
    }

    /// The stream that the command line names.
    pub(super) fn stream(&self, name: &str) -> Result<&Arc<Stream>, Failed> {
        self.streams.iter().find(|stream| stream.name.as_str() == name).ok_or_else(|| {
            let known: Vec<_> = self.streams.iter().map(|stream| stream.name.as_str()).collect();
            Failed::Usage(format!("there is no stream {name:?}; there are {}", known.join(", ")))
        })
    }
}

/// Builds the streams of a configuration for `store`.
pub(super) fn streams(config: &Config, store: Option<&dyn Store>) -> Result<Vec<Arc<Stream>>, Failed> {
    let limits = store.map_or(LIMITS_UNKNOWN, Store::limits);
    config.streams.iter().map(|said| Ok(Arc::new(stream(said, limits)?))).collect()
}

fn stream(said: &config::Stream, limits: Limits) -> Result<Stream, Failed> {
    let name = StreamName::parse(&said.name)?;
    let key = match (&said.key, said.takes) {
        (Some(Key::Table), _) => KeyRule::Table,
        (Some(Key::Pointer(pointer)), _) => KeyRule::Pointer(pointer.clone()),
        (None, config::Takes::Changes) => KeyRule::Constant(said.name.clone().into()),
        (None, config::Takes::Events) => KeyRule::None,
    };
    let takes = match said.takes {
        config::Takes::Changes => {
            Takes::Changes { forms: said.forms.iter().map(|form| form.word().to_owned()).collect() }
        }
        config::Takes::Events => Takes::Events { has_table: said.table.is_some() },
    };
    let table = match (said.takes, &said.table) {
        (config::Takes::Changes, _) => Target::Tables,
        (config::Takes::Events, Some(table)) => {
            Target::Records { table: table.clone(), document_column: said.document_column.clone() }
        }
        (config::Takes::Events, None) => Target::Journal,
    };
    let rules = Rules {
        tables: said.allow.tables.clone(),
        operations: said.allow.operations.iter().map(operation).collect(),
        unknown_types_refused: said.unknown_types == UnknownTypes::Reject,
        identifier_bytes_max: limits.identifier_bytes_max,
        key_columns: said.key_columns.clone(),
    };
    let document_bytes_max = usize::try_from(said.document_bytes_max).unwrap_or(usize::MAX);
    Ok(Stream {
        name,
        topic: TopicName::parse(&said.topic)?,
        is_foreign: said.source.is_some(),
        from: match said.from {
            config::From::Beginning => Where::Beginning,
            config::From::End => Where::End,
        },
        gate: Gate { takes, rules, key, document_bytes_max },
        table,
        queries: said.queries,
        apply: ApplyRules { create: said.allow.create, keys: said.keys.clone().into_iter().collect() },
        on_failure: match said.on_failure {
            config::OnFailure::SetAside => OnFailure::SetAside,
            config::OnFailure::Stop => OnFailure::Stop,
        },
        routes: said.routes.clone(),
        reply: match said.reply {
            config::Reply::Receipt => Reply::Receipt,
            config::Reply::Echo => Reply::Echo,
            config::Reply::Created => Reply::Created,
        },
        retention_age: said.retention.age,
        retention_bytes: said.retention.size,
        duplicates_kept: said.duplicates_kept,
    })
}

fn operation(said: &config::Operation) -> Operation {
    match said {
        config::Operation::Insert => Operation::Insert,
        config::Operation::Update => Operation::Update,
        config::Operation::Delete => Operation::Delete,
        config::Operation::Truncate => Operation::Truncate,
    }
}
