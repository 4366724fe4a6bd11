//! What clients send while the program is broken, and what they know of it afterwards.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use crate::support::{Connection, Request};

const CLIENTS: usize = 4;

/// What a document does, told from its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Inserts three rows into two tables.
    Plain,
    /// The same, under an idempotency key: sent again until it is acknowledged.
    Keyed,
    /// Inserts a row, and then fails: a dead letter.
    Failing,
}

impl Kind {
    pub(crate) fn of(number: u64) -> Self {
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
pub(crate) struct Ledger {
    next: AtomicU64,
    acknowledged: AtomicU64,
    /// Whether each document that was sent was acknowledged.
    documents: Mutex<BTreeMap<u64, bool>>,
    /// Documents with keys that must be sent again.
    again: Mutex<Vec<u64>>,
    /// Where the gateway is now.
    gateway: Mutex<Option<SocketAddr>>,
}

/// Ends the clients, also when the test has failed.
struct Over<'l>(&'l AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Ledger {
    pub(crate) fn documents(&self) -> MutexGuard<'_, BTreeMap<u64, bool>> {
        self.documents.lock().unwrap()
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Says where the gateway is from now on.
    pub(crate) fn send_to(&self, gateway: SocketAddr) {
        *self.gateway.lock().unwrap() = Some(gateway);
    }

    /// Sends one document. False when the connection broke.
    fn send(&self, connection: &mut Connection, number: u64) -> bool {
        self.documents().entry(number).or_insert(false);
        let answer = connection.send(&request(number)).map(|response| (response.status, response.text()));
        match answer {
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
        answer.is_ok()
    }

    /// Sends documents, pausing between them, for as long as `act` runs; also to a gateway that comes back.
    pub(crate) fn while_sending<T>(&self, pause: Duration, act: impl FnOnce() -> T) -> T {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let is_over = &is_over;
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(move || self.client(pause, is_over))).collect();
            let over = Over(is_over);
            let value = act();
            drop(over);
            for client in clients {
                client.join().unwrap_or_else(|_| panic!("a client failed"));
            }
            value
        })
    }

    fn client(&self, pause: Duration, is_over: &AtomicBool) {
        while !is_over.load(Ordering::SeqCst) {
            let gateway = *self.gateway.lock().unwrap();
            if let Some(mut connection) = gateway.and_then(|gateway| Connection::open(gateway).ok()) {
                while !is_over.load(Ordering::SeqCst) {
                    let again = self.again.lock().unwrap().pop();
                    let number = again.unwrap_or_else(|| self.next.fetch_add(1, Ordering::SeqCst));
                    if !self.send(&mut connection, number) {
                        break;
                    }
                    thread::park_timeout(pause);
                }
            }
            // Nobody is there.
            thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// Sends again what has a key and was not acknowledged, and so nobody knows.
    pub(crate) fn settle(&self) {
        let gateway = self.gateway.lock().unwrap().expect("there is a gateway");
        let mut connection = Connection::open(gateway).unwrap();
        for number in std::mem::take(&mut *self.again.lock().unwrap()) {
            assert!(self.send(&mut connection, number), "document {number} finds nobody");
        }
        assert!(self.again.lock().unwrap().is_empty(), "documents with keys are refused still");
    }
}
