//! Reading the settings of one mapping: each is taken by its key and its type, and what nobody takes is unknown.
//!
//! A reading that fails says what was found and what would be right, and gives `None`; the caller goes on with the default,
//! so that all problems are found at once. It does not know a single setting.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::problem::{Place, Problems};
use super::schema::Keys;
use super::tree::{Kind, Name, Node, Scalar, Value};
use crate::near;
use crate::settings::units;
use crate::words::Choice;

/// The settings of a mapping.
pub(super) struct Fields<'n> {
    label: String,
    entries: &'n [(Name, Rc<Node>)],
    keys: &'static Keys,
}

/// One setting that is there: its full name, its key's place and its value.
pub(super) struct Field<'n> {
    pub label: String,
    pub key_place: Place,
    pub node: &'n Node,
}

impl<'n> Fields<'n> {
    /// The settings in `node`, a mapping that `label` names (nothing at the top); unknown keys are reported.
    pub(super) fn open(
        node: &'n Node,
        label: &str,
        keys: &'static Keys,
        not_built: &[&str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let what = if label.is_empty() { "the configuration".to_owned() } else { format!("`{label}`") };
            if !node.is_reported() {
                problems.add(node.place, format!("{what} must be a mapping of settings, found {}", node.found()));
            }
            return None;
        };
        for (name, _) in entries {
            if not_built.contains(&&*name.text) {
                let words = format!("`{}` is not built yet in this version; remove it", name.text);
                problems.add(name.place, words);
            } else if !keys.has(&name.text) {
                problems.add(name.place, unknown_key(&name.text, label, keys));
            }
        }
        Some(Fields { label: label.to_owned(), entries, keys })
    }

    /// The setting under `key`, when it is there.
    pub(super) fn take(&self, key: &'static str) -> Option<Field<'n>> {
        debug_assert!(self.keys.has(key), "{key} is read, and the types do not have it");
        let (name, node) = self.entries.iter().find(|(name, _)| name.text == key)?;
        let label = if self.label.is_empty() { key.to_owned() } else { format!("{}.{key}", self.label) };
        Some(Field { label, key_place: name.place, node })
    }

    /// The keys that are there, with their places.
    pub(super) fn names(&self) -> impl Iterator<Item = &'n Name> {
        self.entries.iter().map(|(name, _)| name)
    }
}

fn unknown_key(name: &str, label: &str, keys: &Keys) -> String {
    let place = if label.is_empty() { String::new() } else { format!(" in {label}") };
    match near::nearest(name, keys.names()) {
        Some(near) => format!("unknown key `{name}`{place}; did you mean `{near}`?"),
        None => format!("unknown key `{name}`{place}; known are {}", listed(keys.names(), "and")),
    }
}

/// The words in backquotes, as a sentence lists them.
pub(super) fn listed<'c>(words: impl Iterator<Item = &'c str>, last: &str) -> String {
    let words = words.map(|word| format!("`{word}`")).collect::<Vec<_>>();
    match words.split_last() {
        Some((end, rest)) if !rest.is_empty() => format!("{} {last} {end}", rest.join(", ")),
        _ => words.join(""),
    }
}

impl<'n> Field<'n> {
    /// Something is wrong with its value.
    pub(super) fn refuse(&self, problems: &mut Problems, words: impl AsRef<str>) {
        problems.add(self.node.place, format!("`{}` {}", self.label, words.as_ref()));
    }

    fn expected(&self, what: &str, problems: &mut Problems) {
        self.expected_at(self.node, what, problems);
    }

    /// `node`, which is the value or lies in it, is not what it must be.
    fn expected_at(&self, node: &Node, what: &str, problems: &mut Problems) {
        match &node.value {
            _ if node.is_reported() => {}
            Value::Scalar(Scalar { kind: Kind::Null, .. }) => {
                problems.add(node.place, format!("`{}` has no value; write {what}, or remove it", self.label));
            }
            _ => problems.add(node.place, format!("`{}` must be {what}, found {}", self.label, node.found())),
        }
    }

    fn text_at(&self, node: &'n Node, what: &str, problems: &mut Problems) -> Option<&'n str> {
        match &node.value {
            Value::Scalar(Scalar { kind: Kind::Text, text, .. }) if !text.is_empty() => Some(text),
            Value::Scalar(scalar) if matches!(scalar.kind, Kind::Number | Kind::Boolean(_)) => {
                // An address or a URL does not become right by quotes; a name does.
                let is_name = what == "text" || what.starts_with("the name");
                let quoted = if is_name { format!("; as text it is \"{}\"", scalar.shown()) } else { String::new() };
                let words = format!("`{}` must be {what}, found {}{quoted}", self.label, node.found());
                problems.add(node.place, words);
                None
            }
            _ => {
                self.expected_at(node, what, problems);
                None
            }
        }
    }

    /// A text that is not empty; `what` says what kind of text, such as "a path".
    pub(super) fn text(&self, what: &str, problems: &mut Problems) -> Option<&'n str> {
        self.text_at(self.node, what, problems)
    }

