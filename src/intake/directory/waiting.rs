//! Files that are not at rest yet, and when each is to be looked at again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::memory::Look;

/// So many files are waited for one by one; further ones are found by the next look at the whole folder.
const FILES_MAX: usize = 10_000;

/// The files, each with how it looked.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    files: HashMap<PathBuf, File>,
    is_overrun: bool,
}

#[derive(Debug)]
struct File {
    /// How it looked; none when nobody has looked yet.
    look: Option<Look>,
    /// Since when it has looked so.
    since: Instant,
    due: Instant,
}

impl Waiting {
    /// Somebody said that a file changed: it is looked at when it may rest.
    pub(super) fn hint(&mut self, path: PathBuf, rest: Duration) {
        if self.files.len() >= FILES_MAX && !self.files.contains_key(&path) {
            self.is_overrun = true;
            return;
        }
        let now = Instant::now();
        let file = self.files.entry(path).or_insert(File { look: None, since: now, due: now });
        // What changes all the time is looked at all the same.
        file.due = if file.look.is_none() { now + rest } else { file.due.min(now + rest) };
    }

    /// Waits until a file that looks so has rested for `rest`.
    pub(super) fn wait(&mut self, path: &Path, look: &Look, rest: Duration) {
        let now = Instant::now();
        let is_full = self.files.len() >= FILES_MAX;
        match self.files.get_mut(path) {
            Some(file) if file.look == Some(*look) => file.due = (file.since + rest).max(now + rest / 8),
            Some(file) => *file = File { look: Some(*look), since: now, due: now + rest },
            None if is_full => self.is_overrun = true,
            None => {
                self.files.insert(path.to_owned(), File { look: Some(*look), since: now, due: now + rest });
            }
        }
    }

    /// For how long a file has been seen to look so.
    pub(super) fn rested(&self, path: &Path, look: &Look) -> Duration {
        let file = self.files.get(path).filter(|file| file.look == Some(*look));
        file.map_or(Duration::ZERO, |file| file.since.elapsed())
    }

    pub(super) fn forget(&mut self, path: &Path) {
        self.files.remove(path);
    }

    /// The files whose time has come.
    pub(super) fn due(&self) -> Vec<PathBuf> {
        let now = Instant::now();
        self.files.iter().filter(|(_, file)| file.due <= now).map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.files.values().map(|file| file.due).min()
    }

    /// Whether files were not taken in, and there is room for them now.
    pub(super) fn has_room_again(&mut self) -> bool {
        self.files.len() < FILES_MAX / 2 && std::mem::take(&mut self.is_overrun)
    }
}
