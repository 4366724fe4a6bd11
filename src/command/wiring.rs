//! From the configuration to the parts that run: journal, store, and the streams of `streams.rs`.

use std::sync::Arc;

use super::Failed;
use super::streams::streams;
use crate::config::Config;
use crate::journal::Journal;
use crate::registry;
use crate::store::Store;
use crate::stream::Stream;

/// The outside of the program, opened.
pub(super) struct Outside {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) store: Option<Arc<dyn Store>>,
    pub(super) streams: Vec<Arc<Stream>>,
}

/// Opens journal and store, and builds the streams.
pub(super) async fn open(config: &Config) -> Result<Outside, Failed> {
    let journal = registry::open_journal(&config.journal)?;
    let store = config.store.as_ref().map(registry::open_store).transpose()?;
    let streams = streams(config, store.as_deref())?;
    for stream in &streams {
        journal.open_topic(&stream.topic, stream.retention_bytes).await?;
    }
    Ok(Outside { journal, store, streams })
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
