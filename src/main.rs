//! The binary: arguments, command, error chain, exit code.

use std::process::ExitCode;

use sluicegate::command::Arguments;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sluicegate::command::run(Arguments::of_process())
}
