//! The summaries of one partition while they are made: those that are in use in memory, all of them in a file.
//!
//! What was folded is written to the file now and then. What memory holds is bounded: a summary that is not in it is read
//! from the file when its key comes again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::note::{Note, Publishing};
use super::plan::{Kin, Plan};
use super::state_file::{Changes, Row, Standing, StateFile};
use super::trouble::Trouble;
use crate::record::{Kept, Record};
use crate::rollup::{Batch, Key, Late, Publish, Reading, Seen, Skipped, State};

/// What the summaries of a partition may take in memory, in bytes. Beyond it they are read from the file again.
const MEMORY_BYTES_MAX: usize = 32 << 20;

/// What an entry takes besides its key and its state.
const ENTRY_BYTES: usize = 96;

/// After so many summaries were changed they are written: more would hold up the reading for long.
pub(super) const UNSAVED_MAX: usize = 20_000;

/// So many summaries are published in one step at most.
pub(super) const STEP_MAX: usize = 10_000;

/// What the records of a batch come to.
pub struct Prepared {
    pub(super) records: Vec<Read>,
    pub(super) next_offset: i64,
}

/// A record and what it comes to.
pub(super) type Read = (Kept, Reading);

/// A summary in memory.
#[derive(Debug)]
struct Entry {
    state: State,
    /// Records before this offset are in it, and not only those before the partition's.
    up_to: Option<i64>,
    is_unsaved: bool,
}

impl Entry {
    fn size(&self, key: &Key) -> usize {
        key.as_str().len() + self.state.size() + ENTRY_BYTES
    }
}

/// The summaries of a partition.
#[derive(Debug)]
pub(super) struct Summaries {
    plan: Arc<Plan>,
    partition: i32,
    file: StateFile,
    standing: Standing,
    /// What is noted beside the group's position.
    noted: Note,
    entries: HashMap<Key, Entry>,
    bytes: usize,
    unsaved: usize,
    /// The keys that changed since they were published, with [`Publish::Changes`]; else the file knows them.
    changed: BTreeSet<Key>,
    seen: Seen,
    late: Vec<Late>,
    /// What comes of records before this offset is published already.
    silent_before: i64,
    /// Some summaries contain records up to here.
    ahead_before: i64,
    last_ms: i64,
}

impl Summaries {
    /// Those of a file, which stand for `standing`. What comes of the records before `silent_before` is published already.
    pub(super) fn open(
        plan: &Arc<Plan>,
        partition: i32,
        file: StateFile,
        standing: Standing,
        noted: Note,
        (silent_before, ahead_before): (i64, i64),
    ) -> Result<Self, Trouble> {
        let kept_ms = i64::try_from(plan.duplicates_kept.as_millis()).unwrap_or(i64::MAX);
        let mut seen = Seen::new(kept_ms);
        file.seen(|at_ms, digest| seen.restore(at_ms, digest))?;
        Ok(Summaries {
            plan: Arc::clone(plan),
            partition,
            file,
            standing,
            noted,
            entries: HashMap::new(),
            bytes: 0,
            unsaved: 0,
            changed: BTreeSet::new(),
            seen,
            late: Vec::new(),
            silent_before,
            ahead_before,
            last_ms: 0,
        })
    }

    /// The partition.
    pub(super) fn partition(&self) -> i32 {
        self.partition
    }

    /// The first offset that they do not contain.
    pub(super) fn folded(&self) -> i64 {
        self.standing.folded
    }

    /// Where the group's position is.
    pub(super) fn committed(&self) -> Option<i64> {
        self.standing.committed
    }

    /// What became of the records.
    pub(super) fn note(&self) -> &Note {
        &self.standing.note
    }

    /// Whether something is to be published, or the position to be moved.
    pub(super) fn is_behind(&self) -> bool {
        self.standing.committed.is_none_or(|committed| committed < self.standing.folded)
            && self.standing.folded >= self.silent_before
            || self.standing.note.publishing.is_some()
    }

    /// Whether an emission of several steps was begun.
    pub(super) fn is_publishing(&self) -> bool {
        self.standing.note.publishing.is_some()
    }

    /// Whether something was folded that is not in the file.
    pub(super) fn is_unsaved(&self) -> bool {
        self.unsaved > 0
    }

    /// Whether so much is not in the file that it should be written.
    pub(super) fn is_full(&self) -> bool {
        self.unsaved >= UNSAVED_MAX || self.bytes > MEMORY_BYTES_MAX
    }

