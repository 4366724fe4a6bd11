//! Dates, times, timestamps and intervals as text: strict where the text can mean one thing only, and then in the one
//! notation PostgreSQL prints under DateStyle ISO.
//!
//! Text that PostgreSQL's own routines read by settings nobody here knows (`02-04-2013`, `CEST`) is checked to be
//! plausible and kept as it is. Nothing here knows the current time, nor what zones there are.

use std::borrow::Cow;

use super::calendar::{
    DAY_MICROS, civil, days, from_iso, is_plain_date, month_days, plain_time, write_date, write_offset, write_time,
};
use super::cutter::Cutter;
pub use super::cutter::Flaw;

/// What a text is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A day.
    Date,
    /// A time of day.
    Time {
        /// With an offset from UTC.
        zone: bool,
    },
    /// A day and a time of day.
    Timestamp {
        /// Converted to UTC.
        zone: bool,
    },
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// The canonical text of a moment. Canonical and ambiguous text comes back as it is.
pub fn canonical(text: Cow<'_, str>, kind: Moment) -> Result<Cow<'_, str>, Flaw> {
    if is_plain(text.as_bytes(), kind) {
        return Ok(text);
    }
    if let Moment::Timestamp { zone } = kind
        && let Some(canonical) = from_iso(&text, zone)
    {
        return Ok(Cow::Owned(canonical));
    }
    let words = text.trim_ascii();
    if let Some(special) = special(words, kind) {
        return Ok(Cow::Borrowed(special));
    }
    let fields = Fields::scan(words)?;
    match fields.resolve(kind)? {
        Some(canonical) if canonical != *text => Ok(Cow::Owned(canonical)),
        _ => Ok(text),
    }
}

fn special(word: &str, kind: Moment) -> Option<&'static str> {
    let epoch = match kind {
        Moment::Time { .. } => return None,
        Moment::Date => "1970-01-01",
        Moment::Timestamp { zone: false } => "1970-01-01 00:00:00",
        Moment::Timestamp { zone: true } => "1970-01-01 00:00:00+00",
    };
    let specials = [("infinity", "infinity"), ("-infinity", "-infinity"), ("epoch", epoch)];
    specials.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, canonical)| *canonical)
}

