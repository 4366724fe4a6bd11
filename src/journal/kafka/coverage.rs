//! Whether every partition of a topic has a reader in the group.
//!
//! When the member that leads a group is killed between the two steps of a cooperative rebalance and comes back under its
//! name, the broker hands it what it had been given and sees no reason for a third step: partitions that were about to move
//! stay with nobody until somebody joins or leaves. So members look at their group now and then, more often after it has
//! changed, and one that sees the same gap twice joins anew: then all partitions are shared again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::lookup::Lookup;
use crate::document::TopicName;

/// How often a member looks at its group while it is stirred.
const LOOK_SOON: Duration = Duration::from_secs(2);

/// How often otherwise.
const LOOK_LATER: Duration = Duration::from_secs(30);

/// How long a change keeps a group stirred.
const STIRRED: Duration = Duration::from_secs(30);

/// What a member knows of its group.
pub(super) struct Coverage {
    group: String,
    stirred: Instant,
    looked: Instant,
    /// The answer to the last look: partitions that nobody reads; none while the group is changing.
    answer: Option<oneshot::Receiver<Vec<i32>>>,
    /// The gap that was seen once.
    gap: Vec<i32>,
}

impl Coverage {
    pub(super) fn of(group: &str) -> Self {
        let now = Instant::now();
        Coverage { group: group.to_owned(), stirred: now, looked: now, answer: None, gap: Vec::new() }
    }

    /// The group has changed, or something happened that may change it.
    pub(super) fn stir(&mut self) {
        self.stirred = Instant::now();
    }

    /// The partitions that nobody reads, when they were seen twice. Does not wait. `is_troubled` says whether Kafka was out
    /// of reach lately.
    pub(super) fn gap(
        &mut self,
        lookup: &Arc<Lookup>,
        topic: &TopicName,
        is_troubled: impl Fn() -> bool,
    ) -> Option<Vec<i32>> {
        if let Some(answer) = &mut self.answer {
            let seen = match answer.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => return None,
                // What cannot be told now is told at the next look.
                Err(oneshot::error::TryRecvError::Closed) => Vec::new(),
                Ok(seen) => seen,
            };
            self.answer = None;
            let lasting: Vec<_> = seen.iter().copied().filter(|partition| self.gap.contains(partition)).collect();
            self.gap = seen;
            return (!lasting.is_empty()).then_some(lasting);
        }
        let since = self.looked.elapsed();
        if since < LOOK_SOON {
            return None;
        }
        let is_stirred = self.stirred.elapsed() < STIRRED || !self.gap.is_empty() || is_troubled();
        if is_stirred || since >= LOOK_LATER {
            self.looked = Instant::now();
            let (answer, asked) = oneshot::channel();
            let (lookup, group, topic) = (Arc::clone(lookup), self.group.clone(), topic.clone());
            tokio::spawn(async move {
                if let Ok(unread) = lookup.ask(move |lookup| lookup.unread(&group, &topic)).await {
                    // A reader that is gone needs no answer.
                    let _ = answer.send(unread);
                }
            });
            self.answer = Some(asked);
        }
        None
    }
}