    /// Remembers the key of a record that is folded already, if it has one.
    pub(super) fn remember(&mut self, kept: &Kept) {
        self.seen.is_repeated(kept);
    }

    /// Folds consecutive records, the last of them before `next_offset`. Gives why it stops at one, if it does; those before
    /// it are folded then.
    pub(super) fn fold(&mut self, records: Vec<Read>, next_offset: i64) -> Result<Option<(i64, Skipped)>, Trouble> {
        let is_silent = self.standing.folded < self.silent_before;
        if !is_silent || next_offset <= self.silent_before {
            return self.fold_some(records, next_offset);
        }
        let mut published = records;
        let rest =
            published.split_off(published.partition_point(|(kept, _)| kept.position.offset < self.silent_before));
        if let Some(stopped) = self.fold_some(published, self.silent_before)? {
            return Ok(Some(stopped));
        }
        // What follows is yet to be published, and is told apart from what is by this.
        self.save()?;
        self.fold_some(rest, next_offset)
    }

    fn fold_some(&mut self, records: Vec<Read>, next_offset: i64) -> Result<Option<(i64, Skipped)>, Trouble> {
        if self.standing.folded >= self.ahead_before {
            return self.fold_batch(records, next_offset);
        }
        // Each by itself: a summary may contain it already.
        for (kept, reading) in records {
            let end = kept.position.offset + 1;
            if let Some(stopped) = self.fold_batch(vec![(kept, reading)], end)? {
                return Ok(Some(stopped));
            }
        }
        self.pass_to(next_offset);
        Ok(None)
    }

    /// Notes that no record stands before `next_offset` that is not folded.
    fn pass_to(&mut self, next_offset: i64) {
        self.standing.note.gaps += next_offset - self.standing.folded;
        self.standing.folded = next_offset;
    }

    fn fold_batch(&mut self, records: Vec<Read>, next_offset: i64) -> Result<Option<(i64, Skipped)>, Trouble> {
        let mut batch = Batch::default();
        let (mut stopped, mut reached) = (None, next_offset);
        for (kept, reading) in records {
            let Note { watermark, .. } = &mut self.standing.note;
            let taken = batch.take(&self.plan.rollup, (&kept, reading), watermark, &mut self.seen, self.plan.stops);
            self.last_ms = kept.record.timestamp_ms;
            if let Err(skipped) = taken {
                reached = kept.position.offset;
                stopped = Some((reached, skipped));
                break;
            }
        }
        let (changes, counts, late) = batch.finish();
        for (key, state) in changes {
            self.merge(key, state, reached)?;
        }
        let from = self.standing.folded;
        let read = i64::try_from(counts.read()).unwrap_or(i64::MAX);
        self.standing.note.gaps += reached - from - read;
        self.standing.note.counts.add(&counts);
        self.standing.folded = reached;
        self.late.extend(late);
        Ok(stopped)
    }

    /// Merges what a span of records before `end` comes to into the summary of a key.
    fn merge(&mut self, key: Key, state: State, end: i64) -> Result<(), Trouble> {
        let is_published = self.standing.folded < self.silent_before;
        if !is_published && self.plan.publish == Publish::Changes {
            self.changed.insert(key.clone());
        }
        if !self.entries.contains_key(key.as_str())
            && let Some(row) = self.file.get(key.as_str())?
        {
            let known = State::from_text(self.plan.rollup.definition(), &row.state);
            let known = known.map_err(|broken| Trouble::halt(self.plan.broken(&broken)))?;
            let entry = Entry { state: known, up_to: row.up_to, is_unsaved: false };
            self.bytes += entry.size(&key);
            self.entries.insert(key.clone(), entry);
        }
        let Some(entry) = self.entries.get_mut(key.as_str()) else {
            let entry = Entry { state, up_to: None, is_unsaved: true };
            self.bytes += entry.size(&key);
            self.unsaved += 1;
            self.entries.insert(key, entry);
            return Ok(());
        };
        // It contains the record, which is one by itself then: see `fold_some`.
        if entry.up_to.is_some_and(|up_to| end <= up_to) {
            return Ok(());
        }
        entry.state.merge(state);
        entry.up_to = None;
        if !std::mem::replace(&mut entry.is_unsaved, true) {
            self.unsaved += 1;
        }
        Ok(())
    }