/// True for the canonical text of the years 1 to 9999, which is nearly all there is.
fn is_plain(text: &[u8], kind: Moment) -> bool {
    match kind {
        Moment::Date => text.len() == 10 && is_plain_date(text),
        Moment::Time { zone } => !zone && plain_time(text) == Some(b""),
        Moment::Timestamp { zone } => {
            text.len() >= 19
                && text[10] == b' '
                && is_plain_date(text)
                && plain_time(&text[11..]) == Some(if zone { b"+00" } else { b"" })
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Number { value: i64, digits: usize },
    Month(u32),
}

/// What stands in a text, before anybody asks what it means.
struct Fields {
    /// Year, month and day, in the order of the text.
    parts: [Part; 3],
    count: usize,
    /// Where the last of them ended.
    part_end: usize,
    separator: Option<u8>,
    separators: usize,
    time: Option<i64>,
    afternoon: Option<bool>,
    /// Seconds east of UTC.
    offset: Option<i64>,
    has_zone_word: bool,
    has_weekday: bool,
    before_christ: Option<bool>,
}

/// Sets what must be said once.
fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Flaw> {
    if place.replace(value).is_some() { Err(Flaw::Invalid) } else { Ok(()) }
}

impl Fields {
    const NONE: Fields = Fields {
        parts: [Part::Month(0); 3],
        count: 0,
        part_end: 0,
        separator: None,
        separators: 0,
        time: None,
        afternoon: None,
        offset: None,
        has_zone_word: false,
        has_weekday: false,
        before_christ: None,
    };

    fn scan(text: &str) -> Result<Fields, Flaw> {
        let mut fields = Fields::NONE;
        let mut cutter = Cutter { text, at: 0 };
        while cutter.at < text.len() {
            match cutter.byte(0) {
                b' ' | b'\t' | b',' => cutter.at += 1,
                b'0'..=b'9' => fields.number(&mut cutter)?,
                b'T' | b't' if (fields.count == 3 || cutter.at == 0) && cutter.byte(1).is_ascii_digit() => {
                    cutter.at += 1
                }
                b'A'..=b'Z' | b'a'..=b'z' => fields.word(&mut cutter)?,
                separator @ (b'-' | b'/' | b'.') if fields.is_inside_date(&cutter) => {
                    if *fields.separator.get_or_insert(separator) != separator {
                        return Err(Flaw::Invalid);
                    }
                    fields.separators += 1;
                    cutter.at += 1;
                }
                b'+' | b'-' if fields.time.is_some() || fields.count == 3 && cutter.byte(0) == b'+' => {
                    if fields.has_zone_word {
                        return Err(Flaw::Invalid);
                    }
                    once(&mut fields.offset, cutter.offset()?)?;
                }
                _ => return Err(Flaw::Invalid),
            }
        }
        Ok(fields)
    }

    /// True at a byte that joins two parts of a date.
    fn is_inside_date(&self, cutter: &Cutter<'_>) -> bool {
        matches!(self.count, 1 | 2) && self.part_end == cutter.at && cutter.byte(1).is_ascii_alphanumeric()
    }

    fn push(&mut self, part: Part, cutter: &Cutter<'_>) {
        self.parts[self.count] = part;
        self.count += 1;
        self.part_end = cutter.at;
    }

    fn number(&mut self, cutter: &mut Cutter<'_>) -> Result<(), Flaw> {
        let digits = cutter.run(|byte| byte.is_ascii_digit());
        if digits.len() > 9 {
            return Err(if matches!(cutter.byte(0), b'-' | b'/' | b'.') { Flaw::OutOfRange } else { Flaw::Invalid });
        }
        let value: i64 = digits.parse().map_err(|_| Flaw::Invalid)?;
        if cutter.byte(0) == b':' {
            return once(&mut self.time, cutter.time(value)?);
        }
        match (digits.len(), self.count) {
            (8, 0) => {
                for (value, digits) in [(value / 10_000, 4), (value / 100 % 100, 2), (value % 100, 2)] {
                    self.push(Part::Number { value, digits }, cutter);
                }
            }
            (6, 3) => {
                let (hour, minute, second) = (value / 10_000, value / 100 % 100, value % 100);
                if hour > 23 || minute > 59 || second > 59 {
                    return Err(Flaw::Invalid);
                }
                return once(&mut self.time, ((hour * 60 + minute) * 60 + second) * 1_000_000);
            }
            (digits, 0..=2) => self.push(Part::Number { value, digits }, cutter),
            _ => return Err(Flaw::Invalid),
        }
        Ok(())
    }

    fn word(&mut self, cutter: &mut Cutter<'_>) -> Result<(), Flaw> {
        let start = cutter.at;
        let word = cutter.run(|byte| byte.is_ascii_alphabetic());
        let is = |names: &[&str]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
        let is_name = |full: &&str| is(&[full, &full[..3]]);
        if let Some(month) = MONTHS.iter().position(&is_name).or(is(&["sept"]).then_some(8)) {
            if self.count == 3 || self.parts[..self.count].iter().any(|part| matches!(part, Part::Month(_))) {
                return Err(Flaw::Invalid);
            }
            self.push(Part::Month(month as u32 + 1), cutter);
        } else if WEEKDAYS.iter().any(is_name) || is(&["tues", "wednes", "weds", "thur", "thurs"]) {
            if std::mem::replace(&mut self.has_weekday, true) {
                return Err(Flaw::Invalid);
            }
        } else if is(&["now", "today", "tomorrow", "yesterday"]) {
            return Err(Flaw::Moving);
        } else if is(&["am", "pm"]) {
            once(&mut self.afternoon, is(&["pm"]))?;
        } else if is(&["ad", "bc"]) {
            once(&mut self.before_christ, is(&["bc"]))?;
        } else {
            cutter.at = start;
            let zone = cutter.run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'+' | b'-'));
            if self.offset.is_some() || self.has_zone_word {
                return Err(Flaw::Invalid);
            }
            let is_utc = zone.len() == word.len() && is(&["z", "utc", "gmt", "ut", "zulu"]);
            let may_be_zone = zone.contains('/') || (2..=5).contains(&word.len());
            if is_utc && (self.time.is_some() || self.count == 3) {
                self.offset = Some(0);
            } else if may_be_zone && self.time.is_some() {
                self.has_zone_word = true;
            } else {
                return Err(Flaw::Invalid);
            }
        }
        Ok(())
    }

    /// Year, month and day; none when only the reader's settings tell which is which.
    fn day(&self) -> Result<Option<(i64, u32, u32)>, Flaw> {
        use Part::{Month, Number};
        if !matches!(self.separators, 0 | 2) {
            return Err(Flaw::Invalid);
        }
        let small = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        let (year, month, day) = match self.parts[..self.count] {
            [
                Number { value: year, digits: 3.. },
                Number { value: month, digits: 1..=2 },
                Number { value: day, digits: 1..=2 },
            ] => (year, small(month), small(day)),
            [Number { value: one, digits: 1..=2 }, Number { value: two, digits: 1..=2 }, Number { .. }] => {
                let fits = |day, month| (1..=12).contains(&month) && (1..=month_days(0, month)).contains(&day);
                let (one, two) = (small(one), small(two));
                return if fits(one, two) || fits(two, one) { Ok(None) } else { Err(Flaw::Invalid) };
            }
            [Month(month), Number { value: one, digits }, Number { value: two, digits: others }]
            | [Number { value: one, digits }, Month(month), Number { value: two, digits: others }]
            | [Number { value: one, digits }, Number { value: two, digits: others }, Month(month)] => {
                match (digits, others) {
                    (3.., 1..=2) => (one, month, small(two)),
                    (1..=2, 3..) => (two, month, small(one)),
                    (1..=2, 1..=2) if (1..=31).contains(&one) || (1..=31).contains(&two) => return Ok(None),
                    _ => return Err(Flaw::Invalid),
                }
            }
            _ => return Err(Flaw::Invalid),
        };
        let is_before_christ = self.before_christ == Some(true);
        let astronomical = if is_before_christ { 1 - year } else { year };
        let in_calendar = year >= 1 && (1..=12).contains(&month) && day >= 1 && day <= month_days(astronomical, month);
        if in_calendar { Ok(Some((astronomical, month, day))) } else { Err(Flaw::Invalid) }
    }

    fn micros(&self) -> Result<Option<i64>, Flaw> {
        const HOUR: i64 = 3_600_000_000;
        match (self.time, self.afternoon) {
            (time, None) => Ok(time),
            (None, Some(_)) => Err(Flaw::Invalid),
            (Some(time), Some(_)) if time >= 13 * HOUR => Err(Flaw::Invalid),
            (Some(time), Some(true)) if time < 12 * HOUR => Ok(Some(time + 12 * HOUR)),
            (Some(time), Some(false)) if time >= 12 * HOUR => Ok(Some(time - 12 * HOUR)),
            (time, Some(_)) => Ok(time),
        }
    }

    /// The canonical text; none when the text must stay as it is.
    fn resolve(&self, kind: Moment) -> Result<Option<String>, Flaw> {
        let time = self.micros()?;
        let mut text = String::with_capacity(32);
        if let Moment::Time { zone } = kind {
            let time = time.ok_or(Flaw::Invalid)?;
            let is_clear = self.count == 0 || self.day()?.is_some();
            if self.has_zone_word || !is_clear {
                return Ok(None);
            }
            write_time(&mut text, time);
            if zone {
                write_offset(&mut text, self.offset.unwrap_or(0));
            }
            return Ok(Some(text));
        }
        let Some((year, month, day)) = self.day()? else { return Ok(None) };
        let (zone, year_max) = match kind {
            Moment::Timestamp { zone } => (zone, 294_276),
            _ => (false, 5_874_897),
        };
        let mut day = days(year, month, day);
        let mut micros = 0;
        if kind != Moment::Date {
            let offset = if zone { self.offset.unwrap_or(0) } else { 0 };
            let sum = time.unwrap_or(0) - offset * 1_000_000;
            day += sum.div_euclid(DAY_MICROS);
            micros = sum.rem_euclid(DAY_MICROS);
        }
        // PostgreSQL counts from the first day of the Julian period.
        if day < days(-4713, 11, 24) || day >= days(year_max + 1, 1, 1) {
            return Err(Flaw::OutOfRange);
        }
        if self.has_zone_word {
            return Ok(None);
        }
        let (year, month, day) = civil(day);
        let shown = if year < 1 { 1 - year } else { year };
        write_date(&mut text, (shown, month, day));
        if kind != Moment::Date {
            text.push(' ');
            write_time(&mut text, micros);
        }
        if zone {
            text.push_str("+00");
        }
        if year < 1 {
            text.push_str(" BC");
        }
        Ok(Some(text))
    }
}

