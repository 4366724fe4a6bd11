//! One append on its way: its records are acknowledged one by one, and the last acknowledgement answers.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::error::RDKafkaErrorCode as Code;
use tokio::sync::oneshot;

use super::error::{is_certain, meaning};
use crate::document::{Position, TopicName};
use crate::journal::{AppendError, JournalError, Outcome};

pub(super) type Answer = Result<Vec<Position>, AppendError>;

/// What an append waits for.
pub(super) struct Ticket {
    topic: TopicName,
    progress: Mutex<Progress>,
}

struct Progress {
    left: usize,
    positions: Vec<(i32, i64)>,
    delivered: usize,
    /// The first failure, and whether every failed record certainly is not in the topic.
    failed: Option<(JournalError, bool)>,
    answer: Option<oneshot::Sender<Answer>>,
}

impl Ticket {
    /// A ticket for so many records, and where its answer comes.
    pub(super) fn new(topic: TopicName, count: usize) -> (Arc<Self>, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        let positions = vec![(0, 0); count];
        let progress = Progress { left: count, positions, delivered: 0, failed: None, answer: Some(answer) };
        (Arc::new(Ticket { topic, progress: Mutex::new(progress) }), answered)
    }

    /// The record `index` stands there.
    pub(super) fn delivered(&self, index: u32, partition: i32, offset: i64) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(position) = progress.positions.get_mut(index as usize) {
            *position = (partition, offset);
        }
        progress.delivered += 1;
        self.settle(&mut progress);
    }

    /// A record failed; `trouble` ends the sentence when the code says little.
    pub(super) fn failed(&self, code: Code, trouble: &str) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let is_sure = is_certain(code) && progress.failed.as_ref().is_none_or(|(_, is_sure)| *is_sure);
        let error = match progress.failed.take() {
            Some((error, _)) => error,
            None => match meaning(&format!("the topic {}", self.topic), code) {
                JournalError::Later(reason) => JournalError::Later(format!("{reason}{trouble}")),
                stop @ JournalError::Stop(_) => stop,
            },
        };
        progress.failed = Some((error, is_sure));
        self.settle(&mut progress);
    }

    fn settle(&self, progress: &mut Progress) {
        progress.left = progress.left.saturating_sub(1);
        if progress.left > 0 {
            return;
        }
        let Some(answer) = progress.answer.take() else { return };
        let result = match progress.failed.take() {
            None => {
                let position = |(partition, offset)| Position { topic: self.topic.clone(), partition, offset };
                Ok(std::mem::take(&mut progress.positions).into_iter().map(position).collect())
            }
            Some((source, is_sure)) => {
                let kept = if is_sure && progress.delivered == 0 { Outcome::No } else { Outcome::Unknown };
                Err(AppendError::Unavailable { kept, source })
            }
        };
        // Whoever asked may have gone.
        let _ = answer.send(result);
    }
}
