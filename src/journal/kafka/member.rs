//! Who a process is to a consumer group: an id that outlives the process, so that one that was killed and started again
//! gets its partitions back at once, and not after its session has run out.
//!
//! The id is in a file in the data folder, one of several slots: the first that no living process holds. Where the folder
//! cannot be written, members are nameless, and a restart after a crash waits for the session.

use std::collections::{BTreeSet, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// More processes than this do not share a folder.
const SLOTS_MAX: u32 = 64;

/// The ids that this process may use.
pub(super) struct Members {
    folder: PathBuf,
    /// The id of the slot, and the file whose lock holds it as long as this process lives. It is taken when the first
    /// topic is read: a gateway or a command in the same folder must not take the place of an applier that restarts.
    slot: OnceLock<Option<(String, File)>>,
    /// The numbers in use, by group: a process may be several members of one.
    seats: Mutex<HashMap<String, BTreeSet<u32>>>,
}

/// One member's place. It is free again when this is dropped.
pub(super) struct Seat {
    members: Arc<Members>,
    group: String,
    number: u32,
}

impl Members {
    /// Of a process whose data is in `folder`.
    pub(super) fn open(folder: &Path) -> Arc<Self> {
        Arc::new(Members { folder: folder.to_owned(), slot: OnceLock::new(), seats: Mutex::default() })
    }

    /// The id of the slot: the first that is free when it is asked for.
    fn slot(&self) -> Option<&str> {
        let slot = self.slot.get_or_init(|| {
            let slot = crate::disk::private_folder(&self.folder).and_then(|()| take_slot(&self.folder));
            slot.unwrap_or_else(|error| {
                let folder = self.folder.display();
                tracing::warn!(%folder, %error, "The name of this process could not be kept: after a crash its \
                    partitions rest until Kafka's session has run out.");
                None
            })
        });
        slot.as_ref().map(|(id, _)| id.as_str())
    }

    /// A place in `group`.
    pub(super) fn seat(self: &Arc<Self>, group: &str) -> Seat {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = seats.entry(group.to_owned()).or_default();
        let number = (0..).find(|number| !taken.contains(number)).unwrap_or(u32::MAX);
        taken.insert(number);
        Seat { members: Arc::clone(self), group: group.into(), number }
    }
}

impl Seat {
    /// The id to be known by; none where it would not be the same after a restart.
    pub(super) fn instance_id(&self) -> Option<String> {
        Some(format!("{}-{}", self.members.slot()?, self.number))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.members.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = seats.get_mut(&self.group) {
            taken.remove(&self.number);
            if taken.is_empty() {
                seats.remove(&self.group);
            }
        }
    }
}

/// None when every slot is taken.
fn take_slot(folder: &Path) -> std::io::Result<Option<(String, File)>> {
    for number in 0..SLOTS_MAX {
        let path = folder.join(format!("kafka-member-{number}"));
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        if file.try_lock().is_err() {
            continue;
        }
        let mut id = String::new();
        file.read_to_string(&mut id)?;
        if uuid::Uuid::parse_str(id.trim()).is_err() {
            id = uuid::Uuid::now_v7().to_string();
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(id.as_bytes())?;
            file.sync_all()?;
        }
        return Ok(Some((id.trim().to_owned(), file)));
    }
    tracing::warn!("Too many processes share the data folder; this one is a nameless member of Kafka's groups.");
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_keeps_its_id_and_shares_it_with_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let first = Members::open(folder.path());
        let second = Members::open(folder.path());
        let ids = [&first, &second].map(|members| members.seat("g").instance_id().unwrap());
        assert_ne!(ids[0], ids[1]);
        drop(first);
        assert_eq!(Members::open(folder.path()).seat("g").instance_id().as_ref(), Some(&ids[0]), "the slot is free");
    }

    #[test]
    fn a_process_that_reads_nothing_takes_no_place() {
        let folder = tempfile::tempdir().unwrap();
        let applier = Members::open(folder.path()).seat("g").instance_id().unwrap();
        let _gateway = Members::open(folder.path());
        assert_eq!(Members::open(folder.path()).seat("g").instance_id(), Some(applier));
    }

    #[test]
    fn members_of_one_group_in_one_process_have_ids_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let members = Members::open(folder.path());
        let (first, second, other) = (members.seat("g"), members.seat("g"), members.seat("h"));
        let first_id = first.instance_id();
        assert_ne!(first_id, second.instance_id());
        assert_eq!(first_id, other.instance_id());
        drop(first);
        assert_eq!(members.seat("g").instance_id(), first_id);
    }

    #[test]
    fn a_folder_that_cannot_be_written_leaves_members_nameless() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(Members::open(&file).seat("g").instance_id(), None);
    }
}
