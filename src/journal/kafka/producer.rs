//! Appends records, at one of two paces. Few senders at once: grouped ahead of librdkafka, so that a group leaves when the
//! one before it is acknowledged, and a lone sender waits for nobody. A crowd: gathered by librdkafka, so that many share a
//! request.
//!
//! What waits is bounded in bytes, and how long it waits by `append_timeout`. Acknowledged means by every replica in sync
//! (`acks=all`), once and in order (idempotence).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::producer::BaseRecord;

use super::amount::Amount;
use super::crowd::Pace;
use super::error::caused;
use super::headers;
use super::lookup::Lookup;
use super::queue::{Full, Outgoing, Queue, Waiting};
use super::reports::{Acknowledged, Sent};
use super::sender::{Client, Sender};
use super::ticket::{Answer, Settled, Ticket};
use super::url::Settings;
use crate::document::TopicName;
use crate::journal::{AppendError, JournalError, Outcome};
use crate::panics;
use crate::reason::{Reason, chain};
use crate::record::Record;

/// What comes a little late is still awaited: librdkafka looks for late records once a second.
const GRACE: Duration = Duration::from_millis(1500);

/// After a panic acknowledgements are served again after this.
const PAUSE: Duration = Duration::from_millis(100);

/// The way to Kafka.
pub(super) struct Producer {
    shared: Arc<Shared>,
}

/// What senders and acknowledgements share.
struct Shared {
    settings: Arc<Settings>,
    lookup: Arc<Lookup>,
    state: Mutex<Queue>,
    /// Held while a group is handed over, so that what was appended together stands together.
    handing: Mutex<()>,
    prompt: Sender,
    gathering: Sender,
    /// Whom the clients tell of acknowledgements.
    itself: Weak<dyn Acknowledged>,
}

impl Producer {
    /// A way to Kafka that connects at the first append.
    pub(super) fn start(settings: &Arc<Settings>, lookup: &Arc<Lookup>) -> Result<Self, JournalError> {
        let shared = Arc::new_cyclic(|itself: &Weak<Shared>| Shared {
            settings: Arc::clone(settings),
            lookup: Arc::clone(lookup),
            state: Mutex::new(Queue::default()),
            handing: Mutex::new(()),
            prompt: Sender::new(Pace::Prompt, settings),
            gathering: Sender::new(Pace::Gathering, settings),
            itself: itself.clone(),
        });
        let producer = Producer { shared: Arc::clone(&shared) };
        for pace in [Pace::Prompt, Pace::Gathering] {
            let served = Arc::clone(&shared);
            // One of them serves the questions to the cluster, too.
            let serve = move || {
                let serve = || {
                    served.sender(pace).serve(|| {
                        if pace == Pace::Prompt {
                            served.lookup.drain()
                        }
                    })
                };
                // Without it no append would be answered: a panic is that turn's.
                while let Err(panic) = catch_unwind(AssertUnwindSafe(serve)) {
                    let what = panics::words(&*panic);
                    tracing::error!(what, "Kafka's acknowledgements panicked, by a fault of Sluicegate; they go on.");
                    std::thread::sleep(PAUSE);
                }
            };
            let thread = std::thread::Builder::new().name("journal-kafka".into()).spawn(serve);
            thread.map_err(|error| JournalError::later(Reason::of("a thread could not be started", error)))?;
        }
        Ok(producer)
    }

    /// Makes batches no larger than `bytes_max`, which a topic takes.
    pub(super) fn limit(&self, bytes_max: usize) {
        self.shared.prompt.limit(bytes_max);
        self.shared.gathering.limit(bytes_max);
    }

    /// Whether something was acknowledged within `age`.
    pub(super) fn is_fresh(&self, age: Duration) -> bool {
        self.shared.state().is_fresh(age)
    }

