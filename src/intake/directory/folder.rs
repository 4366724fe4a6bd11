//! A watched folder: found, listened for, and complained about when it cannot be read.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::events::Events;
use super::health::Folders;

/// A watched folder.
pub(super) struct Folder {
    /// As the configuration has it.
    said: PathBuf,
    /// From the root on, without links: as the system tells of it.
    pub(super) path: PathBuf,
    /// The same, as the memory knows it; none while it is not there.
    pub(super) name: Option<Rc<[u8]>>,
    /// Device and inode of the folder that the system tells of.
    told: Option<(u64, u64)>,
    /// What was complained about last.
    complaint: Option<String>,
    health: Arc<Folders>,
}

impl Folder {
    pub(super) fn new(path: &Path, health: &Arc<Folders>) -> Self {
        let health = Arc::clone(health);
        Folder { said: path.to_owned(), path: PathBuf::new(), name: None, told: None, complaint: None, health }
    }

    /// Looks whether it is there. True when it is again, and has to be looked through.
    pub(super) fn is_back(&mut self, events: &mut Events) -> bool {
        match self.find(events) {
            Ok(()) => self.complaint.is_some(),
            Err(error) => {
                self.complain(&error);
                false
            }
        }
    }

    /// It was read.
    pub(super) fn is_well(&mut self) {
        if self.complaint.take().is_some() {
            tracing::info!(folder = %self.said.display(), "A watched folder can be read again.");
        }
        self.health.is_well(&self.said);
    }

    /// Finds the folder, and listens for it.
    pub(super) fn find(&mut self, events: &mut Events) -> std::io::Result<()> {
        let metadata = fs::metadata(&self.said)?;
        let inode = (metadata.dev(), metadata.ino());
        if self.name.is_none() || self.told.is_some_and(|told| told != inode) {
            self.path = self.said.canonicalize()?;
            self.name = Some(self.path.as_os_str().as_bytes().into());
            self.told = events.watch(&self.path).then_some(inode);
        }
        Ok(())
    }

    /// Says once what is wrong with it.
    pub(super) fn complain(&mut self, error: &std::io::Error) {
        let words = error.to_string();
        if self.complaint.as_ref() != Some(&words) {
            tracing::warn!(folder = %self.said.display(), %error, "A watched folder cannot be read; it is tried again.");
            self.health.is_troubled(&self.said, &format!("it cannot be read: {words}; it is tried again"));
            self.complaint = Some(words);
        }
        self.name = None;
    }
}
