//! One append on its way: its records are acknowledged one by one, and the last acknowledgement answers.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::error::RDKafkaErrorCode as Code;
use tokio::sync::oneshot;

use super::amount::Amount;
use super::error::{Trouble, caused, is_certain, meaning};
use crate::document::{Position, TopicName};
use crate::journal::{AppendError, JournalError, Outcome};

pub(super) type Answer = Result<Vec<Position>, AppendError>;

/// What an append waits for.
pub(super) struct Ticket {
    /// How much is appended.
    pub(super) amount: Amount,
    progress: Mutex<Progress>,
}

struct Progress {
    left: usize,
    /// Where the records stand, as far as is known.
    positions: Vec<Position>,
    delivered: usize,
    /// The first failure, and whether every failed record certainly is not in the topic.
    failed: Option<(JournalError, bool)>,
    answer: Option<oneshot::Sender<Answer>>,
}

/// An append whose last record was acknowledged or failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// Whether any of its records was acknowledged.
    pub(super) is_delivered: bool,
}

impl Ticket {
    /// A ticket for so much, and where its answer comes.
    pub(super) fn new(topic: &TopicName, amount: Amount) -> (Arc<Self>, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        let nowhere = || Position { topic: topic.clone(), partition: 0, offset: 0 };
        let positions = std::iter::repeat_with(nowhere).take(amount.records).collect();
        let progress = Progress { left: amount.records, positions, delivered: 0, failed: None, answer: Some(answer) };
        (Arc::new(Ticket { amount, progress: Mutex::new(progress) }), answered)
    }

    /// The record `index` stands there. Gives what the append came to when it was the last.
    pub(super) fn delivered(&self, index: u32, partition: i32, offset: i64) -> Option<Settled> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(position) = progress.positions.get_mut(index as usize) {
            (position.partition, position.offset) = (partition, offset);
        }
        progress.delivered += 1;
        progress.settle()
    }

    /// A record failed, and `trouble` was told before. As `delivered`.
    pub(super) fn failed(&self, code: Code, trouble: Option<Trouble>) -> Option<Settled> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let is_sure = is_certain(code) && progress.failed.as_ref().is_none_or(|(_, is_sure)| *is_sure);
        let error = match progress.failed.take() {
            Some((error, _)) => error,
            None => {
                let topic = progress.positions.first().map_or("", |position| position.topic.as_str());
                caused(meaning(&format!("the topic {topic}"), code), trouble)
            }
        };
        progress.failed = Some((error, is_sure));
        progress.settle()
    }
}

impl Progress {
    /// One record less is left; answers after the last.
    fn settle(&mut self) -> Option<Settled> {
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            return None;
        }
        let answer = self.answer.take()?;
        let result = match self.failed.take() {
            None => Ok(std::mem::take(&mut self.positions)),
            Some((source, is_sure)) => {
                let kept = if is_sure && self.delivered == 0 { Outcome::No } else { Outcome::Unknown };
                Err(AppendError::Unavailable { kept, source })
            }
        };
        // Whoever asked may have gone.
        let _ = answer.send(result);
        Some(Settled { is_delivered: self.delivered > 0 })
    }
}
