//! From the start of the process to the first 200 of /health/ready, in an empty folder and in one that holds data.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::load::{self, Load};
use crate::report::{Rounds, Target, short, value};
use crate::scale::Scaled;
use crate::scratch::Scratch;
use crate::server::Server;
use crate::{Fallible, client};

const STARTS: Scaled<usize> = Scaled(10, 1);
const LOOK_EVERY: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn measure() -> Fallible {
    let mut empty = Rounds::default();
    for _ in 0..STARTS.now() {
        let scratch = Scratch::new()?;
        empty.push(start(scratch.path())?);
    }
    value("process start to ready, empty folder, median of 10", empty.median(), "s", Target::AtMost(0.5));
    println!("  - most {} s", short(empty.max()));

    let scratch = Scratch::new()?;
    let server = Server::up(scratch.path(), &[])?;
    let Load { accepted, .. } = load::run(&server.address, 16, 1.0)?;
    drop(server);
    let mut full = Rounds::default();
    for _ in 0..STARTS.now() {
        full.push(start(scratch.path())?);
    }
    let what = format!("after a kill, with {accepted} documents in the journal, median of {STARTS}");
    value(&what, full.median(), "s", Target::AtMost(0.5));
    println!("  - most {} s", short(full.max()));
    Ok(())
}

/// The seconds from the start of a process to its first 200 of /health/ready. The process is killed then.
fn start(data: &Path) -> Fallible<f64> {
    let begun = Instant::now();
    let server = Server::up(data, &[])?;
    while begun.elapsed() < PATIENCE {
        let (status, _) = client::ask(&server.address, "GET", "/health/ready", "", b"")?;
        if status == 200 {
            return Ok(begun.elapsed().as_secs_f64());
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
    Err("the server never became ready".into())
}
