//! The rollups: what each sums up, how far it is, and its summaries.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::parameters::{self, Parameters, bad};
use super::{Unanswered, log};
use crate::clock::rfc3339;
use crate::near;
use crate::problem::ProblemType;
use crate::roll::{Asking, Note, Shown};
use crate::rollup::{Key, Publish};
use crate::service::{Rolled, Service};

/// A page has so many summaries where nothing else is said, and at most so many.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1_000;

/// All rollups, in the order of the configuration.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Rollups {
    /// The rollups.
    pub rollups: Vec<About>,
}

/// What a rollup does, and how far it is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct About {
    /// Its name, which is that of its output topic.
    pub name: String,
    /// The stream that it sums up.
    pub from: String,
    /// What summaries are told apart by.
    pub key: Vec<String>,
    /// What they show besides.
    pub summary: Vec<String>,
    /// When they are published: `changes`, `every` and a time, or `end`.
    pub publish: String,
    /// How far it is, by partition of the stream's topic.
    pub partitions: Vec<Standing>,
}

/// How far a rollup is in a partition.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Standing {
    /// The rollup.
    pub rollup: String,
    /// The partition.
    pub partition: i32,
    /// The first offset that is in no published summary.
    pub position: i64,
    /// The first offset that the journal still has.
    pub begin: i64,
    /// The offset that the next document gets.
    pub end: i64,
    /// How many offsets are in no published summary.
    pub lag: i64,
    /// How many documents it has read.
    pub read: u64,
    /// How many of them are in a summary.
    pub summed: u64,
    /// How many were not chosen by `where`.
    pub not_chosen: u64,
    /// How many could not be summed up.
    pub skipped: u64,
    /// How many of them for which reason.
    pub skipped_for: std::collections::BTreeMap<&'static str, u64>,
    /// How many came after their window had closed.
    pub late: u64,
    /// How many repeated an idempotency key.
    pub duplicates: u64,
    /// How many summaries were published.
    pub published: u64,
    /// What does not add up; empty when everything does.
    pub faults: Vec<String>,
}

/// A page of summaries.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Summaries {
    /// The summaries, in the order of their keys.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub summaries: Vec<Box<RawValue>>,
    /// When the oldest of them was read from what is summed up.
    pub as_of: Option<String>,
    /// What `after` takes for the next page; none at the end.
    pub next: Option<String>,
}

/// One summary.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Summary {
    /// The summary.
    #[schemars(with = "serde_json::Value")]
    pub summary: Box<RawValue>,
    /// How fresh it is: everything that was summed up by then is in it.
    pub as_of: String,
    /// The partition of the stream's topic that its documents stand in.
    pub partition: i32,
}

/// Documents that came after their window had closed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LateOnes {
    /// The newest first, at most 100.
    pub late: Vec<Late>,
}

/// A document that came after its window had closed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Late {
    /// Its receipt.
    pub receipt: String,
    /// The key of the summary that it would have changed.
    pub key: String,
    /// When it was accepted.
    pub accepted: String,
}

fn rollup<'s>(service: &'s Service, name: &str) -> Result<&'s Rolled, Unanswered> {
    service.rollup(name).map(|rolled| &**rolled).ok_or_else(|| {
        let known = service.rollups.iter().map(|rolled| rolled.plan.name.as_str());
        Unanswered::new(ProblemType::UnknownRollup, near::unknown("rollup", name, known))
    })
}

/// All rollups.
pub async fn list(service: &Service) -> Result<Rollups, Unanswered> {
    let mut rollups = Vec::new();
    for rolled in &service.rollups {
        rollups.push(about(service, rolled).await?);
    }
    Ok(Rollups { rollups })
}

async fn about(service: &Service, rolled: &Rolled) -> Result<About, Unanswered> {
    let definition = rolled.plan.rollup.definition();
    let publish = match rolled.plan.publish {
        Publish::Changes => "changes".to_owned(),
        Publish::Every(period) => format!("every {}ms", period.as_millis()),
        Publish::End => "end".to_owned(),
    };
    Ok(About {
        name: rolled.plan.name.to_string(),
        from: rolled.plan.from.to_string(),
        key: definition.key.iter().map(|part| part.name.clone()).collect(),
        summary: definition.summaries.iter().map(|summary| summary.name.clone()).collect(),
        publish,
        partitions: standings(service, rolled).await?,
    })
}

