//! The real binary is killed (`kill -9`) at random moments under load and started again: what was acknowledged is in the
//! store exactly once, and no document is there by half.
//!
//! `SLUICEGATE_CRASH_ROUNDS` asks for more rounds of each test, `SLUICEGATE_CRASH_SEED` for those of an earlier run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection as File;

use crate::random::Random;
use crate::support::{Connection, Home, PATIENCE, Process, Request, Target, eventually};

const CLIENTS: usize = 4;

/// A kill comes after at most so many more acknowledgements.
const ACKNOWLEDGED_MAX: u64 = 150;

/// The most a round waits for those: a machine may be slow, and a crash without load is a crash too.
const ROUND_MAX: Duration = Duration::from_millis(400);

#[test]
fn one_process_is_killed() {
    survive(&[&["up", "--listen", "127.0.0.1:0"]], 20);
}

#[test]
fn a_gateway_or_its_applier_is_killed() {
    survive(&[&["up", "--listen", "127.0.0.1:0", "--role", "gateway"], &["up", "--role", "apply"]], 15);
}

#[test]
fn one_of_two_appliers_is_killed_and_the_other_takes_over() {
    let gateway = &["up", "--listen", "127.0.0.1:0", "--role", "gateway"];
    survive(&[gateway, &["up", "--role", "apply"], &["up", "--role", "apply"]], 15);
}

/// What a document does, told from its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Inserts three rows into two tables.
    Plain,
    /// The same, under an idempotency key: sent again until it is acknowledged.
    Keyed,
    /// Inserts a row, and then fails: a dead letter.
    Failing,
}

impl Kind {
    fn of(number: u64) -> Self {
        match number % 8 {
            3 => Kind::Failing,
            1 | 6 => Kind::Keyed,
            _ => Kind::Plain,
        }
    }
}

fn request(number: u64) -> Request {
    let insert = |table, part| {
        format!(
            r#"{{"operation":"insert","table":"{table}","col_names":["number","part"],
                "col_types":["INTEGER","INTEGER"],"col_values":[{number},{part}]}}"#
        )
    };
    let last = match Kind::of(number) {
        Kind::Failing => {
            r#"{"operation":"delete","table":"nowhere","old_value":{"col_names":["a"],"col_types":["TEXT"],"col_values":["b"]}}"#.into()
        }
        _ => insert("right", 3),
    };
    let body = format!(r#"{{"activities":[{},{},{last}]}}"#, insert("left", 1), insert("left", 2));
    let request = Request::post("/v1/streams/activities", body);
    match Kind::of(number) {
        Kind::Keyed => request.header("Idempotency-Key", &format!("key {number}")),
        _ => request,
    }
}

/// What the clients know of their documents.
#[derive(Debug, Default)]
struct Ledger {
    next: AtomicU64,
    acknowledged: AtomicU64,
    /// Whether each document that was sent was acknowledged.
    documents: Mutex<BTreeMap<u64, bool>>,
    /// Documents with keys that must be sent again.
    again: Mutex<Vec<u64>>,
}

