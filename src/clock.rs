//! The time of day, as records and receipts carry it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::change::civil;

/// Milliseconds since 1970 (UTC).
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// `ms` since 1970 as PostgreSQL prints a timestamp with time zone in UTC: `2026-01-02 01:04:05.678+00`.
pub fn timestamp(ms: i64) -> String {
    written(ms, ' ', "+00")
}

/// `ms` since 1970 as RFC 3339 writes it in UTC: `2026-01-02T01:04:05.678Z`.
pub fn rfc3339(ms: i64) -> String {
    written(ms, 'T', "Z")
}

/// Every record has a time: its digits are put down one by one, without the machinery of formats.
fn written(ms: i64, between: char, end: &str) -> String {
    let (days, in_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let mut text = String::with_capacity(32);
    match u32::try_from(year) {
        Ok(year @ 0..=9999) => digits(&mut text, year, 1000),
        _ => text.push_str(&format!("{year:04}")),
    }
    let mut part = |before: char, value: i64| {
        text.push(before);
        // At most 99.
        digits(&mut text, u32::try_from(value).unwrap_or_default(), 10);
    };
    part('-', month);
    part('-', day);
    part(between, in_day / 3_600_000);
    part(':', in_day / 60_000 % 60);
    part(':', in_day / 1000 % 60);
    let fraction = u32::try_from(in_day % 1000).unwrap_or_default();
    if fraction > 0 {
        text.push('.');
        digits(&mut text, fraction, 100);
        text.truncate(text.trim_end_matches('0').len());
    }
    text.push_str(end);
    text
}

/// Appends the digits of `value`, the first of which stands for `place`.
fn digits(text: &mut String, value: u32, mut place: u32) {
    while place > 0 {
        text.push(char::from_digit(value / place % 10, 10).unwrap_or('0'));
        place /= 10;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn timestamps_read_as_postgresql_prints_them() {
        for (ms, text) in [
            (0, "1970-01-01 00:00:00+00"),
            (1_767_315_845_678, "2026-01-02 01:04:05.678+00"),
            (951_782_400_100, "2000-02-29 00:00:00.1+00"),
            (-1, "1969-12-31 23:59:59.999+00"),
            (253_402_300_800_000, "10000-01-01 00:00:00+00"),
        ] {
            assert_eq!(super::timestamp(ms), text);
            assert_eq!(super::rfc3339(ms), text.replace(' ', "T").replace("+00", "Z"));
        }
    }
}
