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

/// The partitions of `topic` in what a member was given, as Kafka's consumer protocol writes it: a version, and for each
/// topic its name and its partitions. None when it is something else.
pub(super) fn given(assignment: &[u8], topic: &str) -> Option<Vec<i32>> {
    let mut rest = assignment;
    let mut found = Vec::new();
    let _version = take::<2>(&mut rest)?;
    for _ in 0..count(&mut rest)? {
        let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
        let (name, behind) = rest.split_at_checked(length)?;
        rest = behind;
        for _ in 0..count(&mut rest)? {
            let partition = i32::from_be_bytes(take(&mut rest)?);
            if name == topic.as_bytes() {
                found.push(partition);
            }
        }
    }
    Some(found)
}

fn count(rest: &mut &[u8]) -> Option<u32> {
    u32::try_from(i32::from_be_bytes(take(rest)?)).ok()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_and_garbage_is_not() {
        let topic = |name: &str, partitions: &[i32]| {
            let mut bytes = i16::try_from(name.len()).unwrap().to_be_bytes().to_vec();
            bytes.extend(name.as_bytes());
            bytes.extend(i32::try_from(partitions.len()).unwrap().to_be_bytes());
            bytes.extend(partitions.iter().flat_map(|partition| partition.to_be_bytes()));
            bytes
        };
        let mut whole = vec![0, 1, 0, 0, 0, 2];
        whole.extend(topic("other", &[7]));
        whole.extend(topic("orders", &[2, 0]));
        whole.extend([0xff; 4]);
        assert_eq!(given(&whole, "orders"), Some(vec![2, 0]));
        assert_eq!(given(&whole, "order"), Some(vec![]));
        assert_eq!(given(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 0], "orders"), Some(vec![]), "a member with nothing");
        for end in 0..whole.len() - 4 {
            assert_eq!(given(&whole[..end], "orders"), None, "{end} bytes");
        }
        assert_eq!(given(&[0xff; 64], "orders"), None);
        assert_eq!(given(&[0x7f; 64], "orders"), None);
    }
}
