//! What the state files of a rollup say, read by whoever shares the folder with the process that sums up.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use super::plan::Plan;
use super::state_file::Standing;
use super::trouble::{Trouble, blocking};
use crate::rollup::{Broken, Key, State};

/// The memory of a connection for pages, in KiB.
const CACHE_KIB: u32 = 2 << 10;

/// A summary as it was written last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The key of its records, which is how it is asked for.
    pub key: String,
    /// The summary: a JSON object.
    pub value: String,
    /// The partition of the input that it is of.
    pub partition: i32,
    /// When the file was written last, in milliseconds since 1970.
    pub as_of_ms: i64,
}

/// A document that came after its window had closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateShown {
    /// The partition of the input.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// The key of the summary that it would have changed.
    pub key: String,
    /// When it was accepted, in milliseconds since 1970.
    pub accepted_ms: i64,
}

/// Reads the state files of a rollup in a folder.
#[derive(Debug, Clone)]
pub struct Asking {
    paths: Vec<(i32, PathBuf)>,
}

impl Asking {
    /// Of the files that are there.
    pub fn of(folder: &Path, plan: &Plan) -> Self {
        let of_it = |name: &str| {
            let rest = name.strip_prefix(plan.name.as_str())?.strip_prefix('-')?;
            rest.strip_suffix(".db")?.parse::<i32>().ok()
        };
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<_> =
            entries.filter_map(|entry| Some((of_it(entry.file_name().to_str()?)?, entry.path()))).collect();
        paths.sort();
        Asking { paths }
    }

    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The summary of a key.
    pub async fn summary(&self, plan: &std::sync::Arc<Plan>, key: &Key) -> Result<Option<Shown>, String> {
        let (plan, key) = (std::sync::Arc::clone(plan), key.clone());
        self.ask(move |partition, connection, standing| {
            let state: Option<String> = connection
                .query_row("SELECT state FROM summaries WHERE key = ?1", [key.as_str()], |row| row.get(0))
                .optional()?;
            state.map(|state| shown(&plan, partition, standing, &key, &state)).transpose()
        })
        .await
        .map(|found| found.into_iter().flatten().next())
    }

    /// The next summaries behind a key, in the order of keys.
    pub async fn summaries(
        &self,
        plan: &std::sync::Arc<Plan>,
        after: Option<Key>,
        limit: usize,
    ) -> Result<Vec<Shown>, String> {
        let plan = std::sync::Arc::clone(plan);
        let found = self.ask(move |partition, connection, standing| {
            let mut statement =
                connection.prepare("SELECT key, state FROM summaries WHERE key > ?1 ORDER BY key LIMIT ?2")?;
            let after = after.as_ref().map_or("", Key::as_str);
            let rows = statement.query_map((after, i64::try_from(limit).unwrap_or(i64::MAX)), |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })?;
            let mut found = Vec::new();
            for row in rows {
                let (key, state) = row?;
                let key = Key::from_text(&key);
                found.push((key.clone(), shown(&plan, partition, standing, &key, &state)?));
            }
            Ok(found)
        });
        let mut found: Vec<_> = found.await?.into_iter().flatten().collect();
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        found.truncate(limit);
        Ok(found.into_iter().map(|(_, shown)| shown).collect())
    }

    /// The newest documents that came late.
    pub async fn late(&self, plan: &std::sync::Arc<Plan>) -> Result<Vec<LateShown>, String> {
        let plan = std::sync::Arc::clone(plan);
        let found = self.ask(move |partition, connection, _| {
            let mut statement = connection.prepare("SELECT offset, key, accepted_ms FROM late ORDER BY number DESC")?;
            let _ = &plan;
            let rows = statement.query_map([], |row| {
                let key = Key::from_text(&row.get::<_, String>(1)?).record_key();
                Ok(LateShown { partition, offset: row.get(0)?, key, accepted_ms: row.get(2)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        });
        let mut found: Vec<_> = found.await?.into_iter().flatten().collect();
        found.sort_by_key(|late| std::cmp::Reverse((late.accepted_ms, late.offset)));
        found.truncate(crate::rollup::LATE_MAX);
        Ok(found)
    }

    /// Asks each file; one without a standing yet says nothing.
    async fn ask<T: Send + 'static>(
        &self,
        ask: impl Fn(i32, &Connection, &Standing) -> Result<T, Unreadable> + Send + 'static,
    ) -> Result<Vec<T>, String> {
        let paths = self.paths.clone();
        let read = move || {
            let mut found = Vec::new();
            for (partition, path) in &paths {
                let one = || -> Result<Option<T>, Unreadable> {
                    let connection = crate::sqlite::connect_reading(path, CACHE_KIB)?;
                    let text: Option<String> = connection
                        .query_row("SELECT standing FROM partition", [], |row| row.get(0))
                        .optional()?
                        .flatten();
                    let Some(standing) = text.and_then(|text| serde_json::from_str(&text).ok()) else {
                        return Ok(None);
                    };
                    ask(*partition, &connection, &standing).map(Some)
                };
                found.extend(one().map_err(|error| Trouble::later(format!("{}: {error}", path.display())))?);
            }
            Ok(found)
        };
        blocking(read).await.map_err(|trouble| match trouble {
            Trouble::Later(reason) | Trouble::Halt(reason) => reason.to_string(),
        })
    }
}

#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    File(#[from] rusqlite::Error),
    #[error(transparent)]
    Broken(#[from] Broken),
}

fn shown(plan: &Plan, partition: i32, standing: &Standing, key: &Key, state: &str) -> Result<Shown, Unreadable> {
    let definition = plan.rollup.definition();
    let value = State::from_text(definition, state)?.value(definition, key);
    Ok(Shown { key: key.record_key(), value, partition, as_of_ms: standing.written_ms })
}
