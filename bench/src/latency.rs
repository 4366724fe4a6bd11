//! 1,000 documents a second, whether or not earlier ones are answered: the time from the POST to the row.
//!
//! A reader of the store's file looks every half millisecond which rows are new, so the row was visible at most that
//! much earlier; the time begins when the POST was due, so a late sender counts, too.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::documents::{FIRST, three_changes};
use crate::load::{Connection as Client, PATH, Request};
use crate::report::{Rounds, Target, short, value};
use crate::scale::Scaled;
use crate::scratch::Scratch;
use crate::server::Server;
use crate::{Fallible, client};

const PER_SECOND: Scaled<i64> = Scaled(1_000, 100);
const SECONDS: Scaled<i64> = Scaled(10, 1);
const CONNECTIONS: usize = 64;
const LOOK_EVERY: Duration = Duration::from_micros(500);

/// Rows that are not there by then never will be.
const PATIENCE: Duration = Duration::from_secs(10);

/// The document that makes the table before the clock starts.
const OUTSIDE: i64 = 100_000_000;

pub(crate) fn measure() -> Fallible {
    let scratch = Scratch::new()?;
    let server = Server::up(scratch.path(), &[])?;
    let store = scratch.path().join("store.db");
    let place = "the store's file";
    run(&server, OUTSIDE, |begin, count| watch(&store, begin, count), place, Target::AtMost(20.0))
}

/// Sends documents to `server`, the one with the number `outside` first and apart, while `watch` says when each number
/// was seen in `place`, and prints how long they took.
pub(crate) fn run(
    server: &Server,
    outside: i64,
    watch: impl FnOnce(Instant, i64) -> Fallible<HashMap<i64, Instant>>,
    place: &str,
    target: Target,
) -> Fallible {
    let first = three_changes(outside);
    let (status, text) = client::ask(&server.address, "POST", PATH, "Prefer: wait=20\r\n", first.as_bytes())?;
    if status != 200 {
        return Err(format!("the first document was not applied: {text}").into());
    }
    let count = PER_SECOND.now() * SECONDS.now();
    let address = server.address.clone();
    let begin = Instant::now() + Duration::from_millis(100);
    let sender = std::thread::spawn(move || send(&address, begin, count));
    let seen = watch(begin, count)?;
    sender.join().map_err(|_| "the sender panicked")??;
    report(&seen, begin, place, target)
}

/// Prints how long the documents took, by when each second number of theirs was seen in `place`.
fn report(seen: &HashMap<i64, Instant>, begin: Instant, place: &str, target: Target) -> Fallible {
    let mut times = Rounds::default();
    for n in 0..PER_SECOND.now() * SECONDS.now() {
        let visible = seen.get(&(FIRST + 2 * n + 1)).ok_or_else(|| format!("document {n} never became a row"))?;
        times.push((*visible - due(begin, n)).as_secs_f64() * 1e3);
    }
    println!(
        "{PER_SECOND} documents/s for {SECONDS} s over {CONNECTIONS} connections, 3 changes each; POST due to row visible \
         to a reader of {place}:\n"
    );
    let quantile = |share| short(times.quantile(share));
    println!("- median {} ms, 99 % within {} ms, most {} ms", quantile(0.5), quantile(0.99), quantile(1.0));
    value("95 % within", times.quantile(0.95), "ms", target);
    Ok(())
}

pub(crate) fn due(begin: Instant, n: i64) -> Instant {
    begin + Duration::from_micros(n.unsigned_abs() * 1_000_000 / PER_SECOND.now().unsigned_abs())
}

/// Posts each document when it is due, on whichever connection is free.
fn send(address: &str, begin: Instant, count: i64) -> Fallible {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let next = Arc::new(AtomicI64::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS {
            let (mut connection, next) = (Client::open(address).await?, Arc::clone(&next));
            tasks.spawn(async move {
                let mut request = Request::new("");
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return Fallible::Ok(());
                    }
                    let _ = tokio::time::timeout_at(due(begin, n).into(), std::future::pending::<()>()).await;
                    let status = connection.send(request.fill(n)).await?;
                    if status != 202 {
                        return Err(format!("document {n} was answered {status}").into());
                    }
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(())
    })
}

/// When each number in the table became visible.
fn watch(store: &Path, begin: Instant, count: i64) -> Fallible<HashMap<i64, Instant>> {
    let connection = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = connection.prepare("SELECT rowid, a FROM table1 WHERE rowid > ?1 ORDER BY rowid")?;
    let deadline = due(begin, count) + PATIENCE;
    let mut seen = HashMap::new();
    let mut last = 0;
    // The document before is there, too.
    while seen.len() <= count.unsigned_abs() as usize && Instant::now() < deadline {
        let rows: Vec<(i64, i64)> =
            statement.query_map([last], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        let now = Instant::now();
        for (rowid, number) in rows {
            last = rowid;
            seen.insert(number, now);
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
    Ok(seen)
}
