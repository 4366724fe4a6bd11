//! `--watch`: an answer that is given again and again, until Ctrl-C.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::Args;

use super::Done;
use crate::config::parse_period;
use crate::shutdown::Signals;

/// Between two answers when nothing is said.
const EVERY: &str = "2s";

/// More often than this nobody reads it.
const EVERY_MIN: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
pub(super) struct Watch {
    /// Print it again and again, over itself on a terminal; every 2s, or as often as said, such as 500ms, 5s, 1m
    #[arg(long, value_name = "EVERY", num_args = 0..=1, default_missing_value = EVERY, value_parser = every)]
    watch: Option<Duration>,
}

fn every(text: &str) -> Result<Duration, String> {
    parse_period(text).map(|every| every.max(EVERY_MIN))
}

impl Watch {
    /// Prints once, or again and again.
    pub(super) async fn run(&self, mut print: impl AsyncFnMut() -> Done) -> Done {
        let Some(every) = self.watch else { return print().await };
        let mut signals = Signals::listen()?;
        loop {
            if io::stdout().is_terminal() {
                // To the upper left corner, and everything below it away.
                write!(io::stdout().lock(), "\x1b[H\x1b[2J")?;
            }
            print().await?;
            io::stdout().lock().flush()?;
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = signals.next() => return Ok(()),
            }
        }
    }
}
