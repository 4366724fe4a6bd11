//! The configuration: what a person wrote, as plain data that is read once and passed down.
//!
//! Every field's comment is its documentation: the JSON Schema, docs/configuration.md and the known keys all come from it.
//!
//! It does not know which journals and stores exist (their schemes are given to it), opens nothing, and looks nothing
//! up later. What this version cannot do yet is refused with words, never ignored.

mod log;
mod metrics;
mod limits;
mod rollup;
mod stream;
mod url;
mod words;

mod problem;
mod substitute;
mod tree;

mod fields;
mod load;
mod read;
mod read_action;
mod read_columns;
mod read_rollup;
mod read_stream;
mod refuse;

mod reference;
mod schema;
mod template;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use schemars::JsonSchema;

pub use crate::settings::units::parse_period;

pub use self::limits::Limits;
pub use self::load::load;
pub use self::log::{Log, LogFormat};
pub use self::metrics::{Metrics, Push};
pub use self::problem::{ConfigError, Origin, Problem};
pub use self::reference::reference;
pub use self::rollup::Rollup;
pub use self::schema::schema;
pub use self::stream::{Column, Key, Stream};
pub use self::template::TEMPLATE;
pub use self::url::BackendUrl;
pub use self::words::{Form, Formats, Misfit, OnSkip};

/// The configuration file that is read when none is named and it is there.
pub const FILE: &str = "sluicegate.yaml";

/// Everything that Sluicegate is told, after flags, environment, file and defaults were put together.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(default, deny_unknown_fields, title = "sluicegate.yaml")]
pub struct Config {
    /// The file that was read; none when everything is a default.
    #[schemars(skip)]
    pub file: Option<PathBuf>,
    /// The address that HTTP is served on, as `HOST:PORT`. `0.0.0.0` listens on every address of the machine, port `0`
    /// takes any free port.
    ///
    /// `--listen` and `SLUICEGATE_LISTEN` override it.
    #[schemars(extend("examples" = ["0.0.0.0:8080"]))]
    pub listen: String,
    /// The folder that keeps the embedded journal and store, and what a process must remember by itself: which files it
    /// has published, and its name in Kafka's consumer groups.
    ///
    /// In the file it is relative to the file's folder; `--data` and `SLUICEGATE_DATA`, which override it, are relative
    /// to the working directory, and so is the default.
    #[schemars(extend("examples" = ["/var/lib/sluicegate"]))]
    pub data: PathBuf,
    /// The URL of the journal, the durable log that keeps accepted documents.
    ///
    /// `docs/deployment.md` says what a URL of Kafka can hold. What follows `sqlite://` is a path, relative to the file's
    /// folder. `--journal` and `SLUICEGATE_JOURNAL` override
    /// it, and there the path is relative to the working directory.
    #[schemars(with = "String", skip_serializing)]
    #[schemars(extend("x-default" = "`journal.db` in `data`", "examples" = ["sqlite://sluicegate-data/journal.db", "kafka://a:9092,b:9092?partitions=4&replication=3"]))]
    pub journal: BackendUrl,
    /// The URL of the store, the database that documents are applied to. Without one, documents are kept in the journal
    /// only by this process.
    ///
    /// `docs/deployment.md` says what a URL of PostgreSQL can hold. What follows `sqlite://` is a path, relative to the
    /// file's folder. `--store` and `SLUICEGATE_STORE` override it,
    /// and there the path is relative to the working directory.
    #[schemars(with = "String", skip_serializing)]
    #[schemars(extend(
        "x-default" = "`store.db` in `data` beside a SQLite journal, none beside another",
        "examples" = ["sqlite://sluicegate-data/store.db", "postgres://gate:${PGPASSWORD}@host/db?schema=public"]
    ))]
    pub store: Option<BackendUrl>,
    /// The streams by name, the ways in for documents. A name has up to 200 letters, digits, `_`, `.` and `-`, and begins
    /// with a letter, a digit or `_`.
    ///
    /// Two streams share neither a topic nor a route.
    #[schemars(with = "std::collections::BTreeMap<String, Stream>", skip_serializing)]
    #[schemars(extend("x-default" = "`activities` (takes changes; routes `[/api/activities]`, reply `echo`) and `events` (takes events into table `events`)"))]
    pub streams: Vec<Stream>,
    /// The rollups by name: running summaries per key of a stream's documents. Each writes an output topic of its name, which
    /// no stream has. `docs/rollups.md` says what they promise.
    #[schemars(with = "std::collections::BTreeMap<String, Rollup>", skip_serializing)]
    #[schemars(extend("x-default" = "none"))]
    pub rollups: Vec<Rollup>,
    /// What is logged, on standard error.
    pub log: Log,
    /// Where the numbers of `/metrics` go besides.
    pub metrics: Metrics,
    /// What can be read back over HTTP. The command line reads what the store lets it.
    pub read: Read,
    /// Names that requests may have in `Host` where the connection comes in on a loopback address, besides `localhost` and
    /// the loopback addresses themselves. A proxy on this machine that sends its own name needs it here. Without a port.
    ///
    /// Without this check a web page could read from a gate on its visitor's machine, by a name that it lets point there.
    #[schemars(extend("x-default" = "none", "examples" = [["gate.internal"]]))]
    #[schemars(skip_serializing)]
    pub allowed_hosts: Vec<String>,
    /// Web pages of these origins may do in their visitors' browsers what records or changes something: post, delete, call
    /// actions. Others get `403 forbidden`. `cors` of a stream says it for one stream. Nothing that only reads is opened.
    #[schemars(extend("x-default" = "none", "examples" = [["https://console.example"]]))]
    #[schemars(skip_serializing)]
    pub allowed_origins: Vec<String>,
    /// What one document may ask for. The limits that are not here are constants; `docs/http.md` lists them.
    pub limits: Limits,
}

