//! Idempotency keys, kept so that a new one costs next to nothing however many are remembered.
//!
//! Keys are digests, so each stands anywhere among the others: in one tree every insert would touch a page of its own.
//! Instead the keys of a transaction are one blob behind the last (`recent`); when there are many, they are put in order and
//! written as a run, and many runs are merged into a larger one. The recent ones are in memory as well, and of each run a
//! filter, which says of nearly every new key that it is not there without a look at the file. The file is the truth: what
//! is in memory is read from it again after a failure, and when another connection has written.

mod edit;
mod filter;
mod migrate;
mod row;
mod run;
#[cfg(test)]
mod tests;

use rusqlite::{Connection, OptionalExtension};
use rustc_hash::FxHashMap;

pub(super) use self::edit::{disown_from, forget_from, prune};
pub(super) use self::migrate::migrate;
use self::row::Row;
use self::run::{Run, RunWriter};
use super::failed;
use crate::clock;
use crate::document::{Position, StreamName};
use crate::store::{StoreError, keys};

/// So many keys are kept apart before they become a run: some 5 MB in memory, and few enough that reading them again at a
/// start takes milliseconds.
pub(super) const RECENT_MAX: usize = 65_536;

/// So many runs are merged into one. One of a million keys is merged no further: that bounds how long a transaction takes
/// which merges, and each costs a key that is looked for some nanoseconds.
const MERGED: usize = 16;

/// The memory for filters: those of forty million keys. What is older is looked for in the file.
const FILTER_BYTES_MAX: usize = 64 << 20;