impl Ledger {
    fn documents(&self) -> MutexGuard<'_, BTreeMap<u64, bool>> {
        self.documents.lock().unwrap()
    }

    fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Sends one document. False when the connection broke.
    fn send(&self, connection: &mut Connection, number: u64) -> bool {
        self.documents().entry(number).or_insert(false);
        let status = connection.send(&request(number)).map(|response| (response.status, response.text()));
        match status {
            Ok((202, _)) => {
                self.documents().insert(number, true);
                self.acknowledged.fetch_add(1, Ordering::SeqCst);
                return true;
            }
            // Nobody can tell whether it was kept.
            Ok((503, _)) | Err(_) => {}
            Ok(other) => panic!("document {number} was answered {other:?}"),
        }
        if Kind::of(number) == Kind::Keyed {
            self.again.lock().unwrap().push(number);
        }
        status.is_ok()
    }

    /// Sends documents until the gateway is gone or `is_over`.
    fn load(&self, gateway: std::net::SocketAddr, is_over: &AtomicBool) {
        let Ok(mut connection) = Connection::open(gateway) else { return };
        while !is_over.load(Ordering::SeqCst) {
            let again = self.again.lock().unwrap().pop();
            let number = again.unwrap_or_else(|| self.next.fetch_add(1, Ordering::SeqCst));
            if !self.send(&mut connection, number) {
                return;
            }
        }
    }
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Runs the processes, kills one or more in each round, and looks at the store at the end. The first is the gateway.
fn survive(commands: &[&[&str]], rounds: u64) {
    let rounds = number_from("SLUICEGATE_CRASH_ROUNDS").unwrap_or(rounds);
    let clock = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let seed = number_from("SLUICEGATE_CRASH_SEED").unwrap_or_else(clock);
    println!("SLUICEGATE_CRASH_SEED={seed}");
    let mut random = Random::new(seed);
    let home = Home::new();
    let ledger = Ledger::default();
    let start = |index: usize| {
        let process = home.start(commands[index]);
        if index == 0 { process.listening() } else { process }
    };
    let mut processes: Vec<Process> = (0..commands.len()).map(start).collect();
    for round in 0..rounds {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let (ledger, is_over) = (&ledger, &is_over);
            let gateway = processes[0].address();
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(move || ledger.load(gateway, is_over))).collect();
            let target = ledger.acknowledged() + random.below(ACKNOWLEDGED_MAX);
            let begun = Instant::now();
            eventually(PATIENCE, "the round's load", || {
                (ledger.acknowledged() >= target || begun.elapsed() > ROUND_MAX).then_some(())
            });
            let first = random.below(commands.len() as u64) as usize;
            processes[first].kill();
            if random.below(4) == 0 {
                // Another one as well, at nearly the same moment.
                let second = random.below(commands.len() as u64) as usize;
                processes[second].kill();
                if second != first {
                    processes[second] = start(second);
                }
            } else if commands.len() > 2 && first > 0 {
                let kept = ledger.acknowledged();
                eventually(PATIENCE, "the other applier takes over", || (applied(&home)? >= kept).then_some(()));
            }
            is_over.store(true, Ordering::SeqCst);
            for client in clients {
                client.join().unwrap_or_else(|_| panic!("a client failed in round {round}"));
            }
            processes[first] = start(first);
        });
    }
    let mut connection = Connection::open(processes[0].address()).unwrap();
    for number in std::mem::take(&mut *ledger.again.lock().unwrap()) {
        assert!(ledger.send(&mut connection, number), "document {number} finds nobody");
    }
    eventually(PATIENCE * 2, "everything is applied", || {
        let balances = home.run(&["verify", "--output", "json"]).expect(0).json();
        balances.as_array().unwrap().iter().all(|balance| balance["waiting"] == 0).then_some(())
    });
    inspect(&home, &ledger);
}

fn reader(home: &Home) -> Option<File> {
    let file = File::open_with_flags(home.store(), rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE).ok()?;
    file.busy_timeout(PATIENCE).ok()?;
    Some(file)
}

/// How far apply is; none before it has begun.
fn applied(home: &Home) -> Option<u64> {
    let sql = r#"SELECT next_offset FROM "_sluicegate_positions" WHERE stream = 'activities'"#;
    reader(home)?.query_row(sql, [], |row| row.get::<_, i64>(0)).ok().map(i64::cast_unsigned)
}

fn pair(row: &rusqlite::Row<'_>) -> rusqlite::Result<(u64, u64)> {
    Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned()))
}

/// Compares the store with what the clients know.
fn inspect(home: &Home, ledger: &Ledger) {
    let file = reader(home).unwrap();
    let mut rows: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let sql = r#"SELECT number, part FROM "left" UNION ALL SELECT number, part FROM "right" ORDER BY part"#;
    let mut statement = file.prepare(sql).unwrap();
    let found = statement.query_map([], pair).unwrap();
    for row in found {
        let (number, part) = row.unwrap();
        rows.entry(number).or_default().push(part);
    }
    let sql = r#"SELECT json_extract(value, '$.activities[0].col_values[0]'), count(*)
                 FROM (SELECT CAST(value AS TEXT) AS value FROM "_sluicegate_dead_letters") GROUP BY 1"#;
    let mut statement = file.prepare(sql).unwrap();
    let letters = statement.query_map([], pair).unwrap();
    let letters: BTreeMap<u64, u64> = letters.map(Result::unwrap).collect();

    let documents = ledger.documents();
    for (number, is_acknowledged) in documents.iter() {
        let rows = rows.remove(number).unwrap_or_default();
        let letters = letters.get(number).copied().unwrap_or(0);
        let is_whole = match Kind::of(*number) {
            Kind::Failing => rows.is_empty() && letters == 1,
            _ => rows == [1, 2, 3] && letters == 0,
        };
        let is_absent = rows.is_empty() && letters == 0;
        assert!(
            is_whole || is_absent && !is_acknowledged,
            "document {number} ({:?}, acknowledged: {is_acknowledged}) has the rows {rows:?} and {letters} letters",
            Kind::of(*number)
        );
    }
    assert!(rows.is_empty(), "nobody sent these: {rows:?}");
    let count = documents.values().filter(|is_acknowledged| **is_acknowledged).count();
    println!("{count} of {} documents were acknowledged", documents.len());
    assert!(count > 0);
}
