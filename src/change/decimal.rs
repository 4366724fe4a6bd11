//! Decimal numbers as text: one plain notation for each that keeps every digit, and their order as numbers.
//!
//! It does no arithmetic and rounds nothing: what does not fit is refused. The work is bounded by the length of the
//! text, whatever the exponent says.

use std::borrow::Cow;
use std::cmp::Ordering;

/// PostgreSQL's NUMERIC without precision holds this many digits before the point, and no more.
const WHOLE_DIGITS_MAX: i64 = 131_072;
/// PostgreSQL's NUMERIC without precision holds this many digits after the point, and no more.
const FRACTION_DIGITS_MAX: i64 = 16_383;
/// `1e131071` is a valid decimal. Written out, eight bytes would become 128 KiB, so an exponent that adds more zeros
/// than this stays an exponent.
const ZEROS_ADDED_MAX: i64 = 1_000;

/// Why a text is not the number that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It is no number.
    NoNumber,
    /// It is a number with a fraction, where a whole one was asked for.
    Fraction,
    /// More digits before the point than the type holds.
    TooLarge,
    /// More digits after the point than the type holds.
    LosesDigits,
}

enum Number<'a> {
    Finite(Finite<'a>),
    Infinite { negative: bool },
    Nan,
}

/// The parts of a number as written: `-BEFORE.AFTEReEXPONENT`. At least one digit stands around the point.
struct Finite<'a> {
    negative: bool,
    before: &'a [u8],
    after: &'a [u8],
    exponent: i64,
    /// Written plainly: digits, or digits, a point, and digits, with no zero or plus in front.
    is_plain: bool,
}

/// Where the digits that count stand, counted from the point to the left: 120.05 has `first` 3 and `last` -2.
struct Span {
    first: i64,
    last: i64,
}

impl<'a> Finite<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let negative = bytes.first() == Some(&b'-');
        let start = usize::from(negative || bytes.first() == Some(&b'+'));
        let digits_end = |from: usize| from + bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut at = digits_end(start);
        let before = &bytes[start..at];
        let mut after = &bytes[at..at];
        let mut is_plain = (negative || start == 0) && !before.is_empty() && (before[0] != b'0' || before.len() == 1);
        if bytes.get(at) == Some(&b'.') {
            let end = digits_end(at + 1);
            after = &bytes[at + 1..end];
            is_plain &= !after.is_empty();
            at = end;
        }
        if before.is_empty() && after.is_empty() {
            return None;
        }
        let mut exponent = 0;
        if let Some(b'e' | b'E') = bytes.get(at) {
            is_plain = false;
            let sign = bytes.get(at + 1);
            let from = at + 1 + usize::from(matches!(sign, Some(b'+' | b'-')));
            let end = digits_end(from);
            if end == from {
                return None;
            }
            // Beyond any number that could be held; the exact value does not matter there.
            let size = text[from..end].parse().unwrap_or(i64::MAX).min(1 << 48);
            exponent = if sign == Some(&b'-') { -size } else { size };
            at = end;
        }
        (at == bytes.len()).then_some(Finite { negative, before, after, exponent, is_plain })
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.before.iter().chain(self.after).copied()
    }

    fn significant(&self) -> impl Iterator<Item = u8> {
        self.digits().skip_while(|digit| *digit == b'0')
    }

    /// None for zero.
    fn span(&self) -> Option<Span> {
        let counts = |byte: &u8| *byte != b'0';
        let point = self.before.len() as i64;
        let index = |at: Option<usize>, offset: usize| at.map(|at| (at + offset) as i64);
        let first = index(self.before.iter().position(counts), 0)
            .or_else(|| index(self.after.iter().position(counts), self.before.len()))?;
        let last = index(self.after.iter().rposition(counts), self.before.len())
            .or_else(|| index(self.before.iter().rposition(counts), 0))?;
        Some(Span { first: point - first + self.exponent, last: point - last - 1 + self.exponent })
    }

    /// Digits after the point when written out, trailing zeros included.
    fn scale(&self) -> i64 {
        (self.after.len() as i64 - self.exponent).max(0)
    }

    fn write_out(&self, is_zero: bool) -> String {
        let length = self.before.len() + self.after.len();
        let point = self.before.len() as i64 + self.exponent;
        // Zero has no zeros behind it, however many its exponent speaks of.
        let zeros = if is_zero { 0 } else { self.exponent.unsigned_abs() };
        let mut text = String::with_capacity(length + zeros as usize + 3);
        if self.negative && !is_zero {
            text.push('-');
        }
        let mut begun = false;
        if point <= 0 {
            text.push_str("0.");
            text.extend(std::iter::repeat_n('0', point.unsigned_abs() as usize));
            begun = true;
        }
        for (index, digit) in (0..).zip(self.digits()) {
            if index == point && point > 0 {
                text.push_str(if begun { "." } else { "0." });
                begun = true;
            }
            begun |= digit != b'0';
            if begun {
                text.push(char::from(digit));
            }
        }
        if is_zero && !begun {
            text.push('0');
        } else if !is_zero {
            text.extend(std::iter::repeat_n('0', (point - length as i64).max(0).unsigned_abs() as usize));
        }
        text
    }
}

