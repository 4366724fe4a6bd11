//! The order of values that SQLite keeps as text: decimals as numbers, days by the calendar, JSON as PostgreSQL orders its
//! `jsonb`. Each is a total order, whatever others wrote into the column.

use std::cmp::Ordering;

use rusqlite::Connection;

use super::clock::Clock;
use crate::change::decimal;
use crate::json::{self, Json};

/// The collation of decimals.
pub(super) const DECIMAL: &str = "decimal";

/// The collation of days and moments.
pub(super) const MOMENT: &str = "moment";

/// The collation of JSON.
pub(super) const JSON: &str = "json";

/// Gives a connection the collations that questions use; they compare no longer than its clock allows.
pub(super) fn register(connection: &Connection, clock: &Clock) -> rusqlite::Result<()> {
    let timed = |compare: fn(&str, &str) -> Ordering| {
        let clock = clock.clone();
        move |a: &str, b: &str| match clock.allows(a.len() + b.len()) {
            true => compare(a, b),
            false => Ordering::Equal,
        }
    };
    connection.create_collation(MOMENT, timed(moments))?;
    connection.create_collation(DECIMAL, timed(decimal::compare))?;
    connection.create_collation(JSON, timed(jsons))
}

/// Days and moments in the canonical notation: years before ours and beyond 9999 have their place, and both infinities.
fn moments(a: &str, b: &str) -> Ordering {
    /// The year, counted through, and what stands behind it.
    fn year(text: &str) -> (i64, &str) {
        match text {
            "-infinity" => return (i64::MIN, ""),
            "infinity" => return (i64::MAX - 1, ""),
            _ => {}
        }
        match text.split_once('-').and_then(|(year, rest)| Some((year.parse::<i32>().ok()?, rest))) {
            Some((year, rest)) if text.ends_with(" BC") => (1 - i64::from(year), rest),
            Some((year, rest)) => (i64::from(year), rest),
            // Not canonical: behind everything, as text.
            None => (i64::MAX, text),
        }
    }
    year(a).cmp(&year(b))
}

/// JSON: null, then text, numbers, booleans, arrays and objects; arrays and objects with fewer members first. Text that is
/// no JSON stands behind.
fn jsons(a: &str, b: &str) -> Ordering {
    match (read(a), read(b)) {
        (Some(a), Some(b)) => compare(&a, &b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

fn read(text: &str) -> Option<Json<'_>> {
    // Whoever can write into the column without Sluicegate can write what is no JSON.
    json::check(text).ok().and_then(|()| json::at(text, ""))
}

fn compare(a: &Json<'_>, b: &Json<'_>) -> Ordering {
    match (a, b) {
        (Json::Text(a), Json::Text(b)) => a.cmp(b),
        (Json::Number(a), Json::Number(b)) => decimal::compare(a, b),
        (Json::Boolean(a), Json::Boolean(b)) => a.cmp(b),
        (Json::Array(a), Json::Array(b)) => {
            let (a, b) = (json::elements(a), json::elements(b));
            let each = || a.iter().zip(&b).map(|(a, b)| compare(a, b)).find(|order| order.is_ne());
            a.len().cmp(&b.len()).then_with(|| each().unwrap_or(Ordering::Equal))
        }
        (Json::Object(a), Json::Object(b)) => {
            let (a, b) = (sorted(a), sorted(b));
            let each = || {
                let orders = a.iter().zip(&b).map(|(a, b)| a.0.cmp(&b.0).then_with(|| compare(&a.1, &b.1)));
                orders.into_iter().find(|order| order.is_ne())
            };
            a.len().cmp(&b.len()).then_with(|| each().unwrap_or(Ordering::Equal))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

fn sorted(object: &str) -> Vec<(std::borrow::Cow<'_, str>, Json<'_>)> {
    let mut members = json::members(object);
    members.sort_by(|a, b| a.0.cmp(&b.0));
    members
}

fn rank(json: &Json<'_>) -> u8 {
    match json {
        Json::Null => 0,
        Json::Text(_) => 1,
        Json::Number(_) => 2,
        Json::Boolean(_) => 3,
        Json::Array(_) => 4,
        Json::Object(_) => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(order: fn(&str, &str) -> Ordering, ascending: &[&str]) {
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(order(a, b), i.cmp(&j), "{a} and {b}");
            }
        }
    }

    #[test]
    fn moments_stand_by_the_calendar() {
        check(
            moments,
            &[
                "-infinity",
                "4714-11-24 BC",
                "0044-03-15 10:00:00 BC",
                "0044-03-16 BC",
                "0001-01-01",
                "2026-01-31",
                "2026-02-01 00:00:00",
                "2026-02-01 00:00:00.5",
                "9999-12-31",
                "10000-01-01",
                "infinity",
                "epoch?",
            ],
        );
    }

    #[test]
    fn json_stands_as_in_postgresql() {
        let ascending = [
            "null",
            "\"a\"",
            "\"b\"",
            "-1",
            "1",
            "1e1",
            "10.5",
            "false",
            "true",
            "[2]",
            "[1,1]",
            "{\"a\":2}",
            "{\"b\":1}",
            "no",
        ];
        check(jsons, &ascending);
        for (a, b) in
            [("1", "1.0"), ("100", "1e2"), ("[1, 2]", "[1,2.0]"), (r#"{"a":1,"b":[]}"#, r#"{ "b":[], "a":1 }"#)]
        {
            assert_eq!(jsons(a, b), Ordering::Equal, "{a} and {b}");
        }
    }
}
