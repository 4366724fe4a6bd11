//! Somebody's text in a sentence: cut where it is long.

use std::borrow::Cow;

/// So much of a value a sentence shows.
pub const VALUE_CHARS: usize = 40;

/// At most `chars` characters of a text; `…` stands where more were there.
pub fn cut(text: &str, chars: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

/// The same in quotes, with what a terminal obeys escaped.
pub fn quoted(text: &str, chars: usize) -> String {
    format!("{:?}", cut(text, chars))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        for (text, wanted) in [
            ("", "\"\""),
            ("abc", "\"abc\""),
            ("abcd", "\"abc…\""),
            ("äöü", "\"äöü\""),
            ("äöüß", "\"äöü…\""),
            ("a\"\u{1b}", "\"a\\\"\\u{1b}\""),
        ] {
            assert_eq!(quoted(text, 3), wanted, "{text}");
        }
    }
}
