//! The time of day, as records and receipts carry it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::change::{civil, write_date, write_time};

/// Milliseconds since 1970 (UTC).
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// How long this thread has worked, which is not how long it has been there: a machine that stands still, or has much else to
/// do, makes no work slower.
pub fn worked() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(spent.tv_sec).unwrap_or_default(), u32::try_from(spent.tv_nsec).unwrap_or_default())
}

/// `ms` since 1970 as PostgreSQL prints a timestamp with time zone in UTC: `2026-01-02 01:04:05.678+00`.
pub fn timestamp(ms: i64) -> String {
    written(ms, ' ', "+00")
}

/// `ms` since 1970 as RFC 3339 writes it in UTC: `2026-01-02T01:04:05.678Z`.
pub fn rfc3339(ms: i64) -> String {
    written(ms, 'T', "Z")
}

fn written(ms: i64, between: char, end: &str) -> String {
    let mut text = String::with_capacity(32);
    write_date(&mut text, civil(ms.div_euclid(86_400_000)));
    text.push(between);
    write_time(&mut text, ms.rem_euclid(86_400_000) * 1000);
    text.push_str(end);
    text
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
