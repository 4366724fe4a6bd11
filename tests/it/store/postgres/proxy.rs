//! A TCP proxy before PostgreSQL that stops passing on, or loses the answer to a COMMIT.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::support::services::Database;

/// What happens to a COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commit {
    /// It passes, and so does its answer.
    Passes = 0,
    /// It passes; its answer is lost with the connection.
    LosesAnswer = 1,
    /// It passes, and the connection is cut at once, with the COMMIT on its way.
    IsCutBehind = 2,
}

struct Control {
    commit: AtomicU8,
    /// So many bytes of the client pass before everything stands still; negative: all do.
    left: AtomicI64,
    thaw: Notify,
}

/// A proxy before the server of a database.
pub(super) struct Proxy {
    pub(super) url: String,
    control: Arc<Control>,
}

impl Proxy {
    pub(super) async fn before(database: &Database) -> Self {
        let url = database.url();
        let (before, rest) = url.rsplit_once('@').unwrap();
        let (server, name) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{before}@{}/{name}?sslmode=disable", listener.local_addr().unwrap());
        let control = Arc::new(Control {
            commit: AtomicU8::new(Commit::Passes as u8),
            left: AtomicI64::new(-1),
            thaw: Notify::new(),
        });
        let (server, theirs) = (server.to_owned(), Arc::clone(&control));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, TcpStream::connect(server.clone()).await.unwrap(), Arc::clone(&theirs)));
            }
        });
        Proxy { url, control }
    }

    /// From now on.
    pub(super) fn commit(&self, how: Commit) {
        self.control.commit.store(how as u8, Ordering::SeqCst);
    }

    /// Stands still once the clients have sent so many bytes more.
    pub(super) fn freeze_after(&self, bytes: i64) {
        self.control.left.store(bytes, Ordering::SeqCst);
    }

    /// Goes on.
    pub(super) fn thaw(&self) {
        self.control.left.store(-1, Ordering::SeqCst);
        self.control.thaw.notify_waiters();
    }
}

/// Passes bytes both ways until one side ends, or the connection is cut.
async fn pass(mut client: TcpStream, mut server: TcpStream, control: Arc<Control>) {
    let (mut up, mut down) = (vec![0; 1 << 14], vec![0; 1 << 14]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(count @ 1..) = read else { return };
                let is_commit = up[..count].windows(7).any(|window| window == b"COMMIT\0");
                let left = control.left.load(Ordering::SeqCst);
                if left >= 0 {
                    control.left.store((left - count as i64).max(0), Ordering::SeqCst);
                    if left < count as i64 {
                        control.thaw.notified().await;
                    }
                }
                if server.write_all(&up[..count]).await.is_err() {
                    return;
                }
                match control.commit.load(Ordering::SeqCst) {
                    1 if is_commit => {
                        let _ = server.read(&mut down).await;
                        return;
                    }
                    2 if is_commit => return,
                    _ => {}
                }
            }
            read = server.read(&mut down) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&down[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
