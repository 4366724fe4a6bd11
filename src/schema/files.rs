//! The files of a schema: its own, and those beside it that its `$ref`s name.
//!
//! A `$ref` is relative to the file it stands in. Where a schema calls itself by an `$id` of another place (`https://…`),
//! the names beside that place are those of the files beside it; nothing is fetched from there. It opens no file itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ReferencingError, Retrieve, Uri, ValidationError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use super::{BrokenSchema, ReadFile, meta};
use crate::excerpt;
use crate::json::{Duplicates, Path, Reader, pointer};

/// What stands as it is in the path of a URI.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A schema in more files than this is a mistake, or one that names itself anew each time.
const FILES_MAX: usize = 1_000;

pub(super) struct Files {
    read: ReadFile,
    /// The URI of the schema's own file.
    root: String,
    state: Mutex<State>,
    /// How many metaschemas stand on each other down to these.
    depth: usize,
}

#[derive(Default)]
struct State {
    /// Places that schemas call their own by `$id`, and the folder that stands for each; both end in `/`.
    places: Vec<(String, String)>,
    /// What was read so far, by the URI of its file.
    loaded: BTreeMap<String, Value>,
    /// What was wrong with a file.
    fault: Option<BrokenSchema>,
}

/// Hands the files to the schema crate.
pub(super) struct Shared(pub(super) Arc<Files>);

impl Retrieve for Shared {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        self.0.load(uri.as_str()).map_err(Into::into)
    }
}

impl Files {
    pub(super) fn beside(path: &str, read: ReadFile) -> Self {
        let root = format!("file://{}", utf8_percent_encode(path, PATH));
        Files { read, root, state: Mutex::default(), depth: 0 }
    }

    /// The files of the metaschema `name`, which the schema in `file` says it is written in: a name beside it, or an `$id`
    /// whose file has the name that it ends with.
    pub(super) fn metaschema(&self, name: &str, file: &str) -> Result<Arc<Files>, String> {
        if self.depth >= meta::DEPTH_MAX {
            return Err("metaschemas name each other without end".to_owned());
        }
        let is_uri = name.contains("://");
        let last = name.trim_end_matches('#').rsplit('/').next().unwrap_or_default();
        let candidates = if is_uri { vec![last.to_owned(), format!("{last}.json")] } else { vec![name.to_owned()] };
        for candidate in &candidates {
            let uri = format!("{}{}", folder(file), candidate.trim_start_matches("./").trim_end_matches('#'));
            let path = uri.strip_prefix("file://").and_then(|path| percent_decode_str(path).decode_utf8().ok());
            let Some(text) = path.as_ref().and_then(|path| (self.read)(path).ok()) else { continue };
            let calls_itself = parse(&text).ok().and_then(|value| Some(value.get("$id")?.as_str()?.to_owned()));
            if !is_uri || calls_itself.is_none_or(|id| id.trim_end_matches('#') == name.trim_end_matches('#')) {
                let files =
                    Files { depth: self.depth + 1, ..Files::beside(&path.unwrap_or_default(), Arc::clone(&self.read)) };
                return Ok(Arc::new(files));
            }
        }
        let files = candidates.join(" or ");
        Err(format!(
            "{name} is no draft of JSON Schema that is known here (4, 6, 7, 2019-09 and 2020-12), and no metaschema of that \
             name is beside this file ({files})"
        ))
    }

    /// The first format, in any of the files that were read, that is not checked here.
    pub(super) fn unchecked_format(&self) -> Option<BrokenSchema> {
        let loaded = self.state().loaded.clone();
        loaded.iter().find_map(|(file, schema)| {
            let (pointer, format) = meta::unchecked_format(schema)?;
            let what = format!(
                "the format {format} is not checked by this version, and `formats: assert` makes it a rule; write a `pattern` in \
                 its place, or `formats: annotate`"
            );
            Some(self.broken(file, &pointer, what))
        })
    }

