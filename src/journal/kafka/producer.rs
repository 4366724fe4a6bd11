//! Appends records: grouped ahead of librdkafka, so that a group leaves when the one before it is acknowledged or it is
//! full. A lone sender waits for nobody, and many share a request.
//!
//! What waits is bounded in bytes, and how long it waits by `append_timeout`. Acknowledged means by every replica in sync
//! (`acks=all`), once and in order (idempotence).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::Thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};

use super::client::Told;
use super::error::failed;
use super::headers;
use super::lookup::Lookup;
use super::ticket::{Answer, Ticket};
use super::topics::MESSAGE_BYTES_MAX;
use super::url::Settings;
use crate::document::TopicName;
use crate::journal::{AppendError, JournalError, Outcome};
use crate::record::Record;

/// What may wait for Kafka in memory.
const WAITING_BYTES_MAX: usize = 32 << 20;

/// A group that has so much leaves without waiting for the one before: several requests are under way at once.
const GROUP_BYTES: usize = 256 << 10;
const GROUP_RECORDS: usize = 1000;

/// librdkafka keeps the order of idempotent records over at most five requests.
const GROUPS_MAX: usize = 5;

/// librdkafka's own batches; no larger than the smallest topic takes.
const BATCH_BYTES: usize = 1_000_000;

/// How often the thread that serves acknowledgements looks up.
const TURN: Duration = Duration::from_millis(50);

/// With nothing acknowledged for so long, a full queue is Kafka's fault and not the senders'.
const SILENCE: Duration = Duration::from_secs(1);

/// What comes a little late is still awaited: librdkafka looks for late records once a second.
const GRACE: Duration = Duration::from_millis(1500);

const DEFAULTS: &[(&str, &str)] = &[
    // Groups are made here.
    ("linger.ms", "0"),
    ("sticky.partitioning.linger.ms", "1"),
    // As Java's clients choose partitions, so that other writers agree.
    ("partitioner", "murmur2_random"),
    ("topic.metadata.propagation.max.ms", "3000"),
    ("retry.backoff.ms", "50"),
    // Bounded here, in bytes of documents; librdkafka needs room for its own.
    ("queue.buffering.max.messages", "0"),
    ("queue.buffering.max.kbytes", "131072"),
];

type Client = BaseProducer<Reports>;

/// The way to Kafka.
pub(super) struct Producer {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Arc<Settings>,
    lookup: Arc<Lookup>,
    state: Mutex<State>,
    /// Held while a group is handed over, so that what was appended together stands together.
    handing: Mutex<()>,
    /// Serves acknowledgements; to be woken when there is a client.
    server: OnceLock<Thread>,
    is_over: AtomicBool,
    itself: Weak<Shared>,
}

struct State {
    /// Made at the first append, and anew after an error that librdkafka cannot go on after.
    client: Option<Arc<Client>>,
    /// Clients to be ended outside of the lock: their last acknowledgements need it.
    retired: Vec<Arc<Client>>,
    batch_bytes: usize,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    waiting_records: usize,
    /// Waiting and under way.
    bytes: usize,
    groups: usize,
    /// When something was acknowledged last, or the queue was empty.
    acknowledged: Instant,
    /// How many bytes a second were acknowledged lately.
    bytes_per_second: f64,
}

/// One append that has not left yet.
struct Waiting {
    ticket: Arc<Ticket>,
    topic: TopicName,
    records: Vec<Outgoing>,
    bytes: usize,
}

struct Outgoing {
    key: Option<Bytes>,
    value: Bytes,
    headers: OwnedHeaders,
    timestamp_ms: Option<i64>,
}

/// Records that were handed over together.
struct Group {
    left: AtomicUsize,
    bytes: usize,
    begun: Instant,
}

/// Travels with a record, and comes back with its acknowledgement.
pub(super) struct Sent {
    ticket: Arc<Ticket>,
    index: u32,
    group: Arc<Group>,
}

/// The context of the producer's client.
struct Reports {
    told: Told,
    shared: Weak<Shared>,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.told.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.told.error(error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.told.stats_raw(statistics);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        let is_delivered = match result {
            Ok(message) => {
                sent.ticket.delivered(sent.index, message.partition(), message.offset());
                true
            }
            Err((error, _)) => {
                let trouble = self.told.trouble().map(|(_, reason)| format!(": {reason}")).unwrap_or_default();
                sent.ticket.failed(error.rdkafka_error_code().unwrap_or(Code::Fail), &trouble);
                false
            }
        };
        if let Some(shared) = self.shared.upgrade() {
            shared.done(&sent.group, is_delivered);
        }
    }
}

