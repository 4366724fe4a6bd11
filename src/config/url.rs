//! The URL of a journal or a store: kept whole, shown without its secrets.
//!
//! It does not know which schemes exist, except the embedded one, whose paths it makes relative to the right folder.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::excerpt;

/// The scheme of the embedded journal and store: what follows it is a path.
pub(super) const EMBEDDED: &str = "sqlite";

/// Parts of the names of query parameters whose values are shown as `***`.
const SECRET_NAMES: [&str; 8] = ["password", "passwd", "pwd", "secret", "token", "key", "credential", "jaas"];

/// More of a wrong text does not help to find it.
const SHOWN_CHARS_MAX: usize = 80;

/// The URL of a backend. `Display` and `Debug` mask passwords; only [`BackendUrl::reveal`] gives them.
#[derive(Clone, PartialEq, Eq)]
pub struct BackendUrl {
    text: String,
}

impl BackendUrl {
    /// The URL as it is written; `load` judges it.
    pub fn new(text: impl Into<String>) -> Self {
        BackendUrl { text: text.into() }
    }

    /// The URL of an embedded backend in that file.
    pub(super) fn embedded(file: &Path) -> Self {
        BackendUrl::new(format!("{EMBEDDED}://{}", file.display()))
    }

    /// What stands before `://`; nothing when it stands nowhere.
    pub fn scheme(&self) -> &str {
        self.text.split_once("://").map_or("", |(scheme, _)| scheme)
    }

    /// The whole URL with its secrets: for the backend that connects with it, and for nobody else.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What follows `://`, with its secrets.
    pub fn reveal_rest(&self) -> &str {
        self.text.split_once("://").map_or(&self.text, |(_, rest)| rest)
    }

    /// The file of an embedded backend.
    pub fn file(&self) -> Option<PathBuf> {
        (self.scheme() == EMBEDDED).then(|| PathBuf::from(self.reveal_rest()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The same URL with the path of an embedded backend taken from `folder`, or `file_left_out` where it names none.
    pub(super) fn beside(self, folder: &Path, file_left_out: &Path) -> Self {
        match self.reveal_rest() {
            _ if self.scheme() != EMBEDDED => self,
            "" => BackendUrl::embedded(file_left_out),
            path => BackendUrl::embedded(&folder.join(path)),
        }
    }
}

/// The text with what may be a secret replaced by `***`; rather too much than too little.
///
/// Between the first `:` after the scheme and the last `@` stands the password, even when it holds `/`, `?` or `@` that
/// should have been percent-encoded.
fn masked(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let shown = match (rest.find(':'), rest.rfind('@')) {
        (Some(colon), Some(at)) if colon < at => format!("{}:***{}", &rest[..colon], &rest[at..]),
        _ => rest.to_owned(),
    };
    let Some((before, query)) = shown.split_once('?') else { return format!("{scheme}://{shown}") };
    let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}=***"),
        _ => parameter.to_owned(),
    });
    format!("{scheme}://{before}?{}", parameters.collect::<Vec<_>>().join("&"))
}

/// A text as a problem may show it: without passwords, and not without end.
pub(super) fn shown(text: &str) -> String {
    excerpt::cut(&masked(text), SHOWN_CHARS_MAX).into_owned()
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|secret| name.contains(secret))
}

impl fmt::Display for BackendUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&masked(&self.text))
    }
}

impl fmt::Debug for BackendUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "BackendUrl({self})")
    }
}

/// Never fails, so that a flag's parser has no reason to repeat the text in an error; `load` judges it.
impl FromStr for BackendUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(BackendUrl::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_shown() {
        let table = [
            ("sqlite://data/journal.db", "sqlite://data/journal.db"),
            ("postgres://user:s3cret@host/db?schema=public", "postgres://user:***@host/db?schema=public"),
            ("postgres://user@host:5432/db", "postgres://user@host:5432/db"),
            ("postgres://user:s3/c?r@et@host/db", "postgres://user:***@host/db"),
            ("kafka://a:9092,b:9092?sasl.password=s3cret&acks=all", "kafka://a:9092,b:9092?sasl.password=***&acks=all"),
            ("kafka://a:9092?SSL.Key=s3cret&apiToken=s3cret", "kafka://a:9092?SSL.Key=***&apiToken=***"),
            ("no url", "no url"),
        ];
        for (text, shown) in table {
            let url = BackendUrl::new(text);
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("BackendUrl({shown})"));
            assert!(!format!("{:?}", Some(&url)).contains("s3cret"), "{text}");
            assert_eq!(url.reveal(), text);
        }
    }

    #[test]
    fn paths_of_embedded_backends_are_taken_from_their_folder() {
        let table = [
            ("sqlite://a/b.db", "sqlite:///etc/a/b.db"),
            ("sqlite:///a/b.db", "sqlite:///a/b.db"),
            ("sqlite://", "sqlite://data/journal.db"),
            ("kafka://host:9092", "kafka://host:9092"),
        ];
        for (text, resolved) in table {
            let url = BackendUrl::new(text).beside(Path::new("/etc"), Path::new("data/journal.db"));
            assert_eq!(url.reveal(), resolved);
        }
    }
}
