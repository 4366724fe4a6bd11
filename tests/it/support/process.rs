//! A running `sluicegate`, and how it ends.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{PATIENCE, Target, eventually};

/// A process that is killed when it goes out of scope, and whose log is shown when the test has failed.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    said: Arc<(Mutex<String>, Condvar)>,
    address: Option<SocketAddr>,
}

impl Process {
    /// Starts a command and gathers what it says on standard error.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let said = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let mut lines = BufReader::new(child.stderr.take().expect("standard error is a pipe"));
        let teller = Arc::clone(&said);
        thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|count| count > 0) {
                teller.0.lock().unwrap().push_str(&line);
                teller.1.notify_all();
                line.clear();
            }
        });
        Process { child, said, address: None }
    }

    /// Waits until it says where it listens.
    #[track_caller]
    pub(crate) fn listening(mut self) -> Self {
        let said = self.wait_to_say("listens on http://");
        let address = said.split("listens on http://").nth(1).and_then(|rest| rest.split_whitespace().next());
        self.address = Some(address.unwrap().parse().unwrap());
        self
    }

    /// Waits until standard error holds a text in a whole line, and gives all that was said.
    #[track_caller]
    pub(crate) fn wait_to_say(&self, text: &str) -> String {
        self.wait_to_say_after(0, text)
    }

    /// Like [`Process::wait_to_say`], in what is said after the first `begin` bytes; gives that alone.
    #[track_caller]
    pub(crate) fn wait_to_say_after(&self, begin: usize, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut said = self.said.0.lock().unwrap();
        while !said[begin..].contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // A panic under the lock would keep the log from whoever tidies up.
                drop(said);
                panic!("{text:?} was not said within {PATIENCE:?} in: {}", self.said());
            }
            said = self.said.1.wait_timeout(said, left).unwrap().0;
        }
        said[begin..].to_owned()
    }

    /// Everything on standard error so far.
    pub(crate) fn said(&self) -> String {
        self.said.0.lock().unwrap().clone()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status();
        assert!(status.is_ok_and(|status| status.success()), "SIG{name} could not be sent");
    }

    /// Sends a signal, if the process is still there.
    pub(crate) fn signal_if_there(&self, name: &str) {
        let _ = Command::new("sh").args(["-c", &format!("kill -{name} {} 2>&1", self.id())]).output();
    }

    /// Asks it to drain and leave, and waits until it has.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended(PATIENCE)
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it has left by itself.
    #[track_caller]
    pub(crate) fn ended(&mut self, deadline: Duration) -> ExitStatus {
        eventually(deadline, "the process leaves", || self.child.try_wait().expect("it is ours"))
    }

    /// Its standard input, when it was given a pipe.
    pub(crate) fn input(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().expect("standard input is a pipe")
    }
}

impl Target for Process {
    #[track_caller]
    fn address(&self) -> SocketAddr {
        self.address.expect("it listens")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("-- standard error of the process --\n{}", self.said());
        }
    }
}
