//! Files on this machine: ours are made so that nobody else can read them, and those of others are opened only when they
//! are files.
//!
//! A pipe in a file's place is waited for until somebody writes to it, and a device may never end: neither is what a
//! person means who names a file, except for standard input, which has a name of its own (`-`).

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes a folder, and those above it, for its owner only. One that is there is left as it is.
pub fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes a file, which its owner alone can read. One that is there is left as it is.
pub fn private_file(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Whether others than its owner can read what lies at `path`.
pub fn is_open_to_others(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}

/// A path as a sentence or a line can hold it: without characters that a terminal obeys or that end a line.
pub fn shown(path: &Path) -> String {
    let escape = |char: char| match char.is_control() {
        true => char.escape_default().to_string(),
        false => char.to_string(),
    };
    path.display().to_string().chars().map(escape).collect()
}

/// Whether files of this process may only grow to a size that it was given (`ulimit -f`).
pub fn has_size_limit() -> bool {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max file size"));
    limit.is_some_and(|limit| limit.split_whitespace().next() != Some("unlimited"))
}

/// Opens the file at `path` for reading. Anything else than a file is an error that says what it is.
pub fn open(path: &Path) -> io::Result<File> {
    // Without O_NONBLOCK, to open a pipe would be to wait for whoever writes to it.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let kind = match &file {
        Ok(file) => file.metadata()?.file_type(),
        // A socket cannot be opened at all.
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => path.metadata()?.file_type(),
        Err(_) => return file,
    };
    let what = match kind {
        kind if kind.is_file() => return file,
        kind if kind.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a file")))
}

/// Reads the file at `path`, of at most `bytes_max` bytes, as text.
pub fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.take(bytes_max.saturating_add(1)).read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {bytes_max} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for (path, expected) in [
            (at("file"), Ok("text")),
            (at("link"), Ok("text")),
            (at("pipe"), Err("it is a pipe, not a file")),
            (at("socket"), Err("it is a socket, not a file")),
            (folder.path().to_owned(), Err("is a directory")),
            ("/dev/zero".into(), Err("it is a device, not a file")),
            ("/dev/null".into(), Err("it is a device, not a file")),
        ] {
            let read = read_text(&path, 10).map_err(|error| error.to_string());
            assert_eq!(read.as_deref().map_err(String::as_str), expected, "{}", path.display());
        }
        assert!(read_text(&at("file"), 3).is_err());
    }

    #[test]
    fn what_is_made_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (made, file) = (folder.path().join("a/b"), folder.path().join("a/b/c"));
        private_folder(&made).unwrap();
        private_file(&file).unwrap();
        private_file(&file).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&made), mode(&file)), (0o700, 0o600));
        assert!(!is_open_to_others(&file));
    }
}
