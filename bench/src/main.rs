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
mod export;
mod gate;
mod http;
mod latency;
mod load;
mod machine;
mod plain_json;
mod report;
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

const MEASUREMENTS: &[Measurement] = &[
    ("http", http::measure),
    ("gate", gate::measure),
    ("schema", schema::measure),
    ("append", append::measure),
    ("apply", apply::measure),
    ("deletes", deletes::measure),
    ("latency", latency::measure),
    ("startup", startup::measure),
    ("directory", directory::measure),
    ("export", export::measure),
    // With the servers of `dev/services up`.
    ("rows", cluster::rows::measure),
    ("records", cluster::records::measure),
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

fn measure(names: &[String]) -> Fallible {
    let is_known = |name: &String| name == "all" || MEASUREMENTS.iter().any(|(known, _)| known == name);
    if names.is_empty() || !names.iter().all(is_known) {
        let known: Vec<_> = MEASUREMENTS.iter().map(|(name, _)| *name).collect();
        return Err(format!("say what to measure: all, or some of {}", known.join(", ")).into());
    }
    machine::describe()?;
    for (name, measure) in MEASUREMENTS {
        if names.iter().any(|wanted| wanted == "all" || wanted == name) {
            println!("\n## {name}\n");
            measure()?;
        }
    }
    Ok(())
}
