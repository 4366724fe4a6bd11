//! The real servers that `dev/services` starts, found by the environment or by the file it leaves. A test that finds none
//! is skipped with one loud line; with `REQUIRE_SERVICES=1` it fails.
//!
//! Tests share them, so each makes databases and topics of its own, and none ever stops them: a test that stops servers
//! starts its own by [`Private`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio_postgres::NoTls;
use uuid::Uuid;

/// A database of one test's own, which is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Database {
    server: String,
    name: String,
}

/// The servers of one test's own, for tests that stop and start them. They are gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Private {
    folder: tempfile::TempDir,
}

/// A database in the PostgreSQL of the tests.
#[track_caller]
pub(crate) fn postgres() -> Option<Database> {
    Some(Database::create(&found("SLUICEGATE_TEST_POSTGRES", "postgres")?))
}

/// Where the Kafka of the tests is found: `host:port`. Its topics are shared: see [`unique`].
#[track_caller]
pub(crate) fn kafka() -> Option<String> {
    found("SLUICEGATE_TEST_KAFKA", "kafka")
}

/// The port of the same Kafka that wants TLS and a password, and the certificate to trust.
#[track_caller]
pub(crate) fn kafka_tls() -> Option<(String, String)> {
    if !cfg!(any(feature = "kafka-tls", feature = "kafka-tls-system")) {
        return missing("it is built without TLS for Kafka: --features kafka-tls");
    }
    Some((found("SLUICEGATE_TEST_KAFKA_TLS", "kafka")?, found("SLUICEGATE_TEST_CA", "kafka")?))
}

/// A command that comes with a service, such as `kcat`.
#[track_caller]
pub(crate) fn tool(name: &str) -> Option<Command> {
    let is_there = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()));
    if is_there {
        return Some(Command::new(name));
    }
    missing(&format!("{name} is not installed"))
}

/// Where the Pushgateway of the tests is found: `host:port`. What is pushed to it is shared: see [`unique`].
#[track_caller]
pub(crate) fn pushgateway() -> Option<String> {
    found("SLUICEGATE_TEST_PUSHGATEWAY", "pushgateway")
}

/// Where Python finds what `dev/services` installed for it.
#[track_caller]
pub(crate) fn python() -> Option<String> {
    found("SLUICEGATE_TEST_PYTHON", "pushgateway")
}

/// A name that nobody else has, for a topic or a group.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{}", Uuid::now_v7().simple())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The lines of a file that `dev/services` wrote.
fn written(file: &Path) -> HashMap<String, String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
}

#[track_caller]
fn found(variable: &str, service: &str) -> Option<String> {
    let said = std::env::var(variable).ok().filter(|value| !value.is_empty());
    said.or_else(|| written(&root().join("target/services/env")).remove(variable))
        .or_else(|| missing(&format!("there is no {service}: dev/services up {service}")))
}

/// Skips the test, or fails it.
#[track_caller]
pub(crate) fn missing<T>(what: &str) -> Option<T> {
    assert!(std::env::var_os("REQUIRE_SERVICES").is_none_or(|value| value != "1"), "{what}");
    let thread = std::thread::current();
    let line = format!("SKIPPED {}: {what}\n", thread.name().unwrap_or("a test"));
    // Past the harness, which hides what passing tests print.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    None
}

/// Runs one statement on a thread of its own, since a test may already be asynchronous.
fn execute(url: &str, sql: &str) -> Result<(), String> {
    let (url, sql) = (url.to_owned(), sql.to_owned());
    let run = async move {
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        let connection = tokio::spawn(connection);
        let done = client.batch_execute(&sql).await;
        drop(client);
        let _ = connection.await;
        done
    };
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = std::thread::spawn(move || runtime().block_on(run)).join().unwrap();
    done.map_err(|error| format!("{error}: {:?}", error.as_db_error()))
}

impl Database {
    /// Creates a database in the server that `server` is the URL of.
    #[track_caller]
    pub(crate) fn create(server: &str) -> Self {
        let name = format!("test_{}", Uuid::now_v7().simple());
        if let Err(error) = execute(server, &format!("CREATE DATABASE {name}")) {
            panic!("PostgreSQL at {server} makes no database: {error}");
        }
        Database { server: server.into(), name }
    }

    /// The URL of the database.
    pub(crate) fn url(&self) -> String {
        let (before, _) = self.server.rsplit_once('/').expect("a URL ends with a database");
        format!("{before}/{}", self.name)
    }

    /// Runs statements in the database.
    #[track_caller]
    pub(crate) fn execute(&self, sql: &str) {
        if let Err(error) = execute(&self.url(), sql) {
            panic!("{sql}: {error}");
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(error) = execute(&self.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)) {
            eprintln!("the database {} stays behind: {error}", self.name);
        }
    }
}

impl Private {
    /// Starts servers; the arguments are those of `dev/services up`, such as `["kafka", "--kafka-nodes", "3"]`.
    #[track_caller]
    pub(crate) fn up(arguments: &[&str]) -> Option<Self> {
        let private = Private { folder: tempfile::TempDir::with_prefix("sluicegate-services-").unwrap() };
        match private.run("up", arguments) {
            Ok(()) => Some(private),
            Err(error) => missing(&error),
        }
    }

    /// Ends a server, by `["kafka"]` or as a crash does by `["kafka", "--immediate"]`; its data stays.
    #[track_caller]
    pub(crate) fn stop(&self, arguments: &[&str]) {
        self.run("stop", arguments).unwrap();
    }

    /// Starts it again at the same address.
    #[track_caller]
    pub(crate) fn start(&self, arguments: &[&str]) {
        self.run("start", arguments).unwrap();
    }

    /// Where Kafka is found.
    #[track_caller]
    pub(crate) fn kafka(&self) -> String {
        written(&self.folder.path().join("env")).remove("SLUICEGATE_TEST_KAFKA").expect("Kafka was started")
    }

    /// The URL of PostgreSQL.
    #[track_caller]
    pub(crate) fn postgres(&self) -> String {
        written(&self.folder.path().join("env")).remove("SLUICEGATE_TEST_POSTGRES").expect("PostgreSQL was started")
    }

    /// The process of a node of Kafka, counted from 1.
    #[track_caller]
    pub(crate) fn kafka_pid(&self, node: u32) -> u32 {
        let file: PathBuf = self.folder.path().join(format!("kafka-{node}/pid"));
        std::fs::read_to_string(file).unwrap().trim().parse().unwrap()
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Result<(), String> {
        let mut script = Command::new(root().join("dev/services"));
        script.arg(command).args(arguments).arg("--dir").arg(self.folder.path());
        // Not a pipe: the servers would keep it open.
        let said = tempfile::tempfile().unwrap();
        let output = script.stdout(std::process::Stdio::null()).stderr(said.try_clone().unwrap());
        let status = output.status().map_err(|error| format!("dev/services cannot be run: {error}"))?;
        if status.success() {
            return Ok(());
        }
        use std::io::{Read as _, Seek as _};
        let (mut said, mut text) = (said, String::new());
        said.rewind().unwrap();
        let _ = said.read_to_string(&mut text);
        Err(format!("dev/services {command} {}: {}", arguments.join(" "), text.trim()))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if let Err(error) = self.run("down", &[]) {
            eprintln!("{error}");
        }
    }
}
