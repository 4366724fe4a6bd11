//! The whole gate, from the check of UTF-8 to the change set, beside serde_json reading the same bytes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::Fallible;
use crate::documents::{ACCEPTED, gate};
use crate::plain_json::{Activities, Wal2json};
use crate::report::{Rounds, Target, head, line_of_times};
use crate::scale::Scaled;

/// Many short rounds: what else the machine does then hits both sides alike.
pub(crate) const ROUNDS: Scaled<usize> = Scaled(151, 1);
const ROUND: Duration = Duration::from_millis(8);

const WAL2JSON: &str = include_str!("../../tests/fixtures/wal2json/v1-default.ndjson");

pub(crate) fn measure() -> Fallible {
    // Three inserts with eleven columns of ten types; an insert, updates and deletes.
    let captured = |at: usize| WAL2JSON.lines().nth(at).ok_or("the capture is shorter than it was");
    head("µs a document");
    compare::<Activities<'_>>("`activities`, 3 changes", ACCEPTED)?;
    compare::<Wal2json<'_>>("wal2json v1, 3 inserts", captured(5)?)?;
    compare::<Wal2json<'_>>("wal2json v1, 6 changes", captured(6)?)?;
    Ok(())
}

fn compare<'a, T: Deserialize<'a>>(what: &str, document: &'a str) -> Fallible {
    let gate = gate();
    let bytes = document.trim_end().as_bytes();
    gate.judge(bytes).map_err(|problem| format!("{what} was refused: {}", problem.detail))?;
    serde_json::from_slice::<T>(bytes)?;
    let (mut ours, mut plain) = (Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS.now() {
        ours.push(micros(|| drop(black_box(gate.judge(black_box(bytes))))));
        plain.push(micros(|| drop(black_box(serde_json::from_slice::<T>(black_box(bytes))))));
    }
    // Both are times: the ratio of speeds is the other way round.
    line_of_times(&format!("{what}, {} bytes", bytes.len()), &ours, &plain, Target::AtLeast(0.75));
    Ok(())
}

/// The time of one call, over calls for [`ROUND`].
pub(crate) fn micros(mut call: impl FnMut()) -> f64 {
    let begun = Instant::now();
    let mut calls = 0;
    while begun.elapsed() < ROUND {
        for _ in 0..100 {
            call();
        }
        calls += 100;
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}
