//! Putting it together: flags over the file over defaults, and every path where it belongs.
//!
//! It does not stop at the first problem: the file and the flags are judged whole.

use std::io;
use std::path::{Path, PathBuf};

use super::problem::{ConfigError, Problems};
use super::read::{Said, read};
use super::{BackendUrl, Config, FILE, Log, Overrides, Schemes, refuse, tree, url};
use crate::disk;
use crate::telemetry::judge_level;

/// No person writes a larger one; it is held in memory whole.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Reads the configuration; variables in the file come from the environment.
///
/// The file is the one that `overrides` name, which must be there, else [`FILE`] in the working directory, if there.
pub fn load(overrides: &Overrides, schemes: &Schemes<'_>) -> Result<Config, ConfigError> {
    load_with(overrides, schemes, &|name| std::env::var(name).ok())
}

/// Like [`load`], with variables from elsewhere.
pub(super) fn load_with(
    overrides: &Overrides,
    schemes: &Schemes<'_>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, ConfigError> {
    let named = overrides.config.as_deref().filter(|path| !path.as_os_str().is_empty());
    let path = named.unwrap_or(Path::new(FILE));
    let source = match disk::read_text(path, FILE_BYTES_MAX) {
        Ok(source) => Some(source),
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => None,
        Err(source) => return Err(ConfigError::Unreadable { path: path.to_owned(), source }),
    };
    let mut problems = Problems::of(path);
    let said = match &source {
        Some(source) => parse(source, path, schemes, variable, &mut problems)?,
        None => Said::default(),
    };
    let config = resolve(said, source.is_some().then_some(path), overrides, schemes, &mut problems);
    problems.or(config)
}

fn parse(
    source: &str,
    path: &Path,
    schemes: &Schemes<'_>,
    variable: &dyn Fn(&str) -> Option<String>,
    problems: &mut Problems,
) -> Result<Said, ConfigError> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let root = tree::parse(source, variable, problems).map_err(|error| {
        let (line, column) = (error.marker().line(), error.marker().col() + 1);
        ConfigError::NotYaml { path: path.to_owned(), line, column, hint: hint(source, line), source: error }
    })?;
    Ok(root.map_or_else(Said::default, |root| read(&root, schemes, problems)))
}

/// What the line that the parser stumbled over suggests.
fn hint(source: &str, line: usize) -> &'static str {
    match source.lines().nth(line.saturating_sub(1)) {
        Some(text) if text.contains("${") => "; within `{ }` and `[ ]` a text with `${…}` must be in quotes",
        Some(text) if text.trim_start_matches(' ').starts_with('\t') => "; indent with spaces, not with tabs",
        _ => "",
    }
}

/// Flags over what the file says over defaults; `file` is the file that was read.
fn resolve(
    said: Said,
    file: Option<&Path>,
    overrides: &Overrides,
    schemes: &Schemes<'_>,
    problems: &mut Problems,
) -> Config {
    let unsaid = Config::default();
    let folder = file.and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
    let here = PathBuf::new();

    let flag = overrides.listen.clone().filter(|listen| !listen.is_empty());
    if let Some(Err(words)) = flag.as_deref().map(refuse::listen) {
        problems.add_flag("--listen", words);
    }
    let listen = flag.or(said.listen).unwrap_or(unsaid.listen);

    let flag = overrides.data.clone().filter(|data| !data.as_os_str().is_empty());
    let data = flag.or(said.data.map(|data| folder.join(data))).unwrap_or(unsaid.data);

    let flag = flag_url("--journal", &overrides.journal, "journal", schemes.journal, problems);
    let journal_left_out = data.join("journal.db");
    let journal = flag.map(|url| url.beside(&here, &journal_left_out));
    let journal = journal.or(said.journal.map(|url| url.beside(&folder, &journal_left_out)));
    let journal = journal.unwrap_or_else(|| BackendUrl::embedded(&journal_left_out));

    let flag = flag_url("--store", &overrides.store, "store", schemes.store, problems);
    let store_left_out = data.join("store.db");
    let store = flag.map(|url| url.beside(&here, &store_left_out));
    let store = store.or(said.store.map(|url| url.beside(&folder, &store_left_out)));
    let store_unsaid = || (journal.scheme() == url::EMBEDDED).then(|| BackendUrl::embedded(&store_left_out));
    let store = store.or_else(store_unsaid);

    let mut streams = said.streams.unwrap_or(unsaid.streams);
    for directory in streams.iter_mut().flat_map(|stream| &mut stream.intake.directories) {
        *directory = folder.join(&directory);
    }
    for schema in streams.iter_mut().filter_map(|stream| stream.schema.as_mut()) {
        *schema = folder.join(&schema);
    }
    let log = resolve_log(said.log.unwrap_or_default(), overrides, problems);
    let limits = said.limits.unwrap_or_default();
    let metrics = said.metrics.unwrap_or_default();
    let Said { rollups, read, allowed_hosts, allowed_origins, .. } = said;
    let file = file.map(Path::to_owned);
    Config {
        file,
        listen,
        data,
        journal,
        store,
        streams,
        rollups,
        log,
        metrics,
        read,
        allowed_hosts,
        allowed_origins,
        limits,
    }
}

fn resolve_log(mut log: Log, overrides: &Overrides, problems: &mut Problems) -> Log {
    if let Some(level) = overrides.log_level.clone().filter(|level| !level.is_empty()) {
        match judge_level(&level) {
            Ok(()) => log.level = level,
            Err(words) => problems.add_flag("--log-level", words),
        }
    }
    log.format = overrides.log_format.unwrap_or(log.format);
    log
}

fn flag_url(
    flag: &'static str,
    url: &Option<BackendUrl>,
    what: &str,
    known: &[&str],
    problems: &mut Problems,
) -> Option<BackendUrl> {
    let url = url.clone().filter(|url| !url.is_empty())?;
    if let Err(words) = refuse::scheme(url.scheme(), what, known) {
        problems.add_flag(flag, words);
    }
    Some(url)
}
