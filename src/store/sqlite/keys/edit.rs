//! Keys that are forgotten or changed: for their age, or because a person moved a position. A transaction that notes keys
//! sees it by the count of changes.

use rusqlite::Connection;

use super::row::{self, BYTES, Row};
use super::run::{Run, span};
use super::{count_change, known_number};
use crate::clock;
use crate::store::sqlite::failed;
use crate::store::{Place, StoreError};

/// Forgets the keys of a partition that are older than `before_ms`. Gives how many rows went.
///
/// Rows of a run stay until all of that age are too old, and do not count meanwhile.
pub(in crate::store::sqlite) fn prune(
    connection: &Connection,
    place: &Place,
    before_ms: i64,
) -> Result<u64, StoreError> {
    let Some(stream) = known_number(connection, &place.stream)? else { return Ok(0) };
    let at = (stream, place.partition);
    // Never later than now: a key that is noted from now on is new.
    let bound_ms = before_ms.min(clock::now_ms());
    let known: i64 = connection
        .query_row(
            r#"SELECT coalesce(max(before_ms), ?3) FROM "_sluicegate_key_ages" WHERE stream = ?1 AND "partition" = ?2"#,
            (at.0, at.1, i64::MIN),
            |row| row.get(0),
        )
        .map_err(failed)?;
    let mut keep = |row: &mut Row| (row.stream, row.partition) != at || row.noted_ms >= before_ms;
    let mut gone = edit_table(connection, "recent", [i64::MIN, i64::MAX], &mut keep)?;
    if bound_ms > known {
        connection
            .execute(r#"INSERT OR REPLACE INTO "_sluicegate_key_ages" VALUES (?1, ?2, ?3)"#, (at.0, at.1, bound_ms))
            .map_err(failed)?;
        // Those whose newest rows have become too old since the last time: each is read once for each partition.
        for run in runs(connection, [known, before_ms])? {
            gone += edit_run(connection, run, &mut keep)?;
        }
    }
    if gone > 0 || bound_ms > known {
        count_change(connection)?;
    }
    Ok(gone)
}

/// What will be applied again has no keys any more.
pub(in crate::store::sqlite) fn forget_from(connection: &Connection, place: &Place, to: i64) -> Result<(), StoreError> {
    edit(connection, place, |row| row.offset < to)
}

/// Keys still count, but the offsets from `to` on are other documents': they point nowhere.
pub(in crate::store::sqlite) fn disown_from(connection: &Connection, place: &Place, to: i64) -> Result<(), StoreError> {
    edit(connection, place, |row| {
        row.offset = if row.offset >= to { -1 } else { row.offset };
        true
    })
}

/// Changes every row of a partition; those that are not to be kept go.
fn edit(connection: &Connection, place: &Place, keep: impl Fn(&mut Row) -> bool) -> Result<(), StoreError> {
    let Some(stream) = known_number(connection, &place.stream)? else { return Ok(()) };
    let mut keep = |row: &mut Row| (row.stream, row.partition) != (stream, place.partition) || keep(row);
    edit_table(connection, "recent", [i64::MIN, i64::MAX], &mut keep)?;
    for run in runs(connection, [i64::MIN, i64::MAX])? {
        edit_run(connection, run, &mut keep)?;
    }
    count_change(connection).map(drop)
}

/// The runs whose newest row was noted between these times.
fn runs(connection: &Connection, [from_ms, to_ms]: [i64; 2]) -> Result<Vec<i64>, StoreError> {
    let sql = r#"SELECT id FROM "_sluicegate_key_runs" WHERE newest_ms >= ?1 AND newest_ms < ?2"#;
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let found = statement.query_map([from_ms, to_ms], |row| row.get(0)).map_err(failed)?;
    found.collect::<rusqlite::Result<_>>().map_err(failed)
}

/// Changes the rows of a run, which goes when none is left. What is in memory of it stays right: a filter and the first
/// keys of pages may speak of rows that are gone.
fn edit_run(connection: &Connection, run: i64, keep: &mut impl FnMut(&mut Row) -> bool) -> Result<u64, StoreError> {
    let mut left = 0_u64;
    let gone = edit_table(connection, "pages", span(run), &mut |row| {
        let is_kept = keep(row);
        left += u64::from(is_kept);
        is_kept
    })?;
    // The time of its newest row stays as it was, even when that row is gone: with an earlier one, a partition that has
    // been there already would pass the run over, and leave its rows in it for ever.
    if left == 0 {
        Run::remove(connection, run)?;
    }
    Ok(gone)
}

/// Changes the rows in the blobs with these numbers, and gives how many went.
fn edit_table(
    connection: &Connection,
    table: &str,
    [from, to]: [i64; 2],
    keep: &mut impl FnMut(&mut Row) -> bool,
) -> Result<u64, StoreError> {
    let next =
        format!(r#"SELECT id, "rows" FROM "_sluicegate_key_{table}" WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1"#);
    let update = format!(r#"UPDATE "_sluicegate_key_{table}" SET "rows" = ?2 WHERE id = ?1"#);
    let mut next = connection.prepare_cached(&next).map_err(failed)?;
    let mut update = connection.prepare_cached(&update).map_err(failed)?;
    let (mut from, mut gone) = (from, 0);
    loop {
        let found = next.query_row([from, to], |row| Ok((row.get(0)?, row.get(1)?)));
        let (id, blob): (i64, Vec<u8>) = match found {
            Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(gone),
            found => found.map_err(failed)?,
        };
        let mut edited = Vec::with_capacity(blob.len());
        for mut row in row::rows(&blob) {
            if keep(&mut row) {
                row.write(&mut edited);
            }
        }
        gone += ((blob.len() - edited.len()) / BYTES) as u64;
        if edited != blob {
            update.execute((id, edited)).map_err(failed)?;
        }
        from = id + 1;
    }
}
