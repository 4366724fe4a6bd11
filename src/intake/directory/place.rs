//! What lies in a watched folder: which names are files of documents, how a file looks, how it is opened.
//!
//! Symbolic links and special files are never followed or opened.

use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::memory::Look;

/// What the names of files of documents end in.
const ENDINGS: [&[u8]; 5] = [b".json", b".ndjson", b".jsonl", b".yaml", b".yml"];

/// What the name of the file ends in that says what is wrong with another.
const PROBLEM: &str = ".problem.json";

/// Whether a file of that name holds documents. Hidden files are others' business: `rsync` and editors write them first.
pub(super) fn is_wanted(name: &OsStr) -> bool {
    let name = name.as_bytes().to_ascii_lowercase();
    !name.starts_with(b".")
        && !name.ends_with(PROBLEM.as_bytes())
        && ENDINGS.iter().any(|ending| name.len() > ending.len() && name.ends_with(ending))
}

/// The file beside `path` that says what is wrong with it.
pub(super) fn problem_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(PROBLEM);
    path.with_file_name(name)
}

/// How a file looks; none when it is no plain file.
pub(super) fn look(metadata: &Metadata) -> Option<Look> {
    let ns = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    metadata.is_file().then(|| Look {
        size: i64::try_from(metadata.size()).unwrap_or(i64::MAX),
        modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
        changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        inode: metadata.ino().cast_signed(),
    })
}

/// How long ago a file changed, by the clock; nothing when that lies in the future.
pub(super) fn age(look: &Look) -> Duration {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let changed = u64::try_from(look.modified_ns.max(look.changed_ns)).unwrap_or(0);
    now.saturating_sub(Duration::from_nanos(changed))
}

/// Opens the plain file at `path`; none when something else lies there meanwhile, or it looks otherwise.
pub(super) fn open(path: &Path, expected: &Look) -> io::Result<Option<File>> {
    // A link that took the file's place is not followed, and a pipe that did is not waited for.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => return Ok(None),
        opened => opened?,
    };
    Ok((look(&file.metadata()?).as_ref() == Some(expected)).then_some(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_documents_are_known_by_their_names() {
        for (name, expected) in [
            ("a.json", true),
            ("a.b.ndjson", true),
            ("ä.yaml", true),
            ("a.yml", true),
            ("a.jsonl", true),
            ("a.JSONL", true),
            ("a.json.problem.json", false),
            (".a.json", false),
            (".json", false),
            ("a.JSON", true),
            ("a.json~", false),
            ("a.json.tmp", false),
            ("a", false),
        ] {
            assert_eq!(is_wanted(OsStr::new(name)), expected, "{name}");
        }
        assert_eq!(problem_path(Path::new("/x/a.json")), Path::new("/x/a.json.problem.json"));
    }

    #[test]
    fn links_and_pipes_are_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        std::fs::write(&path, "1").unwrap();
        let expected = look(&path.symlink_metadata().unwrap()).unwrap();
        assert!(open(&path, &expected).unwrap().is_some());
        let link = folder.path().join("link.json");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(look(&link.symlink_metadata().unwrap()), None);
        assert!(open(&link, &expected).unwrap().is_none());
        let pipe = folder.path().join("pipe.json");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success() && open(&pipe, &expected).unwrap().is_none());
    }
}
