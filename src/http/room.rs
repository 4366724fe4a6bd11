//! The memory that answers share: what a large one may weigh is taken before it is made, and given back as it is read.

use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Error;
use axum::body::{Body, HttpBody};
use axum::http::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::answer::Failure;
use crate::problem::ProblemType;

/// The bytes of large answers that may be in memory at one time, in KiB.
const ANSWERS_KIB_MAX: usize = 64 << 10;

/// An answer of so many bytes is none of them.
const SMALL_BYTES_MAX: usize = 64 << 10;

/// An answer waits so long for the room that it needs.
const ROOM_TIMEOUT: Duration = Duration::from_secs(10);

/// A large answer is handed to the connection in pieces, so that it is not held there again.
const PIECE: usize = 64 << 10;

static ANSWERS: Semaphore = Semaphore::const_new(ANSWERS_KIB_MAX);

/// Room for an answer. It goes back when it is dropped.
#[derive(Debug)]
pub struct Room(Option<SemaphorePermit<'static>>);

/// Waits for room for an answer of so many bytes.
pub async fn room(bytes: usize) -> Result<Room, Failure> {
    let mut room = Room(None);
    room.hold(bytes).await?;
    Ok(room)
}

async fn take(kib: usize) -> Result<SemaphorePermit<'static>, Failure> {
    match tokio::time::timeout(ROOM_TIMEOUT, ANSWERS.acquire_many(kib as u32)).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => {
            let detail = "too many large answers wait for their clients to read them";
            Err(Failure::new(ProblemType::Overloaded, detail).with("kept", "no").retry_after(2))
        }
    }
}

impl Room {
    /// Waits until there is room for `bytes` in all.
    pub async fn hold(&mut self, bytes: usize) -> Result<(), Failure> {
        let has = self.0.as_ref().map_or(0, SemaphorePermit::num_permits);
        let kib = in_kib(bytes).min(ANSWERS_KIB_MAX);
        if bytes <= SMALL_BYTES_MAX || kib <= has {
            return Ok(());
        }
        match (&mut self.0, take(kib - has).await?) {
            (Some(permit), more) => permit.merge(more),
            (none, more) => *none = Some(more),
        }
        Ok(())
    }

    /// Gives back what an answer of so many bytes does not need.
    pub fn shrink(&mut self, bytes: usize) {
        let Some(permit) = &mut self.0 else { return };
        let needed = if bytes <= SMALL_BYTES_MAX { 0 } else { in_kib(bytes) };
        drop(permit.split(permit.num_permits().saturating_sub(needed)));
    }
}

fn in_kib(bytes: usize) -> usize {
    bytes.div_ceil(1024)
}

/// Keeps `guard`, such as the room that an answer has, until its client has taken it. Of a small one it is let go.
pub fn keep(response: Response<Body>, guard: impl Any + Send) -> Response<Body> {
    match response.body().size_hint().exact() {
        Some(bytes) if bytes <= SMALL_BYTES_MAX as u64 => response,
        _ => response.map(|body| Body::new(Kept { body, piece: Bytes::new(), _guard: Box::new(guard) })),
    }
}

/// A body that gives its bytes piece by piece.
struct Kept {
    body: Body,
    piece: Bytes,
    _guard: Box<dyn Any + Send>,
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if this.piece.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.piece = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => return Poll::Ready(other),
            }
        }
        let piece = this.piece.split_to(this.piece.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.piece.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.piece.len() as u64;
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + held);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_kept_answer_is_the_same_and_gives_its_room_back() {
        let room = room(1 << 20).await.unwrap();
        let text: String = (0..300_000).map(|nth| char::from(b'a' + (nth % 26) as u8)).collect();
        let kept = keep(Response::new(text.clone().into()), room).into_body();
        assert_eq!(kept.size_hint().exact(), Some(300_000));
        assert!(ANSWERS.available_permits() <= ANSWERS_KIB_MAX - 1024);
        let mut kept = kept;
        let mut read = Vec::new();
        while let Some(frame) = kept.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() <= PIECE);
            read.extend_from_slice(&data);
        }
        drop(kept);
        assert_eq!(String::from_utf8(read).unwrap(), text);
        let mut room = super::room(1).await.unwrap();
        room.hold(512 << 10).await.unwrap();
        room.hold(1 << 20).await.unwrap();
        assert_eq!(room.0.as_ref().unwrap().num_permits(), 1024);
        room.shrink(100 << 10);
        assert_eq!(room.0.as_ref().unwrap().num_permits(), 100);
        room.shrink(1);
        assert_eq!(room.0.as_ref().unwrap().num_permits(), 0);
    }
}
