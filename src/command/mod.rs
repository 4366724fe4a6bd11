//! The command line: one file a subcommand, each a wiring of the parts.

mod backup;
mod capability;
mod check;
mod dead_letters;
mod door;
mod examples;
mod generate;
mod init;
mod output;
mod plans;
mod positions;
mod publish;
mod receipt;
mod rollups;
mod rows;
mod schema;
mod shells;
mod tail;
mod up;
mod verify;
mod streams;
mod try_line;
mod watch;
mod wiring;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use self::output::Output;
use crate::config::{BackendUrl, Config, LogFormat, Overrides};
use crate::problem::ProblemType;
use crate::query::Unanswered;
use crate::telemetry::{self, Logging, judge_level};
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
#[command(next_help_heading = "Global options")]
struct Global {
    /// The configuration, a file of YAML [default: ./sluicegate.yaml if there]
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
    /// How lists and objects print: table, json (one value), ndjson (one item a line) or csv; `tail`: value or json
    /// [default: table to a terminal, json elsewhere; `tail`: value]
    #[arg(long, global = true, value_enum, value_name = "KIND", hide_possible_values = true)]
    output: Option<Output>,
    /// What is logged: off, error, warn, info, debug or trace; also by module, as in info,sluicegate::apply=debug, and
    /// info,access=debug for a line a request [default: info]
    #[arg(long, global = true, env = "SLUICEGATE_LOG_LEVEL", value_name = "LEVEL", conflicts_with = "quiet")]
    log_level: Option<String>,
    /// How it is logged, on standard error: text or json [default: text]
    #[arg(long, global = true, env = "SLUICEGATE_LOG", value_name = "FORMAT", value_parser = log_format)]
    log: Option<String>,
    /// Log errors only, greet nobody, show no progress
    #[arg(long, short, global = true)]
    quiet: bool,
}

/// A word of [`LogFormat`]; empty counts as not said, as it does in other variables.
fn log_format(text: &str) -> Result<String, String> {
    match text {
        "" | "text" | "json" => Ok(text.to_owned()),
        _ => Err("write text or json".into()),
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gate, apply, rollups and the watching of directories in one process, or a part
    Up(up::Up),
    /// Write a commented sluicegate.yaml
    Init(init::Init),
    /// Read the configuration, reach journal and store, say what would run and what is wrong
    Check(check::Check),
    /// Judge documents from files and append them to the journal
    Publish(publish::Publish),
    /// Make documents up, for a stream or for standard output
    Generate(generate::Generate),
    /// Print the records of a topic
    Tail(tail::Tail),
    /// Print rows of a table
    Rows(rows::Rows),
    /// Say what became of a document
    Receipt(receipt::ReceiptOf),
    /// Say how far the rollups are, and print their summaries
    Rollups(rollups::Rollups),
    /// List, show, retry or drop dead letters
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLetters),
    /// Say where each stream stands; move it
    Positions(positions::Positions),
    /// Copy the embedded journal and store while they are in use
    Backup(backup::Backup),
    /// Prove that nothing accepted has disappeared
    Verify(verify::Verify),
    /// Print the JSON Schema of the configuration, for editors
    Schema(schema::Schema),
    /// Print what a shell needs to complete commands and options
    Completions(shells::Completions),
    /// Print the manual page, for `man`
    Man(shells::Man),
}

