//! A log line for a refused document: which stream, why, and where; never what stood there. And one for a request that is
//! refused at the door, which belongs to no stream.
//!
//! Senders decide how many refusals there are, so lines are rationed by stream and reason, and what has no line is counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::problem::{Problem, ProblemType};
use crate::stream::Stream;

/// So many refusals of one stream, for one reason, have a line of their own in each [`WINDOW`].
const LINES_MAX: u32 = 5;

/// When it is over, those without a line are told as a number.
const WINDOW: Duration = Duration::from_secs(10);

/// A pointer holds names that a sender chose: so much of it says where.
const POINTER_CHARS_MAX: usize = 200;

/// What was said of refusals, by stream and reason.
#[derive(Debug, Default, Clone)]
pub struct Refusals(Arc<Mutex<HashMap<Key, Window>>>);

/// The stream, none at the door, and the reason.
type Key = (Option<String>, ProblemType);

#[derive(Debug)]
struct Window {
    begin: Instant,
    lines: u32,
    more: u64,
}

impl Refusals {
    /// A document was refused by `stream`; `via` says by which way it came. Called within tokio's runtime.
    pub fn note(&self, stream: &Stream, via: &str, problem: &Problem) {
        if !self.may_speak(Some(stream.name.as_str()), problem.kind, Instant::now()) {
            return;
        }
        let pointer: String = problem
            .errors
            .first()
            .map(|error| error.pointer.chars().take(POINTER_CHARS_MAX).collect())
            .unwrap_or_default();
        let (stream, reason, violations) = (stream.name.as_str(), problem.kind.name(), problem.errors.len());
        match violations {
            0 => tracing::info!(stream, reason, via, "A document was refused."),
            _ => tracing::info!(stream, reason, pointer, violations, via, "A document was refused."),
        }
    }

    /// A request was refused for its headers or the web page it came from, before anything of it was read. Its path is part
    /// of what its sender chose, and left out. Called within tokio's runtime.
    pub fn note_at_the_door(&self, problem: &Problem) {
        if self.may_speak(None, problem.kind, Instant::now()) {
            tracing::info!(reason = problem.kind.name(), why = problem.detail, "A request was refused at the door.");
        }
    }

    /// Whether this refusal has a line. The first without one sees to it that their number is told.
    fn may_speak(&self, stream: Option<&str>, reason: ProblemType, now: Instant) -> bool {
        let mut windows = self.windows();
        let key = (stream.map(str::to_owned), reason);
        let window = windows.entry(key.clone()).or_insert(Window { begin: now, lines: 0, more: 0 });
        if now.duration_since(window.begin) >= WINDOW && window.more == 0 {
            *window = Window { begin: now, lines: 0, more: 0 };
        }
        if window.lines < LINES_MAX {
            window.lines += 1;
            return true;
        }
        window.more += 1;
        if window.more == 1 {
            let (refusals, end) = (self.clone(), window.begin + WINDOW);
            tokio::spawn(async move {
                tokio::time::sleep_until(end).await;
                refusals.tell_the_rest(&key);
            });
        }
        false
    }

    fn tell_the_rest(&self, key: &Key) {
        let Some(window) = self.windows().remove(key) else { return };
        let (reason, more) = (key.1.name(), window.more);
        match &key.0 {
            Some(stream) => tracing::info!(stream, reason, more, "{more} more documents were refused."),
            None => tracing::info!(reason, more, "{more} more requests were refused at the door."),
        }
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<Key, Window>> {
        // Whoever panicked here left counters, and any of them is as good as another.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_rationed_by_stream_and_reason_and_what_has_none_is_counted() {
        let refusals = Refusals::default();
        let begin = Instant::now();
        let speak = |stream: &str, reason| refusals.may_speak(Some(stream), reason, begin);
        let spoken = (0..100).filter(|_| speak("a", ProblemType::InvalidDocument)).count();
        assert_eq!(spoken, 5);
        assert!(speak("b", ProblemType::InvalidDocument), "another stream has lines of its own");
        assert!(speak("a", ProblemType::NotJson), "another reason too");
        let more =
            |key: &str| refusals.windows().get(&(Some(key.to_owned()), ProblemType::InvalidDocument)).map(|it| it.more);
        assert_eq!(more("a"), Some(95));
        refusals.tell_the_rest(&(Some("a".to_owned()), ProblemType::InvalidDocument));
        assert_eq!(more("a"), None, "their number was told");
        assert!(speak("a", ProblemType::InvalidDocument), "and then there are lines again");
        let later = begin + WINDOW;
        assert!(
            (0..5).all(|_| refusals.may_speak(Some("b"), ProblemType::InvalidDocument, later)),
            "a window is over in time"
        );
    }
}
