//! Log lines: full sentences with fields, on standard error, as text or as JSON. `NO_COLOR` is obeyed.
//!
//! What a level is, is judged here; where it comes from (flag, variable, file) is the business of `config` and `command`.

mod plain;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// What the lines of the access log name as their module: one for each request.
pub const ACCESS: &str = "access";

/// The words of levels, from few lines to many.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// How and what is logged.
#[derive(Debug, Clone, Copy)]
pub struct Logging<'l> {
    /// A level, or levels by module, which [`judge_level`] has found good.
    pub level: &'l str,
    /// A JSON object a line, in place of text.
    pub is_json: bool,
    /// Also a line for each request.
    pub access: bool,
}

/// Whether a text is a level, or a list of them by module: `info`, `info,sluicegate::apply=debug`. Says what would be right.
pub fn judge_level(text: &str) -> Result<(), String> {
    let right = "write off, error, warn, info, debug or trace, or with modules `info,sluicegate::apply=debug`";
    for part in text.split(',').map(str::trim) {
        // A bare word that is no level would be taken for a module, and log everything of it and nothing of all others.
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level).to_ascii_lowercase();
        if !LEVELS.contains(&&*level) {
            return Err(format!("{part:?} names no level; {right}"));
        }
    }
    EnvFilter::try_new(text.replace(' ', ""))
        .map(drop)
        .map_err(|error| format!("{text:?} is no filter ({error}); {right}"))
}

/// Starts logging for this process. A second call, as in tests, changes nothing.
pub fn start(logging: Logging<'_>) {
    let mut filter = EnvFilter::new(logging.level.replace(' ', ""));
    let access = logging.access.then(|| format!("{ACCESS}=debug"));
    // The driver would write the values of statements, which are documents, whatever the level of ours.
    for directive in ["tokio_postgres=info"].into_iter().chain(access.as_deref()) {
        filter = match directive.parse() {
            Ok(directive) => filter.add_directive(directive),
            Err(_) => filter,
        };
    }
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(plain::Plain::stderr).with_target(false);
    let _ = match logging.is_json {
        true => lines.json().flatten_event(true).with_ansi(false).try_init(),
        false => lines.with_ansi(color).try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_words_or_lists_by_module() {
        for good in ["info", "WARN", "off", "info,sluicegate::apply=debug", "error, access=debug", "sluicegate=trace"] {
            assert_eq!(judge_level(good), Ok(()), "{good}");
        }
        for bad in ["", "inf", "verbose", "info,", "sluicegate", "sluicegate=loud", "info,=", "5x", "info debug"] {
            assert!(judge_level(bad).unwrap_err().contains("write off"), "{bad}");
        }
    }
}
