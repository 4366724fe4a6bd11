//! Stopping: an argument that is passed down, never a global.

use std::time::Duration;

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

/// Ctrl-C and SIGTERM, from the moment on that this is made: one that comes while nobody waits is kept.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes the signals over from the system, which would end the process at once.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
