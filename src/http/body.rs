//! Reads a request's body: within its limit, in time, and unpacked.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::answer::Failure;
use super::packing::{self, Packing};
use crate::budget::Share;
use crate::format::lines::too_large;
use crate::problem::ProblemType;
use crate::service::{Caller, Service};

/// The largest body of many documents. Its results are held in memory until the last line is judged.
pub const BATCH_BYTES_MAX: usize = 16 << 20;

/// A body that has not arrived by then is given up.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A body that comes more slowly than this many bytes a second, after [`BODY_GRACE`], is given up sooner: it holds its
/// share from others.
const BODY_BYTES_PER_S_MIN: usize = 4 << 10;

/// How long a body may take in any case.
const BODY_GRACE: Duration = Duration::from_secs(5);

/// A larger body is used where it stands.
const COPIED_BYTES_MAX: usize = 4 << 10;

/// A body, and its share of the memory for bodies, which is given back with it.
#[derive(Debug)]
pub struct Received {
    /// The bytes, unpacked.
    pub bytes: Bytes,
    /// Room for them.
    pub share: Share,
}

/// Reads `body`, of at most `bytes_max` bytes after unpacking.
pub async fn read(service: &Service, head: &Parts, body: Body, bytes_max: usize) -> Result<Received, Failure> {
    let packing = Packing::said(&head.headers)?;
    let declared = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > bytes_max) {
        return Err(Failure::from(too_large(bytes_max)).last());
    }
    let mut share = service.bodies.share(head.extensions.get::<Caller>().map(|caller| caller.0));
    let bytes = collect(body, &mut share, bytes_max, declared).await?;
    let (bytes, share) = match packing {
        Packing::None => (bytes, share),
        packing => packing::unpack(packing, bytes, bytes_max, share).await?,
    };
    Ok(Received { bytes, share })
}

/// How long a body may take to become longer than `received` bytes.
fn pace(received: usize) -> Duration {
    let earned = Duration::from_millis((received * 1000 / BODY_BYTES_PER_S_MIN) as u64);
    (BODY_GRACE + earned).min(BODY_TIMEOUT)
}

fn too_slow(received: usize) -> Failure {
    let (rate, most) = (BODY_BYTES_PER_S_MIN / 1024, BODY_TIMEOUT.as_secs());
    let detail = format!(
        "{received} bytes of the body arrived, too slowly: it must come with {rate} KiB a second, and within {most} s"
    );
    Failure::new(ProblemType::RequestTimeout, detail).last()
}

async fn collect(
    mut body: Body,
    share: &mut Share,
    bytes_max: usize,
    declared: Option<usize>,
) -> Result<Bytes, Failure> {
    let begin = Instant::now();
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    let mut received = 0;
    loop {
        let frame = tokio::time::timeout_at((begin + pace(received)).into(), body.frame()).await;
        let Some(frame) = frame.map_err(|_| too_slow(received))? else { break };
        let frame = frame.map_err(|error| {
            tracing::debug!(%error, "A body ended early.");
            Failure::new(ProblemType::NotJson, "the body ended before it was complete").last()
        })?;
        let Ok(data) = frame.into_data() else { continue };
        received += data.len();
        if received > bytes_max {
            return Err(Failure::from(too_large(bytes_max)).last());
        }
        share.hold(received, declared.unwrap_or(bytes_max)).await?;
        match first.take() {
            // The usual body comes in one piece. A small one is copied, since it is a part of the connection's buffer: as
            // long as it lived, that would be held with it, and the connection would need another one.
            None if all.is_empty() && data.len() <= COPIED_BYTES_MAX => first = Some(Bytes::copy_from_slice(&data)),
            None if all.is_empty() => first = Some(data),
            None => {
                grow(&mut all, data.len(), share);
                all.extend_from_slice(&data);
            }
            Some(begin) => {
                grow(&mut all, begin.len() + data.len(), share);
                all.extend_from_slice(&begin);
                all.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}

/// Takes the memory that the share has room for, so that it is not moved at every piece.
fn grow(all: &mut BytesMut, more: usize, share: &Share) {
    if all.capacity() < all.len() + more {
        all.reserve(share.bytes().saturating_sub(all.len()).max(more));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_time_that_its_bytes_earn() {
        for (received, seconds) in [(0, 5), (4 << 10, 6), (40 << 10, 15), (100 << 10, 30), (16 << 20, 30)] {
            assert_eq!(pace(received), Duration::from_secs(seconds), "{received}");
        }
    }
}
