//! Why something failed: a sentence that everybody may hear, and what lies behind it, for the log.
//!
//! The sentence stands in answers, in `/health/ready` and in what is kept for people; the causes only where [`chain`] writes
//! them. A cause holds no secret, and no value of a document.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// A sentence, and the error that it is about, if there is one.
#[derive(Debug, Clone)]
pub struct Reason {
    words: String,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Reason {
    /// A sentence about an error that caused it.
    pub fn of(words: impl Into<String>, cause: impl Error + Send + Sync + 'static) -> Self {
        Reason::from(words.into()).because(cause)
    }

    /// The same, caused by that.
    pub fn because(self, cause: impl Error + Send + Sync + 'static) -> Self {
        Reason { cause: Some(Arc::new(cause)), ..self }
    }

    /// The same, with so much more at the end of the sentence.
    pub fn with(mut self, more: impl AsRef<str>) -> Self {
        self.words.push_str(more.as_ref());
        self
    }

    /// The sentence.
    pub fn words(&self) -> &str {
        &self.words
    }
}

impl From<String> for Reason {
    fn from(words: String) -> Self {
        Reason { words, cause: None }
    }
}

impl From<&str> for Reason {
    fn from(words: &str) -> Self {
        Reason::from(words.to_owned())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.words)
    }
}

impl Error for Reason {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

/// An error with its causes, in one line: `words: cause: cause of the cause`. For the log, and for who runs the program.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Some repeat their cause in their own words.
        if !line.contains(&words) {
            line.push_str(": ");
            line.push_str(&words);
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("it says {0} itself")]
    struct Repeats(#[source] io::Error);

    #[test]
    fn the_sentence_stands_alone_and_the_chain_tells_every_cause_once() {
        let gone = || io::Error::new(io::ErrorKind::NotFound, "no such folder");
        for (reason, sentence, line) in [
            (Reason::from("it fails"), "it fails", "it fails"),
            (Reason::of("it fails", gone()), "it fails", "it fails: no such folder"),
            (
                Reason::of("it fails", Reason::of("a part fails", gone())),
                "it fails",
                "it fails: a part fails: no such folder",
            ),
            (Reason::of("it fails", Repeats(gone())), "it fails", "it fails: it says no such folder itself"),
        ] {
            assert_eq!((reason.to_string(), reason.words()), (sentence.to_owned(), sentence));
            assert_eq!(chain(&reason), line);
            assert_eq!(chain(&reason.clone()), line, "a copy has the same causes");
        }
    }
}
