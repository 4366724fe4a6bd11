//! What is known of topics: whether they are compacted, whether the last append went through, and when to ask anew.

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::ticket::Answer;
use crate::document::TopicName;
use crate::journal::{AppendError, JournalError};
use crate::reason::chain;

/// A topic that is compacted is looked at again after this: somebody may have mended it.
const ASK_AGAIN: Duration = Duration::from_secs(3);

/// A failed append tells of the next one for so long. After that somebody must try: there is no other way to find out.
const TELLING: Duration = Duration::from_secs(10);

/// What is known of topics.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Whether each is compacted, and when that was asked.
    compacted: Mutex<BTreeMap<TopicName, (bool, Instant)>>,
    /// Why the last append to each failed, and when; none once one went through.
    failing: Mutex<BTreeMap<TopicName, (JournalError, Instant)>>,
    is_any_failing: AtomicBool,
}

impl Known {
    fn compacted(&self) -> MutexGuard<'_, BTreeMap<TopicName, (bool, Instant)>> {
        self.compacted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failing(&self) -> MutexGuard<'_, BTreeMap<TopicName, (JournalError, Instant)>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a topic is compacted; none when that has to be asked.
    pub(super) fn is_compacted(&self, topic: &TopicName) -> Option<bool> {
        let (is_compacted, at) = self.compacted().get(topic).copied()?;
        (!is_compacted || at.elapsed() < ASK_AGAIN).then_some(is_compacted)
    }

    /// Remembers what the cluster has said.
    pub(super) fn note(&self, topic: &TopicName, is_compacted: bool) {
        self.compacted().insert(topic.clone(), (is_compacted, Instant::now()));
    }

    /// Why the last append failed, if it did, and not long ago.
    pub(super) fn trouble(&self, topic: &TopicName) -> Option<JournalError> {
        let failing = self.failing();
        failing.get(topic).filter(|(_, at)| at.elapsed() < TELLING).map(|(why, _)| why.clone())
    }

    /// Remembers what became of an append.
    pub(super) fn appended(&self, topic: &TopicName, answer: &Answer) {
        match answer {
            Err(AppendError::Unavailable { source, .. }) => {
                let before = self.failing().insert(topic.clone(), (source.clone(), Instant::now()));
                self.is_any_failing.store(true, Ordering::Relaxed);
                // Said once: whoever is answered meanwhile is told the sentence alone.
                let is_news = before.is_none_or(|(before, _)| discriminant(&before) != discriminant(source));
                match source {
                    JournalError::Stop(_) => {
                        // Its settings have changed, most likely.
                        self.compacted().remove(topic);
                        if is_news {
                            tracing::error!(%topic, error = chain(source), "Kafka refuses documents.");
                        }
                    }
                    JournalError::Later(_) if is_news => {
                        tracing::warn!(%topic, error = chain(source), "Kafka does not take documents now.");
                    }
                    JournalError::Later(_) => {}
                }
            }
            // Not a lock for every append of every document that goes well.
            Ok(_) if self.is_any_failing.load(Ordering::Relaxed) => {
                let mut failing = self.failing();
                failing.remove(topic);
                self.is_any_failing.store(!failing.is_empty(), Ordering::Relaxed);
            }
            _ => {}
        }
    }
}
