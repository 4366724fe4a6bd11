//! The proof that nothing accepted disappears: accepted = applied + duplicates + dead-lettered + dropped + lost + waiting.

use schemars::JsonSchema;
use serde::Serialize;

use crate::journal::{Extent, Log, Retention};
use crate::store::books::{Audit, Standing};
use crate::store::{Place, Store};
use crate::stream::{Stream, Target};

/// The balance of one partition of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[allow(missing_docs, reason = "product.md's words")]
pub struct Balance {
    pub stream: String,
    pub topic: String,
    pub partition: i32,
    pub accepted: i64,
    pub applied: i64,
    pub duplicates: i64,
    pub dead_lettered: i64,
    pub dropped: i64,
    pub lost: i64,
    pub waiting: i64,
    /// Kept in the journal only, and final there.
    pub kept: i64,
    /// Of a rollup: in a summary.
    #[serde(skip_serializing_if = "is_zero")]
    pub summed: i64,
    /// Of a rollup: not chosen, or not such that it can be summed up.
    #[serde(skip_serializing_if = "is_zero")]
    pub skipped: i64,
    /// Of a rollup: came after their window had closed.
    #[serde(skip_serializing_if = "is_zero")]
    pub late: i64,
    /// What does not add up; empty when everything does.
    pub faults: Vec<String>,
}

/// Balances a stream. The error says what could not be read.
pub async fn balance(
    journal: &dyn Log,
    retention: Option<&dyn Retention>,
    store: Option<&dyn Store>,
    stream: &Stream,
) -> Result<Vec<Balance>, Box<dyn std::error::Error + Send + Sync>> {
    // The books first: a document that is accepted meanwhile is then waiting, and none is applied before it is accepted.
    let mut standings = Vec::new();
    let mut audits = Vec::new();
    if let (Some(store), true) = (store, stream.is_applied()) {
        for standing in store.books().positions(Some(&stream.name)).await? {
            audits.push(store.books().audit(&standing.place).await?);
            standings.push(standing);
        }
        // A counter and its rows are read in two steps; when apply moved between them, they are read again.
        for (standing, audit) in standings.iter_mut().zip(&mut audits) {
            for _ in 0..20 {
                let again = store.books().positions(Some(&stream.name)).await?;
                let Some(now) = again.into_iter().find(|now| now.place == standing.place) else { break };
                if now == *standing {
                    break;
                }
                *standing = now;
                *audit = store.books().audit(&standing.place).await?;
            }
        }
    }
    let extents = journal.extents(&stream.topic).await?;
    let mut balances = Vec::new();
    for extent in &extents {
        // Where others remove records, some offsets may hold none.
        let retention = retention.filter(|_| !matches!(stream.apply.target, Target::Summaries { .. }));
        let records = match retention {
            Some(retention) => retention.count(&stream.topic, extent.partition).await?,
            None => None,
        };
        // Records are appended and removed meanwhile: only what is missing on both sides of the count is missing.
        let now = journal.extents(&stream.topic).await?.into_iter().find(|now| now.partition == extent.partition);
        let missing = missing_records(extent, now.as_ref(), records);
        let found = standings.iter().zip(&audits).find(|(standing, _)| standing.place.partition == extent.partition);
        let mut balance = match found {
            Some((standing, audit)) => check(stream, journal.identity(), standing, audit, extent),
            None => untouched(stream, extent),
        };
        balance.faults.extend(missing);
        balances.push(balance);
    }
    for (standing, audit) in standings.iter().zip(&audits) {
        if !extents.iter().any(|extent| extent.partition == standing.place.partition) {
            let none = Extent { partition: standing.place.partition, start: 0, end: 0 };
            balances.push(check(stream, journal.identity(), standing, audit, &none));
        }
    }
    Ok(balances)
}

fn is_zero(count: &i64) -> bool {
    *count == 0
}

fn blank(stream: &Stream, partition: i32) -> Balance {
    let (stream, topic) = (stream.name.to_string(), stream.topic.to_string());
    Balance { stream, topic, partition, ..Balance::default() }
}

/// A partition that apply has not touched.
fn untouched(stream: &Stream, extent: &Extent) -> Balance {
    let mut balance = blank(stream, extent.partition);
    balance.accepted = extent.end;
    if stream.is_applied() {
        balance.waiting = extent.end;
        if extent.start > 0 {
            balance
                .faults
                .push(format!("the journal begins at {}, and the store has no position for this stream", extent.start));
        }
    } else {
        balance.kept = extent.end;
    }
    balance
}

fn check(stream: &Stream, journal: &str, standing: &Standing, audit: &Audit, extent: &Extent) -> Balance {
    let Standing { counters, first_offset, next_offset, place: Place { partition, .. }, .. } = standing;
    let mut balance = blank(stream, *partition);
    balance.applied = counters.applied;
    balance.duplicates = counters.duplicates;
    balance.dead_lettered = counters.dead_lettered;
    balance.dropped = counters.dropped;
    balance.lost = counters.lost;
    balance.waiting = extent.end - next_offset;
    balance.accepted = extent.end - first_offset + counters.carried - counters.gaps;
    let mut fault = |is_wrong: bool, text: String| {
        if is_wrong {
            balance.faults.push(text);
        }
    };
    fault(standing.journal != journal, "the books count in another journal than this one".into());
    let moved = next_offset - first_offset + counters.carried;
    fault(
        moved != counters.settled(),
        format!("the position moved over {moved} offsets, and the counters sum up to {}", counters.settled()),
    );
    fault(*next_offset > extent.end, format!("the position is {next_offset}, and the journal ends at {}", extent.end));
    fault(
        *next_offset < extent.start,
        format!("the position is {next_offset}, and the journal begins at {}", extent.start),
    );
    for (what, counted, rows) in [
        ("dead letters", counters.dead_lettered, audit.dead_lettered),
        ("dropped letters", counters.dropped, audit.dropped),
        ("duplicates", counters.duplicates - counters.duplicates_pruned, audit.duplicates),
        ("lost offsets", counters.lost, audit.lost),
    ] {
        fault(counted != rows, format!("{counted} {what} are counted, and {rows} are there"));
    }
    balance
}

fn missing_records(before: &Extent, after: Option<&Extent>, records: Option<i64>) -> Option<String> {
    let (after, records) = (after?, records?);
    let expected = before.end - after.start;
    (records < expected).then(|| format!("the journal should hold {expected} records, and holds {records}"))
}