impl Producer {
    /// A way to Kafka that connects at the first append.
    pub(super) fn start(settings: &Arc<Settings>, lookup: &Arc<Lookup>) -> Result<Self, JournalError> {
        let state = State {
            client: None,
            retired: Vec::new(),
            batch_bytes: BATCH_BYTES,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            waiting_records: 0,
            bytes: 0,
            groups: 0,
            acknowledged: Instant::now(),
            bytes_per_second: 0.0,
        };
        let shared = Arc::new_cyclic(|itself| Shared {
            settings: Arc::clone(settings),
            lookup: Arc::clone(lookup),
            state: Mutex::new(state),
            handing: Mutex::new(()),
            server: OnceLock::new(),
            is_over: AtomicBool::new(false),
            itself: Weak::clone(itself),
        });
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("journal-kafka".into()).spawn(move || served.serve());
        let thread = thread.map_err(|error| JournalError::Later(format!("a thread could not be started: {error}")))?;
        // Set once, here.
        let _ = shared.server.set(thread.thread().clone());
        Ok(Producer { shared })
    }

    /// Makes batches no larger than `bytes_max`, which a topic takes.
    pub(super) fn limit(&self, bytes_max: usize) {
        let mut state = self.shared.state();
        if bytes_max < state.batch_bytes {
            state.batch_bytes = bytes_max;
            state.retire();
        }
    }

    /// Whether something was acknowledged within `age`.
    pub(super) fn is_fresh(&self, age: Duration) -> bool {
        let state = self.shared.state();
        state.client.is_some() && state.bytes_per_second > 0.0 && state.acknowledged.elapsed() < age
    }

    /// Appends records to a topic that exists.
    pub(super) async fn append(&self, topic: &TopicName, records: Vec<Record>) -> Answer {
        let bytes = records.iter().map(Record::size).sum();
        let outgoing: Vec<_> = records
            .into_iter()
            .map(|record| {
                let (headers, timestamp_ms) = headers::of(&record);
                Outgoing { key: record.key, value: record.value, headers, timestamp_ms }
            })
            .collect();
        let (ticket, answered) = Ticket::new(topic.clone(), outgoing.len());
        let waiting = Waiting { ticket: Arc::clone(&ticket), topic: topic.clone(), records: outgoing, bytes };
        self.shared.take(waiting)?;
        self.shared.hand_over();
        let timeout = self.shared.settings.append_timeout;
        let mut answered = answered;
        if let Ok(answer) = tokio::time::timeout(timeout, &mut answered).await {
            return answer.unwrap_or_else(|_| Err(self.shared.silent(Outcome::Unknown)));
        }
        if self.shared.withdraw(&ticket) {
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
        self.shared.is_over.store(true, Ordering::Relaxed);
    }
}

impl State {
    /// Has the next append make a client anew.
    fn retire(&mut self) {
        self.retired.extend(self.client.take());
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: serves acknowledgements until the journal is gone.
    fn serve(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            let client = self.state().client.clone();
            match client {
                Some(client) => client.poll(TURN),
                None => std::thread::park_timeout(TURN),
            }
            let retired = std::mem::take(&mut self.state().retired);
            drop(retired);
            self.lookup.drain();
        }
        // Whoever still waits is answered as the client ends.
        let client = self.state().client.take();
        drop(client);
    }

    /// Takes an append in, or refuses it.
    fn take(&self, waiting: Waiting) -> Result<(), AppendError> {
        let mut state = self.state();
        if state.bytes == 0 {
            state.acknowledged = Instant::now();
        } else if state.bytes + waiting.bytes > WAITING_BYTES_MAX {
            return Err(self.refusal(&state));
        }
        state.bytes += waiting.bytes;
        state.waiting_bytes += waiting.bytes;
        state.waiting_records += waiting.records.len();
        state.waiting.push_back(waiting);
        Ok(())
    }

    fn refusal(&self, state: &State) -> AppendError {
        let silence = state.acknowledged.elapsed();
        let megabytes = state.bytes >> 20;
        if silence > SILENCE {
            let trouble = self.trouble(state);
            let reason =
                format!("{megabytes} MiB wait for Kafka, which has acknowledged nothing for {silence:.0?}{trouble}");
            return AppendError::Unavailable { kept: Outcome::No, source: JournalError::Later(reason) };
        }
        let seconds = state.bytes as f64 / state.bytes_per_second.max(1.0);
        let retry_after = Duration::from_secs_f64(seconds.clamp(1.0, 60.0));
        AppendError::Overloaded { behind: format!("{megabytes} MiB"), retry_after }
    }

    /// What went wrong lately, as the end of a sentence.
    fn trouble(&self, state: &State) -> String {
        let told = state.client.as_ref().and_then(|client| client.context().told.trouble());
        told.map(|(_, reason)| format!(": {reason}")).unwrap_or_else(|| self.lookup.trouble())
    }

    fn silent(&self, kept: Outcome) -> AppendError {
        let trouble = self.trouble(&self.state());
        let timeout = self.settings.append_timeout;
        let reason = format!("Kafka has not acknowledged within {timeout:?}{trouble}");
        AppendError::Unavailable { kept, source: JournalError::Later(reason) }
    }

