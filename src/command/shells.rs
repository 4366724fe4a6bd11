//! `sluicegate completions SHELL` and `sluicegate man`: made from the command line's own definition.

use std::io::{self, Write};

use clap::Args;
use clap_complete::Shell;

use super::{Done, definition};

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Done {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut definition(), "sluicegate", &mut text);
        Ok(io::stdout().lock().write_all(&text)?)
    }
}

#[derive(Debug, Args)]
pub(super) struct Man {}

impl Man {
    pub(super) fn run(self) -> Done {
        let mut text = Vec::new();
        let mut definition = definition();
        definition.build();
        pages(&definition, &mut text)?;
        Ok(io::stdout().lock().write_all(&text)?)
    }
}

/// The page of a command, and then those of its own commands: one page holds them all.
fn pages(command: &clap::Command, out: &mut Vec<u8>) -> io::Result<()> {
    clap_mangen::Man::new(command.clone()).render(out)?;
    command.get_subcommands().filter(|inner| inner.get_name() != "help").try_for_each(|inner| pages(inner, out))
}
