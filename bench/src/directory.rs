//! Small files in a watched directory: how fast `up` publishes and applies new ones, and how it starts among known ones.
//!
//! Times run from the start of the process. The files rest before that, or it would wait for them.

use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::report::{Rounds, Target, short, value};
use crate::scale::Scaled;
use crate::scratch::Scratch;
use crate::server::Server;
use crate::{Fallible, client};

const ROUNDS: Scaled<usize> = Scaled(3, 1);
const FILES: Scaled<i64> = Scaled(10_000, 100);
const KNOWN: Scaled<i64> = Scaled(100_000, 300);
const LOOK_EVERY: Duration = Duration::from_millis(10);
const DEADLINE: Duration = Duration::from_secs(180);

/// Longer than files are left to rest.
const REST: Duration = Duration::from_secs(1);

const CONFIG: &str = "streams:
  people:
    takes: events
    table: people
    columns: {name: /name, age: {at: /age, type: integer}}
    directories: [inbox]
";

const ACCEPTED: (&str, &str) = ("journal.db", "SELECT next_offset FROM topics WHERE name = 'people'");
const APPLIED: (&str, &str) =
    ("store.db", r#"SELECT sum(applied) FROM "_sluicegate_positions" WHERE stream = 'people'"#);

pub(crate) fn measure() -> Fallible {
    let (mut accepted, mut applied, mut mib) = (Rounds::default(), Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS.now() {
        let scratch = Scratch::new()?;
        let run = publish(scratch.path(), 0..FILES.now())?;
        accepted.push(FILES.now() as f64 / run.accepted);
        applied.push(FILES.now() as f64 / run.applied);
        mib.push(run.mib);
    }
    let what = format!("{FILES} new files, start to the last row, median of {ROUNDS}");
    value(&what, applied.median(), "files/s", Target::AtLeast(5_000.0));
    println!("  - rounds {}; to the last one in the journal {} files/s", applied.text(), accepted.text());
    println!("  - most resident memory {} MiB", short(mib.max()));
    among_known()
}

/// Starts among files that were published before, and one new one: its row proves that the directory was looked through.
fn among_known() -> Fallible {
    let scratch = Scratch::new()?;
    let first = publish(scratch.path(), 0..KNOWN.now())?;
    println!("  - {KNOWN} new files: {} files/s, {} MiB", short(KNOWN.now() as f64 / first.applied), short(first.mib));
    let (mut ready, mut looked, mut mib) = (Rounds::default(), Rounds::default(), Rounds::default());
    for n in (KNOWN.now()..).take(ROUNDS.now()) {
        let run = publish(scratch.path(), n..n + 1)?;
        ready.push(run.ready);
        looked.push(run.applied);
        mib.push(run.mib);
    }
    let among = format!("among {KNOWN} known files, median of {ROUNDS}");
    value(&format!("start to ready {among}"), ready.median(), "s", Target::AtMost(5.0));
    value(&format!("start to the row of a new file {among}"), looked.median(), "s", Target::AtMost(5.0));
    println!("  - rounds {} s and {} s; most resident memory {} MiB", ready.text(), looked.text(), short(mib.max()));
    Ok(())
}

/// Seconds from the start of the process, and the most memory it had resident.
#[derive(Debug)]
struct Run {
    ready: f64,
    accepted: f64,
    applied: f64,
    mib: f64,
}

/// Adds files to those before them, and runs `up` until all are rows.
fn publish(data: &Path, files: Range<i64>) -> Fallible<Run> {
    let inbox = data.join("inbox");
    std::fs::create_dir_all(&inbox)?;
    std::fs::write(data.join("sluicegate.yaml"), CONFIG)?;
    let count = files.end;
    for n in files {
        let text = format!("{{\"name\":\"person {n}\",\"age\":{},\"city\":\"Oslo\"}}\n", 18 + n % 70);
        std::fs::write(inbox.join(format!("{n}.json")), text)?;
    }
    // The disk is not to be busy with the files then.
    Command::new("sync").status()?;
    std::thread::sleep(REST);

    let begun = Instant::now();
    let server = Server::up(data, &[])?;
    let ready = wait(begun, || Ok(client::ask(&server.address, "GET", "/health/ready", "", b"")?.0 == 200))?;
    let accepted = wait(begun, || Ok(read(data, ACCEPTED) >= count))?;
    let applied = wait(begun, || Ok(read(data, APPLIED) >= count))?;
    let mib = server.peak_memory_mib()?;
    let rows = read(data, ("store.db", "SELECT count(DISTINCT name) FROM people"));
    if (read(data, ACCEPTED), rows) != (count, count) {
        return Err(format!("{count} files became {rows} rows").into());
    }
    Ok(Run { ready, accepted, applied, mib })
}

/// The seconds until `is_done`.
fn wait(begun: Instant, is_done: impl Fn() -> Fallible<bool>) -> Fallible<f64> {
    while !is_done()? {
        if begun.elapsed() > DEADLINE {
            return Err(format!("the files were not read within {DEADLINE:?}").into());
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// A number from a database of the server; 0 while it is not there.
fn read(data: &Path, (file, sql): (&str, &str)) -> i64 {
    let connection = Connection::open_with_flags(data.join(file), OpenFlags::SQLITE_OPEN_READ_ONLY);
    connection.and_then(|connection| connection.query_row(sql, [], |row| row.get(0))).unwrap_or(0)
}
