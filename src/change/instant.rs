//! Points in time as documents write them (RFC 3339, and ISO 8601's nearest kin), so that they compare as times.
//!
//! Unlike `moment.rs` it reads no notation that only PostgreSQL knows, and keeps every digit of a fraction.

use std::cmp::Ordering;

use super::calendar::{days, month_days};

/// A point in time, with every digit of its fraction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instant {
    /// Since 1970 (UTC).
    pub seconds: i64,
    /// The digits of the fraction, without zeros at the end.
    pub fraction: Box<str>,
}

impl Instant {
    /// Reads `2026-01-31`, `2026-01-31T01:02:03.4+02:00` and the same with a space; UTC where no zone is said.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        // Most texts are no times, and are told by two bytes.
        if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' || !text.is_ascii() {
            return None;
        }
        let (year, month, day) = (number(&text[..4])?, number(&text[5..7])?, number(&text[8..10])?);
        let month = u32::try_from(month).ok().filter(|month| (1..=12).contains(month))?;
        let day = u32::try_from(day).ok().filter(|day| (1..=month_days(year, month)).contains(day))?;
        let mut seconds = days(year, month, day) * 86_400;
        let Some(clock) = text.get(10..).filter(|rest| !rest.is_empty()) else {
            return Some(Instant { seconds, fraction: "".into() });
        };
        let clock = clock.strip_prefix(['T', 't', ' '])?;
        let (time, rest) = clock.split_at_checked(8)?;
        if time.as_bytes()[2] != b':' || time.as_bytes()[5] != b':' {
            return None;
        }
        let (hour, minute, second) = (number(&time[..2])?, number(&time[3..5])?, number(&time[6..])?);
        // A leap second is 60 (RFC 3339, 5.6).
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        seconds += hour * 3600 + minute * 60 + second;
        let (fraction, zone) = match rest.strip_prefix('.') {
            None => ("", rest),
            Some(rest) => {
                let end = rest.bytes().take_while(u8::is_ascii_digit).count();
                if end == 0 {
                    return None;
                }
                (rest[..end].trim_end_matches('0'), &rest[end..])
            }
        };
        Some(Instant { seconds: seconds - offset(zone)?, fraction: fraction.into() })
    }

    /// Milliseconds since 1970, cut off.
    pub fn ms(&self) -> i64 {
        let digits = self.fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
        self.seconds * 1000 + digits.fold(0, |ms, digit| ms * 10 + i64::from(digit - b'0'))
    }
}

impl Ord for Instant {
    fn cmp(&self, other: &Self) -> Ordering {
        self.seconds.cmp(&other.seconds).then_with(|| self.fraction.cmp(&other.fraction))
    }
}

impl PartialOrd for Instant {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn number(digits: &str) -> Option<i64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Seconds east of UTC: ``, `Z`, `+02`, `+0200`, `+02:00`.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "" | "Z" | "z") {
        return Some(0);
    }
    let sign = match zone.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = match &zone[1..] {
        text if text.len() == 2 => (text, "00"),
        text if text.len() == 4 => text.split_at(2),
        text => text.split_once(':').filter(|(hours, minutes)| hours.len() == 2 && minutes.len() == 2)?,
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_utc() {
        for (text, ms) in [
            ("1970-01-01", Some(0)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01 00:00:01.5", Some(1500)),
            ("1970-01-01t02:00:00.0019+02:00", Some(1)),
            ("1969-12-31T23:59:59.999z", Some(-1)),
            ("2018-08-16T01:21:18Z", Some(1_534_382_478_000)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_800_000)),
            ("2000-02-29T00:00:00-0130", Some(951_787_800_000)),
            ("2001-02-29", None),
            ("2001-13-01", None),
            ("2001-01-01T24:00:00Z", None),
            ("2001-01-01T00:00:00.Z", None),
            ("2001-01-01T00:00:00 Oslo", None),
            ("2001-01-01x", None),
            ("2001-01-0é", None),
            ("jan 1 2001", None),
            ("", None),
        ] {
            assert_eq!(Instant::parse(text).map(|it| it.ms()), ms, "{text}");
        }
    }
}
