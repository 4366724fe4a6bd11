//! A client of librdkafka that sends at one pace, and the thread that serves its acknowledgements. It is made at the first
//! append, and anew after an error that librdkafka cannot go on after.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseProducer, Producer as _};

use super::client::Told;
use super::crowd::Pace;
use super::error::{Trouble, failed};
use super::reports::{Acknowledged, Reports};
use super::topics::MESSAGE_BYTES_MAX;
use super::url::Settings;
use crate::journal::JournalError;

/// How often the thread looks up from serving. Not often: the binding spins for the last millisecond of each wait.
const TURN: Duration = Duration::from_millis(500);

/// A client that is new has no connection yet and no producer's id, which it asks for twice a second: what it is given
/// meanwhile waits.
const WARM: Duration = Duration::from_millis(1500);

/// librdkafka's own batches; no larger than the smallest topic takes.
const BATCH_BYTES: usize = 1_000_000;

const DEFAULTS: &[(&str, &str)] = &[
    ("sticky.partitioning.linger.ms", "1"),
    // As Java's clients choose partitions, so that other writers agree.
    ("partitioner", "murmur2_random"),
    ("topic.metadata.propagation.max.ms", "3000"),
    ("retry.backoff.ms", "50"),
    // Bounded by the queue, in bytes of documents; librdkafka needs room for its own.
    ("queue.buffering.max.messages", "0"),
    ("queue.buffering.max.kbytes", "131072"),
];

pub(super) type Client = BaseProducer<Reports>;

/// The way to Kafka at one pace.
pub(super) struct Sender {
    pace: Pace,
    settings: Arc<Settings>,
    state: Mutex<State>,
    thread: OnceLock<Thread>,
    is_over: AtomicBool,
}

struct State {
    client: Option<Arc<Client>>,
    /// When it was made.
    made: Instant,
    /// To be ended by the thread: their last acknowledgements come as they end.
    retired: Vec<Arc<Client>>,
    batch_bytes: usize,
}

impl Sender {
    pub(super) fn new(pace: Pace, settings: &Arc<Settings>) -> Self {
        let state = State { client: None, made: Instant::now(), retired: Vec::new(), batch_bytes: BATCH_BYTES };
        let (settings, thread) = (Arc::clone(settings), OnceLock::new());
        Sender { pace, settings, state: Mutex::new(state), thread, is_over: AtomicBool::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes batches no larger than `bytes_max`, which a topic takes.
    pub(super) fn limit(&self, bytes_max: usize) {
        let mut state = self.state();
        if bytes_max < state.batch_bytes {
            state.batch_bytes = bytes_max;
            state.retire();
        }
    }

    /// Has the next record make a client anew.
    pub(super) fn retire(&self) {
        self.state().retire();
    }

    /// Whether records would leave at once.
    pub(super) fn is_warm(&self) -> bool {
        let state = self.state();
        state.client.is_some() && state.made.elapsed() >= WARM
    }

    /// What went wrong lately.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let state = self.state();
        state.client.as_ref()?.context().told.trouble().map(|(_, reason)| reason)
    }

    /// The client; `told_of` hears of its acknowledgements.
    pub(super) fn client(&self, told_of: &Weak<dyn Acknowledged>) -> Result<Arc<Client>, JournalError> {
        let mut state = self.state();
        // Whoever had a fatal error would refuse everything.
        if let Some(client) = state.client.clone().filter(|client| client.client().fatal_error().is_none()) {
            return Ok(client);
        }
        state.retire();
        let timeout = self.settings.append_timeout.as_millis().to_string();
        let largest = MESSAGE_BYTES_MAX.to_string();
        let batch = state.batch_bytes.to_string();
        let fixed = [
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("message.timeout.ms", timeout.as_str()),
            ("message.max.bytes", largest.as_str()),
            ("batch.size", batch.as_str()),
        ];
        let mut defaults = DEFAULTS.to_vec();
        defaults.push(("linger.ms", if self.pace == Pace::Prompt { "0" } else { "1" }));
        let context = Reports { told: Told::default(), told_of: Weak::clone(told_of) };
        let client = self.settings.client(&defaults, &fixed).create_with_context(context);
        let client: Arc<Client> = Arc::new(client.map_err(|error| failed("Kafka", error))?);
        state.client = Some(Arc::clone(&client));
        state.made = Instant::now();
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
        Ok(client)
    }

    /// Serves acknowledgements, on this thread, until it is ended; `meanwhile` runs now and then.
    pub(super) fn serve(&self, meanwhile: impl Fn()) {
        // Set once, here.
        let _ = self.thread.set(std::thread::current());
        while !self.is_over.load(Ordering::Relaxed) {
            let client = self.state().client.clone();
            match client {
                Some(client) => client.poll(TURN),
                None => std::thread::park_timeout(TURN),
            }
            let retired = std::mem::take(&mut self.state().retired);
            drop(retired);
            meanwhile();
        }
        // Whoever still waits is answered as the client ends.
        let client = self.state().client.take();
        drop(client);
    }

    /// Has the thread end.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl State {
    fn retire(&mut self) {
        self.retired.extend(self.client.take());
    }
}
