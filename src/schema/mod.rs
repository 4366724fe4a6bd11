//! JSON Schema: what a stream's events must look like, compiled once, judged for each document.
//!
//! The rules are the crate's; what is here is how they reach a document (`instance`), which files a schema may refer to
//! (`files`), what a violation is called (`sentence`), and which column a member fits (`kinds`). Nothing is ever fetched
//! from a network, and this module opens no file: it is given a way to read them.

mod files;
mod instance;
mod kinds;
mod meta;
mod sentence;

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use self::files::Files;
use self::instance::{Bounds, Instance, Node};
use crate::clock;
use crate::json::Tree;
use crate::judgement::Judge;

/// Reads the text of the schema file at an absolute path; or says in a sentence why it cannot.
pub type ReadFile = Arc<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

/// So many violations of one document are looked for. A sender has no use for more, and each takes memory.
const ERRORS_MAX: usize = 5_000;

/// So often a pattern may go back on one text: some milliseconds. Patterns that look ahead or back, or refer to what they
/// have matched, may else take time without end; all others take time that goes with the text.
const BACKTRACKS_MAX: usize = 100_000;

/// Judging one document may take so long …
const SCHEMA_TIMEOUT: Duration = Duration::from_secs(1);

/// … and a second more for so many bytes of it, which take some hundredths of that by a schema of the usual kind.
const SCHEMA_BYTES_PER_S: usize = 1 << 20;

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema {file} is broken at {}: {what}", if pointer.is_empty() { "its root" } else { pointer })]
pub struct BrokenSchema {
    /// The file at fault, as the configuration or a `$ref` names it.
    pub file: String,
    /// The place in it, as a JSON Pointer.
    pub pointer: String,
    /// What is wrong there.
    pub what: String,
}

/// A compiled schema.
pub struct Schema {
    validator: Validator<Instance>,
    files: Arc<Files>,
    root: Value,
    is_heavy: bool,
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Schema({})", self.files.root_uri())
    }
}

impl Schema {
    /// Compiles the schema in the file at the absolute path `path`, and what it refers to. `asserts_formats` makes
    /// `format` a rule; else it is a remark, as the newer drafts have it.
    pub fn compile(path: &str, asserts_formats: bool, read: ReadFile) -> Result<Self, BrokenSchema> {
        let files = Arc::new(Files::beside(path, read));
        let root = files.root()?;
        let built = jsonschema::options_for::<Instance>()
            .with_base_uri(files.root_uri())
            .with_retriever(files::Shared(Arc::clone(&files)))
            .should_validate_formats(asserts_formats)
            .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(BACKTRACKS_MAX))
            .build(&root);
        match built {
            Ok(validator) => match files.unchecked_format().filter(|_| asserts_formats) {
                Some(broken) => Err(broken),
                None => {
                    let is_heavy = files.any(may_go_back);
                    Ok(Schema { validator, files, root, is_heavy })
                }
            },
            Err(error) => Err(files.blame(&root, &error)),
        }
    }

    /// The schema as it stands in its file.
    pub fn value(&self) -> &Value {
        &self.root
    }

    /// Whether it has patterns that may take long on a short text.
    pub fn is_heavy(&self) -> bool {
        self.is_heavy
    }

    /// The name of the type that a column needs for what the schema says of the value at a JSON Pointer; none when it
    /// says nothing.
    pub fn column_type(&self, pointer: &str) -> Option<&'static str> {
        kinds::column_type(&self.files, &self.root, pointer)
    }

    /// Judges the document `text`, whose tree is `tree`: every violation goes to `judge`.
    pub fn judge(&self, text: &str, tree: &Tree<'_>, judge: &mut Judge<'_, '_>) {
        let time = SCHEMA_TIMEOUT + Duration::from_millis((text.len() * 1000 / SCHEMA_BYTES_PER_S) as u64);
        // By the work that it takes: a machine that is busy elsewhere makes no document worse.
        let until = clock::worked() + time;
        let late = || {
            format!(
                "judging the document by its schema takes more than {} ms: send less in one document, or write the schema's \
                 patterns without looking ahead or back",
                time.as_millis()
            )
        };
        let bounds = Bounds::new(usize::MAX, until);
        let is_valid = self.validator.is_valid(Node::within_bounds(tree, &bounds));
        if bounds.is_late() {
            return judge.violation_at("", late);
        }
        if is_valid {
            return;
        }
        let (bounds, outline) = (Bounds::new(ERRORS_MAX, until), OnceCell::new());
        let errors = self.validator.iter_errors(Node::root(tree, &bounds, &outline));
        if bounds.is_late() {
            // What was found without looking at everything may be wrong.
            return judge.violation_at("", late);
        }
        let mut count = 0;
        for error in errors {
            count += 1;
            judge.violation_at(error.instance_path().as_str(), || {
                let found = crate::json::at(text, error.instance_path().as_str());
                let sentence = sentence::sentence(&error, found.as_ref());
                format!("{sentence} ({})", self.files.shown(&error))
            });
        }
        if count == 0 {
            // The two ways of judging must agree; a document is never let in because they do not.
            judge.violation_at("", || "the document does not match the schema".into());
        }
    }
}

/// Whether a schema may have a pattern that is tried by going back: one that looks ahead or behind, or refers to what it has
/// matched.
fn may_go_back(schema: &Value) -> bool {
    let text = schema.to_string();
    let refers = |at: usize| text[at..].starts_with(|next| matches!(next, '1'..='9' | 'k'));
    ["(?=", "(?!", "(?<"].iter().any(|look| text.contains(look))
        || text.match_indices(r"\\").any(|(at, slashes)| refers(at + slashes.len()))
}

#[cfg(test)]
mod tests;
