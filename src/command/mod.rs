//! The command line: one file a subcommand, each a wiring of the parts.

mod check;
mod dead_letters;
mod init;
mod output;
mod positions;
mod publish;
mod receipt;
mod rows;
mod schema;
mod tail;
mod up;
mod verify;
mod streams;
mod wiring;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::output::Output;
use crate::config::{BackendUrl, Config, Overrides};
use crate::{config, registry};

/// The gate between the people who send data and the databases that must trust it.
#[derive(Debug, Parser)]
#[command(version, long_version = registry::versions(), about, propagate_version = true, max_term_width = 110)]
pub struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Global {
    /// The configuration file [default: ./sluicegate.yaml if there]
    #[arg(long, global = true, env = "SLUICEGATE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the embedded journal and store, and a process's own files, are kept [default: ./sluicegate-data]
    #[arg(long, global = true, env = "SLUICEGATE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address that HTTP listens on [default: 127.0.0.1:8080]
    #[arg(long, global = true, env = "SLUICEGATE_LISTEN", value_name = "HOST:PORT")]
    listen: Option<String>,
    /// The journal, such as sqlite://journal.db or kafka://host:9092
    #[arg(long, global = true, env = "SLUICEGATE_JOURNAL", value_name = "URL", hide_env_values = true)]
    journal: Option<BackendUrl>,
    /// The store, such as sqlite://store.db or postgres://user@host/db
    #[arg(long, global = true, env = "SLUICEGATE_STORE", value_name = "URL", hide_env_values = true)]
    store: Option<BackendUrl>,
    /// How lists and objects print [default: table to a terminal, json elsewhere]
    #[arg(long, global = true, value_enum, value_name = "KIND")]
    output: Option<Output>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gate, apply and the watching of directories in one process, or a part
    Up(up::Up),
    /// Write a commented sluicegate.yaml
    Init(init::Init),
    /// Read the configuration, reach journal and store, say what would run and what is wrong
    Check(check::Check),
    /// Judge documents from files and append them to the journal
    Publish(publish::Publish),
    /// Print the records of a topic
    Tail(tail::Tail),
    /// Print rows of a table
    Rows(rows::Rows),
    /// Say what became of a document
    Receipt(receipt::ReceiptOf),
    /// List, show, retry or drop dead letters
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLetters),
    /// Say where each stream stands; move it
    Positions(positions::Positions),
    /// Prove that nothing accepted has disappeared
    Verify(verify::Verify),
    /// Print the JSON Schema of the configuration, for editors
    Schema(schema::Schema),
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
enum Failed {
    /// Something went wrong: exit code 1, with the chain of causes.
    Error(Box<dyn Error + Send + Sync>),
    /// Everything was said already: exit code 1.
    Said,
    /// It was called wrongly: exit code 2.
    Usage(String),
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failed {
    fn from(error: E) -> Self {
        Failed::Error(error.into())
    }
}

type Done = Result<(), Failed>;

impl Global {
    fn load(&self) -> Result<Config, config::ConfigError> {
        let overrides = Overrides {
            config: self.config.clone(),
            data: self.data.clone(),
            listen: self.listen.clone(),
            journal: self.journal.clone(),
            store: self.store.clone(),
        };
        registry::with_schemes(|schemes| config::load(&overrides, schemes))
    }
}

/// Runs the command that the arguments name.
pub fn run(arguments: Arguments) -> ExitCode {
    crate::telemetry::start();
    crate::panics::log();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("worker").build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the threads could not be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Arguments { global, command } = arguments;
    let done = runtime.block_on(async {
        if global.output == Some(Output::Value) && !matches!(command, Command::Tail(_)) {
            return Err(Failed::Usage("`--output value` is for `tail`".into()));
        }
        match command {
            Command::Up(command) => command.run(&global).await,
            Command::Init(command) => command.run(&global),
            Command::Check(command) => command.run(&global).await,
            Command::Publish(command) => command.run(&global).await,
            Command::Tail(command) => command.run(&global).await,
            Command::Rows(command) => command.run(&global).await,
            Command::Receipt(command) => command.run(&global).await,
            Command::DeadLetters(command) => command.run(&global).await,
            Command::Positions(command) => command.run(&global).await,
            Command::Verify(command) => command.run(&global).await,
            Command::Schema(command) => command.run(),
        }
    });
    // What still blocks a thread (a read from standard input) must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Said) => ExitCode::FAILURE,
        Err(Failed::Usage(text)) => {
            eprintln!("error: {text}");
            ExitCode::from(2)
        }
        Err(Failed::Error(error)) => {
            eprintln!("error: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  caused by: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}