    /// Takes back an append that has not left; false when it has.
    fn withdraw(&self, ticket: &Arc<Ticket>) -> bool {
        let mut state = self.state();
        let Some(at) = state.waiting.iter().position(|waiting| Arc::ptr_eq(&waiting.ticket, ticket)) else {
            return false;
        };
        if let Some(waiting) = state.waiting.remove(at) {
            state.waiting_bytes -= waiting.bytes;
            state.waiting_records -= waiting.records.len();
            state.bytes -= waiting.bytes;
        }
        true
    }

    /// Hands groups over as long as one may leave.
    fn hand_over(&self) {
        loop {
            let mut state = self.state();
            let is_full = state.waiting_bytes >= GROUP_BYTES || state.waiting_records >= GROUP_RECORDS;
            let may_leave = state.groups == 0 || is_full && state.groups < GROUPS_MAX;
            if state.waiting.is_empty() || !may_leave {
                return;
            }
            let client = match self.client(&mut state) {
                Ok(client) => client,
                Err(error) => return self.refuse_all(state, &error),
            };
            let (mut appends, mut bytes, mut count) = (Vec::new(), 0, 0);
            while bytes < GROUP_BYTES && count < GROUP_RECORDS {
                let Some(waiting) = state.waiting.pop_front() else { break };
                bytes += waiting.bytes;
                count += waiting.records.len();
                appends.push(waiting);
            }
            state.waiting_bytes -= bytes;
            state.waiting_records -= count;
            state.groups += 1;
            drop(state);
            // One more than the records, so that the group is not done while it is handed over.
            let group = Arc::new(Group { left: AtomicUsize::new(count + 1), bytes, begun: Instant::now() });
            let handing = self.handing.lock().unwrap_or_else(PoisonError::into_inner);
            for waiting in appends {
                self.send(&client, waiting, &group);
            }
            drop(handing);
            self.arrived(&group, false);
        }
    }

    /// Gives one append to librdkafka.
    fn send(&self, client: &Client, waiting: Waiting, group: &Arc<Group>) {
        for (index, record) in waiting.records.into_iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let sent = Box::new(Sent { ticket: Arc::clone(&waiting.ticket), index, group: Arc::clone(group) });
            let outgoing = BaseRecord {
                topic: waiting.topic.as_str(),
                partition: None,
                payload: Some(&record.value[..]),
                key: record.key.as_deref(),
                timestamp: record.timestamp_ms,
                headers: Some(record.headers),
                delivery_opaque: sent,
            };
            if let Err((error, refused)) = client.send(outgoing) {
                let code = error.rdkafka_error_code().unwrap_or(Code::Fail);
                refused.delivery_opaque.ticket.failed(code, "");
                if code == Code::Fatal {
                    tracing::warn!("Kafka's producer failed for good and is made anew.");
                    self.state().retire();
                }
                self.arrived(group, false);
            }
        }
    }

    fn client(&self, state: &mut State) -> Result<Arc<Client>, JournalError> {
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
        let context = Reports { told: Told::default(), shared: Weak::clone(&self.itself) };
        let client = self.settings.client(DEFAULTS, &fixed).create_with_context(context);
        let client: Arc<Client> = Arc::new(client.map_err(|error| failed("Kafka", &error))?);
        state.client = Some(Arc::clone(&client));
        if let Some(server) = self.server.get() {
            server.unpark();
        }
        Ok(client)
    }

    /// Answers everybody who waits, since there is no client.
    fn refuse_all(&self, mut state: MutexGuard<'_, State>, error: &JournalError) {
        tracing::error!(%error, "Kafka's producer cannot be made.");
        state.bytes -= state.waiting_bytes;
        state.waiting_bytes = 0;
        state.waiting_records = 0;
        let refused = std::mem::take(&mut state.waiting);
        drop(state);
        for waiting in refused {
            for _ in &waiting.records {
                waiting.ticket.failed(Code::Fatal, "");
            }
        }
    }

    /// A record of a group was acknowledged or failed: the next group leaves behind the last.
    fn done(&self, group: &Group, is_delivered: bool) {
        if self.arrived(group, is_delivered) {
            self.hand_over();
        }
    }

    fn arrived(&self, group: &Group, is_delivered: bool) -> bool {
        if group.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return false;
        }
        let mut state = self.state();
        state.groups -= 1;
        state.bytes -= group.bytes;
        if is_delivered {
            state.acknowledged = Instant::now();
            let rate = group.bytes as f64 / group.begun.elapsed().as_secs_f64().max(1e-4);
            // The last few groups weigh most.
            state.bytes_per_second =
                if state.bytes_per_second > 0.0 { state.bytes_per_second * 0.8 + rate * 0.2 } else { rate };
        }
        true
    }
}
