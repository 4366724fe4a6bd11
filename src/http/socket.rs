//! A connection's socket: gives empty answers words, and outlives what is served on it, to be left in good order.
//!
//! hyper answers what it cannot read with an empty 400 or 431. And a socket that is closed with bytes unread is reset, which
//! takes the answer from a client that is still sending: so the sending side is closed first, and what comes is thrown
//! away for a while (RFC 9112, 9.6).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::problem::{Problem, ProblemType};

/// So many bytes are thrown away behind an early answer: clients that send everything before they read get through, and
/// one that sends without end does not go on for ever.
const LINGER_BYTES_MAX: usize = 64 << 20;

/// So long is waited for the next of them …
const LINGER_PAUSE: Duration = Duration::from_secs(2);

/// … and for all of them.
const LINGER_TIMEOUT: Duration = Duration::from_secs(10);

/// What is thrown away comes in pieces of this size.
const PIECE_BYTES: usize = 64 << 10;

/// Where a socket is put when nobody serves on it any more.
#[derive(Debug, Clone, Default)]
pub(super) struct Returned(Arc<Mutex<Option<TcpStream>>>);

/// A socket that is served on.
#[derive(Debug)]
pub(super) struct Socket {
    /// There until the end.
    stream: Option<TcpStream>,
    returned: Returned,
    /// The rest of an answer that took the place of an empty one, and how long that was.
    answer: Option<(Vec<u8>, usize)>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, returned: Returned) -> Self {
        Socket { stream: Some(stream), returned, answer: None }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Sends the answer that takes the place of an empty one; then the empty one counts as sent.
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some((mut answer, length)) = self.answer.take() {
            let sent = self.stream()?.poll_write(context, &answer);
            match sent {
                Poll::Ready(Ok(sent)) if sent == answer.len() => return Poll::Ready(Ok(length)),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(sent)) => {
                    answer.drain(..sent);
                    self.answer = Some((answer, length));
                }
                other => {
                    self.answer = Some((answer, length));
                    return other;
                }
            }
        }
        Poll::Ready(Ok(0))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        *self.returned.0.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
    }
}

impl Returned {
    /// Closes the socket so that the client gets what was sent to it.
    pub(super) async fn close(self) {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut stream) = stream else { return };
        let mut piece = Vec::new();
        // Most clients have closed it already, or wait for us to do so and have nothing under way.
        if matches!(stream.try_read(&mut [0; 1]), Ok(0)) || stream.shutdown().await.is_err() {
            return;
        }
        let emptied = async {
            let mut left = LINGER_BYTES_MAX;
            while left > 0 && matches!(tokio::time::timeout(LINGER_PAUSE, stream.readable()).await, Ok(Ok(()))) {
                piece.resize(PIECE_BYTES, 0);
                match stream.try_read(&mut piece) {
                    Ok(0) => break,
                    Ok(read) => left = left.saturating_sub(read),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
        };
        // Whatever is still to come after this is lost to the client together with the answer.
        let _ = tokio::time::timeout(LINGER_TIMEOUT, emptied).await;
    }
}

/// The answer in place of an empty one of hyper's.
fn in_words(empty: &[u8]) -> Option<Vec<u8>> {
    let status = empty.strip_prefix(b"HTTP/1.1 4")?.get(..2)?;
    let detail = match status {
        b"00" => "the request line or a header is not as HTTP/1.1 has it (RFC 9112)",
        b"14" | b"31" => "a request has at most 100 headers and 64 KiB of them, with its address",
        _ => return None,
    };
    let has = |text: &[u8]| empty.windows(text.len()).any(|window| window == text);
    if !has(b"\r\ncontent-length: 0\r\n") || !empty.ends_with(b"\r\n\r\n") {
        return None;
    }
    let kind = if status == b"00" { ProblemType::BadHeader } else { ProblemType::HeadersTooLarge };
    let problem = Problem::new(kind, detail);
    let body = serde_json::to_string(&problem).ok()?;
    let reason = if status == b"00" { "Bad Request" } else { "Request Header Fields Too Large" };
    let head = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/problem+json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        problem.status,
        body.len()
    );
    Some((head + &body).into_bytes())
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(context, to)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.answer.is_none() && bytes.starts_with(b"HTTP/1.1 4") {
            self.answer = in_words(bytes).map(|answer| (answer, bytes.len()));
        }
        if self.answer.is_some() {
            return self.poll_answer(context);
        }
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match pieces {
            [piece] => self.poll_write(context, piece),
            _ => self.stream()?.poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream()?.poll_shutdown(context))?;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_empty_refusals_get_words() {
        let head = |status: &str, length: usize| {
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\ndate: now\r\n\r\n").into_bytes()
        };
        for (empty, status) in [
            (head("400 Bad Request", 0), Some("400")),
            (head("431 Request Header Fields Too Large", 0), Some("431")),
            (head("414 URI Too Long", 0), Some("431")),
            (head("404 Not Found", 0), None),
            (head("200 OK", 0), None),
            (head("400 Bad Request", 5), None),
            (b"HTTP/1.1 4".to_vec(), None),
            (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\nmore".to_vec(), None),
        ] {
            let answer = in_words(&empty).map(|answer| String::from_utf8(answer).unwrap());
            let found = answer.as_ref().map(|answer| &answer[9..12]);
            assert_eq!(found, status, "{}", String::from_utf8_lossy(&empty));
            if let Some((head, body)) = answer.as_ref().and_then(|answer| answer.split_once("\r\n\r\n")) {
                assert!(head.contains(&format!("content-length: {}", body.len())) && body.contains("/problems/"));
            }
        }
    }
}
