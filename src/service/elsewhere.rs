//! How far other processes have applied a stream, as its store tells. However many wait for that, it is one question at a
//! time, [`ASK_EVERY`].

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;

use crate::document::Position;
use crate::polling::Poll;
use crate::store::Store;
use crate::stream::Stream;

/// How long after an answer the store is asked again: what waiting for another process takes longer than it must, at most.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// What the store told last.
#[derive(Debug)]
pub(super) struct Elsewhere {
    /// The first offset without an outcome, by partition. What was told once stays true: what is appended later than that
    /// stands behind it, even when a person has moved the position back meanwhile.
    next_offsets: watch::Sender<BTreeMap<i32, i64>>,
    poll: Poll,
}

impl Default for Elsewhere {
    fn default() -> Self {
        Elsewhere { next_offsets: watch::Sender::default(), poll: Poll::every(ASK_EVERY) }
    }
}

impl Elsewhere {
    /// Waits until the document at `position` of `stream`, and all before it, have their outcome.
    pub(super) async fn reaches(&self, store: &dyn Store, stream: &Stream, position: &Position) {
        let mut told = self.next_offsets.subscribe();
        let has_outcome = |next_offsets: &BTreeMap<i32, i64>| {
            next_offsets.get(&position.partition).is_some_and(|next_offset| *next_offset > position.offset)
        };
        tokio::select! {
            biased;
            // Its other end is here.
            _ = told.wait_for(has_outcome) => {}
            never = self.poll.ask(|| self.ask(store, stream)) => match never {},
        }
    }

    /// A store that is away may be back before those who wait give up.
    async fn ask(&self, store: &dyn Store, stream: &Stream) -> Result<(), Infallible> {
        let Ok(standings) = store.books().positions(Some(&stream.name)).await else { return Ok(()) };
        let of_topic = standings.iter().filter(|standing| standing.place.topic == stream.topic);
        let next_offsets = of_topic.map(|standing| (standing.place.partition, standing.next_offset)).collect();
        self.next_offsets.send_if_modified(|known| {
            let is_news = *known != next_offsets;
            *known = next_offsets;
            is_news
        });
        Ok(())
    }
}
