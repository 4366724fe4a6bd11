//! The notations that attributes are written in: header values and times.

use percent_encoding::percent_decode;

use crate::change::month_days;

/// The value of a header that says an attribute (CloudEvents HTTP binding, §3.1.3.2): quotes around it are taken off, then
/// percent-encoding. None when that is not UTF-8.
pub(super) fn header(value: &[u8]) -> Option<String> {
    let value = value.trim_ascii();
    let quoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let unquoted = quoted.map(|inner| {
        let mut text = Vec::with_capacity(inner.len());
        let mut bytes = inner.iter();
        while let Some(byte) = bytes.next() {
            text.extend(if *byte == b'\\' { bytes.next() } else { Some(byte) });
        }
        text
    });
    let text = percent_decode(unquoted.as_deref().unwrap_or(value)).decode_utf8().ok()?;
    Some(text.into_owned())
}

/// Whether a text is a time as RFC 3339 writes it: no field may be left out, and the calendar must have the day.
pub(super) fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| {
        let digits = bytes.get(from..to)?;
        digits.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(digits).ok()?.parse::<u32>().ok())?
    };
    let is = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|byte| wanted.contains(byte));
    let read = || {
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let marks = is(4, b"-") && is(7, b"-") && is(10, b"Tt") && is(13, b":") && is(16, b":");
        // A second is 60 at the end of an hour only: a leap second.
        let clock = hour < 24 && minute < 60 && (second < 60 || second == 60 && minute == 59);
        let mut at = 19;
        if is(at, b".") {
            let fraction = bytes[20..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            (fraction > 0).then_some(())?;
            at = 20 + fraction;
        }
        let zone = if is(at, b"Zz") {
            bytes.len() == at + 1
        } else {
            let offset = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            is(at, b"+-") && is(at + 3, b":") && offset.0 < 24 && offset.1 < 60 && bytes.len() == at + 6
        };
        let is_day = (1..=12).contains(&month) && (1..=month_days(i64::from(year), month)).contains(&day);
        Some(marks && is_day && clock && zone)
    };
    read().unwrap_or(false)
}
