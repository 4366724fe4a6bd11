//! Parts: everything that runs by itself, each with a name.
//!
//! A part that panics or ends is begun again after a pause, and says so to the log and to whoever asks how it is. What it
//! does is its own business; in which order parts begin and end is said in `command/up.rs`.

mod health;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use self::health::{Health, Seen, Trouble};
use crate::panics;
use crate::reason::{Reason, chain};
use crate::shutdown::Stop;

/// The pauses before a part is begun again double from the first to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A part that has run for so long is well: its pauses begin anew.
const WELL: Duration = Duration::from_secs(60);

type Run = Pin<Box<dyn Future<Output = Result<(), Reason>> + Send>>;
type RunHere = Pin<Box<dyn Future<Output = Result<(), Reason>>>>;

/// Something that runs until it is stopped.
pub struct Part {
    name: String,
    /// Whether it is done when it ends well.
    is_once: bool,
    begin: Begin,
}

enum Begin {
    /// Among others, whose threads it never blocks.
    Task(Box<dyn Fn(Stop) -> Run + Send + Sync>),
    /// On a thread of its own, since it works with files where it stands.
    Thread(Arc<dyn Fn(Stop) -> RunHere + Send + Sync>),
}

impl Part {
    /// A part that runs among others, and never blocks its thread. `run` gives why it ended, if that was before the stop.
    pub fn task<F>(name: impl Into<String>, run: impl Fn(Stop) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Reason>> + Send + 'static,
    {
        let begin = move |stop| -> Run { Box::pin(run(stop)) };
        Part { name: name.into(), is_once: false, begin: Begin::Task(Box::new(begin)) }
    }

    /// A part that works with files where it stands, and has a thread of its own for that.
    pub fn thread<F>(name: impl Into<String>, run: impl Fn(Stop) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Reason>> + 'static,
    {
        let begin = move |stop| -> RunHere { Box::pin(run(stop)) };
        Part { name: name.into(), is_once: false, begin: Begin::Thread(Arc::new(begin)) }
    }

    /// The same part, which has nothing more to do once it ends well.
    pub fn once(self) -> Self {
        Part { is_once: true, ..self }
    }

    /// Runs it to its end; gives why it ended badly.
    async fn run(&self, stop: Stop) -> Result<(), Reason> {
        let ended = match &self.begin {
            Begin::Task(begin) => as_task(begin(stop)).await,
            Begin::Thread(begin) => on_thread(&self.name, Arc::clone(begin), stop).await,
        };
        match ended {
            Ok(ended) => ended,
            Err(words) => Err(format!("it panicked, by a fault of Sluicegate: {words}").into()),
        }
    }
}

async fn as_task(run: Run) -> Result<Result<(), Reason>, String> {
    match tokio::spawn(run).await {
        Ok(ended) => Ok(ended),
        Err(error) => Err(error.try_into_panic().map_or_else(|_| "it was cut off".into(), |it| panics::words(&*it))),
    }
}

async fn on_thread(
    name: &str,
    begin: Arc<dyn Fn(Stop) -> RunHere + Send + Sync>,
    stop: Stop,
) -> Result<Result<(), Reason>, String> {
    let runtime = tokio::runtime::Handle::current();
    let (answer, answered) = oneshot::channel();
    let body = move || {
        let ended = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(begin(stop))));
        // Nobody waits any more when the process leaves.
        let _ = answer.send(ended.map_err(|panic| panics::words(&*panic)));
    };
    if let Err(error) = std::thread::Builder::new().name(name.replace(' ', "-")).spawn(body) {
        return Ok(Err(Reason::of("no thread could be started", error)));
    }
    answered.await.unwrap_or_else(|_| Err("its thread is gone".into()))
}

/// Parts that run, and are stopped together.
#[derive(Default)]
pub struct Running {
    health: Arc<Health>,
    parts: Vec<JoinHandle<()>>,
}

impl Running {
    /// None yet; how they are is told by `health`.
    pub fn new(health: Arc<Health>) -> Self {
        Running { health, parts: Vec::new() }
    }

    /// Begins a part, and begins it again whenever it ends before it is told to.
    pub fn start(&mut self, part: Part, stop: Stop) {
        let health = Arc::clone(&self.health);
        health.add(&part.name);
        self.parts.push(tokio::spawn(keep(part, stop, health)));
    }

    /// Waits until all have ended. Cancelling it loses nothing.
    pub async fn ended(&mut self) {
        while let Some(part) = self.parts.last_mut() {
            // What keeps a part running does not fail itself.
            let _ = part.await;
            self.parts.pop();
        }
    }
}

async fn keep(part: Part, stop: Stop, health: Arc<Health>) {
    let name = part.name.as_str();
    let mut pause = PAUSE_FIRST;
    while !stop.is_set() {
        let begun = Instant::now();
        health.begins(name);
        let why = match part.run(stop.clone()).await {
            Ok(()) if part.is_once || stop.is_set() => break,
            Ok(()) => Reason::from("it ended by itself"),
            Err(why) => why,
        };
        if begun.elapsed() >= WELL {
            pause = PAUSE_FIRST;
        }
        tracing::error!(part = name, error = chain(&why), pause = ?pause, "A part of the program is down; it is begun again.");
        health.fails(name, why.words());
        stop.wait_for(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
    health.is_done(name);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::shutdown;

    /// Runs a part that fails so many times in some way, and gives its troubles until it runs.
    async fn heals(is_thread: bool, fail: fn() -> Result<(), Reason>) -> Vec<Trouble> {
        let runs = Arc::new(AtomicUsize::new(0));
        let (health, (stopper, stop)) = (Arc::new(Health::default()), shutdown::channel());
        let counted = Arc::clone(&runs);
        let run = move |stop: Stop| {
            let run = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                if run < 2 {
                    return fail();
                }
                stop.wait().await;
                Ok(())
            }
        };
        let part = if is_thread { Part::thread("one", run) } else { Part::task("one", run) };
        let mut running = Running::new(Arc::clone(&health));
        running.start(part, stop);
        while runs.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
        let troubles = health.troubles();
        stopper.stop();
        running.ended().await;
        assert!(health.troubles().is_empty(), "a part that was stopped is in no trouble");
        troubles
    }

    #[tokio::test]
    async fn a_part_that_fails_panics_or_ends_is_begun_again_and_says_why() {
        type Fail = fn() -> Result<(), Reason>;
        let ways: [(Fail, &str); 3] = [
            (|| Err("no reason".into()), "no reason"),
            (|| panic!("a number is {}", 5), "it panicked, by a fault of Sluicegate: a number is 5"),
            (|| Ok(()), "it ended by itself"),
        ];
        for (fail, why) in ways {
            for is_thread in [false, true] {
                let troubles = heals(is_thread, fail).await;
                let [Trouble { part, why: said, restarts, .. }] = &troubles[..] else { panic!("{troubles:?}") };
                assert_eq!((part.as_str(), said.as_str(), *restarts), ("one", why, 2));
            }
        }
    }

    #[tokio::test]
    async fn a_part_that_has_done_its_work_is_not_begun_again() {
        let runs = Arc::new(AtomicUsize::new(0));
        let (health, (_stopper, stop)) = (Arc::new(Health::default()), shutdown::channel());
        let counted = Arc::clone(&runs);
        let run = move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { Ok(()) }
        };
        let mut running = Running::new(Arc::clone(&health));
        running.start(Part::task("one", run).once(), stop);
        running.ended().await;
        assert_eq!((runs.load(Ordering::SeqCst), health.troubles().len()), (1, 0));
    }
}
