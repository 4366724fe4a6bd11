//! Unpacks gzip and zstd: in bounded memory, in bounded time, and not where requests are answered.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use bytes::{Buf as _, Bytes};

use super::answer::Failure;
use crate::aside;
use crate::budget::Share;
use crate::format::lines::too_large;
use crate::problem::ProblemType;

/// Unpacking is given up after this time, in which waiting for room does not count; 16 MiB take a tenth of a second.
const UNPACK_TIMEOUT: Duration = Duration::from_secs(2);

/// The parts that a gzip body may consist of: each costs time, and may hold nothing.
const MEMBERS_MAX: usize = 4_096;

/// What a zstd body may ask for to look back, as a power of two: 16 MiB, which is the largest body.
const WINDOW_LOG_MAX: u32 = 24;

/// A packed body of so many bytes is unpacked where it stands …
const PACKED_FEW: usize = 4 << 10;

/// … as far as it gives no more than so many.
const UNPACKED_FEW: usize = 64 << 10;

/// So much is unpacked at once.
const CHUNK: usize = 32 << 10;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    /// What `Content-Encoding` says.
    pub(super) fn said(headers: &HeaderMap) -> Result<Self, Failure> {
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
}

/// Unpacks `packed`, of which at most `bytes_max` bytes may come, into the share that it has.
pub(super) async fn unpack(
    packing: Packing,
    packed: Bytes,
    bytes_max: usize,
    mut share: Share,
) -> Result<(Bytes, Share), Failure> {
    let mut unpacking = Unpacking::of(packing, packed, bytes_max)?;
    if unpacking.packed_bytes <= PACKED_FEW && unpacking.run(UNPACKED_FEW, &mut share).await? {
        return Ok((unpacking.out.into(), share));
    }
    let turn = aside::turn().await?;
    let runtime = tokio::runtime::Handle::current();
    let work = move || {
        let _turn = turn;
        runtime.block_on(unpacking.run(usize::MAX, &mut share)).map(|_| (unpacking.out.into(), share))
    };
    let unpacked = tokio::task::spawn_blocking(work).await;
    unpacked.map_err(|_| Failure::new(ProblemType::Internal, "unpacking failed"))?
}

struct Unpacking {
    packed_bytes: usize,
    reader: Box<dyn Read + Send>,
    out: Vec<u8>,
    bytes_max: usize,
    clock: Clock,
}

/// How long it may still take. It stands still while nothing is unpacked.
#[derive(Clone, Default)]
struct Clock(Arc<Mutex<Running>>);

#[derive(Default)]
struct Running {
    spent: Duration,
    since: Option<Instant>,
}

impl Clock {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) {
        self.lock().since = Some(Instant::now());
    }

    fn stop(&self) {
        let mut running = self.lock();
        let since = running.since.take();
        running.spent += since.map_or(Duration::ZERO, |since| since.elapsed());
    }

    fn in_time(&self) -> io::Result<()> {
        let running = self.lock();
        match running.spent + running.since.map_or(Duration::ZERO, |since| since.elapsed()) < UNPACK_TIMEOUT {
            true => Ok(()),
            false => Err(io::Error::other(format!("it takes more than {} s", UNPACK_TIMEOUT.as_secs()))),
        }
    }
}

impl Unpacking {
    fn of(packing: Packing, packed: Bytes, bytes_max: usize) -> Result<Self, Failure> {
        let (packed_bytes, clock) = (packed.len(), Clock::default());
        let timed = Timed { packed: packed.reader(), clock: clock.clone() };
        let reader: Box<dyn Read + Send> = match packing {
            Packing::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(timed).map_err(broken)?;
                decoder.window_log_max(WINDOW_LOG_MAX).map_err(broken)?;
                Box::new(decoder)
            }
            _ => {
                Box::new(Members { member: Some(flate2::bufread::GzDecoder::new(io::BufReader::new(timed))), count: 1 })
            }
        };
        Ok(Unpacking { packed_bytes, reader, out: Vec::new(), bytes_max, clock })
    }

    /// Unpacks until there is more than `enough`. True when that was all.
    async fn run(&mut self, enough: usize, share: &mut Share) -> Result<bool, Failure> {
        while self.out.len() <= enough {
            let from = self.out.len();
            share.hold(self.packed_bytes + from + CHUNK, self.packed_bytes + self.bytes_max + CHUNK).await?;
            self.out.resize(from + CHUNK, 0);
            self.clock.start();
            let read = self.reader.read(&mut self.out[from..]);
            self.clock.stop();
            self.out.truncate(from + read.as_ref().unwrap_or(&0));
            if read.map_err(broken)? == 0 {
                return Ok(true);
            }
            if self.out.len() > self.bytes_max {
                return Err(too_large(self.bytes_max).into());
            }
            self.clock.in_time().map_err(broken)?;
        }
        Ok(false)
    }
}

fn broken(error: io::Error) -> Failure {
    Failure::new(ProblemType::NotJson, format!("the body cannot be unpacked: {error}"))
}

/// The packed bytes, as long as there is time: what gives nothing must not take long either.
struct Timed {
    packed: bytes::buf::Reader<Bytes>,
    clock: Clock,
}

impl Read for Timed {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.clock.in_time()?;
        // Little at a time, so that the clock is looked at often.
        let length = to.len().min(CHUNK);
        self.packed.read(&mut to[..length])
    }
}

/// The members of a gzip body, one after the other.
struct Members {
    member: Option<flate2::bufread::GzDecoder<io::BufReader<Timed>>>,
    count: usize,
}

impl Read for Members {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        use io::BufRead as _;
        while let Some(member) = &mut self.member {
            let read = member.read(to)?;
            if read > 0 {
                return Ok(read);
            }
            let Some(member) = self.member.take() else { break };
            let mut rest = member.into_inner();
            if rest.fill_buf()?.is_empty() {
                break;
            }
            self.count += 1;
            if self.count > MEMBERS_MAX {
                return Err(io::Error::other(format!("it has more than {MEMBERS_MAX} members; write it as one")));
            }
            self.member = Some(flate2::bufread::GzDecoder::new(rest));
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::budget::Budget;

    #[tokio::test(flavor = "multi_thread")]
    async fn waiting_for_room_is_no_time_of_unpacking() {
        let budget = Arc::new(Budget::default());
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&vec![b'1'; 1 << 20]).unwrap();
        let packed = Bytes::from(encoder.finish().unwrap());
        let mut unpacking = Unpacking::of(Packing::Gzip, packed, 2 << 20).unwrap();
        // It has waited before: what it needed was taken for as long as there is time to unpack.
        std::thread::sleep(UNPACK_TIMEOUT);
        assert!(unpacking.run(usize::MAX, &mut budget.share(None)).await.unwrap());
        assert_eq!(unpacking.out.len(), 1 << 20);
        unpacking.clock.start();
        std::thread::sleep(UNPACK_TIMEOUT);
        unpacking.clock.stop();
        assert!(unpacking.clock.in_time().is_err());
    }
}
