//! What is wrong with a configuration, and where.
//!
//! It does not show secrets: whoever words a problem shows texts through `url::shown`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Where a wrong setting comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A flag, or the environment variable in its place.
    Flag(&'static str),
    /// A place in the file; line and column count characters from 1.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
}

/// One thing that is wrong: where it stands, and a sentence that says what was found and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it stands.
    pub origin: Origin,
    /// What is wrong, and what would be right.
    pub words: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Flag(flag) => write!(out, "{flag}: {}", self.words),
            Origin::File { path, line, column } => {
                write!(out, "{}:{line}:{column}: {}", crate::disk::shown(path), self.words)
            }
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read, or a file that was named is not there.
    #[error("the configuration file {} cannot be read", crate::disk::shown(path))]
    Unreadable {
        /// The file, as it was named.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The file is not YAML; nothing else of it was judged.
    #[error("{}:{line}:{column}: this is not YAML{hint}", crate::disk::shown(path))]
    NotYaml {
        /// The file, as it was named.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What may help, with its punctuation; often empty.
        hint: &'static str,
        /// What the parser said.
        #[source]
        source: saphyr_parser::ScanError,
    },
    /// Settings are wrong: every one that could be found at once, one a line, in the order of the file.
    #[error("{}", lines(problems))]
    Invalid {
        /// What is wrong; never empty.
        problems: Vec<Problem>,
    },
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// A place in the file that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

/// Collects what is wrong, so that a person hears all of it at once.
#[derive(Debug)]
pub(super) struct Problems {
    path: PathBuf,
    list: Vec<Problem>,
}

impl Problems {
    /// Nothing is wrong yet with the file at `path`.
    pub(super) fn of(path: &Path) -> Self {
        Problems { path: path.to_owned(), list: Vec::new() }
    }

    /// Something in the file is wrong.
    pub(super) fn add(&mut self, place: Place, words: impl Into<String>) {
        let origin = Origin::File { path: self.path.clone(), line: place.line, column: place.column };
        self.list.push(Problem { origin, words: words.into() });
    }

    /// A flag is wrong, or the environment variable in its place.
    pub(super) fn add_flag(&mut self, flag: &'static str, words: impl Into<String>) {
        self.list.push(Problem { origin: Origin::Flag(flag), words: words.into() });
    }

    /// `value` when nothing was wrong, else everything that was, in the order of the file.
    pub(super) fn or<T>(mut self, value: T) -> Result<T, ConfigError> {
        self.list.sort();
        self.list.dedup();
        if self.list.is_empty() { Ok(value) } else { Err(ConfigError::Invalid { problems: self.list }) }
    }
}
