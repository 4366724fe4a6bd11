//! The load generator: a process of its own, so that every server shares the cores with the same thing.

use std::cell::Cell;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Fallible;
use crate::client::answer;
use crate::documents::{FIRST, three_changes};

/// The hidden subcommand that loads a server.
pub(crate) const LOAD: &str = "load";

/// Where documents are posted.
pub(crate) const PATH: &str = "/v1/streams/activities";

const WARM_UP: Duration = Duration::from_millis(500);

/// What a load came to.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Load {
    /// Answers a second with a status of 2xx.
    pub(crate) rate: f64,
    /// Other answers.
    pub(crate) refused: u64,
    /// How much of one core the generator itself took.
    pub(crate) own_cores: f64,
    /// All documents that were accepted, the warm-up's too.
    pub(crate) accepted: u64,
}

/// Loads the server at `address` for `seconds` after a warm-up.
pub(crate) fn run(address: &str, connections: usize, seconds: f64) -> Fallible<Load> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args([LOAD, address, &connections.to_string(), &seconds.to_string()]).output()?;
    if !output.status.success() {
        return Err(format!("the load failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The request of document 0 and where its numbers stand.
pub(crate) struct Request {
    bytes: Vec<u8>,
    numbers: Vec<(usize, i64)>,
}

impl Request {
    pub(crate) fn new(header: &str) -> Self {
        let body = three_changes(0);
        let length = body.len();
        let text = format!(
            "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{header}Content-Length: {length}\r\n\r\n{body}"
        );
        let mut numbers = Vec::new();
        for plus in 0..2 {
            let number = (FIRST + plus).to_string();
            numbers.extend(text.match_indices(&number).map(|(at, _)| (at, FIRST + plus)));
        }
        Request { bytes: text.into_bytes(), numbers }
    }

    /// The request of document `n`.
    pub(crate) fn fill(&mut self, n: i64) -> &[u8] {
        for (at, first) in &self.numbers {
            let mut rest = first + 2 * n;
            for digit in self.bytes[*at..*at + 10].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        &self.bytes
    }
}

/// A connection that waits for each answer before it sends the next request.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Fallible<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, received: Vec::with_capacity(4096) })
    }

    /// Sends a request and gives the status of the answer.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Fallible<u16> {
        self.stream.write_all(request).await?;
        self.received.clear();
        loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the server hung up".into());
            }
            if let Some((status, _)) = answer(&self.received) {
                return Ok(status);
            }
        }
    }
}

#[derive(Default)]
struct Counts {
    next: Cell<i64>,
    accepted: Cell<u64>,
    refused: Cell<u64>,
    is_over: Cell<bool>,
}

/// The generator: arguments are address, connections and seconds.
pub(crate) fn serve(arguments: &[String]) -> Fallible {
    let [address, connections, seconds] = arguments else { return Err("load: address, connections, seconds".into()) };
    let (connections, seconds): (usize, f64) = (connections.parse()?, seconds.parse()?);
    // One thread is enough: it spends a third of what any server spends on a request.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    let load = local.block_on(&runtime, generate(address, connections, Duration::from_secs_f64(seconds)))?;
    println!("{}", serde_json::to_string(&load)?);
    Ok(())
}

async fn generate(address: &str, connections: usize, time: Duration) -> Fallible<Load> {
    let counts = Rc::new(Counts::default());
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let mut connection = Connection::open(address).await?;
        let counts = Rc::clone(&counts);
        tasks.push(tokio::task::spawn_local(async move {
            let mut request = Request::new("");
            while !counts.is_over.get() {
                let n = counts.next.replace(counts.next.get() + 1);
                let counter = match connection.send(request.fill(n)).await? {
                    200..300 => &counts.accepted,
                    _ => &counts.refused,
                };
                counter.set(counter.get() + 1);
            }
            Fallible::Ok(())
        }));
    }
    pause(WARM_UP).await;
    let (begun, before, cpu_before) = (Instant::now(), counts.accepted.get(), cpu_seconds("self")?);
    pause(time).await;
    let (elapsed, accepted) = (begun.elapsed().as_secs_f64(), counts.accepted.get() - before);
    let own_cores = (cpu_seconds("self")? - cpu_before) / elapsed;
    counts.is_over.set(true);
    for task in tasks {
        task.await??;
    }
    let rate = accepted as f64 / elapsed;
    Ok(Load { rate, refused: counts.refused.get(), own_cores, accepted: counts.accepted.get() })
}

async fn pause(time: Duration) {
    // Nothing ever comes: the timeout is the event.
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

/// The processor time that a process (`self`, or its id) took so far.
pub(crate) fn cpu_seconds(process: &str) -> Fallible<f64> {
    /// Linux counts in hundredths of a second here, whatever its own clock does.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks / TICKS)
}