impl Default for Config {
    /// What runs without a configuration.
    fn default() -> Self {
        let data = PathBuf::from("sluicegate-data");
        Config {
            file: None,
            listen: "127.0.0.1:8080".to_owned(),
            journal: BackendUrl::embedded(&data.join("journal.db")),
            store: Some(BackendUrl::embedded(&data.join("store.db"))),
            data,
            streams: Stream::unconfigured(),
            rollups: Vec::new(),
            log: Log::default(),
            metrics: Metrics::default(),
            read: Read::default(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// What can be read back.
#[derive(Debug, Clone, PartialEq, Eq, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Read {
    /// The tables that `/v1/tables` shows, and the queries of records answer from, as names or patterns in which `*` stands
    /// for any text: `game.*`. To everybody else's tables the answer is that there is no such table.
    ///
    /// When nothing is said: the `table` of each stream; the tables that `allow.tables` of a stream names, if that is
    /// narrower than `"*"`; and for streams that may change any table, those that Sluicegate made.
    #[schemars(with = "Vec<String>", skip_serializing)]
    #[schemars(extend("x-default" = "the tables that the streams write", "examples" = [["people", "game.*"]]))]
    pub tables: Option<Vec<String>>,
}

impl Config {
    /// The stream of that name.
    pub fn stream(&self, name: &str) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.name == name)
    }
}

/// What flags say, or environment variables in their place; each stands over the file.
///
/// An empty text counts as not said, as it does in most files that set environment variables.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`, `SLUICEGATE_CONFIG`: this file must be there.
    pub config: Option<PathBuf>,
    /// `--listen`, `SLUICEGATE_LISTEN`.
    pub listen: Option<String>,
    /// `--data`, `SLUICEGATE_DATA`: relative to the working directory.
    pub data: Option<PathBuf>,
    /// `--journal`, `SLUICEGATE_JOURNAL`: a `sqlite://` path is relative to the working directory.
    pub journal: Option<BackendUrl>,
    /// `--store`, `SLUICEGATE_STORE`: a `sqlite://` path is relative to the working directory.
    pub store: Option<BackendUrl>,
    /// `--log-level`, `SLUICEGATE_LOG_LEVEL`, and `RUST_LOG` where neither is said.
    pub log_level: Option<String>,
    /// `--log`, `SLUICEGATE_LOG`.
    pub log_format: Option<LogFormat>,
}

/// The schemes of the backends that this build has, as the registry lists them.
#[derive(Debug, Clone, Copy)]
pub struct Schemes<'a> {
    /// Schemes of journals, such as `sqlite`.
    pub journal: &'a [&'a str],
    /// Schemes of stores, such as `sqlite`.
    pub store: &'a [&'a str],
}
