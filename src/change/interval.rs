//! Spans of time as text: PostgreSQL's usual spellings, checked to be plausible and kept as written.
//!
//! It computes nothing: an interval has no one canonical text (a day is not 24 hours), and PostgreSQL reads all of these.

/// True for text that PostgreSQL reads as an interval: `1 day 02:03:04`, `@ 1 minute ago`, `P1Y2M3DT4H5M6S`, `1-2`, `90`.
pub fn is_interval(text: &str) -> bool {
    let text = text.trim_ascii();
    match text.strip_prefix('P') {
        Some(designators) => is_iso(designators),
        None => is_spelled(text),
    }
}

const UNITS: [&str; 45] = [
    "microsecond",
    "microseconds",
    "us",
    "usec",
    "usecs",
    "useconds",
    "millisecond",
    "milliseconds",
    "ms",
    "msec",
    "msecs",
    "s",
    "sec",
    "secs",
    "second",
    "seconds",
    "m",
    "min",
    "mins",
    "minute",
    "minutes",
    "h",
    "hr",
    "hrs",
    "hour",
    "hours",
    "d",
    "day",
    "days",
    "w",
    "week",
    "weeks",
    "mon",
    "mons",
    "month",
    "months",
    "y",
    "yr",
    "yrs",
    "year",
    "years",
    "decade",
    "decades",
    "century",
    "centuries",
];
const LONG_UNITS: [&str; 10] =
    ["c", "cent", "dec", "decs", "mil", "mils", "millennia", "millennium", "millenniums", "msecond"];

fn run(text: &str, belongs: impl Fn(&u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().take_while(|byte| belongs(byte)).count())
}

/// Takes `-1`, `+1.5`, `.5` from the front; gives what follows.
fn number(text: &str) -> Option<&str> {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, rest) = run(text, u8::is_ascii_digit);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => run(rest, u8::is_ascii_digit),
        None => ("", rest),
    };
    (!whole.is_empty() || !fraction.is_empty()).then_some(rest)
}

/// What follows `P`: numbers with designators, or `0001-02-03T04:05:06`.
fn is_iso(text: &str) -> bool {
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    let has_designators = |mut part: &str, letters: &str| {
        while !part.is_empty() {
            let Some(rest) = number(part).filter(|rest| rest.starts_with(|letter| letters.contains(letter))) else {
                return false;
            };
            part = &rest[1..];
        }
        true
    };
    let is_date = has_designators(date, "YMWD") || {
        let mut parts = date.splitn(3, '-');
        parts.all(|part| number(part) == Some("")) && !date.starts_with('-')
    };
    let is_time = time.is_none_or(|time| !time.is_empty() && (has_designators(time, "HMS") || is_clock(time)));
    is_date && is_time && !text.is_empty()
}

/// `04:05`, `04:05:06.7`, `-100:00`; and `05:06.7`, minutes and seconds.
fn is_clock(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = text.split(':');
    let is_whole = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_hour = parts.next().is_some_and(is_whole);
    let mut count: u8 = 0;
    let mut is_in_range = true;
    let mut had_fraction = false;
    // Second 60 is read as the next minute's first, as in a time of day.
    for part in parts.by_ref().take(3) {
        let (whole, fraction) = part.split_once('.').unwrap_or((part, "0"));
        is_in_range &= !had_fraction
            && is_whole(whole)
            && whole.len() <= 2
            && whole.parse::<u8>().is_ok_and(|value| value < 60 + count);
        is_in_range &= fraction.bytes().all(|byte| byte.is_ascii_digit());
        had_fraction = part.contains('.');
        count += 1;
    }
    is_hour && is_in_range && matches!(count, 1 | 2)
}

/// `1-2`: years and months.
fn is_year_month(text: &str) -> bool {
    let (years, months) = text.strip_prefix(['-', '+']).unwrap_or(text).split_once('-').unwrap_or_default();
    let is_whole = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    is_whole(years) && is_whole(months) && months.parse::<u8>().is_ok_and(|months| months < 12)
}

fn is_spelled(text: &str) -> bool {
    let is_unit = |word: &str| UNITS.iter().chain(&LONG_UNITS).any(|unit| word.eq_ignore_ascii_case(unit));
    let mut words = text.strip_prefix('@').unwrap_or(text).split_ascii_whitespace().peekable();
    let mut count = 0;
    let mut clocks = 0;
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case("ago") && count > 0 {
            return words.next().is_none();
        }
        count += 1;
        if word.contains(':') {
            clocks += 1;
            if clocks > 1 || !is_clock(word) {
                return false;
            }
            continue;
        }
        if is_year_month(word) {
            continue;
        }
        let Some(mut rest) = number(word) else { return false };
        if rest.is_empty() {
            let next = words.peek().copied();
            if next.is_some_and(is_unit) {
                words.next();
            } else if next.is_some_and(|next| !next.contains(':') && !next.eq_ignore_ascii_case("ago")) {
                // Without a unit, a number counts days before a clock, and seconds at the end.
                return false;
            }
            continue;
        }
        // `1h30m`: units attached to their numbers.
        while !rest.is_empty() {
            let (unit, next) = run(rest, u8::is_ascii_alphabetic);
            match (is_unit(unit), next, number(next)) {
                (true, "", _) => rest = "",
                (true, _, Some(after)) if !after.is_empty() => rest = after,
                _ => return false,
            }
        }
    }
    count > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_spellings_are_intervals_and_others_are_not() {
        for text in [
            "1 day 02:03:04",
            "1 year 2 mons -3 days +04:05:06",
            "@ 1 minute ago",
            "P1Y2M3DT4H5M6S",
            "04:05:06",
            "1.5 hours",
            "90",
            "-90.5",
            "1 day",
            "1day",
            "1h30m",
            "1-2",
            "+1-2 -3 +4:05:06",
            "3 4:05:06",
            "PT36H",
            "P1W",
            "P1",
            "P0001-02-03T04:05:06",
            "P-1DT-2.5S",
            "-100:00:00",
            "00:00:00",
            "05:06.7",
            "@ 0",
            " 1 century ",
            "1 DAY AGO",
        ] {
            assert!(is_interval(text), "{text}");
        }
        for text in [
            "",
            "hello",
            "ago",
            "@",
            "P",
            "PT",
            "P1S",
            "1 fortnight",
            "1 day hello",
            "04:99",
            "1:60",
            "1:00:61",
            "1:2:3:4",
            "1 2",
            "day",
            "1 day ago 2",
            "--1",
            "04:05:06 07:08:09",
            "2026-01-02",
            "1x",
            "now",
            "é",
            "P1é",
        ] {
            assert!(!is_interval(text), "{text}");
        }
    }
}
