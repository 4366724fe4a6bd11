//! `up --until-caught-up`: where everything ends that is there when the process starts, and whether it got there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::command::{Failed, wiring};
use crate::document::TopicName;
use crate::journal::{JournalError, Log};
use crate::reading::progress::{Progress, STILL};
use crate::service::Service;

/// How often it is looked whether everything is there.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The offset behind the last record of each partition of a topic that holds any.
pub(super) type Ends = Arc<BTreeMap<i32, i64>>;

/// Where the topics of the streams ended when the process began.
pub(super) struct CaughtUp {
    ends: BTreeMap<TopicName, Ends>,
}

async fn ends(log: &dyn Log, topic: &TopicName) -> Result<Ends, JournalError> {
    let extents = wiring::patiently(async || log.extents(topic).await).await?;
    let held = extents.into_iter().filter(|extent| extent.end > extent.start);
    Ok(Arc::new(held.map(|extent| (extent.partition, extent.end)).collect()))
}

impl CaughtUp {
    /// Looks where the topics end.
    pub(super) async fn look(service: &Service) -> Result<Self, Failed> {
        let mut found = BTreeMap::new();
        let Some(log) = &service.log else { return Ok(CaughtUp { ends: found }) };
        let outputs: Vec<_> = service.rollups.iter().map(|rolled| &rolled.plan.output).collect();
        // What a rollup makes of it ends where the rollup says.
        let topics = service.streams.iter().map(|served| &served.stream.topic).filter(|topic| !outputs.contains(topic));
        for topic in topics {
            found.insert(topic.clone(), ends(&**log, topic).await?);
        }
        Ok(CaughtUp { ends: found })
    }

    /// Where a topic ended.
    pub(super) fn of(&self, topic: &TopicName) -> Option<&Ends> {
        self.ends.get(topic)
    }

    /// Waits until everything before the ends is summed up, published and applied, as far as this process does that. Fails when
    /// something stands still that only a person can help.
    pub(super) async fn wait(mut self, service: &Service, is_applying: bool, is_rolling: bool) -> Result<(), Failed> {
        if is_rolling {
            for rolled in &service.rollups {
                let Some(ends) = self.ends.get(&rolled.plan.input).cloned() else { continue };
                let what = format!("rollup {}", rolled.plan.name);
                let is_there = || {
                    let committed = rolled.committed.borrow();
                    ends.iter().all(|(partition, end)| committed.get(partition).is_some_and(|at| at >= end))
                };
                wait_for(&what, &rolled.progress, is_there).await?;
            }
        }
        let Some(log) = service.log.as_ref().filter(|_| is_applying) else { return Ok(()) };
        for rolled in &service.rollups {
            let output = &rolled.plan.output;
            self.ends.insert(output.clone(), ends(&**log, output).await?);
        }
        for served in service.streams.iter().filter(|served| served.stream.is_applied()) {
            let Some(ends) = self.ends.get(&served.stream.topic).cloned() else { continue };
            let what = format!("stream {}", served.stream.name);
            let is_there = || {
                let next = |partition: &i32| served.progress.next_offset(*partition);
                ends.iter().all(|(partition, end)| next(partition).is_some_and(|at| at >= *end))
            };
            wait_for(&what, &served.progress, is_there).await?;
        }
        Ok(())
    }
}

async fn wait_for(what: &str, progress: &Progress, is_there: impl Fn() -> bool) -> Result<(), Failed> {
    let mut went_well = Instant::now();
    while !is_there() {
        match progress.halted() {
            None => went_well = Instant::now(),
            Some(why) if went_well.elapsed() > STILL => {
                return Err(Failed::Error(format!("{what} stands still: {why}").into()));
            }
            Some(_) => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}
