//! The documents of one source on their way into the journal: read, judged, appended in groups, waited for.

use std::collections::HashMap;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::report::{Kept, Report, say};
use super::settle;
use crate::command::Failed;
use crate::document::Position;
use crate::intake::files::{CHUNK_BYTES, Document, Documents, Found, Keys, Unfinished};
use crate::journal::{AppendError, JournalError, Log, Outcome};
use crate::record::Record;
use crate::shutdown::Signals;
use crate::stream::Stream;

/// So much goes to the journal together: one fsync for many, and no more memory than this.
const GROUP_MAX: usize = 500;
const GROUP_BYTES_MAX: usize = 4 << 20;

/// A journal that cannot take documents is tried again after this.
const PAUSE: Duration = Duration::from_millis(500);

/// What waits this long is told.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// Where documents come from, and what is done about them.
pub(super) struct Source<'p> {
    pub(super) name: String,
    pub(super) path: &'p Path,
    pub(super) keys: Keys,
    /// A refused document ends the reading.
    pub(super) stops_at_refusal: bool,
    /// The input may end inside a document.
    pub(super) may_end_unfinished: bool,
}

/// Why a source was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    AtTheEnd {
        /// Nothing was refused.
        is_whole: bool,
    },
    AtRefusal,
    BySignal {
        /// So many documents were read that the journal has not taken, as far as is known.
        waiting: usize,
    },
}

/// Takes sources into one stream's topic.
pub(super) struct Flow<'s> {
    journal: &'s dyn Log,
    stream: &'s Stream,
    signals: Signals,
    report: Report,
    group: Vec<(Record, Kept)>,
    group_bytes: usize,
    /// Behind which offset of each partition nothing of ours stands that is not reported yet.
    ends: Option<HashMap<i32, i64>>,
}

/// Reads on a thread of its own, since a pipe may say nothing for hours.
fn chunks(mut reader: Box<dyn Read + Send>) -> mpsc::Receiver<std::io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(2);
    std::thread::spawn(move || {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read = reader.read(&mut chunk).map(|length| {
                chunk.truncate(length);
                chunk
            });
            let is_end = !matches!(&read, Ok(chunk) if !chunk.is_empty());
            if sender.blocking_send(read).is_err() || is_end {
                return;
            }
        }
    });
    receiver
}

impl<'s> Flow<'s> {
    pub(super) fn new(journal: &'s dyn Log, stream: &'s Stream, report: Report) -> Result<Self, Failed> {
        Ok(Flow { journal, stream, signals: Signals::listen()?, report, group: Vec::new(), group_bytes: 0, ends: None })
    }

    /// Publishes what a source holds, and says how it ended.
    pub(super) async fn publish(&mut self, source: Source<'_>, reader: Box<dyn Read + Send>) -> Result<Left, Failed> {
        self.report.begin(&source.name);
        let left = self.take(&source, reader).await;
        self.report.end(left.as_ref().ok().copied());
        left
    }

    async fn take(&mut self, source: &Source<'_>, reader: Box<dyn Read + Send>) -> Result<Left, Failed> {
        let mut documents = Documents::new(self.stream, self.journal.record_bytes_max(), source.path, source.keys);
        let mut chunks = chunks(reader);
        let shows_progress = std::io::stderr().is_terminal();
        loop {
            let chunk = tokio::select! {
                chunk = chunks.recv() => chunk.transpose()?.unwrap_or_default(),
                () = self.signals.next() => return Ok(Left::BySignal { waiting: 0 }),
            };
            let is_all = chunk.is_empty();
            documents.push(&chunk);
            while let Some(found) = documents.next(is_all) {
                let is_refused = !self.note(source, found);
                let is_full = self.group.len() >= GROUP_MAX || self.group_bytes >= GROUP_BYTES_MAX;
                if (is_refused || is_full)
                    && let Some(left) = self.flush(source).await?
                {
                    return Ok(left);
                }
                if is_refused && source.stops_at_refusal {
                    return Ok(Left::AtRefusal);
                }
            }
            if let Some(left) = self.flush(source).await? {
                return Ok(left);
            }
            if shows_progress {
                self.report.progress();
            }
            if is_all {
                return Ok(Left::AtTheEnd { is_whole: self.report.is_whole() });
            }
        }
    }

