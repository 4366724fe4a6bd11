//! What is believed of a partition's state file when the partition is claimed.
//!
//! The journal's position, and the note beside it, are the truth: what comes of the records before it is in the output topic,
//! and nothing else is. A file that knows that position goes on. One that is behind it reads the records between again and
//! publishes nothing of them. Any other is made anew from the output topic, which holds each key's last summary.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::note::Note;
use super::plan::Plan;
use super::state_file::{Changes, Row, Standing, StateFile};
use super::summaries::Summaries;
use super::trouble::{Trouble, blocking};
use crate::journal::{Extent, JournalError, Transactional};
use crate::reason::Reason;
use crate::rollup::State;

/// A file that lacks more records than this is made anew: that takes no longer.
const BEHIND_MAX: i64 = 2_000_000;

/// Of so many records before the position idempotency keys are read again, where the file that knew them is gone.
const KEYS_BACK_MAX: i64 = 100_000;

/// So many summaries are written to the file at once.
const ROWS_MAX: usize = 5_000;

/// How long a follower is waited for between two looks.
const A_MOMENT: Duration = Duration::from_millis(50);

/// A follower that brings nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a partition is recovered from.
pub(super) struct Sources<'s> {
    pub(super) plan: &'s Arc<Plan>,
    pub(super) journal: &'s Arc<dyn Transactional>,
    pub(super) path: &'s Path,
    pub(super) partition: i32,
    /// How many partitions the input has.
    pub(super) partitions: i32,
    /// What the input holds of the partition.
    pub(super) extent: Extent,
    /// Where the group stands; none where it was never moved.
    pub(super) standing: Option<&'s crate::journal::Standing>,
}

