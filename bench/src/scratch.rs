//! Folders for one measurement, on the disk that holds the build: a disk in memory would flatter everybody who waits for
//! an fsync.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Fallible;

/// A folder that goes with this value.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes an empty one.
    pub(crate) fn new() -> Fallible<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let build = std::env::current_exe()?;
        let build = build.parent().ok_or("this program has no folder")?;
        let path = build.join("bench-data").join(format!("{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Scratch(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is in the build's folder, and goes with it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
