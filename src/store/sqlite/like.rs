//! `LIKE` as PostgreSQL has it, in time that goes with the text and not with the product of text and pattern.

/// So many characters are compared between two looks at the clock.
const LOOK_EVERY: u32 = 1 << 16;

/// What stands between two `%` of a pattern.
#[derive(Debug, Default)]
struct Segment {
    pieces: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    /// `_`
    One,
}

/// Whether `text` is like `pattern`; none when `is_late` said so.
pub(super) fn is_like(text: &str, pattern: &str, is_late: &dyn Fn() -> bool) -> Option<bool> {
    let mut segments = segments(pattern);
    let mut steps = Steps { left: LOOK_EVERY, is_late };
    let Some(last) = segments.pop() else { return Some(text.is_empty()) };
    if segments.is_empty() {
        return Some(last.at_start(text, &mut steps)? == Some(text.len()));
    }
    let mut rest = text;
    for (nth, segment) in segments.iter().enumerate() {
        let end = if nth == 0 { segment.at_start(rest, &mut steps)? } else { segment.find(rest, &mut steps)? };
        match end {
            Some(end) => rest = &rest[end..],
            None => return Some(false),
        }
    }
    last.at_end(rest, &mut steps)
}

fn segments(pattern: &str) -> Vec<Segment> {
    let mut segments = vec![Segment::default()];
    let mut text = String::new();
    let mut characters = pattern.chars();
    let end = |segments: &mut Vec<Segment>, text: &mut String, piece: Option<Piece>| {
        let Some(segment) = segments.last_mut() else { return };
        if !text.is_empty() {
            segment.pieces.push(Piece::Text(std::mem::take(text)));
        }
        segment.pieces.extend(piece);
    };
    while let Some(character) = characters.next() {
        match character {
            '%' => {
                end(&mut segments, &mut text, None);
                segments.push(Segment::default());
            }
            '_' => end(&mut segments, &mut text, Some(Piece::One)),
            '\\' => text.extend(characters.next()),
            other => text.push(other),
        }
    }
    end(&mut segments, &mut text, None);
    segments
}

struct Steps<'l> {
    left: u32,
    is_late: &'l dyn Fn() -> bool,
}

impl Steps<'_> {
    /// None when the time is over.
    fn take(&mut self, count: usize) -> Option<()> {
        self.left = self.left.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        if self.left > 0 {
            return Some(());
        }
        self.left = LOOK_EVERY;
        (!(self.is_late)()).then_some(())
    }
}

impl Segment {
    /// Where the segment ends in a text that begins with it.
    fn at_start(&self, text: &str, steps: &mut Steps<'_>) -> Option<Option<usize>> {
        let mut rest = text;
        for piece in &self.pieces {
            steps.take(1)?;
            match piece {
                Piece::Text(wanted) => match rest.strip_prefix(wanted.as_str()) {
                    Some(behind) => {
                        steps.take(wanted.len() / 16)?;
                        rest = behind;
                    }
                    None => return Some(None),
                },
                Piece::One => {
                    let mut characters = rest.chars();
                    if characters.next().is_none() {
                        return Some(None);
                    }
                    rest = characters.as_str();
                }
            }
        }
        Some(Some(text.len() - rest.len()))
    }

    /// Where the first one ends that stands in a text.
    fn find(&self, text: &str, steps: &mut Steps<'_>) -> Option<Option<usize>> {
        match &self.pieces[..] {
            [] => return Some(Some(0)),
            // In time that goes with the text.
            [Piece::Text(wanted)] => {
                let found = text.find(wanted.as_str()).map(|at| at + wanted.len());
                steps.take(found.unwrap_or(text.len()) / 4)?;
                return Some(found);
            }
            _ => {}
        }
        let mut rest = text;
        loop {
            if let Some(end) = self.at_start(rest, steps)? {
                return Some(Some(text.len() - rest.len() + end));
            }
            let mut characters = rest.chars();
            if characters.next().is_none() {
                return Some(None);
            }
            rest = characters.as_str();
        }
    }

    /// Whether a text ends with the segment.
    fn at_end(&self, text: &str, steps: &mut Steps<'_>) -> Option<bool> {
        let mut rest = text;
        for piece in self.pieces.iter().rev() {
            steps.take(1)?;
            match piece {
                Piece::Text(wanted) => match rest.strip_suffix(wanted.as_str()) {
                    Some(before) => rest = before,
                    None => return Some(false),
                },
                Piece::One => {
                    let mut characters = rest.chars();
                    if characters.next_back().is_none() {
                        return Some(false);
                    }
                    rest = characters.as_str();
                }
            }
        }
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_pattern_means_what_it_means_in_postgresql() {
        for (text, pattern, expected) in [
            ("", "", true),
            ("", "%", true),
            ("a", "", false),
            ("abc", "abc", true),
            ("abc", "ab", false),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "%b%", true),
            ("abc", "a_c", true),
            ("ac", "a_c", false),
            ("aüc", "a_c", true),
            ("abcbcd", "a%bcd", true),
            ("abcbce", "a%bcd", false),
            ("abab", "%ab", true),
            ("aba", "ab%ba", false),
            ("abba", "ab%ba", true),
            ("a%c", "a\\%c", true),
            ("abc", "a\\%c", false),
            ("a_c", "a\\_c", true),
            ("a\\c", "a\\\\c", true),
            ("abc", "%%%", true),
            ("abc", "____", false),
            ("abc", "%_c", true),
            ("abc", "%_b_%", true),
            ("abc", "_%_%_", true),
            ("ab", "_%_%_", false),
            ("xaybz", "%a_b%", true),
            ("ABC", "abc", false),
        ] {
            assert_eq!(is_like(text, pattern, &|| false), Some(expected), "{text} like {pattern}");
        }
    }

    #[test]
    fn no_pattern_takes_long_and_each_can_be_stopped() {
        let text = "a".repeat(1 << 20);
        let begin = Instant::now();
        for pattern in
            [format!("%{}b%", "a".repeat(15_000)), "%a".repeat(15_000) + "%b", format!("%{}b", "a".repeat(15_000))]
        {
            assert_eq!(is_like(&text, &pattern, &|| false), Some(false), "{}", &pattern[..9]);
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        let until = Instant::now() + Duration::from_millis(50);
        let slow = format!("%{}b%", "a_".repeat(15_000));
        assert_eq!(is_like(&text, &slow, &|| Instant::now() > until), None);
        assert!(until.elapsed() < Duration::from_secs(1), "{:?}", until.elapsed());
    }
}
