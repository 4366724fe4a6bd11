//! What the figures depend on: the processor cores, whether others use them, and how long the disk takes to keep
//! something.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::Fallible;
use crate::report::Rounds;
use crate::scale::Scaled;
use crate::scratch::Scratch;

const SYNCS: Scaled<usize> = Scaled(500, 10);

/// How long it listens for others on the machine.
const LISTEN: Duration = Duration::from_secs(1);

/// Prints cores and fsync time.
pub(crate) fn describe() -> Fallible {
    let cores = std::thread::available_parallelism()?;
    let others = busy_elsewhere()? * cores.get() as f64;
    let times = fsync_ms()?;
    println!(
        "{cores} cores, of which others kept {others:.2} busy just before; fsync (fdatasync after 4 KiB appended, {SYNCS} times): median {:.2} ms, 95 % within {:.2} ms, most {:.1} ms",
        times.median(),
        times.quantile(0.95),
        times.max()
    );
    Ok(())
}

/// The share of the machine's processor time (0 to 1) that is used while this program waits.
fn busy_elsewhere() -> Fallible<f64> {
    let ticks = || -> Fallible<(f64, f64)> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let line = stat.lines().next().unwrap_or_default();
        // User, nice, system, idle, waiting for a disk, interrupts twice, stolen.
        let ticks: Vec<f64> = line.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
        let idle: f64 = ticks.iter().skip(3).take(2).sum();
        Ok((idle, ticks.iter().sum()))
    };
    let (idle_before, all_before) = ticks()?;
    let begun = Instant::now();
    while begun.elapsed() < LISTEN {
        std::thread::park_timeout(LISTEN);
    }
    let (idle, all) = ticks()?;
    Ok(1.0 - (idle - idle_before) / (all - all_before).max(1.0))
}

/// How long each of [`SYNCS`] fdatasyncs took that follow 4 KiB at the end of a file.
pub(crate) fn fsync_ms() -> Fallible<Rounds> {
    let scratch = Scratch::new()?;
    let mut file = File::create(scratch.path().join("sync"))?;
    let block = [0x5a; 4096];
    let mut times = Rounds::default();
    for _ in 0..SYNCS.now() {
        file.write_all(&block)?;
        let begun = Instant::now();
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}
