//! A run: many keys in their order, written once, on pages of the file. What is needed to find one is in memory: the first
//! key of each page, and a filter that says which keys are surely not there.

use rusqlite::{Connection, OptionalExtension};

use super::count_change;
use super::filter::Filter;
use super::row::{self, BYTES, LASTING, Row};
use crate::store::StoreError;
use crate::store::sqlite::failed;

/// The rows of a page: with them SQLite's page of 4 KiB is full, and nothing overflows into a second one.
const PAGE_ROWS: usize = 71;

/// The number of a page is that of its run, and so many bits that say which of the run's pages it is.
const PAGE_BITS: u32 = 24;

/// What is known of a run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) id: i64,
    /// How often its keys were merged.
    pub(super) level: u8,
    /// How many keys it had when it was made.
    pub(super) rows: usize,
    /// The first half of the first key of each page.
    fences: Vec<u64>,
    /// None where the memory for filters is used up: then its pages are asked.
    pub(super) filter: Option<Filter>,
}

impl Run {
    /// Reads what is known of a run; its filter only if that takes no more than `bytes_max`.
    pub(super) fn load(connection: &Connection, id: i64, bytes_max: usize) -> Result<Self, StoreError> {
        let sql = r#"SELECT level, "rows", fences, CASE WHEN length(filter) <= ?2 THEN filter END
                     FROM "_sluicegate_key_runs" WHERE id = ?1"#;
        let limit = i64::try_from(bytes_max).unwrap_or(i64::MAX);
        let read = |row: &rusqlite::Row<'_>| {
            let fences = row.get_ref(2)?.as_blob()?.as_chunks::<8>().0.iter().map(|fence| u64::from_be_bytes(*fence));
            let filter = row.get_ref(3)?.as_blob_or_null()?.and_then(Filter::from_bytes);
            Ok(Run { id, level: row.get(0)?, rows: row.get::<_, u32>(1)? as usize, fences: fences.collect(), filter })
        };
        connection.prepare_cached(sql).and_then(|mut found| found.query_row((id, limit), read)).map_err(failed)
    }

    /// The bytes of its filter in memory.
    pub(super) fn filter_bytes(&self) -> usize {
        self.filter.as_ref().map_or(0, Filter::size)
    }

    /// Finds a key.
    pub(super) fn find(&self, connection: &Connection, key: u128) -> Result<Option<Row>, StoreError> {
        if self.filter.as_ref().is_some_and(|filter| !filter.may_have(key)) {
            return Ok(None);
        }
        let high = (key >> 64) as u64;
        // The page before the first that begins behind it; more than one only where many keys share their first half.
        let first = self.fences.partition_point(|fence| *fence < high).saturating_sub(1);
        for page in first..self.fences.len() {
            if self.fences[page] > high {
                break;
            }
            if let Some(found) = page_of(connection, self.id, page, |rows| row::find(rows, key))?.flatten() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Removes it from the file.
    pub(super) fn remove(connection: &Connection, id: i64) -> Result<(), StoreError> {
        let run = |sql: &str, parameters: &[i64]| {
            connection
                .prepare_cached(sql)
                .and_then(|mut statement| statement.execute(rusqlite::params_from_iter(parameters)))
                .map(drop)
                .map_err(failed)
        };
        run(r#"DELETE FROM "_sluicegate_key_pages" WHERE id >= ?1 AND id < ?2"#, &span(id))?;
        run(r#"DELETE FROM "_sluicegate_key_runs" WHERE id = ?1"#, &[id])
    }
}

/// The numbers of a run's pages: from the first to before the second.
pub(super) fn span(run: i64) -> [i64; 2] {
    [run << PAGE_BITS, (run + 1) << PAGE_BITS]
}

/// Looks at a page of a run; none when there is no such page.
fn page_of<T>(
    connection: &Connection,
    run: i64,
    page: usize,
    look: impl FnOnce(&[u8]) -> T,
) -> Result<Option<T>, StoreError> {
    let id = span(run)[0] + page as i64;
    connection
        .prepare_cached(r#"SELECT "rows" FROM "_sluicegate_key_pages" WHERE id = ?1"#)
        .and_then(|mut found| found.query_row([id], |row| Ok(look(row.get_ref(0)?.as_blob()?))).optional())
        .map_err(failed)
}

/// Writes a run, row by row in the order of their keys.
pub(super) struct RunWriter<'c> {
    connection: &'c Connection,
    run: Run,
    filter: Filter,
    page: Vec<u8>,
    newest_ms: i64,
}

impl<'c> RunWriter<'c> {
    /// Begins one for at most so many keys.
    pub(super) fn begin(connection: &'c Connection, level: u8, count: usize) -> Result<Self, StoreError> {
        // The count of changes is never the same twice, and so no number of a run is.
        let id = count_change(connection)?;
        let run = Run { id, level, rows: 0, fences: Vec::with_capacity(count / PAGE_ROWS + 1), filter: None };
        let page = Vec::with_capacity(PAGE_ROWS * BYTES);
        Ok(RunWriter { connection, run, filter: Filter::for_keys(count), page, newest_ms: i64::MIN })
    }

    pub(super) fn push(&mut self, row: &Row) -> Result<(), StoreError> {
        if self.page.len() == PAGE_ROWS * BYTES {
            self.write_page()?;
        }
        if self.page.is_empty() {
            self.run.fences.push((row.key >> 64) as u64);
        }
        row.write(&mut self.page);
        self.filter.insert(row.key);
        self.run.rows += 1;
        if row.noted_ms != LASTING {
            self.newest_ms = self.newest_ms.max(row.noted_ms);
        }
        Ok(())
    }

    fn write_page(&mut self) -> Result<(), StoreError> {
        let id = span(self.run.id)[0] + self.run.fences.len() as i64 - 1;
        self.connection
            .prepare_cached(r#"INSERT INTO "_sluicegate_key_pages" (id, "rows") VALUES (?1, ?2)"#)
            .and_then(|mut statement| statement.execute((id, &self.page)))
            .map_err(failed)?;
        self.page.clear();
        Ok(())
    }

    /// Ends it. None when it holds nothing.
    pub(super) fn finish(mut self) -> Result<Option<Run>, StoreError> {
        if self.run.rows == 0 {
            return Ok(None);
        }
        self.write_page()?;
        let fences: Vec<u8> = self.run.fences.iter().flat_map(|fence| fence.to_be_bytes()).collect();
        let sql = r#"INSERT INTO "_sluicegate_key_runs" (id, level, "rows", newest_ms, fences, filter)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)"#;
        let (rows, filter) = (self.run.rows as i64, self.filter.to_bytes());
        self.connection
            .prepare_cached(sql)
            .and_then(|mut made| made.execute((self.run.id, self.run.level, rows, self.newest_ms, fences, filter)))
            .map_err(failed)?;
        self.run.filter = Some(self.filter);
        Ok(Some(self.run))
    }
}

/// Reads a run from its first key to its last, a page at a time.
struct Cursor {
    run: i64,
    pages: usize,
    /// The page to be read next.
    page: usize,
    rows: Vec<u8>,
    at: usize,
}

impl Cursor {
    fn next(&mut self, connection: &Connection) -> Result<Option<Row>, StoreError> {
        while self.at * BYTES >= self.rows.len() {
            if self.page == self.pages {
                return Ok(None);
            }
            self.rows.clear();
            let rows = &mut self.rows;
            page_of(connection, self.run, self.page, |found| rows.extend_from_slice(found))?;
            (self.page, self.at) = (self.page + 1, 0);
        }
        self.at += 1;
        Ok(self.rows.as_chunks::<BYTES>().0.get(self.at - 1).map(Row::read))
    }
}

/// Merges runs, the oldest first, into one of the next level, without the rows that are forgotten, and removes them.
pub(super) fn merge(
    connection: &Connection,
    runs: &[Run],
    is_forgotten: impl Fn(&Row) -> bool,
) -> Result<Option<Run>, StoreError> {
    let count = runs.iter().map(|run| run.rows).sum();
    let level = runs.iter().map(|run| run.level).max().unwrap_or(0) + 1;
    let mut writer = RunWriter::begin(connection, level, count)?;
    let cursor = |run: &Run| Cursor { run: run.id, pages: run.fences.len(), page: 0, rows: Vec::new(), at: 0 };
    let mut cursors: Vec<_> = runs.iter().map(cursor).collect();
    // The smallest key first; of equal ones that of the newest run, which alone counts.
    let mut heads = std::collections::BinaryHeap::with_capacity(cursors.len());
    let mut rows = Vec::with_capacity(cursors.len());
    for (at, cursor) in cursors.iter_mut().enumerate() {
        let row = cursor.next(connection)?;
        heads.extend(row.map(|row| (std::cmp::Reverse(row.key), at)));
        rows.push(row);
    }
    let mut last = None;
    while let Some((std::cmp::Reverse(key), at)) = heads.pop() {
        if let Some(row) = rows[at].filter(|row| last != Some(key) && !is_forgotten(row)) {
            writer.push(&row)?;
        }
        last = Some(key);
        rows[at] = cursors[at].next(connection)?;
        heads.extend(rows[at].map(|row| (std::cmp::Reverse(row.key), at)));
    }
    for run in runs {
        Run::remove(connection, run.id)?;
    }
    writer.finish()
}
