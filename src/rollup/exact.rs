//! Decimal numbers that are added without losing a digit, however many there are.

use std::fmt;

use num_bigint::BigInt;

use super::DIGITS_MAX;

/// A decimal number: its digits as a whole number, and how many of them stand behind the point. A sum has as many as the
/// number with the most, so it is the same in whatever order its parts come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exact {
    digits: Digits,
    scale: u32,
}

/// Large only where Small cannot hold it, so that equal numbers are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Digits {
    Small(i128),
    Large(Box<BigInt>),
}

impl Digits {
    fn of(number: BigInt) -> Self {
        i128::try_from(&number).map_or_else(|_| Digits::Large(Box::new(number)), Digits::Small)
    }

    fn big(&self) -> BigInt {
        match self {
            Digits::Small(number) => BigInt::from(*number),
            Digits::Large(number) => (**number).clone(),
        }
    }

    fn scaled(&self, zeros: u32) -> Digits {
        if zeros == 0 {
            return self.clone();
        }
        let small = match self {
            Digits::Small(number) => 10i128.checked_pow(zeros).and_then(|factor| number.checked_mul(factor)),
            Digits::Large(_) => None,
        };
        small.map_or_else(|| Digits::of(self.big() * BigInt::from(10).pow(zeros)), Digits::Small)
    }

    fn plus(&self, other: &Digits) -> Digits {
        let small = match (self, other) {
            (Digits::Small(a), Digits::Small(b)) => a.checked_add(*b),
            _ => None,
        };
        small.map_or_else(|| Digits::of(self.big() + other.big()), Digits::Small)
    }
}

impl Exact {
    /// Reads a number as JSON writes it; none when it is no number, or has more than [`DIGITS_MAX`] digits written out.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let unsigned = before.strip_prefix('-').unwrap_or(before);
        if unsigned.is_empty() || !digits(unsigned) || !digits(after) {
            return None;
        }
        let length = unsigned.len() + after.len();
        if length > DIGITS_MAX || exponent.unsigned_abs() > (DIGITS_MAX - length) as u64 {
            return None;
        }
        let whole = format!("{before}{after}");
        let number = match whole.parse::<i128>() {
            Ok(number) => Digits::Small(number),
            Err(_) => Digits::of(whole.parse().ok()?),
        };
        let scale = after.len() as i64 - exponent;
        Some(match u32::try_from(scale) {
            Ok(scale) => Exact { digits: number, scale },
            Err(_) => Exact { digits: number.scaled(u32::try_from(-scale).ok()?), scale: 0 },
        })
    }

    /// The sum.
    pub fn plus(&self, other: &Exact) -> Exact {
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.digits.scaled(scale - self.scale), other.digits.scaled(scale - other.scale));
        Exact { digits: a.plus(&b), scale }
    }

    /// The number by a count that is not zero, rounded half away from zero behind 16 digits, or behind as many as it has;
    /// zeros at the end go.
    pub fn by(&self, count: u64) -> String {
        const DIGITS: u32 = 16;
        let scale = self.scale.max(DIGITS);
        let number = self.digits.scaled(scale - self.scale).big();
        let (double, count) = (number * 2, BigInt::from(count.max(1)));
        let is_negative = double < BigInt::ZERO;
        let half = if is_negative { -count.clone() } else { count.clone() };
        // Whole division cuts toward zero, so half of the divisor rounds.
        let rounded = (double + half) / (count * 2);
        let text = Exact { digits: Digits::of(rounded), scale }.to_string();
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// The greatest whole number that is not above `self * times / by`; none where an i64 cannot hold it.
    pub(super) fn floor(&self, times: i128, by: i128) -> Option<i64> {
        let Digits::Small(number) = self.digits else { return None };
        let divisor = 10i128.checked_pow(self.scale)?.checked_mul(by)?;
        i64::try_from(number.checked_mul(times)?.div_euclid(divisor)).ok()
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.digits {
            Digits::Small(number) => number.to_string(),
            Digits::Large(number) => number.to_string(),
        };
        let scale = self.scale as usize;
        if scale == 0 {
            return out.write_str(&text);
        }
        let (sign, digits) = text.strip_prefix('-').map_or(("", &*text), |digits| ("-", digits));
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (before, after) = digits.split_at(digits.len() - scale);
        write!(out, "{sign}{before}.{after}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_every_digit() {
        for (parts, sum) in [
            (vec!["1", "2"], "3"),
            (vec!["0.1", "0.2"], "0.3"),
            (vec!["1.50", "1.5"], "3.00"),
            (vec!["-0.05", "0.01"], "-0.04"),
            (vec!["9223372036854775807", "9223372036854775807"], "18446744073709551614"),
            (vec!["170141183460469231731687303715884105727", "1"], "170141183460469231731687303715884105728"),
            (vec!["170141183460469231731687303715884105728", "-1"], "170141183460469231731687303715884105727"),
            (vec!["1e3", "1E-3", "1e+0"], "1001.001"),
            (
                vec!["12345678901234568.123456789012", "0.000000000000000000000001"],
                "12345678901234568.123456789012000000000001",
            ),
        ] {
            let parsed: Vec<_> = parts.iter().map(|part| Exact::parse(part).unwrap()).collect();
            let forth = parsed.iter().skip(1).fold(parsed[0].clone(), |sum, part| sum.plus(part));
            let back = parsed.iter().rev().skip(1).fold(parsed[parsed.len() - 1].clone(), |sum, part| sum.plus(part));
            assert_eq!(forth.to_string(), sum, "{parts:?}");
            assert_eq!(forth, back, "{parts:?}");
            assert_eq!(Exact::parse(sum).unwrap(), forth, "{sum} is read as it is written");
        }
    }

    #[test]
    fn what_is_no_number_or_a_huge_one_is_not_summed() {
        let long = "1".repeat(DIGITS_MAX + 1);
        for text in ["", "-", "x", "1.x", "1e", "NaN", "1e131071", "1e-131071", "1e99999999999999999999", &long] {
            assert_eq!(Exact::parse(text), None, "{text}");
        }
        assert!(Exact::parse(&long[1..]).is_some());
    }

    #[test]
    fn an_average_is_rounded_once() {
        for (sum, count, wanted) in [
            ("3", 2, "1.5"),
            ("10", 1, "10"),
            ("100", 3, "33.3333333333333333"),
            ("200", 3, "66.6666666666666667"),
            ("-200", 3, "-66.6666666666666667"),
            ("0", 7, "0"),
            ("-1", 2, "-0.5"),
            ("0.00000000000000000001", 1, "0.00000000000000000001"),
        ] {
            assert_eq!(Exact::parse(sum).unwrap().by(count), wanted, "{sum} / {count}");
        }
    }
}
