//! Where topics end, as far as this process knows: told by its own appends, and for those of other processes by a look at the
//! file, one for all who wait.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::watch;

use crate::document::TopicName;
use crate::polling::Poll;

/// How often readers that wait look for records of other processes.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The memory of the connection that looks, in KiB: it sees a page or two.
const CACHE_KIB: u32 = 64;

#[derive(Debug)]
pub(super) struct Ends {
    /// The ends of the topics that are read here. They only grow.
    known: Mutex<HashMap<TopicName, watch::Sender<i64>>>,
    /// Bounds how often is looked.
    pub(super) poll: Poll,
    /// Opened at the first look.
    connection: Mutex<Option<Connection>>,
}

impl Default for Ends {
    fn default() -> Self {
        Ends { known: Mutex::default(), poll: Poll::every(LOOK_EVERY), connection: Mutex::default() }
    }
}

impl Ends {
    /// Tells the end of `topic` from now on; 0 until it is noted.
    pub(super) fn of(&self, topic: &TopicName) -> watch::Receiver<i64> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(topic.clone()).or_insert_with(|| watch::channel(0).0).subscribe()
    }

    /// Notes that `topic` goes as far as `end`. What is known already may be newer.
    pub(super) fn note(&self, topic: &TopicName, end: i64) {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(topic) {
            raise(known, end);
        }
    }

    /// Looks once at the file at `path`, which must be the one that was opened.
    pub(super) fn look(&self, path: &Path) -> rusqlite::Result<()> {
        let found = self.found(path)?;
        for (topic, known) in &*self.known.lock().unwrap_or_else(PoisonError::into_inner) {
            if let Some(end) = found.get(topic.as_str()) {
                raise(known, *end);
            }
        }
        Ok(())
    }

    /// The ends of all topics in the file.
    fn found(&self, path: &Path) -> rusqlite::Result<HashMap<String, i64>> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match &mut *connection {
            Some(connection) => connection,
            none => none.insert(crate::sqlite::connect_reading(path, CACHE_KIB)?),
        };
        let mut statement = connection.prepare_cached("SELECT name, next_offset FROM topics")?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }
}

fn raise(known: &watch::Sender<i64>, end: i64) {
    known.send_if_modified(|known| {
        let is_news = *known < end;
        *known = end.max(*known);
        is_news
    });
}
