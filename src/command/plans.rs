//! From what the configuration says of a rollup to what it does; and what it needs of its stream and of the journal.

use std::sync::Arc;

use super::Failed;
use crate::config::{self, Config, OnSkip};
use crate::document::{StreamName, TopicName};
use crate::gate::KeyRule;
use crate::journal::{JournalError, Log};
use crate::roll::Plan;
use crate::rollup::{Place, Rollup};
use crate::stream::Stream;

/// The rollups of a configuration over its streams.
pub(super) fn plans(config: &Config, streams: &[Arc<Stream>]) -> Result<Vec<Arc<Plan>>, Failed> {
    config.rollups.iter().map(|said| plan(said, streams)).collect()
}

fn plan(said: &config::Rollup, streams: &[Arc<Stream>]) -> Result<Arc<Plan>, Failed> {
    let stream = streams.iter().find(|stream| stream.name.as_str() == said.from);
    let unknown = || Failed::Error(format!("rollup {}: there is no stream {}", said.name, said.from).into());
    let stream = stream.ok_or_else(unknown)?;
    Ok(Arc::new(Plan {
        name: StreamName::parse(&said.name)?,
        from: stream.name.clone(),
        input: stream.topic.clone(),
        output: TopicName::parse(&said.name)?,
        rollup: Rollup::new(said.definition.clone()),
        publish: said.publish,
        stops: said.on_failure == OnSkip::Stop,
        duplicates_kept: stream.apply.settings.duplicates_kept,
    }))
}

/// Fails when documents of one key of the rollup may stand in several partitions of its input: a summary is made of one.
pub(super) async fn must_not_be_split(plan: &Plan, stream: &Stream, log: &dyn Log) -> Result<(), JournalError> {
    let has_same_key = match &stream.gate.key {
        KeyRule::Constant(_) => true,
        KeyRule::Pointer(pointer) => {
            let place = Place::Pointer(pointer.clone());
            plan.rollup.definition().key.iter().any(|part| part.at == place)
        }
        KeyRule::None | KeyRule::Table => false,
    };
    if has_same_key {
        return Ok(());
    }
    let partitions = log.extents(&plan.input).await?.len();
    match partitions {
        0 | 1 => Ok(()),
        _ => Err(JournalError::stop(format!(
            "rollup {}: the topic {} has {partitions} partitions, and documents of one key may stand in several: write \
             `key: {}` in the stream {}, so that they stand together, or let its topic have one partition",
            plan.name,
            plan.input,
            plan.rollup.definition().key.first().map(|part| part.at.words()).unwrap_or_default(),
            plan.from
        ))),
    }
}

/// What is said where the journal cannot do what a rollup needs.
pub(super) fn not_transactional(plan: &Plan) -> Failed {
    let words = format!(
        "rollup {}: it needs a journal that appends records and moves a position in one step, and this one does not: use a \
         journal of another kind, as `sqlite://` and `kafka://` are",
        plan.name
    );
    Failed::Error(words.into())
}
