//! The time of day, as records and receipts carry it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::change::{civil, write_time};

/// Milliseconds since 1970 (UTC).
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// `ms` since 1970 as PostgreSQL prints a timestamp with time zone in UTC: `2026-01-02 01:04:05.678+00`.
pub fn timestamp(ms: i64) -> String {
    let (days, in_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let mut text = format!("{year:04}-{month:02}-{day:02} ");
    write_time(&mut text, in_day * 1000);
    text + "+00"
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
        ] {
            assert_eq!(super::timestamp(ms), text);
        }
    }
}