impl Arguments {
    /// The arguments of this process. Help, the version and wrong usage end it.
    pub fn of_process() -> Self {
        let matches = definition().get_matches();
        Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// The command line, with the examples that each `--help` ends with.
fn definition() -> clap::Command {
    examples::add(Arguments::command())
}

impl Command {
    /// The kinds of output that it has.
    fn outputs(&self) -> &'static [Output] {
        match self {
            Command::Tail(_) => &[Output::Value, Output::Json],
            Command::Rows(_) | Command::Receipt(_) | Command::Rollups(_) | Command::DeadLetters(_) => output::LISTS,
            Command::Positions(_) | Command::Backup(_) | Command::Verify(_) => output::LISTS,
            // Theirs is text for people, or one form that is what it is.
            Command::Publish(_) | Command::Generate(_) => &[Output::Table, Output::Json],
            Command::Up(_) | Command::Init(_) | Command::Check(_) => &[],
            Command::Schema(_) | Command::Completions(_) | Command::Man(_) => &[],
        }
    }

    /// Whether it has the kind that was asked for; says which it has.
    fn refuse_output(&self, asked: Option<Output>) -> Done {
        let Some(asked) = asked.filter(|asked| !self.outputs().contains(asked)) else { return Ok(()) };
        let kinds: Vec<_> = self.outputs().iter().map(|kind| kind.word()).collect();
        let asked = asked.word();
        Err(Failed::Usage(match kinds.split_last() {
            None => format!("this command has no `--output {asked}`: it prints no list and no object"),
            Some((last, rest)) => {
                format!("this command has no `--output {asked}`; it has {} and {last}", rest.join(", "))
            }
        }))
    }
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

impl Failed {
    /// A question that was not answered. One that cannot be asked was written wrongly.
    fn of(unanswered: Unanswered) -> Self {
        match unanswered.problem.kind {
            ProblemType::BadQuery => Failed::Usage(unanswered.problem.detail),
            _ => unanswered.into(),
        }
    }
}

type Done = Result<(), Failed>;

impl Global {
    /// Reads the configuration, and begins to log as it and the flags say.
    fn load(&self) -> Result<Config, config::ConfigError> {
        let from_environment = || std::env::var("RUST_LOG").ok().filter(|level| judge_level(level).is_ok());
        let quiet = self.quiet.then(|| "error".to_owned());
        let overrides = Overrides {
            config: self.config.clone(),
            data: self.data.clone(),
            listen: self.listen.clone(),
            journal: self.journal.clone(),
            store: self.store.clone(),
            log_level: quiet.or_else(|| self.log_level.clone().filter(|it| !it.is_empty())).or_else(from_environment),
            log_format: self.log.as_deref().and_then(|word| match word {
                "json" => Some(LogFormat::Json),
                "text" => Some(LogFormat::Text),
                _ => None,
            }),
        };
        let config = registry::with_schemes(|schemes| config::load(&overrides, schemes))?;
        let is_json = config.log.format == LogFormat::Json;
        telemetry::start(Logging { level: &config.log.level, is_json, access: config.log.access });
        crate::panics::log();
        Ok(config)
    }
}

/// Runs the command that the arguments name.
pub fn run(arguments: Arguments) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("worker").build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the threads could not be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Arguments { global, command } = arguments;
    let done = runtime.block_on(async {
        crate::shutdown::survive_file_limits()?;
        command.refuse_output(global.output)?;
        match command {
            Command::Up(command) => command.run(&global).await,
            Command::Init(command) => command.run(&global),
            Command::Check(command) => command.run(&global).await,
            Command::Publish(command) => command.run(&global).await,
            Command::Generate(command) => command.run(&global).await,
            Command::Tail(command) => command.run(&global).await,
            Command::Rows(command) => command.run(&global).await,
            Command::Receipt(command) => command.run(&global).await,
            Command::Rollups(command) => command.run(&global).await,
            Command::DeadLetters(command) => command.run(&global).await,
            Command::Positions(command) => command.run(&global).await,
            Command::Backup(command) => command.run(&global).await,
            Command::Verify(command) => command.run(&global).await,
            Command::Schema(command) => command.run(),
            Command::Completions(command) => command.run(),
            Command::Man(command) => command.run(),
        }
    });
    // What still blocks a thread (a read from standard input) must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Said) => ExitCode::FAILURE,
        Err(Failed::Usage(text)) => {
            eprintln!("error: {}", lines(&text));
            ExitCode::from(2)
        }
        // Whoever read the output has had enough, as `head` has.
        Err(Failed::Error(error)) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(Failed::Error(error)) => {
            eprintln!("error: {}", lines(&error.to_string()));
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  caused by: {}", lines(&error.to_string()));
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// What a terminal shows as it stands: names of files may hold anything. The lines of a sentence stay.
fn lines(text: &str) -> String {
    let escape = |char: char| match char.is_control() && char != '\n' {
        true => char.escape_default().to_string(),
        false => char.to_string(),
    };
    text.chars().map(escape).collect()
}