/// A timestamp as PostgreSQL prints it in UTC, as RFC 3339 has it: `2026-01-02T03:04:05.678Z`, without the letter behind it
/// where it has no zone. What RFC 3339 has no words for stays: infinity, and years before 1 or after 9999.
pub fn rfc3339(text: &str) -> Cow<'_, str> {
    let (day, time) = match text.split_once(' ') {
        Some((day, time)) if day.len() == "2026-01-02".len() && !time.ends_with("BC") => (day, time),
        _ => return Cow::Borrowed(text),
    };
    Cow::Owned(match time.strip_suffix("+00") {
        Some(time) => format!("{day}T{time}Z"),
        None => format!("{day}T{time}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: Moment = Moment::Date;
    const TIME: Moment = Moment::Time { zone: false };
    const TIMETZ: Moment = Moment::Time { zone: true };
    const STAMP: Moment = Moment::Timestamp { zone: false };
    const STAMPTZ: Moment = Moment::Timestamp { zone: true };

    fn check(kind: Moment, text: &str, wanted: Result<&str, Flaw>) {
        let found = canonical(Cow::Borrowed(text), kind);
        assert_eq!(found.as_deref().map_err(|flaw| *flaw), wanted, "{text} as {kind:?}");
        if let Ok(canonical_text) = wanted {
            let again = canonical(Cow::Borrowed(canonical_text), kind);
            assert!(
                matches!(again, Ok(Cow::Borrowed(again)) if again == canonical_text),
                "{canonical_text} is canonical"
            );
        }
    }

    #[test]
    fn clear_text_becomes_canonical() {
        for (kind, text, wanted) in [
            (DATE, "2026-01-02", "2026-01-02"),
            (DATE, " 2026-1-2 ", "2026-01-02"),
            (DATE, "20260102", "2026-01-02"),
            (DATE, "2026/01/02", "2026-01-02"),
            (DATE, "2026-01-02 23:59:59+05", "2026-01-02"),
            (DATE, "0044-03-15 BC", "0044-03-15 BC"),
            (DATE, "4714-11-24 bc", "4714-11-24 BC"),
            (DATE, "5874897-12-31", "5874897-12-31"),
            (DATE, "2024-02-29", "2024-02-29"),
            (DATE, "0005-02-29 BC", "0005-02-29 BC"),
            (DATE, "Nov 2 2013", "2013-11-02"),
            (DATE, "2 nov, 2013", "2013-11-02"),
            (DATE, "02-Nov-2013", "2013-11-02"),
            (DATE, "2026-01-02Z", "2026-01-02"),
            (DATE, "Infinity", "infinity"),
            (DATE, "epoch", "1970-01-01"),
            (TIME, "04:05", "04:05:00"),
            (TIME, "04:05:06.70", "04:05:06.7"),
            (TIME, "T24:00:00", "24:00:00"),
            (TIME, "23:59:60", "24:00:00"),
            (TIME, "04:05:06+02", "04:05:06"),
            (TIME, "04:05 PM", "16:05:00"),
            (TIME, "12:05 am", "00:05:00"),
            (TIMETZ, "04:05:06", "04:05:06+00"),
            (TIMETZ, "04:05:06-0230", "04:05:06-02:30"),
            (TIMETZ, "04:05:06+02:30:15", "04:05:06+02:30:15"),
            (STAMP, "2026-01-02", "2026-01-02 00:00:00"),
            (STAMP, "2026-01-02T01:04:05.678Z", "2026-01-02 01:04:05.678"),
            (STAMP, "2026-01-02 01:04:05.1234567", "2026-01-02 01:04:05.123457"),
            (STAMP, "2026-12-31 23:59:59.9999999", "2027-01-01 00:00:00"),
            (STAMP, "2026-01-02 24:00", "2026-01-03 00:00:00"),
            (STAMP, "2026-01-02 01:04:05+02", "2026-01-02 01:04:05"),
            (STAMP, "20260102T010405", "2026-01-02 01:04:05"),
            (STAMP, "Sat Nov 02 17:30:52 2013", "2013-11-02 17:30:52"),
            (STAMP, "Sat 02 Nov 17:30:52.5 2013", "2013-11-02 17:30:52.5"),
            (STAMP, "Sat Mar 15 10:00:00 0044 BC", "0044-03-15 10:00:00 BC"),
            (STAMP, "-INFINITY", "-infinity"),
            (STAMPTZ, "2026-01-02 01:04:05.678+00", "2026-01-02 01:04:05.678+00"),
            (STAMPTZ, "2026-01-02 01:04:05", "2026-01-02 01:04:05+00"),
            (STAMPTZ, "2026-01-02 01:04:05 +02:30:15", "2026-01-01 22:33:50+00"),
            (STAMPTZ, "2026-01-02T01:04:05.000Z", "2026-01-02 01:04:05+00"),
            (STAMPTZ, "2026-01-02T01:04:05.670+00:00", "2026-01-02 01:04:05.67+00"),
            (STAMPTZ, "2026-01-02T01:04:05Z", "2026-01-02 01:04:05+00"),
            (STAMPTZ, "0001-01-01 00:00:00+01", "0001-12-31 23:00:00+00 BC"),
            (STAMPTZ, "294276-12-31 23:59:59+00", "294276-12-31 23:59:59+00"),
            (STAMPTZ, "Sat Nov 02 17:30:52 2013 UTC", "2013-11-02 17:30:52+00"),
            (STAMPTZ, "Sat Nov 02 17:30:52-02 2013", "2013-11-02 19:30:52+00"),
            (STAMPTZ, "epoch", "1970-01-01 00:00:00+00"),
        ] {
            check(kind, text, Ok(wanted));
        }
    }

    #[test]
    fn ambiguous_text_is_kept_as_it_is() {
        for (kind, text) in [
            (DATE, "02-04-2013"),
            (DATE, "31.12.2013"),
            (DATE, "Nov 02 13"),
            (STAMP, "02/04/2013 10:00:00"),
            (STAMP, "02.11.2013 17:30:52.5"),
            (STAMPTZ, "02.11.2013 17:30:52 CEST"),
            (STAMPTZ, "2013-11-02 17:30:52 Europe/Berlin"),
            (STAMPTZ, "Sat Nov 02 17:30:52 2013 CET"),
            (TIMETZ, "17:30:52 CET"),
        ] {
            check(kind, text, Ok(text));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (kind, texts) in [
            (
                DATE,
                "hello||2026-13-01|2026-02-30|2023-02-29|0000-01-01|2026-01|2026-01-02-03|2026-001-02|13-13-2013|Nov 2013|5",
            ),
            (
                DATE,
                "2026-01/02|2026-01-02x|Nov 31 2013|10:00:00|2026-01-02 25:00|32/01/2013|Foo 2 2013|0001-02-29 bc bc",
            ),
            (TIME, "99:99|2026-01-02|12|10:60|10:00:61|24:00:01|23:59:60.5|13:00 PM|10:00:00 10:00:00|epoch|infinity"),
            (
                STAMP,
                "2026-01-02 99:99|2026-01-02 10:00+16|2026-01-02 10:00+01:60|2026-01-02 hello|2026-01-02 10:00 am pm",
            ),
            (
                STAMPTZ,
                "2026-02-30 10:00 CEST|2026-01-02 10:00:00Z+02|2026-01-02 10:00 CET CEST|1526000000|é|2026-01-02 1é",
            ),
        ] {
            for text in texts.split('|') {
                check(kind, text, Err(Flaw::Invalid));
            }
        }
        for text in ["now", "Today", "tomorrow", "yesterday", "today 10:00"] {
            check(STAMP, text, Err(Flaw::Moving));
        }
        for (kind, text) in [
            (DATE, "4714-11-23 BC"),
            (DATE, "5874898-01-01"),
            (STAMP, "294277-01-01 00:00:00"),
            (STAMPTZ, "294276-12-31 23:59:59-01"),
            (DATE, "99999999999999999999-01-01"),
        ] {
            check(kind, text, Err(Flaw::OutOfRange));
        }
    }

    #[test]
    fn timestamps_are_written_as_rfc_3339_has_them() {
        for (text, expected) in [
            ("2026-01-02 03:04:05.678+00", "2026-01-02T03:04:05.678Z"),
            ("2026-01-02 03:04:05", "2026-01-02T03:04:05"),
            ("0044-03-15 00:00:00 BC", "0044-03-15 00:00:00 BC"),
            ("10000-01-01 00:00:00+00", "10000-01-01 00:00:00+00"),
            ("infinity", "infinity"),
            ("-infinity", "-infinity"),
            ("no time at all", "no time at all"),
            ("", ""),
        ] {
            assert_eq!(rfc3339(text), expected);
        }
    }
}
