//! `NAME.problem.json`: what is wrong with a file, written beside it, and removed when that is mended.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::place::problem_path;
use crate::problem::{Problem, ProblemType};

/// So many places are described; the rest is counted.
const PLACES_MAX: usize = 50;

/// What is wrong with one file.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// How many of its documents are refused.
    pub(super) refused: u64,
    /// How many are not.
    pub(super) accepted: u64,
    first: Option<ProblemType>,
    places: Vec<Spot>,
}

/// What is wrong at one place of a file.
#[derive(Debug, Serialize)]
struct Spot {
    line: usize,
    pointer: String,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<usize>,
}

/// The file's problem, as RFC 9457 writes it.
#[derive(Debug, Serialize)]
struct Told<'f> {
    #[serde(rename = "type")]
    kind: ProblemType,
    title: &'static str,
    status: u16,
    detail: String,
    errors: &'f [Spot],
}

impl Faults {
    /// Adds what is wrong with the document on `line`, which takes `lines`.
    pub(super) fn add(&mut self, line: usize, lines: usize, problem: &Problem) {
        self.refused += 1;
        self.first.get_or_insert(problem.kind);
        let lines = (lines > 1).then_some(lines);
        let place = |pointer: &str, detail: &str| Spot { line, pointer: pointer.into(), detail: detail.into(), lines };
        let room = PLACES_MAX - self.places.len();
        match &problem.errors[..] {
            [] if room > 0 => self.places.push(place("", &problem.detail)),
            errors => self.places.extend(errors.iter().take(room).map(|error| place(&error.pointer, &error.detail))),
        }
    }

    /// The problem as RFC 9457 writes it; `line` of an error is that of the file on which its document begins.
    fn text(&self) -> String {
        let kind = self.first.unwrap_or(ProblemType::InvalidDocument);
        let all = self.refused + self.accepted;
        let detail = match (self.refused, self.accepted) {
            (1, 0) => "the document is refused".to_owned(),
            (refused, 0) => format!("all {refused} documents are refused"),
            (refused, _) => format!("{refused} of {all} documents are refused; the others are published"),
        };
        let (title, status) = (kind.title(), kind.status());
        let problem = Told { kind, title, status, detail, errors: &self.places };
        serde_json::to_string_pretty(&problem).unwrap_or_default() + "\n"
    }

    /// Writes it beside the file at `path`, whole or not at all.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let target = problem_path(path);
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        let unfinished = target.with_file_name(name);
        // Left by a crash, or put there by somebody: a new one is made in any case, so that no link is followed.
        remove(&unfinished)?;
        let mut file = OpenOptions::new().write(true).create_new(true).open(&unfinished)?;
        file.write_all(self.text().as_bytes())?;
        fs::rename(&unfinished, &target)
    }
}

/// Removes what was written beside the file at `path`, if anything was.
pub(super) fn clear(path: &Path) -> io::Result<()> {
    remove(&problem_path(path))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
