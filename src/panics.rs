//! Panics: what is said of one, and how far it reaches.
//!
//! A panic is a fault of ours. It ends one part or one document, never the process, and it is never silent. Its words may
//! hold a piece of the document that was at hand, so while documents are judged only the place in the source is told.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A panic's words are told up to so many characters: more is a dump.
const CHARACTERS_MAX: usize = 300;

/// One place in the source that fails for every document is told this often.
const TELL_EVERY: Duration = Duration::from_secs(60);

thread_local! {
    /// Whether a document is being judged on this thread.
    static IS_JUDGING: Cell<bool> = const { Cell::new(false) };
    /// Where the last panic of this thread came from.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The last place that was told while documents were judged, and when.
static TOLD: Mutex<Option<(String, Instant)>> = Mutex::new(None);

/// A panic that was caught while a document was judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it could not be judged by a fault of Sluicegate, at {place}")]
pub struct Panicked {
    /// Where in the source.
    pub place: String,
}

/// Puts one log line in the place of what Rust prints.
pub fn log() {
    std::panic::set_hook(Box::new(say));
}

fn say(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let is_judging = IS_JUDGING.try_with(Cell::get).unwrap_or(false);
    if !is_judging {
        tracing::error!(place, what = words(panic.payload()), "A part of the program panicked: a fault of Sluicegate.");
        return;
    }
    if is_news(&place) {
        tracing::error!(place, "A document could not be judged: a fault of Sluicegate. It was refused.");
    }
    let _ = PLACE.try_with(|last| last.replace(place));
}

fn is_news(place: &str) -> bool {
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let is_old = told.as_ref().is_some_and(|(last, at)| last == place && at.elapsed() < TELL_EVERY);
    if !is_old {
        *told = Some((place.to_owned(), Instant::now()));
    }
    !is_old
}

/// The words of a panic, as one line.
pub fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("no words");
    text.chars().take(CHARACTERS_MAX).map(|it| if it.is_control() { ' ' } else { it }).collect()
}

/// Judges one document: a panic is that document's.
pub fn judging<T>(judge: impl FnOnce() -> T) -> Result<T, Panicked> {
    let was_judging = IS_JUDGING.replace(true);
    let judged = catch_unwind(AssertUnwindSafe(judge));
    IS_JUDGING.set(was_judging);
    judged.map_err(|_| Panicked { place: PLACE.take() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_while_a_document_is_judged_is_caught_and_none_of_its_words_are_kept() {
        let text = "a secret";
        let said = judging(|| panic!("{text}")).map(|()| 0).unwrap_err().to_string();
        assert!(said.contains("a fault of Sluicegate") && !said.contains("secret"), "{said}");
        assert!(!IS_JUDGING.get());
        assert_eq!(judging(|| 5), Ok(5));
    }

    #[test]
    fn the_words_of_a_panic_are_one_line() {
        let payload = catch_unwind(|| panic!("{}\n\u{1b}[31m{}", 1, "x".repeat(1_000))).unwrap_err();
        let words = words(&*payload);
        assert!(words.starts_with("1  [31mxxx") && words.chars().count() == CHARACTERS_MAX, "{words}");
        assert_eq!(super::words(&*catch_unwind(|| panic!("plain")).unwrap_err()), "plain");
    }
}
