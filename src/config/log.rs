//! What is logged: plain data with its defaults, and how it is read.

use schemars::JsonSchema;
use serde::Serialize;

use super::fields::{Field, Fields};
use super::problem::Problems;
use super::read_stream::{judged, set};
use super::schema::LOG;
use crate::telemetry::judge_level;
use crate::words::choice;

choice! {
    /// How log lines are written.
    pub enum LogFormat {
        /// A sentence with fields, for people.
        Text = "text",
        /// A JSON object a line, for programs.
        Json = "json",
    }
}

/// What is logged, on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Log {
    /// The lines that are written: `error`, `warn`, `info`, `debug`, `trace` or `off`; also by module, as in
    /// `info,sluicegate::apply=debug`.
    ///
    /// `--log-level` and `SLUICEGATE_LOG_LEVEL` override it, and so does `RUST_LOG`.
    #[schemars(extend("examples" = ["info,sluicegate::apply=debug"]))]
    pub level: String,
    /// How they are written. `--log` and `SLUICEGATE_LOG` override it.
    pub format: LogFormat,
    /// Whether each request leaves a line, with its method, path, status, time and the caller's address. The query of a
    /// path, which may hold values, is left out. Also `--log-level info,access=debug`.
    pub access: bool,
}

impl Default for Log {
    fn default() -> Self {
        Log { level: "info".to_owned(), format: LogFormat::Text, access: false }
    }
}

/// Reads `log`.
pub(super) fn log(field: &Field<'_>, problems: &mut Problems) -> Option<Log> {
    let fields = Fields::open(field.node, &field.label, &LOG, &[], problems)?;
    let mut log = Log::default();
    set(&mut log.level, fields.take("level"), |field| {
        let level = field.text("a level, such as info", problems)?;
        let words = judge_level(level).map_err(|words| format!("cannot be so: {words}"));
        judged(field, words, problems).then(|| level.to_owned())
    });
    set(&mut log.format, fields.take("format"), |field| field.choice(problems));
    set(&mut log.access, fields.take("access"), |field| field.boolean(problems));
    Some(log)
}
