//! Feeds the parsers of Sluicegate what nobody would send, guided by what the compiler tells of the code that ran.
//!
//! `fuzz/run` builds it and chooses a parser by `SLUICEGATE_FUZZ`. A parser that panics, hangs or takes too much memory is
//! found by libFuzzer; what else must hold is asserted beside each.

#![no_main]

mod configuration;
mod documents;
mod filters;
mod json;
mod names;
mod requests;
mod schemas;
mod templates;
mod values;

use std::sync::OnceLock;

/// Takes one input.
type Target = fn(&[u8]);

/// The parsers, by the word that `fuzz/run` takes.
const TARGETS: &[(&str, Target)] = &[
    ("json", json::json),
    ("pointers", json::pointers),
    ("changes", documents::changes),
    ("lines", documents::lines),
    ("yaml", documents::yaml),
    ("events", documents::events),
    ("cloud_events", documents::cloud_events),
    ("values", values::values),
    ("decimals", values::decimals),
    ("moments", values::moments),
    ("schemas", schemas::schemas),
    ("filters", filters::filters),
    ("templates", templates::templates),
    ("requests", requests::requests),
    ("configuration", configuration::configuration),
    ("names", names::names),
];

fn target() -> Target {
    static CHOSEN: OnceLock<Target> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let word = std::env::var("SLUICEGATE_FUZZ").unwrap_or_default();
        match TARGETS.iter().find(|(known, _)| *known == word) {
            Some((_, target)) => *target,
            None => {
                let known: Vec<_> = TARGETS.iter().map(|(word, _)| *word).collect();
                eprintln!("SLUICEGATE_FUZZ names no parser; there are: {}", known.join(" "));
                std::process::exit(2);
            }
        }
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| target()(data));
