//! A TCP proxy between the program and a server, which breaks or holds connections at the worst moment. It reads only as
//! much of PostgreSQL's protocol as that takes, so connections must come without TLS (`sslmode=disable`).

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// What the proxy lies in wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trap {
    /// A COMMIT is sent: it never arrives, and the connection breaks.
    LoseCommit,
    /// A COMMIT has succeeded: nobody is told, and the connection breaks.
    LoseReply,
    /// A COMMIT is sent: it goes on its way, and the connection breaks behind it at once.
    CutBehindCommit,
    /// A COMMIT is sent: it arrives when the proxy is told to release it.
    HoldCommit,
    /// So many bytes were sent: what follows arrives when the proxy is told to release it.
    HoldAfter(usize),
}

/// It is gone, with its connections, when this is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    trap: Option<Trap>,
    is_holding: bool,
    is_refusing: bool,
    is_over: bool,
    links: Vec<[TcpStream; 2]>,
}

/// What becomes of the bytes that were read.
enum Fate {
    Pass,
    /// They and the connection are gone.
    Lose,
    /// They go on, and the connection is gone.
    Last,
    /// So many of them go on, and then the rest has to wait.
    Hold(usize),
}

impl Proxy {
    /// A proxy in front of the server that a URL names.
    pub(crate) fn before(url: &str) -> Self {
        let server = place(url).parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { server, state: Mutex::default(), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.state().is_over {
                    return;
                }
                accepting.link(client);
            }
        });
        Proxy { address, shared }
    }

    /// The same URL by way of the proxy.
    pub(crate) fn url(&self, url: &str) -> String {
        url.replacen(place(url), &self.address.to_string(), 1)
    }

    /// Lies in wait.
    pub(crate) fn set(&self, trap: Trap) {
        self.shared.state().trap = Some(trap);
    }

    /// Waits until the trap is sprung.
    #[track_caller]
    pub(crate) fn wait_until_sprung(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut state = self.shared.state();
        while state.trap.is_some() {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{:?} was not sprung within {patience:?}", state.trap);
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Lets go on what is held.
    pub(crate) fn release(&self) {
        self.shared.state().is_holding = false;
        self.shared.changed.notify_all();
    }

    /// Breaks every connection.
    pub(crate) fn cut(&self) {
        self.shared.cut(&mut self.shared.state());
    }

    /// Breaks every connection and takes no new one, as if the server were down; or takes them again.
    pub(crate) fn refuse(&self, is_refusing: bool) {
        let mut state = self.shared.state();
        state.is_refusing = is_refusing;
        if is_refusing {
            self.shared.cut(&mut state);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        {
            let mut state = self.shared.state();
            state.is_over = true;
            state.is_holding = false;
            self.shared.cut(&mut state);
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

/// The `host:port` of a URL.
fn place(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['/', '?']).next().unwrap_or_default();
    rest.rsplit_once('@').map_or(rest, |(_, place)| place)
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn cut(&self, state: &mut State) {
        for end in state.links.drain(..).flatten() {
            // It may be closed already.
            let _ = end.shutdown(Shutdown::Both);
        }
        self.changed.notify_all();
    }

    /// Carries bytes both ways until one side has enough.
    fn link(self: &Arc<Self>, client: TcpStream) {
        if self.state().is_refusing {
            return;
        }
        let Ok(server) = TcpStream::connect(self.server) else { return };
        for end in [&client, &server] {
            end.set_nodelay(true).unwrap();
        }
        let copy = |end: &TcpStream| end.try_clone().unwrap();
        self.state().links.push([copy(&client), copy(&server)]);
        for (from, to, is_client) in [(copy(&client), copy(&server), true), (server, client, false)] {
            let shared = Arc::clone(self);
            thread::spawn(move || shared.carry(from, to, is_client));
        }
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream, is_client: bool) {
        let mut buffer = vec![0; 1 << 16];
        // A word may come in two reads.
        let mut before: Vec<u8> = Vec::new();
        let mut sent = None;
        while let Ok(count) = from.read(&mut buffer) {
            if count == 0 {
                break;
            }
            let bytes = &buffer[..count];
            before.extend_from_slice(bytes);
            let is_commit = before.windows(7).any(|word| word == b"COMMIT\0");
            before.drain(..before.len().saturating_sub(6));
            let written = match self.judge(is_client, is_commit, count, &mut sent) {
                Fate::Pass => to.write_all(bytes),
                Fate::Lose => break,
                Fate::Last => {
                    // Whether they arrived is what nobody is to know.
                    let _ = to.write_all(bytes);
                    break;
                }
                Fate::Hold(now) => to.write_all(&bytes[..now]).and_then(|()| {
                    self.hold();
                    to.write_all(&bytes[now..])
                }),
            };
            if written.is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    /// What becomes of `count` bytes; `sent` counts those of this connection since a trap counts them.
    fn judge(&self, is_client: bool, is_commit: bool, count: usize, sent: &mut Option<usize>) -> Fate {
        let mut state = self.state();
        let fate = match state.trap {
            Some(Trap::LoseCommit) if is_client && is_commit => Fate::Lose,
            Some(Trap::LoseReply) if !is_client && is_commit => Fate::Lose,
            Some(Trap::CutBehindCommit) if is_client && is_commit => Fate::Last,
            Some(Trap::HoldCommit) if is_client && is_commit => Fate::Hold(0),
            Some(Trap::HoldAfter(most)) if is_client => {
                let so_far = sent.unwrap_or(0);
                *sent = Some(so_far + count);
                if so_far + count < most { Fate::Pass } else { Fate::Hold(most - so_far) }
            }
            _ => Fate::Pass,
        };
        if !matches!(fate, Fate::Pass) {
            state.trap = None;
            state.is_holding = matches!(fate, Fate::Hold(_));
            self.changed.notify_all();
        }
        fate
    }

    fn hold(&self) {
        let mut state = self.state();
        while state.is_holding {
            state = self.changed.wait(state).unwrap();
        }
    }
}
