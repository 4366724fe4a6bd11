//! How far the parser looks ahead, and that it is not too far.
//!
//! A list or mapping in brackets may turn out to be a key when its end has come, so the parser keeps what it read until then:
//! more than a hundred bytes for each thing, of which one byte of text can hold one.

use std::cell::Cell;

/// So many marks the parser may see before it gives something: some 15 MiB of memory, which each thread that reads may keep for
/// a while.
pub(super) const MARKS_AHEAD_MAX: usize = 20_000;

/// What the parser has seen since it last gave something.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Whether there was a bracket: without one nothing is kept.
    is_bracketed: Cell<bool>,
    marks: Cell<usize>,
}

impl Ahead {
    /// The characters of a text, which ends when the parser looks too far.
    pub(super) fn chars<'t>(&'t self, text: &'t str) -> impl Iterator<Item = char> + 't {
        text.chars().take_while(|next| {
            if matches!(next, '[' | ']' | '{' | '}' | ',' | ':' | '?' | '&' | '*' | '!') {
                self.note(*next);
            }
            !self.is_too_far()
        })
    }

    fn note(&self, mark: char) {
        if matches!(mark, '[' | '{') {
            self.is_bracketed.set(true);
        }
        // It ends for good, whatever the parser gives for what it has.
        if self.is_bracketed.get() && !self.is_too_far() {
            self.marks.set(self.marks.get() + 1);
        }
    }

    /// The parser has given something.
    pub(super) fn begin_anew(&self) {
        if !self.is_too_far() {
            self.marks.set(0);
        }
    }

    /// Whether it has looked too far.
    pub(super) fn is_too_far(&self) -> bool {
        self.marks.get() > MARKS_AHEAD_MAX
    }
}
