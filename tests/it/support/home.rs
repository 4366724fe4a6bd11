//! A directory of one test's own, and the commands that run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::Process;

/// The working directory of every process of a test: its configuration, its files, its data.
#[derive(Debug)]
pub(crate) struct Home {
    directory: TempDir,
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Fails unless the command left with this code.
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("{error} in {:?}, stderr: {}", self.stdout, self.stderr),
        }
    }
}

impl Home {
    /// A home without a configuration.
    pub(crate) fn new() -> Self {
        Home { directory: TempDir::with_prefix("sluicegate-").expect("a temporary directory") }
    }

    /// A home with a `sluicegate.yaml`.
    pub(crate) fn with(config: &str) -> Self {
        let home = Self::new();
        home.write("sluicegate.yaml", config);
        home
    }

    /// A file or directory in it.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("the home is writable");
        path
    }

    /// The journal's file.
    pub(crate) fn journal(&self) -> PathBuf {
        self.path("data/journal.db")
    }

    /// The store's file.
    pub(crate) fn store(&self) -> PathBuf {
        self.path("data/store.db")
    }

    /// The binary with this home's data, blind to the variables of whoever runs the tests.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluicegate"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SLUICEGATE_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command.current_dir(self.directory.path()).arg("--data").arg(self.path("data")).args(arguments);
        if arguments.first() == Some(&"check") {
            // It looks whether it could listen, and other tests may listen where nobody says otherwise.
            command.env("SLUICEGATE_LISTEN", "127.0.0.1:0");
        }
        command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// `sluicegate up`, listening on a port of its own.
    #[track_caller]
    pub(crate) fn up(&self) -> Process {
        self.up_with(&[])
    }

    /// `sluicegate up` with further arguments, once it listens.
    #[track_caller]
    pub(crate) fn up_with(&self, arguments: &[&str]) -> Process {
        let arguments = [&["up", "--listen", "127.0.0.1:0"], arguments].concat();
        Process::start(&mut self.command(&arguments)).listening()
    }

    /// Starts a process in the background, such as `["up", "--role", "apply"]`.
    pub(crate) fn start(&self, arguments: &[&str]) -> Process {
        Process::start(&mut self.command(arguments))
    }

    /// Runs a command to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, b"")
    }

    /// Runs a command with standard input.
    #[track_caller]
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        use std::io::Write as _;
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut pipe = child.stdin.take().expect("standard input is a pipe");
        let input = input.to_vec();
        // A program that leaves early reads no further, which is its good right.
        let writer = std::thread::spawn(move || pipe.write_all(&input));
        let output = child.wait_with_output().expect("the program ends");
        let _ = writer.join();
        Ran {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The bytes of a file under `tests/fixtures`.
#[track_caller]
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
