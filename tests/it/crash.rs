//! The real program is broken at random moments under load: processes are killed (`kill -9`), servers stopped, connections
//! cut. What was acknowledged is in the store exactly once, and no document is there by half.
//!
//! `SLUICEGATE_CRASH_ROUNDS` asks for more rounds of each test, `SLUICEGATE_CRASH_SEED` for those of an earlier run.

mod books;
mod cluster;
mod crew;
mod leader;
mod ledger;
mod rollups;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::books::Books;
pub(crate) use self::crew::{APPLIER, Crew, GATEWAY};
use crate::random::Random;
use crate::support::{PATIENCE, eventually};

/// A fault comes after at most so many more acknowledgements.
const ACKNOWLEDGED_MAX: u64 = 150;

/// The most a round waits for those: a machine may be slow, and a crash without load is a crash too.
const ROUND_MAX: Duration = Duration::from_millis(400);

#[test]
fn one_process_is_killed() {
    survive(&[&["up", "--listen", "127.0.0.1:0"]], 20);
}

#[test]
fn a_gateway_or_its_applier_is_killed() {
    survive(&[GATEWAY, APPLIER], 15);
}

#[test]
fn one_of_two_appliers_is_killed_and_the_other_takes_over() {
    survive(&[GATEWAY, APPLIER, APPLIER], 15);
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// How many rounds, and which.
fn rounds(usual: u64) -> (u64, Random) {
    let clock = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let seed = number_from("SLUICEGATE_CRASH_SEED").unwrap_or_else(clock);
    println!("SLUICEGATE_CRASH_SEED={seed}");
    (number_from("SLUICEGATE_CRASH_ROUNDS").unwrap_or(usual), Random::new(seed))
}

/// Runs the processes on SQLite, kills one or more in each round, and looks at the store at the end.
fn survive(commands: &[&'static [&'static str]], usual: u64) {
    let (rounds, mut random) = rounds(usual);
    let mut crew = Crew::of_one_home(commands);
    let ledger = Arc::clone(&crew.ledger);
    ledger.while_sending(Duration::ZERO, || {
        for _ in 0..rounds {
            crew.load(random.below(ACKNOWLEDGED_MAX), ROUND_MAX);
            let first = random.below(crew.len() as u64) as usize;
            crew.kill(first);
            if random.below(4) == 0 {
                // Another one as well, at nearly the same moment.
                let second = random.below(crew.len() as u64) as usize;
                crew.kill(second);
                if second != first {
                    crew.start(second);
                }
            } else if crew.len() > 2 && first > 0 {
                let kept = ledger.acknowledged();
                eventually(PATIENCE, "the other applier takes over", || (crew.books.settled()? >= kept).then_some(()));
            }
            crew.start(first);
        }
    });
    crew.settle();
}
