//! What stands beside an attack: an honest client, somebody who asks whether the process lives, and its memory.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Connection, Home, Process, Request, Response, Target};

/// What the process may have in memory, in KiB.
const RESIDENT_KIB_MAX: u64 = 200 << 10;

/// Of the honest documents, one in so many may be lost.
const LOST_ONE_IN: usize = 100;

/// Ninety-nine probes in a hundred are answered within this. It is 100 ms on a quiet machine: here the build is for debugging,
/// and others compile beside it.
const LIVE_P99_MAX: Duration = Duration::from_millis(400);

/// An honest client waits so long for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A document each so often, and a probe with every other.
const EVERY: Duration = Duration::from_millis(10);

/// One honest document in so many is of 100 KB.
const LARGE_ONE_IN: usize = 10;

/// The streams that are attacked.
pub(super) const CONFIG: &str = "streams:
  activities: {takes: changes}
  events: {takes: events, table: events, columns: {a: {at: /a, type: text}}}
  kept: {takes: events}
  judged: {takes: events, schema: judged.json}
";

/// Patterns that go back, and rules that are broken by the thousand.
pub(super) const SCHEMA: &str = r#"{"type": ["object", "array"], "additionalProperties": false, "items": {"type": "string", "minLength": 5},
  "properties": {"user": {"pattern": "^(?:(?!admin)\\w+[-.]?)+$"}, "b": {"pattern": "(a*)*b\\1"},
                 "many": {"items": {"pattern": "(a*)*b\\1"}}}}"#;

/// An attack: what is made ready before, and what is done while the others are there.
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) ready: fn(&Process),
    /// Gives what it saw, for words.
    pub(super) run: fn(&Beside) -> String,
}

/// One attack at a time: each has both cores, as far as other tests leave them.
static TURN: Mutex<()> = Mutex::new(());

/// Runs each attack against a process of its own, and fails for all bounds that did not hold.
#[track_caller]
pub(super) fn check(attacks: &[Attack]) {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let broken: Vec<_> = attacks.iter().filter_map(outcome).collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

fn outcome(attack: &Attack) -> Option<String> {
    let home = Home::with(CONFIG);
    home.write("judged.json", SCHEMA);
    let server = home.up();
    (attack.ready)(&server);
    let beside = Beside::stand(server.address());
    let seen = (attack.run)(&beside);
    beside.look_on(100);
    let found = beside.leave();
    let resident = peak_kib(server.id());
    let line = format!("{}: {} MiB resident, {found} | {seen}", attack.name, resident / 1024);
    let _ = writeln!(std::io::stderr(), "{line}");
    (resident > RESIDENT_KIB_MAX || !found.holds()).then_some(line)
}

/// What the process had in memory at most.
fn peak_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).expect("its memory is known")
}

/// Those who stand beside.
pub(super) struct Beside {
    /// Where the process listens.
    pub(super) address: SocketAddr,
    is_over: Arc<AtomicBool>,
    seen: Arc<Seen>,
    pacing: thread::JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    under_way: AtomicU64,
    live: Mutex<Vec<Duration>>,
    documents: Mutex<Vec<u16>>,
}

/// What they saw.
struct Found {
    live_p99: Duration,
    lost: Vec<u16>,
    sent: usize,
}

