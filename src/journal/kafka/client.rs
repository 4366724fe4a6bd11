//! What every client of librdkafka has: its log goes to ours, and its last trouble is remembered for whoever asks why
//! something takes long.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::error::Trouble;

/// The same trouble is told this often: librdkafka tells it at each attempt.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Trouble that is older has passed.
const TROUBLE_LASTS: Duration = Duration::from_secs(30);

/// The context of a client.
#[derive(Default)]
pub(super) struct Told {
    /// How many events were served, to know when a queue is empty.
    served: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    trouble: Option<(Instant, Code, String)>,
    told: HashMap<String, Instant>,
}

impl Told {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an event was served.
    pub(super) fn note_served(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    /// How many events were served so far.
    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// What went wrong lately, with its code.
    pub(super) fn trouble(&self) -> Option<(Code, Trouble)> {
        let known = self.known();
        let (at, code, reason) = known.trouble.as_ref()?;
        (at.elapsed() < TROUBLE_LASTS).then(|| (*code, Trouble(reason.clone())))
    }

    /// Forgets trouble, since something went well.
    pub(super) fn went_well(&self) {
        self.known().trouble = None;
    }

    /// Whether the same was not told lately.
    fn is_new(&self, what: &str) -> bool {
        let mut known = self.known();
        let now = Instant::now();
        known.told.retain(|_, at| now.duration_since(*at) < TELL_EVERY);
        known.told.insert(what.to_owned(), now).is_none()
    }
}

impl ClientContext for Told {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.note_served();
        // That a property is of no use to one of our clients, which share them, helps nobody.
        let is_news = facility != "CONFWARN" && self.is_new(facility);
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical if is_news => {
                tracing::error!(facility, message, "Kafka's client says that it fails.");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning if is_news => {
                tracing::warn!(facility, message, "Kafka's client warns.");
            }
            RDKafkaLogLevel::Debug => tracing::trace!(facility, message, "Kafka's client."),
            _ => tracing::debug!(facility, message, "Kafka's client."),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.note_served();
        // An end is none, and being fenced is no trouble with a broker.
        let is_trouble = |code: &Code| !matches!(code, Code::PartitionEOF | Code::FencedInstanceId | Code::Fatal);
        let Some(code) = error.rdkafka_error_code().filter(is_trouble) else { return };
        tracing::debug!(%error, reason, "Kafka's client met an error.");
        let mut known = self.known();
        // That all brokers are down says less than why.
        let says_more = code != Code::AllBrokersDown || known.trouble.is_none();
        if says_more {
            known.trouble = Some((Instant::now(), code, reason.to_owned()));
        }
    }

    fn stats_raw(&self, _statistics: &[u8]) {
        self.note_served();
    }
}