    /// Adds what was found to the group. False when it is refused.
    fn note(&mut self, source: &Source<'_>, found: Found) -> bool {
        let Found { line, lines, commit, judged } = found;
        match judged {
            Ok(Document { record, .. }) => {
                if source.keys == Keys::OfCommit && commit.is_none() && record.headers.form.starts_with("wal2json") {
                    self.report.warn_of_no_commit();
                }
                self.group_bytes += record.size();
                self.group.push((*record, Kept { line, lines, commit }));
                true
            }
            Err(refused) if refused.unfinished == Some(Unfinished::SentAgain) => {
                self.report.sent_again(line);
                true
            }
            Err(refused) if refused.unfinished.is_some() && source.may_end_unfinished => {
                self.report.unfinished(line);
                true
            }
            Err(refused) => {
                self.report.refused(line, lines, commit, &refused.problem);
                false
            }
        }
    }

    /// Appends the group, however long the journal takes; gives why it did not.
    async fn flush(&mut self, source: &Source<'_>) -> Result<Option<Left>, Failed> {
        self.group_bytes = 0;
        let mut group = std::mem::take(&mut self.group);
        if group.is_empty() {
            return Ok(None);
        }
        let mut waiting = Waiting::new(&source.name);
        let mut is_unknown = false;
        loop {
            let error = match self.append(&mut group, is_unknown).await {
                Ok(()) => return Ok(None),
                Err(error) => error,
            };
            is_unknown |= matches!(error, AppendError::Unavailable { kept: Outcome::Unknown, .. });
            let pause = match &error {
                AppendError::Overloaded { retry_after, .. } => *retry_after,
                AppendError::Unavailable { source: JournalError::Later(_), .. } => PAUSE,
                AppendError::Unavailable { .. } => return Err(error.into()),
            };
            waiting.tell(&error);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.signals.next() => return Ok(Some(Left::BySignal { waiting: group.len() })),
            }
        }
    }

    /// Appends the group, or what is left of it; `is_unknown` says that some of it may be there already.
    async fn append(&mut self, group: &mut Vec<(Record, Kept)>, is_unknown: bool) -> Result<(), AppendError> {
        let topic = &self.stream.topic;
        let failed = |source| AppendError::Unavailable { kept: Outcome::No, source };
        if self.ends.is_none() {
            let extents = self.journal.extents(topic).await.map_err(failed)?;
            self.ends = Some(extents.iter().map(|extent| (extent.partition, extent.end)).collect());
        }
        let ends = self.ends.get_or_insert_default();
        let before = is_unknown.then(|| ends.clone());
        let mut accept = |kept: Vec<Kept>, positions: Vec<Position>| {
            for position in &positions {
                let end = ends.entry(position.partition).or_insert(0);
                *end = (*end).max(position.offset + 1);
            }
            self.report.accepted(kept, &positions);
        };
        if let Some(before) = before {
            let name = |record: &Record| settle::name(&record.headers);
            let names = group.iter().map(|(record, _)| name(record)).collect();
            let there = settle::found(self.journal, topic, &before, names).await.map_err(failed)?;
            let (here, left) = group.drain(..).partition(|(record, _)| there.contains_key(&name(record)));
            *group = left;
            let here: Vec<(Record, Kept)> = here;
            let positions = here.iter().filter_map(|(record, _)| there.get(&name(record)).cloned()).collect();
            accept(here.into_iter().map(|(_, kept)| kept).collect(), positions);
        }
        if group.is_empty() {
            return Ok(());
        }
        let records = group.iter().map(|(record, _)| record.clone()).collect();
        let positions = self.journal.append(topic, records).await?;
        accept(group.drain(..).map(|(_, kept)| kept).collect(), positions);
        Ok(())
    }
}

/// Says once that documents wait, when they have waited for long enough to be told.
struct Waiting<'n> {
    name: &'n str,
    since: Instant,
    is_told: bool,
}

impl<'n> Waiting<'n> {
    fn new(name: &'n str) -> Self {
        Waiting { name, since: Instant::now(), is_told: false }
    }

    fn tell(&mut self, error: &AppendError) {
        if self.since.elapsed() >= TOLD_AFTER && !std::mem::replace(&mut self.is_told, true) {
            say(&format!("{}: documents wait for the journal: {error}", self.name));
        }
    }
}
