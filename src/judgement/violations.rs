//! The list of what is wrong with a document: complete as a count, bounded as a text.

use crate::problem::{Problem, ProblemType, Violation};

/// More violations than this are counted, but not described: whoever sends such a document has one mistake in a loop.
pub const VIOLATIONS_MAX: usize = 50;

/// What the descriptions of one document take at most, in bytes: they may quote what was sent.
const DESCRIBED_BYTES_MAX: usize = 16 << 10;

/// One description.
const DETAIL_CHARS_MAX: usize = 500;

/// A longer pointer gives way to that of the nearest place around, which is shorter.
const POINTER_BYTES_MAX: usize = 2 << 10;

/// The violations so far.
#[derive(Debug, Default)]
pub struct Violations {
    list: Vec<Violation>,
    bytes: usize,
    count: usize,
}

impl Violations {
    /// Notes one, which is described while there is room.
    #[cold]
    #[inline(never)]
    pub fn add(&mut self, pointer: impl FnOnce() -> String, detail: impl FnOnce() -> String) {
        self.count += 1;
        if self.list.len() == VIOLATIONS_MAX || self.bytes >= DESCRIBED_BYTES_MAX {
            return;
        }
        let (pointer, mut detail) = (pointer(), cut(detail()));
        let pointer = match around(&pointer) {
            Some(shorter) => {
                detail.push_str(&format!(" (further in; the whole pointer takes {} bytes)", pointer.len()));
                shorter.to_owned()
            }
            None => pointer,
        };
        self.bytes += pointer.len() + detail.len();
        self.list.push(Violation { pointer, detail });
    }

    /// How many there are, the undescribed ones included.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The problem of a document that is not valid: how many violations there are, and the described ones.
    pub fn into_problem(self) -> Problem {
        let (count, listed) = (self.count, self.list.len());
        let detail = match count {
            1 => "1 violation".into(),
            _ if count > listed => format!("{count} violations, of which the first {listed} are listed"),
            _ => format!("{count} violations"),
        };
        Problem { errors: self.list, ..Problem::new(ProblemType::InvalidDocument, detail) }
    }
}

fn cut(detail: String) -> String {
    match detail.char_indices().nth(DETAIL_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &detail[..end]),
        None => detail,
    }
}

/// The longest beginning of a pointer that is one itself, and short enough; none when all of it is.
fn around(pointer: &str) -> Option<&str> {
    if pointer.len() <= POINTER_BYTES_MAX {
        return None;
    }
    let end = pointer.as_bytes()[..=POINTER_BYTES_MAX].iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    Some(&pointer[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_described_is_bounded_in_number_and_in_bytes() {
        let long = "x".repeat(100_000);
        for (pointer, detail, listed) in [
            ("/a".to_owned(), "no", 50),
            (format!("/a/{long}"), "no", 50),
            ("/a".to_owned(), &*long, 33),
            (format!("/{long}"), &*long, 30),
        ] {
            let mut violations = Violations::default();
            for _ in 0..10_000 {
                violations.add(|| pointer.clone(), || detail.to_owned());
            }
            let problem = violations.into_problem();
            assert_eq!(problem.errors.len(), listed, "{}", problem.detail);
            assert_eq!(problem.detail, format!("10000 violations, of which the first {listed} are listed"));
            let bytes: usize = problem.errors.iter().map(|error| error.pointer.len() + error.detail.len()).sum();
            assert!(bytes < DESCRIBED_BYTES_MAX + POINTER_BYTES_MAX + 4 * DETAIL_CHARS_MAX + 100, "{bytes}");
            assert!(["/a", ""].contains(&&*problem.errors[0].pointer));
        }
    }
}
