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

use super::answer::Failure;
use super::doors::{self, Doors, HEADER_BYTES_MAX, Pass};
use super::pace::Paced;
use super::socket::{Returned, Socket};
use super::target::Encoding;
use crate::service::Caller;
use crate::shutdown::Stop;

/// So many connections are open at most; further ones wait in the system's queue.
const CONNECTIONS_MAX: usize = 8_192;

/// A client that has not sent its headers by then is cut off; an idle connection too.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(20);

/// How long requests may go on after the stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

/// Serves until it is stopped, and then until the open requests are answered.
pub async fn serve(listener: TcpListener, routes: Router, doors: Arc<Doors>, stop: Stop) {
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
        let (routes, doors) = (routes.clone(), Arc::clone(&doors));
        let is_loopback = stream.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback());
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            let mut routes = routes.clone();
            let pass = match super::is_unreadable(request.uri().path()) {
                true => Err(super::unreadable()),
                false => doors.judge(&request, is_loopback).map_err(Failure::into_response),
            };
            async move {
                let pass = match pass {
                    Ok(Pass::Preflight(origin)) => return Ok(doors::preflight(&origin)),
                    Ok(pass) => pass,
                    Err(refused) => return Ok(refused),
                };
                request.extensions_mut().insert(caller);
                let Ok(mut response) = routes.call(request).await;
                if let Pass::Seen(origin) = pass {
                    doors::open_to(response.headers_mut(), &origin);
                }
                Ok::<_, Infallible>(response)
            }
        });
        let returned = Returned::default();
        let socket = Encoding::new(Paced::new(Socket::new(stream, returned.clone())));
        let connection = graceful.watch(http.serve_connection(TokioIo::new(socket), service));
        tokio::spawn(async move {
            let ended = connection.await;
            if let Err(error) = ended {
                tracing::debug!(%error, "A connection ended early.");
            }
            returned.close().await;
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
