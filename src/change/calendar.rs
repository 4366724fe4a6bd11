//! Calendar and clock arithmetic of the proleptic Gregorian calendar, and the canonical notation of its parts.
//!
//! It reads nothing but that notation; see `moment.rs` for all the others.

use std::fmt::Write;

/// The microseconds of a day.
pub(super) const DAY_MICROS: i64 = 86_400_000_000;

/// Makes every number it gets into larger than anything in a calendar.
const NO_DIGIT: u32 = 1_000_000;

fn two_digits(text: &[u8], at: usize) -> u32 {
    let digit = |byte: u8| if byte.is_ascii_digit() { u32::from(byte - b'0') } else { NO_DIGIT };
    digit(text[at]) * 10 + digit(text[at + 1])
}

/// True for a day of the years 1 to 9999, written `2026-01-31`; what follows it is not looked at.
pub(super) fn is_plain_date(text: &[u8]) -> bool {
    let (century, year) = (two_digits(text, 0), two_digits(text, 2));
    let (month, day) = (two_digits(text, 5), two_digits(text, 8));
    let year = century * 100 + year;
    (1..=9999).contains(&year)
        && text[4] == b'-'
        && text[7] == b'-'
        && (1..=12).contains(&month)
        && day >= 1
        && day <= month_days(i64::from(year), month)
}

/// How many digits the fraction of a time such as `01:02:03.4` has, and what follows; none for any other notation.
fn clock(text: &[u8]) -> Option<(usize, &[u8])> {
    let (clock, rest) = text.split_at_checked(8)?;
    let in_range = two_digits(clock, 0) < 24 && two_digits(clock, 3) < 60 && two_digits(clock, 6) < 60;
    if !in_range || clock[2] != b':' || clock[5] != b':' {
        return None;
    }
    let Some(fraction) = rest.strip_prefix(b".") else { return Some((0, rest)) };
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=6).contains(&digits).then(|| (digits, &fraction[digits..]))
}

/// What follows a canonical time, which has no zeros at the end of its fraction.
pub(super) fn plain_time(text: &[u8]) -> Option<&[u8]> {
    let (digits, rest) = clock(text)?;
    (digits == 0 || text[8 + digits] != b'0').then_some(rest)
}

/// The canonical text for the notation that most programs send, `2026-01-31T01:02:03.400Z`, and its nearest kin.
pub(super) fn from_iso(text: &str, zone: bool) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.len() < 19 || !matches!(bytes[10], b'T' | b' ') || !is_plain_date(bytes) {
        return None;
    }
    let (digits, rest) = clock(&bytes[11..])?;
    if !matches!(rest, b"" | b"Z" | b"+00" | b"+00:00") {
        return None;
    }
    let mut canonical = String::with_capacity(32);
    canonical.push_str(&text[..10]);
    canonical.push(' ');
    canonical.push_str(&text[11..19]);
    let fraction = text[19..text.len() - rest.len()].trim_end_matches('0');
    if digits > 0 && fraction != "." {
        canonical.push_str(fraction);
    }
    if zone {
        canonical.push_str("+00");
    }
    Some(canonical)
}

/// How many days a month has.
pub(crate) fn month_days(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"). Year 0 is 1 BC.
pub(super) fn days(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The opposite of [`days`].
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day = days - era * 146_097;
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let year = year + era * 400 + i64::from(month >= 10);
    (year, if month < 10 { month + 3 } else { month - 9 }, day_of_year - (153 * month + 2) / 5 + 1)
}

/// Appends `2026-01-02`.
pub(crate) fn write_date(text: &mut String, (year, month, day): (i64, i64, i64)) {
    match year {
        0..=9999 => digits(text, year, 1000),
        _ => drop(write!(text, "{year:04}")),
    }
    for part in [month, day] {
        text.push('-');
        digits(text, part, 10);
    }
}

/// Appends `01:02:03.4`.
pub(crate) fn write_time(text: &mut String, micros: i64) {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    digits(text, seconds / 3600, 10);
    for part in [seconds / 60 % 60, seconds % 60] {
        text.push(':');
        digits(text, part, 10);
    }
    if fraction > 0 {
        text.push('.');
        digits(text, fraction, 100_000);
        text.truncate(text.trim_end_matches('0').len());
    }
}

/// Appends the digits of `value`, the first of which stands for `place`. Every record has a time, so its digits are put down
/// one by one, without the machinery of formats.
fn digits(text: &mut String, value: i64, mut place: i64) {
    while place > 0 {
        // A digit is no larger than 9.
        text.push(char::from(b'0' + u8::try_from(value / place % 10).unwrap_or_default()));
        place /= 10;
    }
}

/// Appends `+02`, with minutes and seconds when there are any.
pub(super) fn write_offset(text: &mut String, offset: i64) {
    let size = offset.abs();
    let _ = write!(text, "{}{:02}", if offset < 0 { '-' } else { '+' }, size / 3600);
    if size % 3600 > 0 {
        let _ = write!(text, ":{:02}", size / 60 % 60);
    }
    if size % 60 > 0 {
        let _ = write!(text, ":{:02}", size % 60);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree() {
        for (date, day) in
            [((1970, 1, 1), 0), ((2000, 3, 1), 11_017), ((1969, 12, 31), -1), ((-4713, 11, 24), -2_440_588)]
        {
            assert_eq!(days(date.0, date.1, date.2), day);
        }
        for day in (-2_440_588..110_000_000).step_by(997) {
            let (year, month, of_month) = civil(day);
            assert!((1..=12).contains(&month) && of_month <= i64::from(month_days(year, month as u32)));
            assert_eq!(days(year, month as u32, of_month as u32), day);
        }
    }
}
