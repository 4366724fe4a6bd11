//! What exponents unfold to: `1e5000` takes six bytes, and written out 5,001 digits.

use super::{Duplicates, Path, Reader};

/// How many zeros the exponent of a number adds to it when it is written out. Exponents that people mean, up to 40, cost
/// no more than the same digits would, and count nothing.
pub fn zeros_added(digits: &str) -> usize {
    const FREE: usize = 40;
    let Some(at) = digits.find(['e', 'E']) else { return 0 };
    let exponent = digits[at + 1..].trim_start_matches(['+', '-', '0']);
    if exponent.is_empty() || !exponent.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    // What does not fit is beyond every limit.
    let zeros: usize = exponent.parse().unwrap_or(usize::MAX);
    if zeros <= FREE { 0 } else { zeros }
}

/// How many zeros the exponents of all numbers in a JSON text add; of one that is broken, up to its fault.
pub fn zeros_in(text: &str) -> usize {
    struct Sum(usize);
    impl Duplicates for Sum {
        fn duplicate(&mut self, _: &Path<'_>) {}

        fn exponent(&mut self, _: &Path<'_>, digits: &str) {
            self.0 = self.0.saturating_add(zeros_added(digits));
        }
    }
    let mut sum = Sum(0);
    let _ = Reader::new(text).skip(&Path::ROOT, &mut sum);
    sum.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_counted_without_writing_them() {
        for (number, expected) in [
            ("1", 0),
            ("1e40", 0),
            ("1e-40", 0),
            ("1E+0041", 41),
            ("1.5e-0", 0),
            ("hello", 0),
            ("-2e5000", 5_000),
            ("1e-100000000", 100_000_000),
            ("1e99999999999999999999", usize::MAX),
        ] {
            assert_eq!(zeros_added(number), expected, "{number}");
        }
        assert_eq!(zeros_in(r#"{"a": [1e50, {"1e60": "1e70"}], "b": 1e80}"#), 130);
    }
}
