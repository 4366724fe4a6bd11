//! Takes addresses as people type them: `>`, `<` and `"` in a GET's target are encoded before hyper sees them.
//!
//! `?document->>city=eq.Oslo` is how questions are written, and curl sends it as it stands; RFC 3986 wants `%3E`, and hyper
//! answers anything else with an empty 400. This looks at heads of GET and HEAD without a body only, by the rules of
//! RFC 9112. From the first request of another kind on it looks away and copies nothing: what it cannot tell, such as where
//! a body ends, it must not guess.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection whose targets are encoded on the way in.
#[derive(Debug)]
pub(super) struct Encoding<S> {
    stream: S,
    state: State,
    /// What was read and did not fit.
    left: Vec<u8>,
}

/// What comes next.
#[derive(Debug)]
enum State {
    /// A method, of which this much was read.
    Method(Vec<u8>),
    /// The target.
    Target,
    /// The rest of a line of the head: its beginning in lower case, as far as it matters.
    Line(Vec<u8>),
    /// Nothing that is looked at.
    Other,
}

/// The beginnings of lines that announce a body.
const BODIES: [&[u8]; 2] = [b"content-length", b"transfer-encoding"];

impl<S> Encoding<S> {
    pub(super) fn new(stream: S) -> Self {
        Encoding { stream, state: State::Method(Vec::new()), left: Vec::new() }
    }
}

impl State {
    /// Passes bytes on. True when all of them passed as they are.
    fn pass(&mut self, bytes: &[u8], to: &mut Vec<u8>) -> bool {
        let mut is_same = true;
        for (at, byte) in bytes.iter().copied().enumerate() {
            match self {
                State::Other => {
                    to.extend_from_slice(&bytes[at..]);
                    break;
                }
                State::Method(read) => {
                    // Empty lines may stand before a request.
                    if !(read.is_empty() && matches!(byte, b'\r' | b'\n')) {
                        read.push(byte);
                        if read == b"GET " || read == b"HEAD " {
                            *self = State::Target;
                        } else if !b"GET ".starts_with(read) && !b"HEAD ".starts_with(read) {
                            *self = State::Other;
                        }
                    }
                    to.push(byte);
                }
                State::Target => {
                    let encoded: &[u8] = match byte {
                        b'>' => b"%3E",
                        b'<' => b"%3C",
                        b'"' => b"%22",
                        _ => &[byte],
                    };
                    is_same &= encoded.len() == 1;
                    to.extend_from_slice(encoded);
                    match byte {
                        b' ' => *self = State::Line(b"HTTP/".to_vec()),
                        // No version: an old request, or a broken one.
                        b'\n' => *self = State::Other,
                        _ => {}
                    }
                }
                State::Line(line) => {
                    to.push(byte);
                    if byte == b'\n' {
                        self.end_line();
                    } else if line.len() <= BODIES[1].len() {
                        line.push(byte.to_ascii_lowercase());
                    }
                }
            }
        }
        is_same
    }

    fn end_line(&mut self) {
        let State::Line(line) = self else { return };
        if matches!(line.as_slice(), b"" | b"\r") {
            // Without a body, the next byte begins the next request.
            *self = State::Method(Vec::new());
        } else if BODIES.iter().any(|body| line.starts_with(body)) {
            *self = State::Other;
        } else {
            line.clear();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Encoding<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.left.is_empty() {
            let before = to.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(context, to))?;
            if matches!(this.state, State::Other) {
                return Poll::Ready(Ok(()));
            }
            let mut passed = Vec::new();
            if this.state.pass(&to.filled()[before..], &mut passed) {
                return Poll::Ready(Ok(()));
            }
            to.set_filled(before);
            this.left = passed;
        }
        let fitting = this.left.len().min(to.remaining());
        to.put_slice(&this.left[..fitting]);
        this.left.drain(..fitting);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Encoding<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_targets_of_requests_without_a_body_are_encoded() {
        for (sent, expected) in [
            ("GET /a?b->>c=\"<\" HTTP/1.1\r\nA: >\r\n\r\n", "GET /a?b-%3E%3Ec=%22%3C%22 HTTP/1.1\r\nA: >\r\n\r\n"),
            ("HEAD /> HTTP/1.1\n\nGET /> HTTP/1.1\r\n\r\n", "HEAD /%3E HTTP/1.1\n\nGET /%3E HTTP/1.1\r\n\r\n"),
            ("\r\nGET /> HTTP/1.1\r\n", "\r\nGET /%3E HTTP/1.1\r\n"),
            ("POST /> HTTP/1.1\r\n\r\nGET /> HTTP/1.1\r\n", "POST /> HTTP/1.1\r\n\r\nGET /> HTTP/1.1\r\n"),
            (
                "GET /> HTTP/1.1\r\nContent-LENGTH: 18\r\n\r\nGET /> HTTP/1.1\r\n\r\n",
                "GET /%3E HTTP/1.1\r\nContent-LENGTH: 18\r\n\r\nGET /> HTTP/1.1\r\n\r\n",
            ),
            (
                "GET /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n12\r\nGET /> HTTP/1.1\r\n",
                "GET /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n12\r\nGET /> HTTP/1.1\r\n",
            ),
            ("GET />\r\n\r\nGET /> HTTP/1.1\r\n", "GET /%3E\r\n\r\nGET /> HTTP/1.1\r\n"),
            ("GETS /> HTTP/1.1\r\n", "GETS /> HTTP/1.1\r\n"),
        ] {
            for size in [1, 3, 1000] {
                let (mut state, mut passed) = (State::Method(Vec::new()), Vec::new());
                for piece in sent.as_bytes().chunks(size) {
                    state.pass(piece, &mut passed);
                }
                assert_eq!(String::from_utf8_lossy(&passed), expected, "in pieces of {size}");
            }
        }
    }
}