impl Sources<'_> {
    /// The summaries of the partition, to go on from [`Summaries::folded`].
    pub(super) async fn recover(&self) -> Result<Summaries, Trouble> {
        let (noted, committed) = self.noted()?;
        let (path, journal) = (self.path.to_owned(), self.journal.identity().to_owned());
        let open = move || {
            if let Some(folder) = path.parent() {
                let made = crate::disk::private_folder(folder);
                made.map_err(|error| {
                    Trouble::halt(Reason::of(format!("the folder {} cannot be made", folder.display()), error))
                })?;
            }
            StateFile::open(&path, &journal)
        };
        let (file, known) = blocking(open).await?;
        match known.filter(|known| self.is_good(known, committed, &noted)) {
            Some(known) => self.go_on(file, known, noted, committed).await,
            None => self.rebuild(file, noted, committed).await,
        }
    }

    /// What is noted in the journal; fails when that cannot be gone on from.
    fn noted(&self) -> Result<(Note, Option<i64>), Trouble> {
        let fingerprint = self.plan.rollup.definition().fingerprint();
        let Some(standing) = self.standing else {
            let (definition, first_offset) = (fingerprint, self.extent.start);
            let partitions = self.partitions;
            return Ok((Note { definition, first_offset, partitions, ..Note::default() }, None));
        };
        let group = self.plan.group();
        let note = Note::read(&standing.note).ok_or_else(|| {
            Trouble::halt(format!(
                "the position of the group {group} was moved by another program: what the summaries contain is not known; {}",
                self.plan.another_name()
            ))
        })?;
        if note.definition != fingerprint {
            let words = "what it sums up is not what it was when its summaries were begun";
            return Err(Trouble::halt(format!("{words}; {}", self.plan.another_name())));
        }
        if note.partitions != self.partitions {
            return Err(Trouble::halt(format!(
                "the topic {} has {} partitions now, and had {}: one key may stand in two of them; {}",
                self.plan.input,
                self.partitions,
                note.partitions,
                self.plan.another_name()
            )));
        }
        Ok((note, Some(standing.next_offset)))
    }

    /// Whether a file can be gone on from.
    fn is_good(&self, known: &Standing, committed: Option<i64>, noted: &Note) -> bool {
        let is_held = (self.extent.start..=self.extent.end).contains(&known.folded);
        let is_same = known.note.definition == noted.definition && known.note.first_offset == noted.first_offset;
        let is_same_emission = noted.publishing.is_none_or(|publishing| publishing.at == known.folded);
        if known.committed == committed {
            return is_held && is_same && is_same_emission;
        }
        let (before, now) = (known.committed.unwrap_or(known.note.first_offset), committed.unwrap_or(i64::MIN));
        let is_behind = before < now && known.folded <= now && now - known.folded <= BEHIND_MAX;
        is_held && is_same && is_behind && noted.publishing.is_none()
    }

    async fn go_on(
        &self,
        mut file: StateFile,
        known: Standing,
        noted: Note,
        committed: Option<i64>,
    ) -> Result<Summaries, Trouble> {
        let (plan, partition) = (Arc::clone(self.plan), self.partition);
        blocking(move || {
            let is_same = known.committed == committed;
            let standing = Standing { committed, ..known };
            if !is_same {
                // What it had yet to publish is published.
                file.published(&standing, None)?;
            }
            let silent_before = committed.filter(|_| !is_same).unwrap_or(i64::MIN);
            let ahead = file.ahead()?;
            let mut summaries = Summaries::open(&plan, partition, file, standing, noted, (silent_before, ahead))?;
            summaries.resume()?;
            Ok(summaries)
        })
        .await
    }

    /// Makes the file anew from the output topic.
    async fn rebuild(&self, file: StateFile, noted: Note, committed: Option<i64>) -> Result<Summaries, Trouble> {
        let folded = committed.unwrap_or(noted.first_offset);
        let note = Note { publishing: None, ..noted.clone() };
        let standing = Standing { folded, committed, note, written_ms: 0 };
        let mut file = on(file, {
            let standing = standing.clone();
            move |file| file.clear(&standing)
        })
        .await?;
        let mut ahead_before = i64::MIN;
        if committed.is_some() {
            tracing::info!(rollup = %self.plan.name, partition = self.partition,
                "The state is read from the output topic.");
            (file, ahead_before) = self.read_output(file, &standing).await?;
        }
        let (plan, partition) = (Arc::clone(self.plan), self.partition);
        let open = move || Summaries::open(&plan, partition, file, standing, noted, (i64::MIN, ahead_before));
        let summaries = blocking(open).await?;
        self.read_keys(summaries, folded).await
    }

    /// Writes each key's last summary in the output topic into the file. Gives up to where some of them reach.
    async fn read_output(&self, mut file: StateFile, standing: &Standing) -> Result<(StateFile, i64), Trouble> {
        let extents = self.journal.extents(&self.plan.output).await?;
        let Some(extent) = extents.into_iter().find(|extent| extent.partition == self.partition) else {
            return Ok((file, i64::MIN));
        };
        let (mut rows, mut ahead_before) = (Vec::new(), i64::MIN);
        let mut reading = Reading::begin(&**self.journal, &self.plan.output, &extent, extent.start).await?;
        while let Some(batch) = reading.next().await? {
            for kept in &batch.records {
                let Some((key, state, up_to)) = self.plan.summary(kept) else {
                    let words = "is no summary of this definition: somebody else writes to the topic, or the rollup has changed";
                    return Err(Trouble::halt(format!(
                        "the record {}-{}-{} {words}; {}",
                        self.plan.output,
                        self.partition,
                        kept.position.offset,
                        self.plan.another_name()
                    )));
                };
                ahead_before = ahead_before.max(up_to);
                rows.push(Row {
                    key,
                    state: State::text(&state),
                    up_to: Some(up_to).filter(|up_to| *up_to > standing.folded),
                });
            }
            if rows.len() >= ROWS_MAX {
                file = write(file, standing, std::mem::take(&mut rows)).await?;
            }
        }
        Ok((write(file, standing, rows).await?, ahead_before))
    }

    /// Reads again which idempotency keys stand before the position.
    async fn read_keys(&self, mut summaries: Summaries, folded: i64) -> Result<Summaries, Trouble> {
        let from = (folded - KEYS_BACK_MAX).max(self.extent.start).max(summaries.note().first_offset);
        if from >= folded {
            return Ok(summaries);
        }
        let extent = Extent { end: folded, ..self.extent };
        let mut reading = Reading::begin(&**self.journal, &self.plan.input, &extent, from).await?;
        while let Some(batch) = reading.next().await? {
            let before = batch.records.iter().filter(|kept| kept.position.offset < folded);
            before.for_each(|kept| summaries.remember(kept));
        }
        Ok(summaries)
    }
}

/// A partition, read up to an offset.
struct Reading {
    follower: Box<dyn crate::journal::Follower>,
    next: i64,
    end: i64,
}

impl Reading {
    async fn begin(
        journal: &dyn Transactional,
        topic: &crate::document::TopicName,
        extent: &Extent,
        from: i64,
    ) -> Result<Self, JournalError> {
        let follower = journal.follow(topic, &[(extent.partition, from)]).await?;
        Ok(Reading { follower, next: from, end: extent.end })
    }

    /// The next records; none at the end.
    async fn next(&mut self) -> Result<Option<crate::journal::Batch>, Trouble> {
        let mut waited = Duration::ZERO;
        while self.next < self.end {
            if let Some(batch) = self.follower.next(A_MOMENT).await? {
                self.next = batch.next_offset;
                return Ok(Some(batch));
            }
            waited += A_MOMENT;
            if waited > PATIENCE {
                return Err(Trouble::later("the topic cannot be read to its end"));
            }
        }
        Ok(None)
    }
}

async fn write(file: StateFile, standing: &Standing, rows: Vec<Row>) -> Result<StateFile, Trouble> {
    let standing = standing.clone();
    on(file, move |file| file.write(&standing, Changes { rows, ..Changes::default() })).await
}

/// Does something to a file, on a thread of tokio's blocking pool.
async fn on(
    mut file: StateFile,
    work: impl FnOnce(&mut StateFile) -> Result<(), Trouble> + Send + 'static,
) -> Result<StateFile, Trouble> {
    blocking(move || work(&mut file).map(|()| file)).await
}