    /// Writes to the file what was folded. With [`Publish::Changes`] only what is published is written.
    pub(super) fn save(&mut self) -> Result<(), Trouble> {
        let unsaved = self.entries.iter().filter(|(_, entry)| entry.is_unsaved);
        let mut rows: Vec<Row> = unsaved
            .map(|(key, entry)| Row { key: key.clone(), state: entry.state.text(), up_to: entry.up_to })
            .collect();
        // In the order of the file, which is written in one pass then.
        rows.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        let are_unpublished = self.plan.publish != Publish::Changes && self.standing.folded > self.silent_before;
        let seen = self.seen.fresh().collect();
        let forgotten = self.seen.commit(self.last_ms);
        let changes = Changes { rows, are_unpublished, seen, forgotten, late: &self.late };
        self.file.write(&self.standing, changes)?;
        self.late.clear();
        self.unsaved = 0;
        if self.bytes > MEMORY_BYTES_MAX {
            self.entries.clear();
            self.bytes = 0;
        } else {
            self.entries.values_mut().for_each(|entry| entry.is_unsaved = false);
        }
        Ok(())
    }

    /// The records of the summaries that are to be published next, and where the position stands then: it moves once all are
    /// published.
    pub(super) fn next_step(&mut self) -> Result<Step, Trouble> {
        if self.plan.publish == Publish::Changes {
            // A batch changes no more keys than it has records.
            let mut records = Vec::with_capacity(self.changed.len());
            for key in &self.changed {
                let Some(entry) = self.entries.get(key.as_str()) else { continue };
                records.push(self.plan.record(self.kin(records.len() as u64), key, &entry.state));
            }
            return Ok(self.last_step(records, 0, None));
        }
        if self.unsaved > 0 {
            self.save()?;
        }
        let before = self.standing.note.publishing.map_or(0, |publishing| publishing.count);
        let rows = self.file.unpublished(STEP_MAX)?;
        let mut records = Vec::with_capacity(rows.len());
        for row in &rows {
            let state = State::from_text(self.plan.rollup.definition(), &row.state);
            let state = state.map_err(|broken| Trouble::halt(self.plan.broken(&broken)))?;
            records.push(self.plan.record(self.kin(before + records.len() as u64), &row.key, &state));
        }
        let last = rows.last().map(|row| row.key.clone());
        if rows.len() < STEP_MAX {
            return Ok(self.last_step(records, before, last));
        }
        let publishing = Publishing { at: self.standing.folded, count: before + records.len() as u64 };
        let next_offset = self.standing.committed.unwrap_or(self.standing.note.first_offset);
        Ok(Step { records, next_offset, note: Note { publishing: Some(publishing), ..self.noted.clone() }, last })
    }

    fn kin(&self, number: u64) -> Kin {
        Kin { partition: self.partition, folded: self.standing.folded, number }
    }

    /// The last step of an emission, of which so many records were published before.
    fn last_step(&self, records: Vec<Record>, before: u64, last: Option<Key>) -> Step {
        let published = self.standing.note.published + before + records.len() as u64;
        let note = Note { publishing: None, published, ..self.standing.note.clone() };
        Step { records, next_offset: self.standing.folded, note, last }
    }

    /// Takes note that a step was made.
    pub(super) fn stepped(&mut self, next_offset: i64, note: Note, last: Option<Key>) -> Result<(), Trouble> {
        self.standing.committed = Some(next_offset);
        self.standing.note.publishing = note.publishing;
        if note.publishing.is_none() {
            self.standing.note.published = note.published;
        }
        self.noted = note;
        self.changed.clear();
        if self.plan.publish != Publish::Changes {
            self.file.published(&self.standing, last.as_ref())?;
        }
        Ok(())
    }

    /// Goes on with an emission that another run of this process, or another process with this file, has begun.
    pub(super) fn resume(&mut self) -> Result<(), Trouble> {
        let Some(noted) = self.noted.publishing else { return Ok(()) };
        let known = self.standing.note.publishing.map_or(0, |publishing| publishing.count);
        // The last step may have been made without a word in the file.
        let ahead = usize::try_from(noted.count.saturating_sub(known)).unwrap_or(usize::MAX);
        self.standing.note.publishing = Some(noted);
        let last = match ahead {
            0 => return Ok(()),
            ahead => self.file.unpublished(ahead)?.pop().map(|row| row.key),
        };
        self.file.published(&self.standing, last.as_ref())
    }
}

/// What is appended, and where the position stands then.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) records: Vec<Record>,
    pub(super) next_offset: i64,
    pub(super) note: Note,
    /// The last of the keys.
    pub(super) last: Option<Key>,
}
