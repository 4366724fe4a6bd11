//! What is counted is told, by the names that the documentation gives.

use super::*;
use crate::problem::ProblemType;
use std::time::Duration;

fn counted() -> Metrics {
    let metrics = Metrics::default();
    let way = metrics.way("people", "/v1/streams/{stream}");
    way.received(120);
    way.received(80);
    way.accepted(1);
    way.rejected(ProblemType::InvalidDocument);
    way.append.observe(Duration::from_millis(3));
    let applied = metrics.applied("people");
    applied.committed(1, 2);
    applied.set_aside(ProblemType::TypeConflict);
    applied.row.observe_many(Duration::from_millis(40), 3);
    metrics
}

fn read(format: Format) -> String {
    let set = |gauges: &mut Gauges| {
        gauges.standing("people", Standing { partition: 0, documents: 7, age: Some(Duration::from_millis(1500)) });
        gauges.halted("people", true);
    };
    counted().text(format, set).unwrap()
}

type Labels<'l> = &'l [(&'l str, &'l str)];

/// The value of a series, whose labels may stand in any order.
fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let line = text.lines().find(|line| {
        let Some((series, _)) = line.rsplit_once(' ') else { return false };
        let (is_named, found) = series.split_once('{').unwrap_or((series, "}"));
        let is_there = |(label, value): &(&str, &str)| found.contains(&format!("{label}=\"{value}\""));
        is_named == name && labels.iter().all(is_there) && found.matches("=\"").count() == labels.len()
    })?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[test]
fn both_formats_tell_the_same_by_the_same_names() {
    let way = [("stream", "people"), ("via", "/v1/streams/{stream}")];
    let people = [("stream", "people")];
    let table: &[(&str, Labels<'_>, f64)] = &[
        ("sluicegate_documents_received_total", &way, 2.0),
        ("sluicegate_documents_accepted_total", &way, 1.0),
        ("sluicegate_documents_received_bytes_total", &way, 200.0),
        ("sluicegate_documents_rejected_total", &[way[0], way[1], ("reason", "invalid-document")], 1.0),
        ("sluicegate_documents_applied_total", &people, 1.0),
        ("sluicegate_documents_duplicate_total", &people, 2.0),
        ("sluicegate_dead_letters_total", &[people[0], ("reason", "type-conflict")], 1.0),
        ("sluicegate_append_seconds_count", &people, 1.0),
        ("sluicegate_row_seconds_bucket", &[people[0], ("le", "0.025")], 0.0),
        ("sluicegate_row_seconds_bucket", &[people[0], ("le", "0.05")], 3.0),
        ("sluicegate_row_seconds_bucket", &[people[0], ("le", "+Inf")], 3.0),
        ("sluicegate_lag_documents", &[people[0], ("partition", "0")], 7.0),
        ("sluicegate_lag_seconds", &[people[0], ("partition", "0")], 1.5),
        ("sluicegate_stream_halted", &people, 1.0),
        ("sluicegate_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0),
    ];
    for format in [Format::OpenMetrics, Format::Prometheus] {
        let text = read(format);
        for (name, labels, expected) in table {
            assert_eq!(value(&text, name, labels), Some(*expected), "{format:?} {name} {labels:?}\n{text}");
        }
        assert!(value(&text, "process_resident_memory_bytes", &[]).unwrap() > 1e6, "{text}");
    }
}

#[test]
fn each_format_has_the_lines_that_only_it_takes() {
    let (open, plain) = (read(Format::OpenMetrics), read(Format::Prometheus));
    let has = |text: &str, line: &str| text.lines().any(|it| it == line);
    for line in ["# TYPE sluicegate_documents_received counter", "# UNIT sluicegate_append_seconds seconds", "# EOF"] {
        assert!(has(&open, line) && !has(&plain, line), "{line}");
    }
    let line = "# TYPE sluicegate_documents_received_total counter";
    assert!(has(&plain, line) && !has(&open, line), "{line}");
}

#[test]
fn buckets_hold_what_is_no_longer_than_their_bound() {
    let histogram = Histogram::default();
    for millis in [0, 1, 2, 1_000, 70_000] {
        histogram.observe(Duration::from_millis(millis));
    }
    let mut registry = Registry::default();
    registry.register("t", "t", histogram.clone());
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).unwrap();
    for line in [
        "t_bucket{le=\"0.0005\"} 1",
        "t_bucket{le=\"0.001\"} 2",
        "t_bucket{le=\"1\"} 4",
        "t_bucket{le=\"60\"} 4",
        "t_bucket{le=\"+Inf\"} 5",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    assert_eq!(histogram.count(), 5);
}

#[test]
fn what_is_gone_is_not_told_again() {
    let metrics = Metrics::default();
    let first = metrics.text(Format::Prometheus, |gauges| gauges.halted("people", true)).unwrap();
    let second = metrics.text(Format::Prometheus, |_| {}).unwrap();
    assert!(first.contains("sluicegate_stream_halted{") && !second.contains("sluicegate_stream_halted{"), "{second}");
}

#[test]
fn the_format_is_the_one_that_was_asked_for() {
    let table = [
        ("", Format::Prometheus),
        ("*/*", Format::Prometheus),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Format::Prometheus),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", Format::OpenMetrics),
    ];
    for (accept, format) in table {
        assert_eq!(Format::accepted(accept), format, "{accept}");
    }
}

#[test]
fn series_stand_in_the_order_of_their_labels() {
    let metrics = Metrics::default();
    for stream in ["z", "a", "m", "le"] {
        let way = metrics.way(stream, "/v1/{stream}");
        way.rejected(ProblemType::NotJson);
        way.rejected(ProblemType::InvalidDocument);
        way.append.observe(Duration::from_millis(3));
    }
    for format in [Format::OpenMetrics, Format::Prometheus] {
        let text = metrics.text(format, |_| {}).unwrap();
        let lines = |prefix: &str| text.lines().filter(|line| line.starts_with(prefix)).collect::<Vec<_>>();
        let rejected = lines("sluicegate_documents_rejected_total{");
        assert!(rejected.len() == 8 && rejected.is_sorted(), "{rejected:#?}");
        let buckets = lines("sluicegate_append_seconds_bucket{");
        for (of_one, stream) in buckets.chunks(buckets.len() / 4).zip(["a", "le", "m", "z"]) {
            let bound = |line: &str| {
                line.split("le=\"")
                    .map(|rest| rest.split('"').next().unwrap().replace("+Inf", "inf"))
                    .find_map(|it| it.parse::<f64>().ok())
            };
            let bounds: Vec<f64> = of_one.iter().map(|line| bound(line).unwrap()).collect();
            assert!(of_one.iter().all(|line| line.contains(&format!("stream=\"{stream}\""))), "{of_one:#?}");
            assert!(bounds.len() > 5 && bounds.is_sorted(), "{stream} {bounds:?}");
        }
    }
}
