//! Cuts the text of a moment into runs, times of day and offsets.
//!
//! It knows the shape of these three only; `moment.rs` puts the rest together, and its tests are the tests of this.

use super::calendar::DAY_MICROS;

/// Why a text is no moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It is none, or the calendar or the clock knows none such.
    Invalid,
    /// `now` and its kin, which mean another moment when the document is read again.
    Moving,
    /// PostgreSQL cannot hold it.
    OutOfRange,
}

/// Cuts a text into runs of bytes.
pub(super) struct Cutter<'a> {
    pub(super) text: &'a str,
    /// How much of it is behind.
    pub(super) at: usize,
}

impl<'a> Cutter<'a> {
    /// The byte so far ahead; zero beyond the end.
    pub(super) fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Takes the bytes that belong together, which are ASCII.
    pub(super) fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        while belongs(self.byte(0)) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    /// A number of at most `digits_max` digits.
    fn number(&mut self, digits_max: usize) -> Result<i64, Flaw> {
        let digits = self.run(|byte| byte.is_ascii_digit());
        if digits.len() > digits_max { Err(Flaw::Invalid) } else { digits.parse().map_err(|_| Flaw::Invalid) }
    }

    /// What follows a colon, as a number below 60 or 60 itself.
    fn sixtieth(&mut self) -> Result<Option<i64>, Flaw> {
        if self.byte(0) != b':' {
            return Ok(None);
        }
        self.at += 1;
        let value = self.number(2)?;
        if value > 60 { Err(Flaw::Invalid) } else { Ok(Some(value)) }
    }

    /// Microseconds since midnight; the hour was read before.
    pub(super) fn time(&mut self, hour: i64) -> Result<i64, Flaw> {
        let minute = self.sixtieth()?.ok_or(Flaw::Invalid)?;
        let second = self.sixtieth()?;
        let mut fraction = 0;
        if second.is_some() && self.byte(0) == b'.' {
            self.at += 1;
            let digits = self.run(|byte| byte.is_ascii_digit());
            // PostgreSQL reads it as a float, too, and rounds to the even side.
            let part: f64 = format!("0.{digits}0").parse().map_err(|_| Flaw::Invalid)?;
            fraction = (part * 1e6).round_ties_even() as i64;
        }
        // Second 60 is the next minute's first, as long as that is not beyond the day.
        let micros = ((hour * 60 + minute) * 60 + second.unwrap_or(0)) * 1_000_000 + fraction;
        if minute < 60 && micros <= DAY_MICROS { Ok(micros) } else { Err(Flaw::Invalid) }
    }

    /// `+02`, `+0230`, `+02:30`, `+02:30:15`, in seconds.
    pub(super) fn offset(&mut self) -> Result<i64, Flaw> {
        let sign = if self.byte(0) == b'-' { -1 } else { 1 };
        self.at += 1;
        let start = self.at;
        let mut hour = self.number(4)?;
        let mut minute = 0;
        let mut second = 0;
        if self.at - start > 2 {
            (hour, minute) = (hour / 100, hour % 100);
        } else if let Some(read) = self.sixtieth()? {
            minute = read;
            second = self.sixtieth()?.unwrap_or(0);
        }
        // PostgreSQL knows no offset of 16 hours.
        if hour <= 15 && minute < 60 && second < 60 {
            Ok(sign * ((hour * 60 + minute) * 60 + second))
        } else {
            Err(Flaw::Invalid)
        }
    }
}
