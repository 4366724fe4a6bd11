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

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

use self::files::Files;
use self::instance::{Instance, Node};
use crate::json::Tree;
use crate::judgement::Judge;

/// Reads the text of the schema file at an absolute path; or says in a sentence why it cannot.
pub type ReadFile = Arc<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

/// So many violations of one document are looked for. A sender has no use for more, and each takes memory.
const ERRORS_MAX: usize = 5_000;

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
            .build(&root);
        match built {
            Ok(validator) => match files.unchecked_format().filter(|_| asserts_formats) {
                Some(broken) => Err(broken),
                None => Ok(Schema { validator, files, root }),
            },
            Err(error) => Err(files.blame(&root, &error)),
        }
    }

    /// The schema as it stands in its file.
    pub fn value(&self) -> &Value {
        &self.root
    }

    /// The name of the type that a column needs for what the schema says of the value at a JSON Pointer; none when it
    /// says nothing.
    pub fn column_type(&self, pointer: &str) -> Option<&'static str> {
        kinds::column_type(&self.files, &self.root, pointer)
    }

    /// Judges the document `text`, whose tree is `tree`: every violation goes to `judge`.
    pub fn judge(&self, text: &str, tree: &Tree<'_>, judge: &mut Judge<'_, '_>) {
        if self.validator.is_valid(Node::new(tree)) {
            return;
        }
        let (left, outline) = (Cell::new(ERRORS_MAX), OnceCell::new());
        let mut count = 0;
        for error in self.validator.iter_errors(Node::root(tree, &left, &outline)) {
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

#[cfg(test)]
mod tests;