/// How far a rollup is, as the journal says.
pub async fn standings(service: &Service, rolled: &Rolled) -> Result<Vec<Standing>, Unanswered> {
    let (log, plan) = (log(service)?, &rolled.plan);
    let failed = |error: crate::journal::JournalError| {
        Unanswered::new(ProblemType::JournalUnavailable, error.to_string()).retry_after(5)
    };
    let known = match &service.transactional {
        Some(journal) => journal.standings(&plan.input, &plan.group()).await.map_err(failed)?,
        None => Vec::new(),
    };
    let mut standings = Vec::new();
    for extent in log.extents(&plan.input).await.map_err(failed)? {
        let found = known.iter().find(|standing| standing.partition == extent.partition);
        let position = found.map_or(extent.start, |standing| standing.next_offset);
        let note = found.map(|standing| Note::read(&standing.note));
        let mut faults = Vec::new();
        match &note {
            Some(None) => faults.push("the position was moved by another program".to_owned()),
            Some(Some(note)) if !note.is_balanced(position) => {
                faults.push(format!("the counters do not sum up to the position {position}: {:?}", note.counts));
            }
            _ => {}
        }
        let counts = note.flatten().map(|note| (note.counts, note.published));
        let (counts, published) = counts.unwrap_or_default();
        standings.push(Standing {
            rollup: plan.name.to_string(),
            partition: extent.partition,
            position,
            begin: extent.start,
            end: extent.end,
            lag: (extent.end - position).max(0),
            read: counts.read(),
            summed: counts.summed,
            not_chosen: counts.not_chosen,
            skipped: counts.skipped.values().sum(),
            skipped_for: counts.skipped.iter().map(|(reason, count)| (reason.word(), *count)).collect(),
            late: counts.late,
            duplicates: counts.duplicates,
            published,
            faults,
        });
    }
    Ok(standings)
}

/// What is answered where the state is in another folder.
fn elsewhere(rolled: &Rolled) -> Unanswered {
    let plan = &rolled.plan;
    let words = format!(
        "the summaries of {} are not in this process's data folder: nothing was summed up yet, or another machine does it; ask \
         there, read the rollup's table, or the topic {}",
        plan.name, plan.output
    );
    Unanswered::new(ProblemType::NotFound, words)
}

fn asking(rolled: &Rolled) -> Result<Asking, Unanswered> {
    let asking = Asking::of(&rolled.folder, &rolled.plan);
    if asking.is_empty() { Err(elsewhere(rolled)) } else { Ok(asking) }
}

fn unread(words: String) -> Unanswered {
    Unanswered::new(ProblemType::Internal, words).retry_after(5)
}

fn raw(shown: &Shown) -> Box<RawValue> {
    // It was written as JSON.
    RawValue::from_string(shown.value.clone()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A page of a rollup's summaries.
pub async fn summaries(service: &Service, name: &str, parameters: &Parameters) -> Result<Summaries, Unanswered> {
    let rolled = rollup(service, name)?;
    let parts = rolled.plan.rollup.definition().key_parts();
    let (mut limit, mut after) = (PAGE, None);
    for (name, value) in parameters {
        match name.as_str() {
            "limit" => limit = parameters::limit(name, value, PAGE_MAX)?,
            "after" => after = Some(Key::from_record_key(value, parts)),
            _ => return Err(bad(name, "there are limit and after")),
        }
    }
    let mut found = asking(rolled)?.summaries(&rolled.plan, after, limit + 1).await.map_err(unread)?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    Ok(Summaries {
        as_of: found.iter().map(|shown| shown.as_of_ms).min().map(rfc3339),
        next: found.last().filter(|_| has_more).map(|shown| shown.key.clone()),
        summaries: found.iter().map(raw).collect(),
    })
}

/// One summary, by the key of its records.
pub async fn summary(service: &Service, name: &str, key: &str) -> Result<Summary, Unanswered> {
    let rolled = rollup(service, name)?;
    let asked = Key::from_record_key(key, rolled.plan.rollup.definition().key_parts());
    let found = asking(rolled)?.summary(&rolled.plan, &asked).await.map_err(unread)?;
    let shown = found
        .ok_or_else(|| Unanswered::new(ProblemType::NotFound, format!("{name} has no summary with the key {key:?}")))?;
    Ok(Summary { summary: raw(&shown), as_of: rfc3339(shown.as_of_ms), partition: shown.partition })
}

/// The newest documents that came late.
pub async fn late(service: &Service, name: &str) -> Result<LateOnes, Unanswered> {
    let rolled = rollup(service, name)?;
    let found = asking(rolled)?.late(&rolled.plan).await.map_err(unread)?;
    let late = found.into_iter().map(|late| Late {
        receipt: format!("{}-{}-{}", rolled.plan.input, late.partition, late.offset),
        key: late.key,
        accepted: rfc3339(late.accepted_ms),
    });
    Ok(LateOnes { late: late.collect() })
}
