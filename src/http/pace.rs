//! Cuts clients that do not read their answers: what waits for them is memory that others need.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// While an answer waits to be taken, the client must take [`WRITTEN_BYTES_MIN`] of it each time this has passed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// See [`WRITE_TIMEOUT`].
const WRITTEN_BYTES_MIN: usize = 32 << 10;

/// A connection that is cut when its client reads too slowly.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    /// Since when the client has been waited for, and what it has taken since.
    waiting: Option<Waiting>,
    timeout: Duration,
}

#[derive(Debug)]
struct Waiting {
    until: Pin<Box<Sleep>>,
    written: usize,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S) -> Self {
        Paced { stream, waiting: None, timeout: WRITE_TIMEOUT }
    }

    /// Notes what a write gave; cuts the connection when it has given too little for too long.
    fn note(&mut self, context: &mut Context<'_>, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &wrote {
            Poll::Ready(Ok(count)) => {
                if let Some(waiting) = &mut self.waiting {
                    waiting.written += count;
                    if waiting.written >= WRITTEN_BYTES_MIN {
                        self.waiting = None;
                    }
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                let timeout = self.timeout;
                let fresh =
                    || Waiting { until: Box::pin(tokio::time::sleep_until(Instant::now() + timeout)), written: 0 };
                let waiting = self.waiting.get_or_insert_with(fresh);
                if waiting.until.as_mut().poll(context).is_ready() {
                    let why = format!("the client took {} bytes of an answer in {timeout:?}", waiting.written);
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
                }
            }
        }
        wrote
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, to)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(context, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.note(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// All that there was is on its way: nobody is waited for any more.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.waiting = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_cut_and_one_that_reads_is_not() {
        let (client, server) = tokio::io::duplex(1 << 10);
        let mut server = Paced { timeout: Duration::from_millis(100), ..Paced::new(server) };
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            client.take(100_000).read_to_end(&mut all).await
        });
        server.write_all(&[1; 100_000]).await.unwrap();
        assert_eq!(reading.await.unwrap().unwrap(), 100_000);

        let (_client, server) = tokio::io::duplex(1 << 10);
        let mut server = Paced { timeout: Duration::from_millis(100), ..Paced::new(server) };
        let error = server.write_all(&[1; 100_000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
