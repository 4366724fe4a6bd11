//! The servers that are measured, each in a process of its own: Sluicegate, and a handler that only reads the body.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use tokio::net::TcpListener;

use crate::Fallible;
use crate::load::PATH;

/// The hidden subcommand that serves the baseline.
pub(crate) const PLAIN: &str = "plain-server";

const SAYS: &str = "listens on http://";

/// A running server. It is killed with this value.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

/// The binary to measure, beside this one.
pub(crate) fn sluicegate() -> Fallible<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("sluicegate");
    if path.exists() {
        return Ok(path);
    }
    let hint = "build it first: cargo build --profile dist --workspace";
    Err(format!("there is no {}; {hint}", path.display()).into())
}

impl Server {
    /// `sluicegate up` on the data in `data`, with further arguments.
    pub(crate) fn up(data: &Path, more: &[&str]) -> Fallible<Self> {
        let mut command = Command::new(sluicegate()?);
        // Without a configuration of the folder it is started in, and without one of the environment.
        command.current_dir(data).env_clear().args(["up", "--listen", "127.0.0.1:0", "--data", "."]).args(more);
        Server::start(command)
    }

    /// The handler that reads the body and answers 200.
    pub(crate) fn plain() -> Fallible<Self> {
        Server::of_this(&[PLAIN])
    }

    /// A hidden subcommand of this program that serves.
    pub(crate) fn of_this(arguments: &[&str]) -> Fallible<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments);
        Server::start(command)
    }

    fn start(mut command: Command) -> Fallible<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().ok_or("the server has no standard error")?).lines();
        let mut server = Server { child, address: String::new() };
        let mut said = String::new();
        for line in lines.by_ref() {
            let line = line?;
            if let Some((_, address)) = line.split_once(SAYS) {
                server.address = address.trim().to_owned();
                // What it says later must not fill the pipe.
                std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
                return Ok(server);
            }
            said.push_str(&line);
        }
        Err(format!("the server did not start: {said}").into())
    }

    /// The processor time it took so far.
    pub(crate) fn cpu_seconds(&self) -> Fallible<f64> {
        crate::load::cpu_seconds(&self.child.id().to_string())
    }

    /// The most memory it had resident so far, in MiB.
    pub(crate) fn peak_memory_mib(&self) -> Fallible<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves the baseline until it is killed.
pub(crate) fn serve_plain() -> Fallible {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        eprintln!("{SAYS}{}", listener.local_addr()?);
        let handler = |body: Bytes| async move {
            std::hint::black_box(&body);
        };
        axum::serve(listener, Router::new().route(PATH, post(handler))).await?;
        Ok(())
    })
}
