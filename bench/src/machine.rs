//! What the figures depend on: the processor cores, and how long the disk takes to keep something.

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use crate::Fallible;
use crate::report::Rounds;
use crate::scratch::Scratch;

const SYNCS: usize = 500;

/// Prints cores and fsync time.
pub(crate) fn describe() -> Fallible {
    let cores = std::thread::available_parallelism()?;
    let times = fsync_ms()?;
    println!(
        "{cores} cores; fsync (fdatasync after 4 KiB appended, {SYNCS} times): median {:.2} ms, 95 % within {:.2} ms, most {:.1} ms",
        times.median(),
        times.quantile(0.95),
        times.max()
    );
    Ok(())
}

/// How long each of [`SYNCS`] fdatasyncs took that follow 4 KiB at the end of a file.
pub(crate) fn fsync_ms() -> Fallible<Rounds> {
    let scratch = Scratch::new()?;
    let mut file = File::create(scratch.path().join("sync"))?;
    let block = [0x5a; 4096];
    let mut times = Rounds::default();
    for _ in 0..SYNCS {
        file.write_all(&block)?;
        let begun = Instant::now();
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}
