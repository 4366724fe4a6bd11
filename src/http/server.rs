//! The sockets: accepts connections, bounds their number and their time, and drains them at the end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::Service as _;

use super::target::Encoding;
use crate::service::Caller;
use crate::shutdown::Stop;

/// So many connections are open at most; further ones wait in the system's queue.
const CONNECTIONS_MAX: usize = 8_192;

/// A client that has not sent its headers by then is cut off; an idle connection too.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(20);

/// How long requests may go on after the stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

/// The headers of one request, in bytes.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// Serves until it is stopped, and then until the open requests are answered.
pub async fn serve(listener: TcpListener, routes: Router, stop: Stop) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS_TIMEOUT).max_buf_size(HEADER_BYTES_MAX);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = stop.wait() => break,
        };
        let Some((stream, caller, place)) = accepted else { continue };
        let routes = routes.clone();
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            let mut routes = routes.clone();
            async move {
                if super::is_unreadable(request.uri().path()) {
                    return Ok(super::unreadable());
                }
                request.extensions_mut().insert(caller);
                Ok::<_, Infallible>(match routes.call(request).await {
                    Ok(response) => response,
                })
            }
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(Encoding::new(stream)), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "A connection ended early.");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("Some requests were cut off: they took too long after the stop.");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, Caller, tokio::sync::OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, address)) => {
            // An answer is one small packet; waiting to fill it costs 40 ms.
            let _ = stream.set_nodelay(true);
            Some((stream, Caller(address.ip()), place))
        }
        Err(error) => {
            tracing::warn!(%error, "A connection could not be accepted.");
            // Out of file descriptors, most likely: give others the time to close theirs.
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}
