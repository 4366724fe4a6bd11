//! Every measurement runs, with so little to measure that all of them take seconds: what they give means nothing here.

use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    let run = Command::new(env!("CARGO_BIN_EXE_sluicegate-bench")).args(arguments).output();
    run.unwrap_or_else(|error| panic!("the program of the benchmarks does not start: {error}"))
}

fn smoke(group: &str) {
    let output = bench(&["--smoke", group]);
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{wrong}");
    assert!(said.contains("\n## "), "{said}");
}

#[test]
fn every_measurement_of_this_machine_runs() {
    smoke("local");
}

#[test]
fn every_measurement_with_servers_runs() {
    let missing = ["SLUICEGATE_TEST_POSTGRES", "SLUICEGATE_TEST_KAFKA"].map(|name| std::env::var_os(name).is_none());
    if missing.contains(&true) {
        assert_ne!(std::env::var("REQUIRE_SERVICES").as_deref(), Ok("1"), "there are no servers: dev/services up");
        eprintln!("SKIPPED: there are no servers; run dev/services up");
        return;
    }
    smoke("cluster");
}

#[test]
fn a_name_that_is_none_is_refused_with_those_that_are() {
    let output = bench(&["speed"]);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && wrong.contains("all, local, cluster, http, gate"), "{wrong}");
}
