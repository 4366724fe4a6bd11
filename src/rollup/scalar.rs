//! The values that are compared: numbers, times and texts, in one order.

use std::cmp::Ordering;

use super::{DIGITS_MAX, Exact, TEXT_BYTES_MAX};
use crate::change::decimal;
use crate::change::instant::Instant;
use crate::gate::quoted;
use crate::json::Json;

/// A value that has a place among others: numbers stand before times, times before texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    /// A whole number of 64 bits, written plainly.
    Whole(i64),
    /// Any other number, as it was written.
    Number(Box<str>),
    /// A text that is a time.
    Time(Box<Timed>),
    /// Any other text.
    Text(Box<str>),
}

/// A time, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timed {
    instant: Instant,
    text: Box<str>,
}

/// Why a value cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It is neither a number nor a text.
    WrongKind,
    /// It is too long.
    TooLarge,
}

impl Scalar {
    /// Reads a JSON value.
    pub(super) fn read(json: &Json<'_>) -> Result<Self, Flaw> {
        match json {
            Json::Number(digits) => Scalar::number(digits),
            Json::Text(text) if text.len() > TEXT_BYTES_MAX => Err(Flaw::TooLarge),
            Json::Text(text) => Ok(match Instant::parse(text) {
                Some(instant) => Scalar::Time(Box::new(Timed { instant, text: text.as_ref().into() })),
                None => Scalar::Text(text.as_ref().into()),
            }),
            Json::Null | Json::Boolean(_) | Json::Array(_) | Json::Object(_) => Err(Flaw::WrongKind),
        }
    }

    fn number(digits: &str) -> Result<Self, Flaw> {
        match digits.parse::<i64>() {
            // `-0` would come back as `0`.
            Ok(number) if digits != "-0" => Ok(Scalar::Whole(number)),
            _ if digits.len() > DIGITS_MAX || Exact::parse(digits).is_none() => Err(Flaw::TooLarge),
            _ => Ok(Scalar::Number(digits.into())),
        }
    }

    /// The order by what is meant: `1` and `1.0` are equal, and so are a time and the same in another zone.
    pub fn compare(&self, other: &Scalar) -> Ordering {
        match (self, other) {
            (Scalar::Whole(a), Scalar::Whole(b)) => a.cmp(b),
            (Scalar::Time(a), Scalar::Time(b)) => a.instant.cmp(&b.instant),
            (Scalar::Text(a), Scalar::Text(b)) => a.cmp(b),
            (Scalar::Number(a), Scalar::Number(b)) => decimal::compare(a, b),
            (Scalar::Whole(a), Scalar::Number(b)) => decimal::compare(&a.to_string(), b),
            (Scalar::Number(a), Scalar::Whole(b)) => decimal::compare(a, &b.to_string()),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Scalar::Whole(_) | Scalar::Number(_) => 0,
            Scalar::Time(_) => 1,
            Scalar::Text(_) => 2,
        }
    }

    /// Milliseconds since 1970 of a time, and of a number that counts `unit`s since then.
    pub(super) fn ms(&self, unit: super::Unit) -> Option<i64> {
        let (times, by) = unit.of_ms();
        match self {
            Scalar::Time(time) => Some(time.instant.ms()),
            Scalar::Whole(number) => i64::try_from((i128::from(*number) * times).div_euclid(by)).ok(),
            Scalar::Number(digits) => Exact::parse(digits)?.floor(times, by),
            Scalar::Text(_) => None,
        }
    }

    /// Its JSON text, as it was written.
    pub fn json(&self) -> String {
        match self {
            Scalar::Whole(number) => number.to_string(),
            Scalar::Number(digits) => digits.to_string(),
            Scalar::Time(time) => quoted(&time.text),
            Scalar::Text(text) => quoted(text),
        }
    }
}

/// By what is meant; what means the same, by how it is written: so there is one smallest of any values.
impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other).then_with(|| match (self, other) {
            (Scalar::Whole(_), Scalar::Whole(_)) | (Scalar::Text(_), Scalar::Text(_)) => Ordering::Equal,
            (Scalar::Time(a), Scalar::Time(b)) => a.text.cmp(&b.text),
            _ => self.json().cmp(&other.json()),
        })
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn read(text: &str) -> Result<Scalar, Flaw> {
        Scalar::read(&json::at(text, "").unwrap())
    }

    #[test]
    fn values_have_one_order() {
        let ascending: &[&[&str]] = &[
            &["-9223372036854775809"],
            &["-1", "-1.0"],
            &["0", "-0", "0.0"],
            &["9223372036854775806"],
            &["9223372036854775807", "9223372036854775807.0"],
            &["9223372036854775808", "9.223372036854775808e18"],
            &["\"2026-01-01T00:00:00Z\"", "\"2026-01-01T02:00:00+02:00\"", "\"2026-01-01\""],
            &["\"2026-01-01T00:00:00.0000000001Z\""],
            &["\"2026-01-01T01:00:00Z\""],
            &["\"\""],
            &["\"a\""],
        ];
        for (left, these) in ascending.iter().enumerate() {
            for (right, those) in ascending.iter().enumerate() {
                for (a, b) in these.iter().flat_map(|a| those.iter().map(move |b| (a, b))) {
                    let (x, y) = (read(a).unwrap(), read(b).unwrap());
                    assert_eq!(x.compare(&y), left.cmp(&right), "{a} and {b}");
                    assert_eq!(x.cmp(&y) == Ordering::Equal, a == b, "{a} and {b}: one of them is the smaller");
                    assert_eq!(x.json(), *a);
                }
            }
        }
    }

    #[test]
    fn what_has_no_order_is_refused() {
        let long = format!("\"{}\"", "x".repeat(TEXT_BYTES_MAX + 1));
        for (text, flaw) in [
            ("true", Flaw::WrongKind),
            ("null", Flaw::WrongKind),
            ("[1]", Flaw::WrongKind),
            ("{}", Flaw::WrongKind),
            ("1e131071", Flaw::TooLarge),
            (&long, Flaw::TooLarge),
        ] {
            assert_eq!(read(text), Err(flaw), "{text:.20}");
        }
    }
}
