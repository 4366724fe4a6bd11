//! Measures Sluicegate beside plain programs that do the least of the same work, in one run on one machine.
//!
//! Every figure is a ratio of two medians whose rounds took turns. Nothing here judges whether Sluicegate is right; the
//! tests do that.

mod append;
mod apply;
mod client;
mod cluster;
mod deletes;
mod directory;
mod documents;
mod events;
mod export;
mod gate;
mod http;
mod keys;
mod latency;
mod load;
mod machine;
mod plain_json;
mod report;
mod scale;
mod schema;
mod scratch;
mod server;
mod startup;

use std::error::Error;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a measurement gives; any failure ends the run.
type Fallible<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// A measurement's name, and what runs it.
type Measurement = (&'static str, fn() -> Fallible);

/// Names that stand for several measurements.
const GROUPS: [&str; 3] = ["all", "local", "cluster"];

/// What needs nothing but this machine: `local`.
const LOCAL: &[Measurement] = &[
    ("http", http::measure),
    ("gate", gate::measure),
    ("schema", schema::measure),
    ("append", append::measure),
    ("apply", apply::measure),
    ("keys", keys::measure),
    ("deletes", deletes::measure),
    ("latency", latency::measure),
    ("startup", startup::measure),
    ("directory", directory::measure),
    ("export", export::measure),
];

/// What needs the servers of `dev/services up`: `cluster`.
const CLUSTER: &[Measurement] = &[
    ("rows", cluster::rows::measure),
    ("records", cluster::records::measure),
    ("cluster-keys", cluster::keys::measure),
    ("mixture", cluster::mixture::measure),
    ("kafka", cluster::http::measure),
    ("cluster-latency", cluster::latency::measure),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map_or("", String::as_str) {
        // What this program starts itself in processes of their own.
        server::PLAIN => server::serve_plain(),
        cluster::http::PLAIN => cluster::http::serve_plain(&arguments[1..]),
        load::LOAD => load::serve(&arguments[1..]),
        _ => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &[String]) -> Fallible {
    let (flags, names): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| argument.starts_with("--"));
    for flag in flags {
        match flag.as_str() {
            "--smoke" => scale::smoke(),
            other => return Err(format!("there is no flag {other}; --smoke measures next to nothing").into()),
        }
    }
    let known = || LOCAL.iter().chain(CLUSTER);
    let is_known = |wanted: &str| GROUPS.contains(&wanted) || known().any(|(name, _)| *name == wanted);
    if names.is_empty() || !names.iter().all(|name| is_known(name)) {
        let known: Vec<_> = GROUPS.into_iter().chain(known().map(|(name, _)| *name)).collect();
        return Err(format!("say what to measure: {}", known.join(", ")).into());
    }
    machine::describe()?;
    for (group, measurements) in [("local", LOCAL), ("cluster", CLUSTER)] {
        for (name, measure) in measurements {
            if names.iter().any(|wanted| *wanted == "all" || *wanted == group || wanted == name) {
                println!("\n## {name}\n");
                measure()?;
            }
        }
    }
    Ok(())
}
