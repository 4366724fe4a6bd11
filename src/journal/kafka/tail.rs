//! Offsets behind the last record that hold none: the marks that end transactions, and what compaction removed.
//!
//! librdkafka passes them in silence. They are told so: when a partition has been read to its end and rests, its end is
//! asked for; if it lies further, the partition is fetched once more from where its reader stands. When the end is reached
//! again without a record, there was none up to the end that had been asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::lookup::Lookup;
use crate::document::TopicName;

/// How long a partition rests before its end is asked for.
const REST: Duration = Duration::from_millis(500);

/// How far the look at a partition's end has got.
#[derive(Default)]
pub(super) enum Tail {
    /// Records come, or the end has not been reached.
    #[default]
    Away,
    /// It was reached then, and not asked for yet.
    Reached(Instant),
    /// The cluster is asked where it is.
    Asked(oneshot::Receiver<i64>),
    /// It is there; the partition is fetched again.
    Again(i64),
    /// It was reached again: up to there is no record.
    Passed(i64),
    /// There is nothing behind the last record.
    Known,
}

impl Tail {
    /// The end of the partition was reached.
    pub(super) fn reached(&mut self) {
        *self = match self {
            Tail::Again(end) => Tail::Passed(*end),
            _ => Tail::Reached(Instant::now()),
        };
    }

    /// Records came.
    pub(super) fn moved(&mut self) {
        // The end may have been reached behind them, in the same batch.
        if !matches!(self, Tail::Reached(_)) {
            *self = Tail::Away;
        }
    }

    /// The offset up to which no record stands, told once.
    pub(super) fn passed(&mut self, next_offset: i64) -> Option<i64> {
        let Tail::Passed(end) = *self else { return None };
        *self = Tail::Known;
        (end > next_offset).then_some(end)
    }

    /// Whether the partition is to be fetched again from `next_offset`, to see what is behind it.
    pub(super) fn is_to_be_read_again(
        &mut self,
        lookup: &Arc<Lookup>,
        topic: &TopicName,
        partition: i32,
        next_offset: i64,
    ) -> bool {
        match self {
            Tail::Reached(at) if at.elapsed() >= REST => {
                let (answer, asked) = oneshot::channel();
                let (lookup, topic) = (Arc::clone(lookup), topic.clone());
                tokio::spawn(async move {
                    let extent = lookup.ask(move |lookup| lookup.extent(&topic, partition)).await;
                    // What cannot be told now is told at the next rest; a reader that is gone needs no answer.
                    let _ = answer.send(extent.map_or(next_offset, |extent| extent.end));
                });
                *self = Tail::Asked(asked);
                false
            }
            Tail::Asked(answer) => match answer.try_recv() {
                Ok(end) if end > next_offset => {
                    *self = Tail::Again(end);
                    true
                }
                Err(oneshot::error::TryRecvError::Empty) => false,
                Ok(_) | Err(oneshot::error::TryRecvError::Closed) => {
                    *self = Tail::Known;
                    false
                }
            },
            _ => false,
        }
    }
}
