//! Where a JSON value ends, told by its brackets and quotes alone, byte by byte as they arrive.
//!
//! It checks no grammar, and never looks at a byte twice: it says when a reader's look at the value is worth its time, which
//! is at its end, or where something cannot be right.

use crate::json::DEPTH_MAX;

/// How far a value was looked at, and what was open there.
#[derive(Debug, Default)]
pub(super) struct Scan {
    at: usize,
    depth: usize,
    /// For each depth whether an object is open there.
    objects: u64,
    is_text: bool,
    is_escaped: bool,
    /// The last byte outside of texts that is not white space.
    last: u8,
}

impl Scan {
    /// How many bytes were looked at.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// Goes on over a value that may have grown. True when it ends, or cannot be right, at [`Scan::offset`].
    pub(super) fn advance(&mut self, value: &[u8]) -> bool {
        while self.at < value.len() {
            if self.is_text && !self.is_escaped {
                let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
                self.at += value[self.at..].iter().position(|byte| !is_plain(byte)).unwrap_or(value.len() - self.at);
            }
            let Some(byte) = value.get(self.at).copied() else { return false };
            self.at += 1;
            if if self.is_text { self.in_text(byte) } else { self.outside(byte) } {
                return true;
            }
        }
        false
    }

    fn in_text(&mut self, byte: u8) -> bool {
        if std::mem::take(&mut self.is_escaped) {
            return false;
        }
        match byte {
            b'\\' => self.is_escaped = true,
            b'"' => {
                self.is_text = false;
                self.last = byte;
                return self.depth == 0;
            }
            // A control character.
            _ => return true,
        }
        false
    }

    fn outside(&mut self, byte: u8) -> bool {
        let follows_value = !matches!(self.last, 0 | b':' | b',' | b'{' | b'[');
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => return self.depth == 0,
            b'"' => {
                self.is_text = true;
                return follows_value;
            }
            b'{' | b'[' => {
                if follows_value || self.depth == DEPTH_MAX {
                    return true;
                }
                self.objects = self.objects << 1 | u64::from(byte == b'{');
                self.depth += 1;
            }
            b'}' | b']' => {
                if self.depth == 0 || (self.objects & 1 == 1) != (byte == b'}') {
                    return true;
                }
                self.objects >>= 1;
                self.depth -= 1;
                self.last = byte;
                return self.depth == 0;
            }
            _ => {}
        }
        self.last = byte;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_worth_its_time_at_the_end_and_where_something_cannot_be_right() {
        for (text, expected) in [
            (r#"{"a":[1,{"b":"}\"]"}]} x"#, Some(22)),
            (r#""a\\" "#, Some(5)),
            ("12 ", Some(3)),
            ("12{", Some(3)),
            ("12", None),
            ("{\"a\":1", None),
            ("[\"a", None),
            (r#"["a\"#, None),
            ("[}", Some(2)),
            ("}", Some(1)),
            ("{\"a\":\"x\n", Some(8)),
            ("[1]\n", Some(3)),
            ("[[1]\n{", Some(6)),
            ("[1 \"", Some(4)),
        ] {
            for chunk in 1..=text.len() {
                let mut scan = Scan::default();
                let ends = (1..).map(|step| (step * chunk).min(text.len()));
                let mut found = None;
                for end in ends.take(text.len().div_ceil(chunk)) {
                    if scan.advance(&text.as_bytes()[..end]) {
                        found = Some(scan.offset());
                        break;
                    }
                }
                assert_eq!(found, expected, "{text} by {chunk}");
            }
        }
        assert!(!Scan::default().advance("[".repeat(DEPTH_MAX).as_bytes()));
        assert!(Scan::default().advance("[".repeat(DEPTH_MAX + 1).as_bytes()));
    }
}