    /// Whether any of the files that were read is as `test` says.
    pub(super) fn any(&self, test: impl Fn(&Value) -> bool) -> bool {
        self.state().loaded.values().any(test)
    }

    pub(super) fn root_uri(&self) -> &str {
        &self.root
    }

    /// The schema's own file.
    pub(super) fn root(&self) -> Result<Value, BrokenSchema> {
        self.load(&self.root).map_err(|what| self.taken_fault().unwrap_or_else(|| self.broken(&self.root, "", what)))
    }

    /// The schema in the file at a URI.
    fn load(&self, uri: &str) -> Result<Value, String> {
        let file = self.file_of(uri)?;
        if let Some(value) = self.state().loaded.get(&file) {
            return Ok(value.clone());
        }
        if self.state().loaded.len() >= FILES_MAX {
            return Err(format!("the schema stands in more than {FILES_MAX} files"));
        }
        let encoded = file.strip_prefix("file://").unwrap_or(&file);
        let path = percent_decode_str(encoded).decode_utf8().map_err(|_| "the name is not UTF-8".to_owned())?;
        let text = (self.read)(&path)?;
        let judged = |mut value| meta::check(&mut value, self, &file).map(|()| value);
        let value = parse(&text).and_then(judged).map_err(|(pointer, what)| {
            let broken = self.broken(&file, &pointer, what);
            let words = broken.to_string();
            self.state().fault.get_or_insert(broken);
            words
        })?;
        let mut state = self.state();
        if let Some(id) = value.get("$id").or_else(|| value.get("id")).and_then(Value::as_str)
            && id.contains("://")
        {
            state.places.push((folder(id).to_owned(), folder(&file).to_owned()));
        }
        state.loaded.insert(file, value.clone());
        Ok(value)
    }

    /// The URI of the file that stands for a URI.
    fn file_of(&self, uri: &str) -> Result<String, String> {
        let uri = uri.split('#').next().unwrap_or_default();
        if uri.starts_with("file:///") {
            return Ok(uri.to_owned());
        }
        let state = self.state();
        let beside =
            |(place, folder): &(String, String)| Some(format!("{folder}{}", uri.strip_prefix(place.as_str())?));
        state.places.iter().find_map(beside).ok_or_else(|| {
            format!("{uri} is not fetched: nothing is, from the network; put it into a file beside this one, and write its name")
        })
    }

    /// What was read from the file that `reference`, which stands in the file at `from`, names; with its URI.
    pub(super) fn referred(&self, from: &str, reference: &str) -> Option<(String, Value)> {
        let uri = match reference {
            "" => from.to_owned(),
            absolute if absolute.contains("://") => absolute.to_owned(),
            relative => {
                let mut steps: Vec<&str> = folder(from).trim_end_matches('/').split('/').collect();
                for step in relative.split('/') {
                    match step {
                        "." => {}
                        ".." => drop(steps.pop()),
                        step => steps.push(step),
                    }
                }
                steps.join("/")
            }
        };
        let file = self.file_of(&uri).ok()?;
        let value = self.state().loaded.get(&file).cloned()?;
        Some((file, value))
    }

