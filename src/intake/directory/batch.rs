//! Documents on their way into the journal: appended together, and noted once they are there.
//!
//! Before each append the memory notes where the topic ends; after a crash, or an append of which nobody can tell, what
//! stands behind that place in the journal is what was appended.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::memory::{FileName, Look, Memory, MemoryError, Note};
use crate::clock;
use crate::intake::files::FileKey;
use crate::journal::{AppendError, JournalError, Log, Outcome};
use crate::reason::chain;
use crate::record::Record;
use crate::shutdown::Stop;
use crate::stream::Stream;

/// So much goes to the journal together: one fsync for many small files, and no more memory than this.
const RECORDS_MAX: usize = 1_000;
const BYTES_MAX: usize = 4 << 20;
const NOTES_MAX: usize = 10_000;

/// A journal that cannot take documents is tried again after this.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a wait for records that must be there lasts.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why documents went no further.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    /// It is time to end.
    #[error("stopped")]
    Stopped,
    /// The memory fails.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The journal fails.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A document, with its key, on its way.
pub(super) type Sent = (FileKey, Option<Box<Record>>);

/// What goes together.
pub(super) struct Batch {
    stream: Arc<Stream>,
    journal: Arc<dyn Log>,
    memory: Memory,
    records: Vec<(FileKey, Record)>,
    keys: HashSet<FileKey>,
    bytes: usize,
    note: Note,
}

impl Batch {
    pub(super) fn new(stream: Arc<Stream>, journal: Arc<dyn Log>, memory: Memory) -> Self {
        Batch { stream, journal, memory, records: Vec::new(), keys: HashSet::new(), bytes: 0, note: Note::default() }
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(super) fn memory_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// Whether a document is published, or about to be.
    pub(super) fn has(&self, key: &FileKey) -> Result<bool, MemoryError> {
        Ok(self.keys.contains(key) || self.memory.is_published(key)?)
    }

    /// Adds documents of a file, new and known ones; with its look when it was read to the end.
    pub(super) fn add(&mut self, file: &FileName, documents: Vec<Sent>, look: Option<Look>) {
        let index = self.note.files.len();
        self.note.files.push((file.clone(), look));
        for (key, record) in documents {
            self.note.documents.push((key, index));
            // A copy in the same batch may have come first.
            if let Some(record) = record
                && self.keys.insert(key)
            {
                self.bytes += record.size();
                self.records.push((key, *record));
            }
        }
    }

    /// A file is gone.
    pub(super) fn add_gone(&mut self, file: FileName) {
        self.note.gone.push(file);
    }

    pub(super) fn is_full(&self) -> bool {
        let notes = self.note.documents.len() + self.note.files.len() + self.note.gone.len();
        self.records.len() >= RECORDS_MAX || self.bytes >= BYTES_MAX || notes >= NOTES_MAX
    }

    /// Publishes what was gathered, however long the journal takes, and notes it.
    pub(super) async fn flush(&mut self, stop: &Stop) -> Result<(), Halt> {
        let mut is_told = false;
        while !self.records.is_empty() {
            let error = match self.append().await? {
                None => break,
                Some(error) => error,
            };
            if !std::mem::replace(&mut is_told, true) {
                tracing::warn!(stream = %self.stream.name, error = chain(&error), "Documents of files wait for the journal.");
            }
            let pause = match &error {
                AppendError::Overloaded { retry_after, .. } => *retry_after,
                AppendError::Unavailable { .. } => PAUSE,
            };
            stop.wait_for(pause).await;
            if stop.is_set() {
                return Err(Halt::Stopped);
            }
            if matches!(error, AppendError::Unavailable { kept: Outcome::Unknown, .. }) {
                self.settle(stop).await?;
                let memory = &self.memory;
                let mut left = Vec::new();
                for (key, record) in self.records.drain(..) {
                    if !memory.is_published(&key)? {
                        left.push((key, record));
                    }
                }
                self.records = left;
            }
        }
        if !(self.note.files.is_empty() && self.note.gone.is_empty()) {
            self.memory.note(&std::mem::take(&mut self.note), clock::now_ms())?;
        }
        self.records.clear();
        self.keys.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Appends the records; gives why they could not be.
    async fn append(&mut self) -> Result<Option<AppendError>, Halt> {
        let extents = match self.journal.extents(&self.stream.topic).await {
            Ok(extents) => extents,
            Err(source) => return Ok(Some(AppendError::Unavailable { kept: Outcome::No, source })),
        };
        let ends: Vec<_> = extents.iter().map(|extent| (extent.partition, extent.end)).collect();
        self.memory.intend(&ends)?;
        let records = self.records.iter().map(|(_, record)| record.clone()).collect();
        Ok(self.journal.append(&self.stream.topic, records).await.err())
    }

    /// Looks in the journal for what was about to be appended, and notes what is there.
    pub(super) async fn settle(&mut self, stop: &Stop) -> Result<(), Halt> {
        let intent = self.memory.intent()?;
        let topic = &self.stream.topic;
        let extents = self.journal.extents(topic).await?;
        // What retention has taken meanwhile cannot be told any more.
        let begin = |extent: &crate::journal::Extent| {
            let from =
                intent.iter().find(|(partition, _)| *partition == extent.partition).map_or(extent.start, |at| at.1);
            (extent.partition, from.clamp(extent.start, extent.end), extent.end)
        };
        let mut left: Vec<_> = extents.iter().map(begin).filter(|(_, from, end)| from < end).collect();
        if intent.is_empty() || left.is_empty() {
            return Ok(());
        }
        let from: Vec<_> = left.iter().map(|(partition, from, _)| (*partition, *from)).collect();
        let mut follower = self.journal.follow(topic, &from).await?;
        while !left.is_empty() {
            if stop.is_set() {
                return Err(Halt::Stopped);
            }
            let Some(batch) = follower.next(PATIENCE).await? else { continue };
            let headers = batch.records.iter().map(|kept| &kept.record.headers);
            let ours = headers.filter(|headers| headers.source == self.stream.name.as_str());
            let keys: Vec<_> = ours.filter_map(|headers| FileKey::parse(headers.idempotency_key.as_deref()?)).collect();
            self.memory.found(&keys)?;
            left.retain(|(partition, _, end)| *partition != batch.partition || batch.next_offset < *end);
        }
        Ok(())
    }
}
