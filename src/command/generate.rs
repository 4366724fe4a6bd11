//! `sluicegate generate STREAM`: documents made up, into a stream as any others, or to standard output.

use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use super::{Done, Failed, Global, publish};
use crate::change::instant;
use crate::clock;
use crate::config::parse_period;
use crate::generate::{Generator, Order, Template, USERS_MAX};

/// So much is written at once, where nobody asked for a rate.
const CHUNK_BYTES: usize = 64 << 10;

/// How often a terminal is told how far it is.
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// How many columns the bar has.
const BAR: u64 = 30;

#[derive(Debug, Args)]
pub(super) struct Generate {
    /// The stream; - is standard output, one document a line
    stream: String,
    /// How many users
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=USERS_MAX))]
    users: u64,
    /// How many documents of each user [default: 3; with --duration as many as there is time for]
    #[arg(long)]
    messages: Option<u64>,
    /// How many documents a second [default: as fast as they are taken]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Stop after this time, such as 10s
    #[arg(long, value_name = "TIME", value_parser = parse_period)]
    duration: Option<Duration>,
    /// What random values come from: the same seed, with the same --at, makes the same documents
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The time that documents take as now, in RFC 3339 or as seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<i64>,
    /// What the documents look like: a file of JSON with {uuid}, {int 1 100}, {pick a b c}, {now} and {user} in its strings
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
}

/// Milliseconds since 1970.
fn time(text: &str) -> Result<i64, String> {
    let seconds = text.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(1000));
    let ms = seconds.or_else(|| instant::Instant::parse(text).map(|instant| instant.ms()));
    // The years that RFC 3339 can write.
    ms.filter(|ms| (-62_135_596_800_000..253_402_300_800_000).contains(ms))
        .ok_or_else(|| "write it as 2026-01-31T01:02:03Z, or as seconds since 1970".to_owned())
}

impl Generate {
    pub(super) async fn run(self, global: &Global) -> Done {
        let template = match &self.template {
            None => None,
            Some(path) => {
                let shown = crate::disk::shown(path);
                let text = crate::disk::read_text(path, Template::BYTES_MAX)
                    .map_err(|error| Failed::Error(format!("{shown} cannot be read: {error}").into()))?;
                Some(Template::parse(&text).map_err(|error| Failed::Error(format!("{shown}: {error}").into()))?)
            }
        };
        let begin_ms = clock::now_ms();
        let generator = Generator::new(Order {
            users: self.users,
            messages: self.messages.or(self.duration.is_none().then_some(3)),
            // Two that begin at one moment are made by two processes.
            seed: self.seed.unwrap_or((begin_ms as u64) << 20 ^ u64::from(std::process::id())),
            at_ms: self.at,
            begin_ms,
            template,
        });
        let mut made = Made::new(generator, self.rate, self.duration);
        if self.stream != "-" {
            return publish::publish_made(global, &self.stream, Box::new(made)).await;
        }
        let shows_progress = io::stderr().is_terminal() && !global.quiet;
        let write = move || -> io::Result<()> {
            let (mut out, mut told) = (io::stdout().lock(), Instant::now());
            while made.fill()? {
                out.write_all(&made.chunk)?;
                made.chunk.clear();
                if shows_progress && told.elapsed() >= TOLD_EVERY {
                    told = Instant::now();
                    let _ = write!(io::stderr(), "\r{}", bar(&made.generator));
                }
            }
            if shows_progress {
                let _ = writeln!(io::stderr(), "\r{}", bar(&made.generator));
            }
            out.flush()
        };
        Ok(tokio::task::spawn_blocking(write).await??)
    }
}

/// How far it is.
fn bar(generator: &Generator) -> String {
    let made = generator.made();
    match generator.total() {
        None => format!("{made} documents"),
        Some(total) => {
            let of = |whole: u64| (u128::from(made) * u128::from(whole) / u128::from(total.max(1))) as u64;
            let full = of(BAR) as usize;
            let (full, empty) = ("#".repeat(full), " ".repeat(BAR as usize - full));
            format!("[{full}{empty}] {:3} % of {total} documents", of(100))
        }
    }
}

/// Documents as a source of bytes, no faster and no longer than was asked for.
struct Made {
    generator: Generator,
    rate: Option<u32>,
    duration: Option<Duration>,
    begin: Instant,
    chunk: Vec<u8>,
    /// How much of the chunk was read.
    read: usize,
}

impl Made {
    fn new(generator: Generator, rate: Option<u32>, duration: Option<Duration>) -> Self {
        Made {
            generator,
            rate,
            duration,
            begin: Instant::now(),
            chunk: Vec::with_capacity(CHUNK_BYTES + 1024),
            read: 0,
        }
    }

    fn is_over(&self) -> bool {
        self.duration.is_some_and(|duration| self.begin.elapsed() >= duration)
    }

    /// How many may be made by now.
    fn due(&self) -> u64 {
        self.rate.map_or(u64::MAX, |rate| 1 + (self.begin.elapsed().as_secs_f64() * f64::from(rate)) as u64)
    }

    /// Makes the next documents, when it is time for them. False when there are no more.
    fn fill(&mut self) -> io::Result<bool> {
        if self.is_over() {
            return Ok(false);
        }
        if let Some(rate) = self.rate
            && self.generator.made() >= self.due()
        {
            let next = Duration::from_secs_f64(self.generator.made() as f64 / f64::from(rate));
            let left = self.duration.map_or(next, |duration| next.min(duration));
            std::thread::sleep(left.saturating_sub(self.begin.elapsed()));
            if self.is_over() {
                return Ok(false);
            }
        }
        let due = self.due();
        while self.generator.made() < due && self.chunk.len() < CHUNK_BYTES && self.generator.write(&mut self.chunk) {}
        Ok(!self.chunk.is_empty())
    }
}

impl Read for Made {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.chunk.len() {
            self.chunk.clear();
            self.read = 0;
            if !self.fill()? {
                return Ok(0);
            }
        }
        let length = buffer.len().min(self.chunk.len() - self.read);
        buffer[..length].copy_from_slice(&self.chunk[self.read..self.read + length]);
        self.read += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, wanted) in [
            ("0", Some(0)),
            ("1534382478", Some(1_534_382_478_000)),
            ("2018-08-16T01:21:18.5Z", Some(1_534_382_478_500)),
            ("2018-08-16", Some(1_534_377_600_000)),
            ("9223372036854775807", None),
            ("tomorrow", None),
            ("", None),
        ] {
            assert_eq!(time(text).ok(), wanted, "{text}");
        }
    }

    #[test]
    fn a_bar_fills_as_documents_are_made() {
        let order = Order { users: 2, messages: Some(2), seed: 0, at_ms: None, begin_ms: 0, template: None };
        let (mut generator, mut out) = (Generator::new(order), Vec::new());
        assert_eq!(bar(&generator), format!("[{}]   0 % of 4 documents", " ".repeat(30)));
        generator.write(&mut out);
        generator.write(&mut out);
        assert_eq!(bar(&generator), format!("[{}{}]  50 % of 4 documents", "#".repeat(15), " ".repeat(15)));
    }
}
