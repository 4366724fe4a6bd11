//! How the parts are, for readiness and whoever counts.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A part that was begun again is in trouble until it has run for so long.
const SETTLED: Duration = Duration::from_secs(2);

/// How every part is.
#[derive(Debug, Default)]
pub struct Health {
    parts: Mutex<Vec<State>>,
}

#[derive(Debug)]
struct State {
    name: String,
    /// How often it was begun again.
    restarts: u64,
    /// When it began, or went down.
    since: Instant,
    is_down: bool,
    is_done: bool,
    /// Why it went down last.
    why: Option<String>,
}

/// What is wrong with a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The part's name.
    pub part: String,
    /// Why it is down, or was a moment ago.
    pub why: String,
    /// How long it has been down; none when it was just begun again.
    pub down: Option<Duration>,
    /// How often it was begun again.
    pub restarts: u64,
}

/// A part as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Whether it waits to be begun again.
    pub is_down: bool,
    /// How often it was begun again.
    pub restarts: u64,
}

impl Health {
    fn parts(&self) -> MutexGuard<'_, Vec<State>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut State)) {
        if let Some(state) = self.parts().iter_mut().find(|state| state.name == name) {
            change(state);
        }
    }

    pub(super) fn add(&self, name: &str) {
        let (name, since) = (name.to_owned(), Instant::now());
        self.parts().push(State { name, restarts: 0, since, is_down: false, is_done: false, why: None });
    }

    pub(super) fn begins(&self, name: &str) {
        self.change(name, |state| {
            state.restarts += u64::from(state.why.is_some());
            (state.is_down, state.since) = (false, Instant::now());
        });
    }

    pub(super) fn fails(&self, name: &str, why: &str) {
        self.change(name, |state| {
            (state.is_down, state.since) = (true, Instant::now());
            state.why = Some(why.to_owned());
        });
    }

    pub(super) fn is_done(&self, name: &str) {
        self.change(name, |state| state.is_done = true);
    }

    /// The parts that are down, or were a moment ago.
    pub fn troubles(&self) -> Vec<Trouble> {
        let parts = self.parts();
        let troubled = parts.iter().filter(|state| !state.is_done);
        let trouble = |state: &State| {
            let why = state.why.clone()?;
            let elapsed = state.since.elapsed();
            let down = state.is_down.then_some(elapsed);
            let is_troubled = state.is_down || elapsed < SETTLED;
            is_troubled.then(|| Trouble { part: state.name.clone(), why, down, restarts: state.restarts })
        };
        troubled.filter_map(trouble).collect()
    }

    /// Each part as it is now.
    pub fn seen(&self) -> Vec<Seen> {
        let seen = |state: &State| Seen { name: state.name.clone(), is_down: state.is_down, restarts: state.restarts };
        self.parts().iter().map(seen).collect()
    }
}