    /// The text as it may be shown in a problem.
    pub(super) fn shown(&self) -> String {
        match &self.node.value {
            Value::Scalar(scalar) => scalar.shown(),
            _ => self.node.found(),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        match self.node.value {
            Value::Scalar(Scalar { kind: Kind::Boolean(value), .. }) => Some(value),
            _ => {
                self.expected("`true` or `false`", problems);
                None
            }
        }
    }

    /// One word out of those of `T`.
    pub(super) fn choice<T: Choice>(&self, problems: &mut Problems) -> Option<T> {
        self.choice_at(self.node, &[], problems)
    }

    /// A list of words out of those of `T`, not empty, each once.
    pub(super) fn choices<T: Choice>(&self, not_built: &[&str], problems: &mut Problems) -> Option<Vec<T>> {
        let mut words = Vec::new();
        let mut choices = Vec::new();
        let example = format!("a list such as `[{}]`", T::ALL.first().map_or("", |(word, _)| word));
        for item in self.items(&example, problems)? {
            self.refuse_again(item, &mut words, problems);
            choices.extend(self.choice_at::<T>(item, not_built, problems));
        }
        Some(choices)
    }

    fn choice_at<T: Choice>(&self, node: &Node, not_built: &[&str], problems: &mut Problems) -> Option<T> {
        let words = || T::ALL.iter().map(|(word, _)| *word);
        let what = listed(words(), "or");
        let text = match &node.value {
            Value::Scalar(scalar) if scalar.kind == Kind::Text => &*scalar.text,
            _ => {
                self.expected_at(node, &what, problems);
                return None;
            }
        };
        let chosen = T::parse(text);
        if chosen.is_none() && not_built.contains(&text) {
            problems
                .add(node.place, format!("`{text}` in `{}` is not built yet in this version; remove it", self.label));
        } else if chosen.is_none() {
            let near = near::nearest(text, words()).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            problems.add(node.place, format!("`{}` must be {what}, found {}{near}", self.label, node.found()));
        }
        chosen
    }

    /// A list of texts, each once; `example` shows one.
    pub(super) fn texts(&self, example: &str, problems: &mut Problems) -> Option<Vec<(&'n str, Place)>> {
        let mut words = Vec::new();
        let mut texts = Vec::new();
        for item in self.items(&format!("a list such as `{example}`"), problems)? {
            self.refuse_again(item, &mut words, problems);
            texts.extend(self.text_at(item, "text", problems).map(|text| (text, item.place)));
        }
        Some(texts)
    }

    /// A list of texts of one kind, in the one way that each is written, as `judge` gives it.
    pub(super) fn judged(
        &self,
        example: &str,
        judge: impl Fn(&str) -> Result<String, String>,
        problems: &mut Problems,
    ) -> Vec<String> {
        let mut judged = Vec::new();
        for (text, place) in self.texts(example, problems).unwrap_or_default() {
            match judge(text) {
                Ok(text) => judged.push(text),
                Err(words) => problems.add(place, format!("`{}` {words}", self.label)),
            }
        }
        judged
    }

    fn refuse_again(&self, item: &'n Node, words: &mut Vec<&'n str>, problems: &mut Problems) {
        let Value::Scalar(Scalar { text, .. }) = &item.value else { return };
        if words.contains(&&**text) {
            problems.add(item.place, format!("`{}` names {} twice", self.label, item.found()));
        }
        words.push(text);
    }

    fn items(&self, what: &str, problems: &mut Problems) -> Option<impl Iterator<Item = &'n Node> + use<'n>> {
        match &self.node.value {
            Value::List(items) if items.is_empty() => {
                self.refuse(problems, format!("is an empty list; write {what}, or remove it"));
                None
            }
            Value::List(items) => Some(items.iter().map(|item| &**item)),
            _ => {
                self.expected(what, problems);
                None
            }
        }
    }

    /// A mapping of names to lists of texts.
    pub(super) fn lists_by_name(
        &self,
        example: &str,
        problems: &mut Problems,
    ) -> Option<BTreeMap<String, Vec<String>>> {
        let mut lists = BTreeMap::new();
        for (name, node) in self.members(&format!("a mapping such as `{{item: {example}}}`"), problems)? {
            let field = Field { label: format!("{}.{}", self.label, name.text), key_place: name.place, node };
            let texts = field.texts(example, problems);
            lists.insert(
                name.text.clone(),
                texts.unwrap_or_default().into_iter().map(|(text, _)| text.into()).collect(),
            );
        }
        Some(lists)
    }

    /// The members of a mapping that is not empty, in the order of the file.
    pub(super) fn members(
        &self,
        what: &str,
        problems: &mut Problems,
    ) -> Option<impl Iterator<Item = (&'n Name, &'n Node)> + use<'n>> {
        match &self.node.value {
            Value::Map(entries) if !entries.is_empty() => Some(entries.iter().map(|(name, node)| (name, &**node))),
            Value::Map(_) => {
                self.refuse(problems, format!("is empty; write {what}, or remove it"));
                None
            }
            _ => {
                self.expected(what, problems);
                None
            }
        }
    }

    /// A size in bytes.
    pub(super) fn size(&self, problems: &mut Problems) -> Option<u64> {
        self.unit("a size such as 1MiB", units::parse_size, problems)
    }

    /// A whole number, 0 or greater.
    pub(super) fn count(&self, problems: &mut Problems) -> Option<usize> {
        let parse = |text: &str| text.parse().map_err(|_| "is no whole number from 0 on".to_owned());
        self.unit("a whole number such as 100", parse, problems)
    }

    /// A duration.
    pub(super) fn period(&self, problems: &mut Problems) -> Option<Duration> {
        self.unit("a duration such as 7d", units::parse_period, problems)
    }

    fn unit<T>(&self, what: &str, parse: fn(&str) -> Result<T, String>, problems: &mut Problems) -> Option<T> {
        match &self.node.value {
            Value::Scalar(scalar) if matches!(scalar.kind, Kind::Text | Kind::Number) => match parse(&scalar.text) {
                Ok(value) => Some(value),
                Err(words) => {
                    self.refuse(problems, format!("is {}, which {words}", scalar.shown()));
                    None
                }
            },
            _ => {
                self.expected(what, problems);
                None
            }
        }
    }
}
