//! How the watched folders of a stream are, for readiness.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The folders of one stream that cannot be read now.
#[derive(Debug, Default)]
pub struct Folders {
    troubles: Mutex<BTreeMap<PathBuf, String>>,
}

impl Folders {
    fn locked(&self) -> MutexGuard<'_, BTreeMap<PathBuf, String>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing in `folder` can be published, for `why`.
    pub fn is_troubled(&self, folder: &Path, why: &str) {
        self.locked().insert(folder.to_owned(), why.to_owned());
    }

    /// A folder is watched, as it should be.
    pub fn is_well(&self, folder: &Path) {
        self.locked().remove(folder);
    }

    /// Each folder in trouble, and why.
    pub fn troubles(&self) -> Vec<(String, String)> {
        self.locked().iter().map(|(folder, why)| (folder.display().to_string(), why.clone())).collect()
    }
}
