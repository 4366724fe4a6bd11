//! As a user sees it: 1,000 documents a second to Kafka and on to PostgreSQL, from the POST to the row.
//!
//! A reader of the table looks every two milliseconds which rows are new; the time begins when the POST was due.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Database, journal_url, unique};
use crate::Fallible;
use crate::documents::FIRST;
use crate::latency::{self, due};
use crate::report::Target;
use crate::scratch::Scratch;
use crate::server::Server;

const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Rows that are not there by then never will be.
const PATIENCE: Duration = Duration::from_secs(10);

/// The document that makes the table before the clock starts: its rows stand before all others.
const OUTSIDE: i64 = -10;

pub(crate) fn measure() -> Fallible {
    let (scratch, database) = (Scratch::new()?, Database::new()?);
    let config = format!("streams: {{activities: {{takes: changes, topic: latency-{}}}}}\n", unique());
    std::fs::write(scratch.path().join("sluicegate.yaml"), config)?;
    let server = Server::up(scratch.path(), &["--journal", &journal_url(1)?, "--store", &database.url()])?;
    let watched = |begin, count| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(watch(&database, begin, count))
    };
    latency::run(&server, OUTSIDE, watched, "PostgreSQL, by way of Kafka", Target::AtMost(50.0))
}

/// When each number in the table became visible.
async fn watch(database: &Database, begin: Instant, count: i64) -> Fallible<HashMap<i64, Instant>> {
    let client = database.connect().await?;
    let statement = client.prepare("SELECT a FROM table1 WHERE a > $1 ORDER BY a").await?;
    let deadline = due(begin, count) + PATIENCE;
    let mut seen = HashMap::new();
    // One partition: rows come in the order of the documents, which are sent nearly in the order of their numbers.
    let mut all_before = FIRST as i32 - 1;
    while seen.len() < count.unsigned_abs() as usize && Instant::now() < deadline {
        let rows = client.query(&statement, &[&all_before]).await?;
        let now = Instant::now();
        for row in rows {
            seen.entry(i64::from(row.get::<_, i32>(0))).or_insert(now);
        }
        while seen.contains_key(&(i64::from(all_before) + 2)) {
            all_before += 2;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(seen)
}