/// `recent` is never empty after its first row, so that numbers of its rows are not used twice.
pub(super) const TABLES: &str = r#"
CREATE TABLE IF NOT EXISTS "_sluicegate_key_streams" (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS "_sluicegate_key_recent" (id INTEGER PRIMARY KEY, "rows" BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS "_sluicegate_key_runs" (id INTEGER PRIMARY KEY, level INTEGER NOT NULL,
    "rows" INTEGER NOT NULL, newest_ms INTEGER NOT NULL, fences BLOB NOT NULL, filter BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS "_sluicegate_key_pages" (id INTEGER PRIMARY KEY, "rows" BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS "_sluicegate_key_ages" (stream INTEGER NOT NULL, "partition" INTEGER NOT NULL,
    before_ms INTEGER NOT NULL, PRIMARY KEY (stream, "partition")) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS "_sluicegate_key_changes" (count INTEGER NOT NULL);
INSERT INTO "_sluicegate_key_changes" SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM "_sluicegate_key_changes");
"#;

/// What is known of the keys in the file.
#[derive(Debug)]
pub(super) struct Keys {
    /// So many keys are kept apart.
    recent_max: usize,
    recent: FxHashMap<u128, Row>,
    /// The last row of `recent` that is in memory.
    last: i64,
    /// The oldest first.
    runs: Vec<Run>,
    /// By stream and partition, before when keys are forgotten.
    ages: FxHashMap<(u32, i32), i64>,
    /// The count of changes other than new rows in `recent` when this was read; none: everything is to be read again.
    changes: Option<i64>,
    /// SQLite's count of what other connections have committed, when this was last compared with the file.
    version: i64,
    /// Whether nothing happened since that the count of other connections does not show.
    is_current: bool,
}

/// The keys that a transaction notes.
#[derive(Debug, Default)]
pub(super) struct Noted {
    rows: Vec<Row>,
    by_key: FxHashMap<u128, usize>,
    /// The number of the stream that was asked for last.
    stream: Option<(StreamName, u32)>,
    /// Whether what is known was compared with the file in this transaction.
    is_current: bool,
}

impl Noted {
    /// How many there are, for [`Noted::forget_since`].
    pub(super) fn count(&self) -> usize {
        self.rows.len()
    }

    /// Takes back what was noted since there were so many. A stream that was given its number since has none any more.
    pub(super) fn forget_since(&mut self, count: usize) {
        for row in self.rows.drain(count..) {
            self.by_key.remove(&row.key);
        }
        self.stream = None;
    }
}

impl Keys {
    /// Nothing is known yet; `recent_max` keys are kept apart.
    pub(super) fn new(recent_max: usize) -> Self {
        Keys {
            recent_max,
            recent: FxHashMap::default(),
            last: 0,
            runs: Vec::new(),
            ages: FxHashMap::default(),
            changes: None,
            version: 0,
            is_current: false,
        }
    }

    /// Notes a key for the document with this digest at a position, unless somebody has it: then it says who.
    pub(super) fn note(
        &mut self,
        connection: &Connection,
        noted: &mut Noted,
        stream: &StreamName,
        (key, digest): (&str, &[u8; 32]),
        position: &Position,
    ) -> Result<Option<keys::Holder>, StoreError> {
        if !std::mem::replace(&mut noted.is_current, true) {
            self.refresh(connection)?;
        }
        let digest = u128::from_be_bytes(keys::shortened(digest));
        let fingerprint = u128::from_be_bytes(keys::fingerprint(stream.as_str(), key));
        let known = match noted.by_key.get(&fingerprint) {
            Some(at) => Some(noted.rows[*at]),
            None => self.find(connection, fingerprint)?,
        };
        if let Some(Row { digest: known, partition, offset, .. }) = known {
            let position = Position { topic: position.topic.clone(), partition, offset };
            return Ok(Some(keys::Holder { is_same: known == digest, position }));
        }
        let stream = match &noted.stream {
            Some((name, number)) if name == stream => *number,
            _ => noted.stream.insert((stream.clone(), number_of(connection, stream)?)).1,
        };
        let noted_ms = keys::noted_ms(key, clock::now_ms());
        let Position { partition, offset, .. } = *position;
        noted.by_key.insert(fingerprint, noted.rows.len());
        noted.rows.push(Row { key: fingerprint, digest, stream, partition, offset, noted_ms });
        Ok(None)
    }

    fn find(&self, connection: &Connection, key: u128) -> Result<Option<Row>, StoreError> {
        if let Some(row) = self.recent.get(&key) {
            return Ok(Some(*row));
        }
        for run in self.runs.iter().rev() {
            if let Some(row) = run.find(connection, key)?.filter(|row| !self.is_forgotten(row)) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Whether a row of a run is older than its stream remembers. Such rows go when their run does.
    fn is_forgotten(&self, row: &Row) -> bool {
        self.ages.get(&(row.stream, row.partition)).is_some_and(|before_ms| row.noted_ms < *before_ms)
    }

    /// Writes what a transaction noted. [`Keys::committed`] must follow its COMMIT; without it everything is read again.
    pub(super) fn save(&mut self, connection: &Connection, noted: &Noted) -> Result<Saved, StoreError> {
        let mut saved = Saved { changes: self.changes.take() };
        if noted.rows.is_empty() {
            return Ok(saved);
        }
        let is_full = self.recent.len() + noted.rows.len() > self.recent_max && !self.recent.is_empty();
        if is_full {
            self.make_run(connection)?;
            saved.changes = Some(count_change(connection)?);
        }
        let mut blob = Vec::with_capacity(noted.rows.len() * row::BYTES);
        noted.rows.iter().for_each(|row| row.write(&mut blob));
        self.last += 1;
        connection
            .prepare_cached(r#"INSERT INTO "_sluicegate_key_recent" (id, "rows") VALUES (?1, ?2)"#)
            .and_then(|mut statement| statement.execute((self.last, blob)))
            .map_err(failed)?;
        self.recent.extend(noted.rows.iter().map(|row| (row.key, *row)));
        Ok(saved)
    }

    /// What was saved is in the file.
    pub(super) fn committed(&mut self, saved: Saved) {
        self.changes = saved.changes;
    }

    /// Something was written by this connection that [`Keys::save`] did not write.
    pub(super) fn suspect(&mut self) {
        self.is_current = false;
    }

    /// Makes a run of the recent keys, and one of many runs when there are enough.
    fn make_run(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let mut rows: Vec<Row> = self.recent.drain().map(|(_, row)| row).collect();
        rows.retain(|row| !self.is_forgotten(row));
        let sql = r#"DELETE FROM "_sluicegate_key_recent" WHERE id <= ?1"#;
        connection.prepare_cached(sql).and_then(|mut gone| gone.execute([self.last])).map_err(failed)?;
        self.runs.extend(write_run(connection, rows)?);
        self.merge(connection)
    }

    /// Merges the runs that were never merged, when there are many.
    fn merge(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if self.runs.iter().filter(|run| run.level == 0).count() >= MERGED {
            // Those that were merged are older than any that was not.
            let small = self.runs.split_off(self.runs.partition_point(|run| run.level > 0));
            let merged = run::merge(connection, &small, |row| self.is_forgotten(row))?;
            self.runs.extend(merged);
        }
        self.bound_filters();
        Ok(())
    }

    /// Lets the oldest filters go that the memory has no room for.
    fn bound_filters(&mut self) {
        let mut left = FILTER_BYTES_MAX;
        for run in self.runs.iter_mut().rev() {
            match left.checked_sub(run.filter_bytes()) {
                Some(rest) => left = rest,
                None => run.filter = None,
            }
        }
    }

    /// Compares what is known with the file, and reads what is new there.
    fn refresh(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let one = |sql: &str| {
            connection.prepare_cached(sql).and_then(|mut found| found.query_row([], |row| row.get(0))).map_err(failed)
        };
        let version: i64 = one("PRAGMA data_version")?;
        if self.is_current && self.changes.is_some() && version == self.version {
            return Ok(());
        }
        let changes: i64 = one(r#"SELECT count FROM "_sluicegate_key_changes""#)?;
        if self.changes != Some(changes) {
            if self.changes.take().is_none() {
                // What was made in a transaction that failed may be among them.
                self.runs.clear();
            }
            self.read_all(connection)?;
        }
        self.read_recent(connection)?;
        (self.changes, self.version, self.is_current) = (Some(changes), version, true);
        Ok(())
    }

    fn read_all(&mut self, connection: &Connection) -> Result<(), StoreError> {
        (self.recent, self.last, self.ages) = (FxHashMap::default(), 0, FxHashMap::default());
        let sql = r#"SELECT id FROM "_sluicegate_key_runs" ORDER BY level DESC, id"#;
        let mut statement = connection.prepare_cached(sql).map_err(failed)?;
        let ids = statement.query_map([], |row| row.get(0)).map_err(failed)?;
        let ids: Vec<i64> = ids.collect::<rusqlite::Result<_>>().map_err(failed)?;
        let mut known: FxHashMap<i64, Run> = self.runs.drain(..).map(|run| (run.id, run)).collect();
        // The newest first, as far as the memory for filters goes.
        let mut left = FILTER_BYTES_MAX;
        for id in ids.into_iter().rev() {
            let run = match known.remove(&id) {
                Some(run) => run,
                None => Run::load(connection, id, left)?,
            };
            left = left.saturating_sub(run.filter_bytes());
            self.runs.push(run);
        }
        self.runs.reverse();
        let mut statement = connection
            .prepare_cached(r#"SELECT stream, "partition", before_ms FROM "_sluicegate_key_ages""#)
            .map_err(failed)?;
        let ages = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))).map_err(failed)?;
        self.ages = ages.collect::<rusqlite::Result<_>>().map_err(failed)?;
        Ok(())
    }

    fn read_recent(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let sql = r#"SELECT id, "rows" FROM "_sluicegate_key_recent" WHERE id > ?1 ORDER BY id"#;
        let mut statement = connection.prepare_cached(sql).map_err(failed)?;
        let mut found = statement.query([self.last]).map_err(failed)?;
        while let Some(row) = found.next().map_err(failed)? {
            self.last = row.get(0).map_err(failed)?;
            let blob = row.get_ref(1).and_then(|blob| Ok(blob.as_blob()?)).map_err(failed)?;
            self.recent.extend(row::rows(blob).map(|row| (row.key, row)));
        }
        Ok(())
    }
}

/// What [`Keys::save`] did, for [`Keys::committed`].
#[derive(Debug)]
pub(super) struct Saved {
    changes: Option<i64>,
}

/// The number of a stream, which it is given if it has none yet.
fn number_of(connection: &Connection, stream: &StreamName) -> Result<u32, StoreError> {
    if let Some(number) = known_number(connection, stream)? {
        return Ok(number);
    }
    let sql = r#"INSERT INTO "_sluicegate_key_streams" (name) VALUES (?1) RETURNING id"#;
    connection.query_row(sql, [stream.as_str()], |row| row.get(0)).map_err(failed)
}

fn known_number(connection: &Connection, stream: &StreamName) -> Result<Option<u32>, StoreError> {
    connection
        .prepare_cached(r#"SELECT id FROM "_sluicegate_key_streams" WHERE name = ?1"#)
        .and_then(|mut found| found.query_row([stream.as_str()], |row| row.get(0)).optional())
        .map_err(failed)
}

/// Tells every other connection that more has changed than rows that are new. Gives the count.
fn count_change(connection: &Connection) -> Result<i64, StoreError> {
    let sql = r#"UPDATE "_sluicegate_key_changes" SET count = count + 1 RETURNING count"#;
    connection.query_row(sql, [], |row| row.get(0)).map_err(failed)
}

/// Writes keys as a run.
fn write_run(connection: &Connection, mut rows: Vec<Row>) -> Result<Option<Run>, StoreError> {
    rows.sort_unstable_by_key(|row| row.key);
    let mut writer = RunWriter::begin(connection, 0, rows.len())?;
    for row in &rows {
        writer.push(row)?;
    }
    writer.finish()
}