    /// Appends records to a topic that exists.
    pub(super) async fn append(&self, topic: &TopicName, records: Vec<Record>) -> Answer {
        let amount = Amount { bytes: records.iter().map(Record::size).sum(), records: records.len() };
        let outgoing: Vec<_> = records
            .into_iter()
            .map(|record| {
                let (headers, timestamp_ms) = headers::of(&record);
                Outgoing { key: record.key, value: record.value, headers, timestamp_ms }
            })
            .collect();
        let (ticket, mut answered) = Ticket::new(topic, amount);
        self.shared.take(Waiting { ticket: Arc::clone(&ticket), topic: topic.clone(), records: outgoing })?;
        let timeout = self.shared.settings.append_timeout;
        if let Ok(answer) = tokio::time::timeout(timeout, &mut answered).await {
            return answer.unwrap_or_else(|_| Err(self.shared.silent(Outcome::Unknown)));
        }
        if self.shared.state().withdraw(&ticket) {
            return Err(self.shared.silent(Outcome::No));
        }
        match tokio::time::timeout(GRACE, answered).await {
            Ok(Ok(answer)) => answer,
            _ => Err(self.shared.silent(Outcome::Unknown)),
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.shared.prompt.end();
        self.shared.gathering.end();
    }
}

impl Acknowledged for Shared {
    fn settled(&self, amount: Amount, settled: Settled) {
        let mut state = self.state();
        state.done(amount, settled.is_delivered);
        self.hand_over(state);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, Queue> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sender(&self, pace: Pace) -> &Sender {
        match pace {
            Pace::Prompt => &self.prompt,
            Pace::Gathering => &self.gathering,
        }
    }

    /// Takes an append in, or refuses it.
    fn take(&self, append: Waiting) -> Result<(), AppendError> {
        let mut state = self.state();
        match state.take(append) {
            Ok(()) => {
                self.hand_over(state);
                Ok(())
            }
            Err(Full::Busy { bytes, retry_after }) => {
                Err(AppendError::Overloaded { behind: format!("{} MiB", bytes >> 20), retry_after })
            }
            Err(Full::Silent { bytes, since }) => {
                let megabytes = bytes >> 20;
                let words = format!("{megabytes} MiB wait for Kafka, which has acknowledged nothing for {since:.0?}");
                Err(AppendError::Unavailable { kept: Outcome::No, source: self.unanswered(words) })
            }
        }
    }

    /// That there was no answer, caused by what went wrong lately.
    fn unanswered(&self, words: String) -> JournalError {
        let told = self.prompt.trouble().or_else(|| self.gathering.trouble()).or_else(|| self.lookup.trouble());
        caused(JournalError::later(words), told)
    }

    fn silent(&self, kept: Outcome) -> AppendError {
        let words = format!("Kafka has not acknowledged within {:?}", self.settings.append_timeout);
        AppendError::Unavailable { kept, source: self.unanswered(words) }
    }

    /// Hands over what may leave.
    fn hand_over<'s>(&'s self, mut state: MutexGuard<'s, Queue>) {
        while let Some(pace) = state.departure(|| self.gathering.is_warm()) {
            let sender = self.sender(pace);
            // Both, so that a crowd finds the other one warm.
            let client = match self.gathering.client(&self.itself).and_then(|_| sender.client(&self.itself)) {
                Ok(client) => client,
                Err(error) => return self.refuse_all(state, &error),
            };
            let appends = state.leave(pace);
            drop(state);
            let mut refused = Vec::new();
            let handing = self.handing.lock().unwrap_or_else(PoisonError::into_inner);
            for append in appends {
                let amount = append.ticket.amount;
                let settled = self.send(sender, &client, append);
                refused.extend(settled.map(|settled| (amount, settled)));
            }
            drop(handing);
            state = self.state();
            for (amount, settled) in refused {
                state.done(amount, settled.is_delivered);
            }
        }
    }

    /// Gives one append to librdkafka; gives what it came to when that is known at once.
    fn send(&self, sender: &Sender, client: &Client, append: Waiting) -> Option<Settled> {
        let mut settled = None;
        for (index, record) in append.records.into_iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let outgoing = BaseRecord {
                topic: append.topic.as_str(),
                partition: None,
                payload: Some(&record.value[..]),
                key: record.key.as_deref(),
                timestamp: record.timestamp_ms,
                headers: Some(record.headers),
                delivery_opaque: Box::new(Sent { ticket: Arc::clone(&append.ticket), index }),
            };
            if let Err((error, refused)) = client.send(outgoing) {
                let code = error.rdkafka_error_code().unwrap_or(Code::Fail);
                if code == Code::Fatal {
                    tracing::warn!("Kafka's producer failed for good and is made anew.");
                    sender.retire();
                }
                settled = refused.delivery_opaque.ticket.failed(code, None).or(settled);
            }
        }
        settled
    }

    /// Answers everybody who waits, since there is no client.
    fn refuse_all(&self, mut state: MutexGuard<'_, Queue>, error: &JournalError) {
        tracing::error!(error = chain(error), "Kafka's producer cannot be made.");
        let refused = state.give_up();
        drop(state);
        for append in refused {
            for _ in &append.records {
                append.ticket.failed(Code::Fatal, None);
            }
        }
    }
}
