//! What the system says about watched folders, in a queue with an end.
//!
//! It only hints: what was lost on the way is found by the next look at the whole folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::place::is_wanted;

/// So many hints wait at most.
const QUEUE_MAX: usize = 10_000;

/// The hints of some folders.
pub(super) struct Events {
    watcher: Option<RecommendedWatcher>,
    queue: mpsc::Receiver<PathBuf>,
    is_overrun: Arc<AtomicBool>,
}

impl Events {
    /// Asks the system; without its help there are no hints.
    pub(super) fn new() -> Self {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let is_overrun = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_overrun);
        let take = move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return flag.store(true, Ordering::Relaxed) };
            if event.need_rescan() {
                flag.store(true, Ordering::Relaxed);
            }
            // Our own reading is told, too.
            let is_news =
                !matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write));
            let wanted = |path: &PathBuf| path.file_name().is_some_and(is_wanted);
            for path in event.paths.into_iter().filter(|path| is_news && wanted(path)) {
                if sender.try_send(path).is_err() {
                    flag.store(true, Ordering::Relaxed);
                }
            }
        };
        let watcher = notify::recommended_watcher(take);
        if let Err(error) = &watcher {
            tracing::warn!(%error, "The system tells nothing of changed files; folders are looked at again and again.");
        }
        Events { watcher: watcher.ok(), queue, is_overrun }
    }

    /// Begins to listen for a folder. False when the system will tell nothing of it.
    pub(super) fn watch(&mut self, folder: &Path) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let _ = watcher.unwatch(folder);
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "The system tells nothing of changes in a folder; it is looked at again and again.");
                false
            }
        }
    }

    /// Whether hints were lost since the last call.
    pub(super) fn were_lost(&self) -> bool {
        self.is_overrun.swap(false, Ordering::Relaxed)
    }

    /// The hints that are there.
    pub(super) fn take(&mut self) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        while let Ok(path) = self.queue.try_recv() {
            paths.push(path);
        }
        paths
    }

    /// Waits for the next hint.
    pub(super) async fn next(&mut self) -> PathBuf {
        match self.queue.recv().await {
            Some(path) => path,
            // Nobody tells anything.
            None => std::future::pending().await,
        }
    }
}
