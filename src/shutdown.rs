//! Stopping: an argument that is passed down, never a global.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Tells a task that it must end.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// Sets every [`Stop`] that came with it.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// A pair of both.
pub fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Says that it is time to end.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether it is time to end.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is time to end.
    pub async fn wait(&self) {
        let mut receiver = self.0.clone();
        // A stopper that is gone has nothing more to say: end as well.
        let _ = receiver.wait_for(|is_set| *is_set).await;
    }

    /// Waits for `pause`, or until it is time to end.
    pub async fn wait_for(&self, pause: Duration) {
        let _ = tokio::time::timeout(pause, self.wait()).await;
    }
}

/// Two signals within this time are one: a terminal sends Ctrl-C to a whole group, and whoever runs us there passes it on.
const ONE_SIGNAL: Duration = Duration::from_secs(1);

/// Ctrl-C and SIGTERM, from the moment on that this is made: one that comes while nobody waits is kept.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
    last: Option<Instant>,
}

impl Signals {
    /// Takes the signals over from the system, which would end the process at once.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: None,
            last: None,
        })
    }

    /// Also hears SIGHUP, which asks what runs for long to read its configuration anew, and changes nothing.
    pub fn listen_for_long() -> std::io::Result<Self> {
        Ok(Signals { hangup: Some(signal(SignalKind::hangup())?), ..Self::listen()? })
    }

    /// Waits for the next one. Those that follow it within a second are the same one.
    pub async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
                () = heard(&mut self.hangup) => {
                    tracing::info!("SIGHUP changes nothing: the configuration is read at the start. SIGTERM stops.");
                    continue;
                }
            }
            let is_same = self.last.is_some_and(|last| last.elapsed() < ONE_SIGNAL);
            if !is_same {
                self.last = Some(Instant::now());
                return;
            }
        }
    }
}

async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Lets a file that reaches the limit of this process (`ulimit -f`) fail to be written: the system's own answer is to end
/// the process without a word.
pub fn survive_file_limits() -> std::io::Result<()> {
    // The handler stays when what waits for the signal is gone.
    signal(SignalKind::from_raw(libc::SIGXFSZ)).map(drop)
}
