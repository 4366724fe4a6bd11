//! Sizes (`1MiB`) and durations (`7d`): whole numbers that always carry a unit.
//!
//! It does not take bare numbers, fractions or sums (`1h30m`): what is written is what is meant, and one way is enough.

use std::time::Duration;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Serializer;

const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

const PERIODS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The bytes of a size such as `1MiB`; a sentence that says what to write when it is none.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    parse(text, "size", &SIZES, ["1MiB", "10GiB"])
}

/// The duration that a text such as `7d` means; a sentence that says what to write when it is none.
pub fn parse_period(text: &str) -> Result<Duration, String> {
    parse(text, "duration", &PERIODS, ["5s", "7d"]).map(Duration::from_millis)
}

fn parse(text: &str, what: &str, units: &[(&str, u64)], examples: [&str; 2]) -> Result<u64, String> {
    let [first, second] = examples;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(format!("is not a {what}; write a whole number and its unit, such as {first} or {second}"));
    }
    let names = units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    if unit.is_empty() {
        return Err(format!("has no unit; write a {what} such as {first} or {second} (units: {names})"));
    }
    if unit.starts_with(['.', ',']) && unit[1..].starts_with(|next: char| next.is_ascii_digit()) {
        return Err(format!("is not a whole number; write it in a smaller unit (units: {names})"));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("has no unit we know; write a {what} such as {first} or {second} (units: {names})"));
    };
    // Databases count in signed 64-bit integers.
    let most = i64::MAX.unsigned_abs();
    let value = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor));
    value.filter(|value| *value <= most).ok_or_else(|| format!("is larger than a {what} can be"))
}

/// A size as a person writes it, in the largest unit that holds it whole.
pub(crate) fn size_text(bytes: u64) -> String {
    text(bytes, &SIZES, "B")
}

/// A duration as a person writes it, in the largest unit that holds it whole; parts of a millisecond are left out.
pub(crate) fn period_text(period: Duration) -> String {
    text(u64::try_from(period.as_millis()).unwrap_or(u64::MAX), &PERIODS, "s")
}

fn text(value: u64, units: &[(&str, u64)], unit_of_zero: &str) -> String {
    let whole = units.iter().filter(|(_, factor)| value > 0 && value.is_multiple_of(*factor));
    match whole.max_by_key(|(_, factor)| *factor) {
        Some((unit, factor)) => format!("{}{unit}", value / factor),
        None => format!("0{unit_of_zero}"),
    }
}

pub(crate) fn size_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": "^[0-9]+([KMGT]i?)?B$", "x-type": "size"})
}

pub(crate) fn period_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$", "x-type": "duration"})
}

pub(crate) fn serialize_size<S: Serializer>(bytes: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&size_text(*bytes))
}

pub(crate) fn serialize_period<S: Serializer>(period: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&period_text(*period))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written_back() {
        let table = [
            ("1MiB", 1 << 20, "1MiB"),
            ("10GiB", 10 << 30, "10GiB"),
            ("512KiB", 512 << 10, "512KiB"),
            ("100MB", 100_000_000, "100MB"),
            ("0B", 0, "0B"),
            ("1024KiB", 1 << 20, "1MiB"),
            ("3TB", 3_000_000_000_000, "3TB"),
        ];
        for (text, bytes, back) in table {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
            assert_eq!(size_text(bytes), back, "{text}");
        }
    }

    #[test]
    fn durations_are_read_and_written_back() {
        let table = [
            ("7d", 7 * 86_400_000, "7d"),
            ("5s", 5_000, "5s"),
            ("500ms", 500, "500ms"),
            ("2h", 7_200_000, "2h"),
            ("90m", 5_400_000, "90m"),
            ("24h", 86_400_000, "1d"),
            ("0ms", 0, "0s"),
        ];
        for (text, millis, back) in table {
            assert_eq!(parse_period(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(period_text(Duration::from_millis(millis)), back, "{text}");
        }
    }

    #[test]
    fn what_is_no_size_or_duration_is_answered_with_what_to_write() {
        let table = [
            ("1048576", "has no unit"),
            ("1.5GiB", "is not a whole number"),
            ("1mb", "has no unit we know"),
            ("1 MiB", "has no unit we know"),
            ("lots", "is not a size"),
            ("-1MiB", "is not a size"),
            ("9999999TiB", "is larger than"),
            ("99999999999999999999B", "is larger than"),
        ];
        for (text, words) in table {
            assert!(parse_size(text).unwrap_err().contains(words), "{text}: {:?}", parse_size(text));
        }
        for (text, words) in [("7", "such as 5s or 7d"), ("", "is not a duration"), ("7 days", "no unit we know")] {
            assert!(parse_period(text).unwrap_err().contains(words), "{text}: {:?}", parse_period(text));
        }
    }
}
