//! The address that HTTP listens on: taken before anything else is begun, and opened once there is somebody to answer.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::Failed;

/// So many connections wait in the system's queue.
const BACKLOG: u32 = 1024;

/// Whoever has the address is asked what it is; an answer comes by then.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);

/// An address that is this process's, and refuses connections until it is opened.
pub(super) struct Door {
    socket: TcpSocket,
    said: String,
}

impl Door {
    /// Takes the address `said`, a host or an IP address with a port.
    pub(super) async fn take(said: &str) -> Result<Self, Failed> {
        match bind(said).await {
            Ok(socket) => Ok(Door { socket, said: said.to_owned() }),
            Err(error) => Err(Failed::Error(why(said, &error).into())),
        }
    }

    /// Opens it.
    pub(super) fn open(self) -> Result<TcpListener, Failed> {
        let said = self.said;
        self.socket.listen(BACKLOG).map_err(|error| Failed::Error(why(&said, &error).into()))
    }
}

/// Looks whether `said` can be listened on, and gives it; or why it cannot.
pub(super) async fn can_be_opened(said: &str) -> Result<String, String> {
    let opened = bind(said).await.and_then(|socket| socket.listen(BACKLOG));
    match opened {
        Ok(_) => Ok(said.to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && is_a_gate(said).await => {
            Err(format!("{said}: a Sluicegate runs there already: end it before `up`, or choose another with --listen"))
        }
        Err(error) => Err(why(said, &error)),
    }
}

async fn bind(said: &str) -> std::io::Result<TcpSocket> {
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the host has no address");
    for address in tokio::net::lookup_host(said).await? {
        match bind_one(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_one(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of the process before, which the system still remembers, are in nobody's way.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn why(said: &str, error: &std::io::Error) -> String {
    let hint = match error.kind() {
        std::io::ErrorKind::AddrInUse => "; another program listens there: end it, or choose another with --listen",
        std::io::ErrorKind::PermissionDenied => "; ports below 1024 are for root: choose another with --listen",
        std::io::ErrorKind::AddrNotAvailable => "; this machine does not have that address: see --listen",
        _ => "",
    };
    format!("cannot listen on {said}: {error}{hint}")
}

/// Whether what listens there answers as we do.
async fn is_a_gate(said: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(said).await.ok()?;
        let request = format!("GET /health/live HTTP/1.1\r\nHost: {said}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        // Ours is short.
        stream.take(4096).read_to_end(&mut answer).await.ok()?;
        Some(String::from_utf8_lossy(&answer).contains(r#"{"status":"live"}"#))
    };
    tokio::time::timeout(ASK_TIMEOUT, ask).await.ok().flatten().unwrap_or(false)
}
