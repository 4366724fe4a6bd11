//! Reads a request's body: within its limit, in time, and unpacked.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::Failure;
use crate::format::lines::too_large;
use crate::problem::ProblemType;
use crate::service::Service;

/// The largest body of many documents. Its results are held in memory until the last line is judged.
pub const BATCH_BYTES_MAX: usize = 16 << 20;

/// A body that has not arrived by then is given up.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A larger body is used where it stands.
const COPIED_BYTES_MAX: usize = 4 << 10;

/// A body, and its share of the memory for bodies, which is given back with it.
#[derive(Debug)]
pub struct Received {
    /// The bytes, unpacked.
    pub bytes: Bytes,
    _share: OwnedSemaphorePermit,
}

/// Reads `body`, of at most `bytes_max` bytes after unpacking.
pub async fn read(service: &Service, headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Received, Failure> {
    let packing = packing(headers)?;
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > bytes_max) {
        return Err(Failure::from(too_large(bytes_max)).last());
    }
    let expected = if packing == Packing::None { declared.unwrap_or(bytes_max) } else { bytes_max };
    let share = u32::try_from(expected / 1024 + 1).unwrap_or(u32::MAX);
    let Ok(share) = std::sync::Arc::clone(&service.bodies).try_acquire_many_owned(share) else {
        return Err(Failure::new(ProblemType::Overloaded, "too many bodies are being received at once")
            .with("kept", "no")
            .retry_after(1)
            .last());
    };
    let received = tokio::time::timeout(BODY_TIMEOUT, collect(body, bytes_max, declared)).await.map_err(|_| {
        let detail = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
        Failure::new(ProblemType::RequestTimeout, detail).last()
    })??;
    let bytes = match packing {
        Packing::None => received,
        packing => unpack(packing, &received, bytes_max)?,
    };
    Ok(Received { bytes, _share: share })
}

async fn collect(mut body: Body, bytes_max: usize, declared: Option<usize>) -> Result<Bytes, Failure> {
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            tracing::debug!(%error, "A body ended early.");
            Failure::new(ProblemType::NotJson, "the body ended before it was complete").last()
        })?;
        let Ok(data) = frame.into_data() else { continue };
        match first.take() {
            // The usual body comes in one piece. A small one is copied, since it is a part of the connection's buffer: as
            // long as it lived, that would be held with it, and the connection would need another one.
            None if all.is_empty() && data.len() <= COPIED_BYTES_MAX => first = Some(Bytes::copy_from_slice(&data)),
            None if all.is_empty() => first = Some(data),
            None => all.extend_from_slice(&data),
            Some(begin) => {
                all.reserve(declared.unwrap_or(begin.len() + data.len()));
                all.extend_from_slice(&begin);
                all.extend_from_slice(&data);
            }
        }
        if first.as_ref().map_or(all.len(), Bytes::len) > bytes_max {
            return Err(Failure::from(too_large(bytes_max)).last());
        }
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Zstd,
}

fn packing(headers: &HeaderMap) -> Result<Packing, Failure> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(Packing::None) };
    match value.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Packing::None),
        "gzip" | "x-gzip" => Ok(Packing::Gzip),
        "zstd" => Ok(Packing::Zstd),
        other => {
            let detail = format!("Content-Encoding is {other:?}; there are gzip and zstd");
            Err(Failure::new(ProblemType::UnsupportedMediaType, detail).with("accept_encoding", "gzip, zstd"))
        }
    }
}

/// Unpacks as much as the limit allows, so that a small body cannot become a large one in memory.
fn unpack(packing: Packing, packed: &[u8], bytes_max: usize) -> Result<Bytes, Failure> {
    let broken =
        |error: std::io::Error| Failure::new(ProblemType::NotJson, format!("the body cannot be unpacked: {error}"));
    let mut reader: Box<dyn Read> = match packing {
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(packed).map_err(broken)?),
        _ => Box::new(flate2::read::MultiGzDecoder::new(packed)),
    };
    let mut unpacked = Vec::new();
    reader.by_ref().take(bytes_max as u64 + 1).read_to_end(&mut unpacked).map_err(broken)?;
    if unpacked.len() > bytes_max {
        return Err(too_large(bytes_max).into());
    }
    Ok(unpacked.into())
}