impl<'a> Number<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if let Some(finite) = Finite::parse(text) {
            return Some(Number::Finite(finite));
        }
        let (sign, word) = match text.as_bytes() {
            [sign @ (b'-' | b'+'), ..] => (Some(*sign), &text[1..]),
            _ => (None, text),
        };
        if word.eq_ignore_ascii_case("infinity") || word.eq_ignore_ascii_case("inf") {
            Some(Number::Infinite { negative: sign == Some(b'-') })
        } else if word.eq_ignore_ascii_case("nan") && sign.is_none() {
            Some(Number::Nan)
        } else {
            None
        }
    }

    /// The order among kinds of numbers; NaN is the greatest, as in PostgreSQL.
    fn rank(&self) -> u8 {
        match self {
            Number::Infinite { negative: true } => 0,
            Number::Finite(_) => 1,
            Number::Infinite { negative: false } => 2,
            Number::Nan => 3,
        }
    }
}

/// The plain notation of a decimal for a NUMERIC of this precision and scale (see [`super::Scalar::Numeric`]).
///
/// Every digit is kept, trailing zeros too; zeros in front, a plus, and the sign of zero go. What is already plain comes
/// back as it is, and so does a number whose exponent would write out more than 1,000 zeros.
pub fn canonical(text: Cow<'_, str>, precision: Option<u32>, scale: i32) -> Result<Cow<'_, str>, Flaw> {
    let text = trimmed(text);
    let finite = match Number::parse(&text).ok_or(Flaw::NoNumber)? {
        Number::Finite(finite) => finite,
        Number::Nan => return Ok(Cow::Borrowed("NaN")),
        Number::Infinite { .. } if precision.is_some() => return Err(Flaw::TooLarge),
        Number::Infinite { negative: false } => return Ok(Cow::Borrowed("Infinity")),
        Number::Infinite { negative: true } => return Ok(Cow::Borrowed("-Infinity")),
    };
    let span = finite.span();
    match (precision, &span) {
        (None, _) if finite.scale() > FRACTION_DIGITS_MAX => return Err(Flaw::LosesDigits),
        (None, Some(span)) if span.first > WHOLE_DIGITS_MAX => return Err(Flaw::TooLarge),
        (Some(precision), Some(span)) if span.first > i64::from(precision) - i64::from(scale) => {
            return Err(Flaw::TooLarge);
        }
        (Some(_), Some(span)) if -span.last > i64::from(scale) => return Err(Flaw::LosesDigits),
        // Zero with a long tail of zeros: they say nothing to a column that has a scale of its own.
        (Some(_), None) if finite.scale() > FRACTION_DIGITS_MAX => return Ok(Cow::Borrowed("0")),
        _ => {}
    }
    let is_zero = span.is_none();
    if finite.is_plain && !(is_zero && finite.negative) {
        return Ok(text);
    }
    let is_long = if is_zero { finite.scale() > ZEROS_ADDED_MAX } else { finite.exponent.abs() > ZEROS_ADDED_MAX };
    if is_long && finite.exponent != 0 {
        return Ok(text);
    }
    let written = finite.write_out(is_zero);
    Ok(Cow::Owned(written))
}

/// The whole number that a decimal is, such as `1.0` or `1e3`.
pub fn whole(text: &str) -> Result<i64, Flaw> {
    let finite = match Number::parse(text.trim_ascii()) {
        Some(Number::Finite(finite)) => finite,
        Some(Number::Infinite { .. }) => return Err(Flaw::TooLarge),
        Some(Number::Nan) | None => return Err(Flaw::NoNumber),
    };
    let Some(span) = finite.span() else { return Ok(0) };
    if span.last < 0 {
        return Err(Flaw::Fraction);
    }
    // i64 has 19 digits at most, which i128 holds with room for the carry.
    if span.first > 19 {
        return Err(Flaw::TooLarge);
    }
    let digits = finite.significant().chain(std::iter::repeat(b'0'));
    let size = digits.take(span.first as usize).fold(0i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
    i64::try_from(if finite.negative { -size } else { size }).map_err(|_| Flaw::TooLarge)
}

/// The order of two decimal texts as numbers, plain or not; equal numbers are equal however they are written.
///
/// NaN stands after all other numbers, as in PostgreSQL, and text that is no decimal after NaN, in the order of text.
pub fn compare(a: &str, b: &str) -> Ordering {
    match (Number::parse(a), Number::parse(b)) {
        (Some(Number::Finite(a)), Some(Number::Finite(b))) => compare_finite(&a, &b),
        (Some(a), Some(b)) => a.rank().cmp(&b.rank()),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

fn compare_finite(a: &Finite<'_>, b: &Finite<'_>) -> Ordering {
    let (a_span, b_span) = (a.span(), b.span());
    let sign = |number: &Finite<'_>, span: &Option<Span>| match span {
        None => 0,
        Some(_) if number.negative => -1,
        Some(_) => 1,
    };
    let (a_sign, b_sign) = (sign(a, &a_span), sign(b, &b_span));
    let (Some(a_span), Some(b_span), true) = (a_span, b_span, a_sign == b_sign) else {
        return a_sign.cmp(&b_sign);
    };
    let size = a_span.first.cmp(&b_span.first).then_with(|| {
        // Both begin at the same place, and the last digit of each is no zero: where one ends first, it is the smaller.
        let (a_length, b_length) = (a_span.first - a_span.last, b_span.first - b_span.last);
        let shared = a_length.min(b_length) as usize;
        let order = a.significant().take(shared).cmp(b.significant().take(shared));
        order.then(a_length.cmp(&b_length))
    });
    if a_sign < 0 { size.reverse() } else { size }
}

/// Without the spaces around it, and borrowed where it was borrowed.
pub(super) fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii()),
        Cow::Owned(text) if text.trim_ascii().len() < text.len() => Cow::Owned(text.trim_ascii().into()),
        owned => owned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, precision: Option<u32>, scale: i32, wanted: Result<&str, Flaw>) {
        let found = canonical(Cow::Borrowed(text), precision, scale);
        assert_eq!(found.as_deref().map_err(|flaw| *flaw), wanted, "{text} as ({precision:?},{scale})");
        if wanted == Ok(text) {
            assert!(matches!(found, Ok(Cow::Borrowed(_))), "{text} is plain already");
        }
        assert!(
            matches!(canonical(Cow::Owned(text.into()), precision, scale), found if found.as_deref() == wanted.as_deref())
        );
    }

    #[test]
    fn one_plain_notation_keeps_every_digit() {
        for (text, wanted) in [
            ("1.50", "1.50"),
            ("12345678901234568.123456789012", "12345678901234568.123456789012"),
            ("-0.000000000001", "-0.000000000001"),
            ("1e3", "1000"),
            ("1.50e1", "15.0"),
            ("1.5E+3", "1500"),
            ("1.5e-3", "0.0015"),
            ("-12.5e-1", "-1.25"),
            ("001.5e-1", "0.15"),
            ("12e-2", "0.12"),
            ("0.001e3", "1"),
            ("0.0015e2", "0.15"),
            ("+5", "5"),
            ("007", "7"),
            ("-0", "0"),
            ("-0.00", "0.00"),
            ("0e5", "0"),
            ("00e2", "0"),
            ("0e-3", "0.000"),
            ("0.0e1", "0"),
            (".5", "0.5"),
            ("5.", "5"),
            ("00.10", "0.10"),
            ("  42 ", "42"),
            ("nan", "NaN"),
            ("inf", "Infinity"),
            ("-INFINITY", "-Infinity"),
            ("1e131071", "1e131071"),
            ("0e999999999", "0"),
            ("0e281474976710656", "0"),
            ("-0.0E+99999999999999999999", "0"),
        ] {
            check(text, None, 0, Ok(wanted));
        }
        for text in ["", " ", "abc", "1,5", "--1", "1e", "1e+", ".", "-", "0x10", "1_000", "-nan", "1 2", "١"] {
            check(text, None, 0, Err(Flaw::NoNumber));
        }
    }

    #[test]
    fn what_a_numeric_cannot_hold_is_refused() {
        use Flaw::{LosesDigits, TooLarge};
        for (text, precision, scale, wanted) in [
            ("999.99", 5, 2, Ok("999.99")),
            ("1000", 5, 2, Err(TooLarge)),
            ("1e3", 5, 2, Err(TooLarge)),
            ("0.001", 5, 2, Err(LosesDigits)),
            ("1.1000000", 5, 2, Ok("1.1000000")),
            ("0001.5", 2, 1, Ok("1.5")),
            ("1200", 2, -2, Ok("1200")),
            ("9900", 2, -2, Ok("9900")),
            ("10000", 2, -2, Err(TooLarge)),
            ("1250", 2, -2, Err(LosesDigits)),
            ("0.00099", 2, 5, Ok("0.00099")),
            ("0.001", 2, 5, Err(TooLarge)),
            ("0", 2, 5, Ok("0")),
            ("0.0000000", 2, 1, Ok("0.0000000")),
            ("NaN", 2, 1, Ok("NaN")),
            ("inf", 2, 1, Err(TooLarge)),
            ("1e999999999999999999999", 5, 2, Err(TooLarge)),
            ("1e-999999999999999999999", 5, 2, Err(LosesDigits)),
            ("0e-999999999999999999999", 5, 2, Ok("0")),
        ] {
            check(text, Some(precision), scale, wanted);
        }
        check("1e131072", None, 0, Err(TooLarge));
        check("1e999999999", None, 0, Err(TooLarge));
        check("1e-16383", None, 0, Ok("1e-16383"));
        check("1e-16384", None, 0, Err(LosesDigits));
    }

    #[test]
    fn whole_values_are_whole_however_written() {
        for (text, wanted) in [
            ("1.0", Ok(1)),
            ("1e3", Ok(1000)),
            ("-1200e-2", Ok(-12)),
            ("0.001e3", Ok(1)),
            ("0e999999999999", Ok(0)),
            ("9223372036854775807", Ok(i64::MAX)),
            ("-9223372036854775808.000", Ok(i64::MIN)),
            ("9223372036854775808", Err(Flaw::TooLarge)),
            ("1e999999999", Err(Flaw::TooLarge)),
            ("1.5", Err(Flaw::Fraction)),
            ("1e-999999999", Err(Flaw::Fraction)),
            ("abc", Err(Flaw::NoNumber)),
        ] {
            assert_eq!(whole(text), wanted, "{text}");
        }
    }

    #[test]
    fn texts_are_ordered_as_numbers() {
        let ascending: [&[&str]; 14] = [
            &["-Infinity", "-inf"],
            &["-1e500"],
            &["-10", "-10.0", "-1e1"],
            &["-9.99"],
            &["-0.001", "-1e-3"],
            &["0", "-0", "0.000", "0e9"],
            &["0.00099"],
            &["0.1", "1e-1", ".1", "00.10"],
            &["9"],
            &["10", "10.00", "1e1"],
            &["10.01"],
            &["1e500", "10e499"],
            &["Infinity", "inf"],
            &["NaN", "nan"],
        ];
        for (left, these) in ascending.iter().enumerate() {
            for (right, those) in ascending.iter().enumerate() {
                for (a, b) in these.iter().flat_map(|a| those.iter().map(move |b| (a, b))) {
                    assert_eq!(compare(a, b), left.cmp(&right), "{a} and {b}");
                }
            }
        }
        assert_eq!(compare("abc", "NaN"), Ordering::Greater);
        assert_eq!(compare("abc", "abd"), Ordering::Less);
        assert_eq!(compare("1", ""), Ordering::Less);
    }
}