    /// Why a schema could not be compiled, and where.
    pub(super) fn blame(&self, root: &Value, error: &ValidationError<'_>) -> BrokenSchema {
        if let Some(fault) = self.taken_fault() {
            return fault;
        }
        let what = excerpt::cut(&error.to_string(), 300).into_owned();
        let ValidationErrorKind::Referencing(cause) = error.kind() else {
            let file = error.absolute_keyword_location().map_or(self.root.as_str(), |uri| uri.as_str());
            return self.broken(file, error.instance_path().as_str(), what);
        };
        let what = match cause {
            ReferencingError::Unretrievable { source, .. } => excerpt::cut(&source.to_string(), 300).into_owned(),
            _ => what,
        };
        let wanted = |reference: &str| match cause {
            ReferencingError::Unretrievable { uri, .. } => {
                let name = reference.split('#').next().unwrap_or_default().trim_start_matches(['.', '/']);
                !name.is_empty() && uri.split('#').next().unwrap_or_default().ends_with(name)
            }
            ReferencingError::PointerToNowhere { pointer } => reference.ends_with(&format!("#{pointer}")),
            ReferencingError::NoSuchAnchor { anchor } | ReferencingError::InvalidAnchor { anchor } => {
                reference.ends_with(&format!("#{anchor}"))
            }
            _ => false,
        };
        if matches!(cause, ReferencingError::UnknownSpecification { .. }) {
            return self.broken(&self.root, "/$schema", what);
        }
        let state = self.state();
        let found = state.loaded.iter().find_map(|(file, value)| Some((file.clone(), place_of(value, &wanted)?)));
        drop(state);
        match found {
            Some((file, pointer)) => self.broken(&file, &pointer, what),
            None => self.broken(&self.root, &place_of(root, &|_| true).unwrap_or_default(), what),
        }
    }

    /// Where the rule of a violation stands: `person.schema.json#/properties/age/minimum`. Never a path of the machine.
    pub(super) fn shown(&self, error: &ValidationError<'_>) -> String {
        match error.absolute_keyword_location() {
            Some(uri) => self.name_of(uri.as_str()),
            None => format!("{}#{}", self.name_of(&self.root), error.schema_path().as_str()),
        }
    }

    /// A URI as the people who wrote the schema know it.
    fn name_of(&self, uri: &str) -> String {
        let name = match uri.strip_prefix(folder(&self.root)) {
            Some(name) => name,
            None if uri.starts_with("file:") => {
                let path = uri.split('#').next().unwrap_or_default();
                &uri[folder(path).len()..]
            }
            None => uri,
        };
        percent_decode_str(name).decode_utf8_lossy().into_owned()
    }

    fn broken(&self, uri: &str, pointer: &str, what: String) -> BrokenSchema {
        let file = self.name_of(uri.split('#').next().unwrap_or_default());
        BrokenSchema { file, pointer: pointer.to_owned(), what }
    }

    fn taken_fault(&self) -> Option<BrokenSchema> {
        self.state().fault.take()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A URI up to its last `/`.
fn folder(uri: &str) -> &str {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    path.rfind('/').map_or("", |end| &path[..=end])
}

/// Where the first `$ref` stands that `wanted` says yes to.
fn place_of(schema: &Value, wanted: &dyn Fn(&str) -> bool) -> Option<String> {
    let step = |name: &str| format!("/{}", pointer::escaped(name));
    match schema {
        Value::Object(members) => members.iter().find_map(|(name, value)| match value.as_str() {
            Some(reference) if name.ends_with("ef") && name.starts_with('$') => wanted(reference).then(|| step(name)),
            _ => place_of(value, wanted).map(|rest| step(name) + &rest),
        }),
        Value::Array(elements) => elements
            .iter()
            .enumerate()
            .find_map(|(index, value)| place_of(value, wanted).map(|rest| format!("/{index}{rest}"))),
        _ => None,
    }
}

/// The first member that is named twice.
#[derive(Default)]
struct Twice(Option<String>);

impl Duplicates for Twice {
    fn duplicate(&mut self, path: &Path<'_>) {
        self.0.get_or_insert_with(|| path.to_string());
    }
}

/// Parses a schema. A fault is a pointer and a sentence.
fn parse(text: &str) -> Result<Value, (String, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut twice = Twice::default();
    let mut reader = Reader::new(text);
    let read = reader.skip(&Path::ROOT, &mut twice).and_then(|()| reader.finish());
    read.map_err(|fault| (String::new(), format!("it is not JSON: {fault}")))?;
    if let Twice(Some(pointer)) = twice {
        return Err((pointer, "this member is named twice in its object".into()));
    }
    serde_json::from_str(text).map_err(|error| (String::new(), format!("it is not JSON: {error}")))
}