impl Beside {
    fn stand(address: SocketAddr) -> Self {
        let (is_over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Seen::default()));
        let (over, seeing) = (Arc::clone(&is_over), Arc::clone(&seen));
        let pacing = thread::spawn(move || {
            let begin = Instant::now();
            for nth in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let seen = Arc::clone(&seeing);
                seen.under_way.fetch_add(1, Ordering::Relaxed);
                thread::spawn(move || {
                    seen.one(address, nth);
                    seen.under_way.fetch_sub(1, Ordering::Relaxed);
                });
                let next = begin + EVERY * (nth as u32 + 1);
                while Instant::now() < next {
                    thread::park_timeout(next.saturating_duration_since(Instant::now()));
                }
            }
        });
        Beside { address, is_over, seen, pacing }
    }

    /// Waits until so many honest documents more are answered, or are given up.
    pub(super) fn look_on(&self, documents: usize) {
        let answered = || self.seen.documents.lock().unwrap().len();
        let begin = answered();
        crate::support::eventually(Duration::from_secs(60), "honest documents are answered", || {
            (answered() >= begin + documents).then_some(())
        });
    }

    fn leave(self) -> Found {
        self.is_over.store(true, Ordering::Relaxed);
        self.pacing.join().expect("the pace is kept");
        crate::support::eventually(2 * PATIENCE, "all honest answers are there", || {
            (self.seen.under_way.load(Ordering::Relaxed) == 0).then_some(())
        });
        let mut live = self.seen.live.lock().unwrap().clone();
        live.sort();
        let documents = self.seen.documents.lock().unwrap().clone();
        let live_p99 = live.get(live.len() * 99 / 100).copied().unwrap_or_default();
        let sent = documents.len();
        Found { live_p99, lost: documents.into_iter().filter(|status| *status != 202).collect(), sent }
    }
}

impl Seen {
    fn one(&self, address: SocketAddr, nth: usize) {
        let document = match nth % LARGE_ONE_IN {
            0 => Request::post("/v1/streams/kept", format!("[\"{}\"]", "x".repeat(100_000))),
            _ => Request::post("/v1/streams/events", r#"{"a":"x"}"#),
        };
        let (answer, _) = timed(address, &document);
        self.documents.lock().unwrap().push(answer.map_or(0, |answer| answer.status));
        if nth.is_multiple_of(2) {
            let (answer, time) = timed(address, &Request::get("/health/live"));
            let is_well = answer.is_some_and(|answer| answer.status == 200);
            self.live.lock().unwrap().push(if is_well { time } else { PATIENCE });
        }
    }
}

/// The answer, unless it took too long.
fn timed(address: SocketAddr, request: &Request) -> (Option<Response>, Duration) {
    let begin = Instant::now();
    let answer = Connection::open(address).and_then(|mut connection| {
        connection.patience(PATIENCE)?;
        connection.send(request)
    });
    (answer.ok().filter(|_| begin.elapsed() < PATIENCE), begin.elapsed())
}

impl Found {
    fn holds(&self) -> bool {
        self.live_p99 <= LIVE_P99_MAX && self.lost.len() * LOST_ONE_IN <= self.sent
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (p99, lost) = (self.live_p99, self.lost.len());
        write!(out, "live p99 {p99:?}, {lost} of {} documents lost {:?}", self.sent, &self.lost[..lost.min(5)])
    }
}

/// Nothing to make ready.
pub(super) fn nothing(_: &Process) {}

/// Sends a request from each of `count` clients at once, and waits for the answers; gives their statuses.
pub(super) fn once(beside: &Beside, count: usize, request: impl Fn(usize) -> Request + Sync) -> String {
    clients(beside, count, [0, 20], request)
}

/// Sends a request from each of `count` clients at once, and again until `seconds` are over; gives how it was answered.
pub(super) fn many(beside: &Beside, count: usize, seconds: u64, request: impl Fn(usize) -> Request + Sync) -> String {
    clients(beside, count, [seconds, seconds + 1], request)
}

fn clients(beside: &Beside, count: usize, seconds: [u64; 2], request: impl Fn(usize) -> Request + Sync) -> String {
    let [time, patience] = seconds.map(Duration::from_secs);
    let address = beside.address;
    let (begin, answers) = (Instant::now(), Mutex::new(std::collections::BTreeMap::<u16, usize>::new()));
    thread::scope(|scope| {
        for client in 0..count {
            let (request, answers) = (&request, &answers);
            scope.spawn(move || {
                loop {
                    let answer = Connection::open(address).and_then(|mut connection| {
                        connection.patience(patience)?;
                        connection.send(&request(client))
                    });
                    let status = answer.map_or(0, |answer| answer.status);
                    *answers.lock().unwrap().entry(status).or_default() += 1;
                    if begin.elapsed() > time {
                        break;
                    }
                }
            });
        }
    });
    format!("{:?}", answers.into_inner().unwrap())
}
