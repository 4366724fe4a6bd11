//! Documents as they come: the forms of changes, texts of many documents, YAML, events.

use sluicegate::format::event::EventRules;
use sluicegate::format::lines::{Cutter, Layout, pieces};
use sluicegate::format::{cloud_event, yaml};
use sluicegate::gate::{DocumentKind, Gate, KeyRule};
use sluicegate::json;
use sluicegate::judgement::Rules;
use sluicegate::problem::Problem;

/// The largest document: libFuzzer's inputs are smaller.
const BYTES_MAX: usize = 1 << 20;

pub(crate) fn gate(takes: DocumentKind) -> Gate {
    Gate { takes, rules: Rules::default(), key: KeyRule::None, document_bytes_max: BYTES_MAX }
}

/// Whoever is refused is told why, and where: every place that is named is there.
pub(crate) fn is_told(document: &[u8], problem: &Problem) {
    assert!(!problem.detail.is_empty() || !problem.errors.is_empty());
    let Ok(text) = std::str::from_utf8(document) else { return };
    for violation in &problem.errors {
        assert!(!violation.detail.is_empty());
        let place = &violation.pointer;
        assert!(
            json::at(text, place).is_some() || json::check(text).is_err() || place.contains('/'),
            "{place:?} is nowhere"
        );
    }
    serde_json::to_string(problem).expect("a problem can be written");
}

/// Any bytes as a document of changes.
pub(crate) fn changes(data: &[u8]) {
    let gate = gate(DocumentKind::Changes { forms: vec!["activities".into(), "wal2json".into()] });
    match gate.judge(data) {
        Err(problem) => is_told(data, &problem),
        Ok(accepted) => {
            for change in &accepted.changes.changes {
                assert!(!change.table.name.is_empty());
                for cell in change.cells() {
                    assert!(!cell.name.is_empty());
                    // The text of a value is a value of that type.
                    let text = cell.value.text();
                    assert!(!text.contains('\0'), "a NUL in {}", cell.name);
                }
            }
        }
    }
}

/// Many documents in one text: cut the same however they arrive. The first byte says how.
pub(crate) fn lines(data: &[u8]) {
    let Some((how, text)) = data.split_first() else { return };
    let layout = [Layout::Lines, Layout::Values, Layout::Yaml][usize::from(how % 3)];
    let part = usize::from(how / 3) + 1;
    let whole: Vec<_> =
        pieces(text, layout, BYTES_MAX).map(|piece| (piece.line, piece.lines, piece.bytes.to_vec())).collect();
    let mut cutter = Cutter::new(layout, BYTES_MAX);
    let mut buffer: Vec<u8> = Vec::new();
    let mut parts = text.chunks(part);
    let mut cut = Vec::new();
    loop {
        let next = parts.next();
        buffer.extend_from_slice(next.unwrap_or_default());
        loop {
            let found = cutter.cut(&buffer, next.is_none());
            let used = found.used;
            let is_done = found.piece.is_none();
            if let Some(piece) = found.piece {
                cut.push((piece.line, piece.lines, piece.bytes.to_vec()));
            }
            buffer.drain(..used);
            if is_done {
                break;
            }
        }
        if next.is_none() {
            break;
        }
    }
    assert_eq!(whole, cut, "{layout:?} in parts of {part}");
}

/// What is made of YAML is JSON.
pub(crate) fn yaml(data: &[u8]) {
    if let Ok(text) = yaml::to_json(data, 1, BYTES_MAX) {
        assert!(text.len() <= BYTES_MAX);
        // A text without a document has none in JSON either.
        if text.is_empty() {
            return;
        }
        if let Err(fault) = json::check(&text) {
            panic!("{fault}: {text}");
        }
    }
}

/// Any bytes as an event of a stream that has a table.
pub(crate) fn events(data: &[u8]) {
    let gate = gate(DocumentKind::Events(EventRules::any(true)));
    match gate.judge(data) {
        Err(problem) => is_told(data, &problem),
        Ok(_) => assert!(serde_json::from_slice::<serde_json::Value>(data).is_ok()),
    }
}

/// Structured events, batches, and headers of binary ones.
pub(crate) fn cloud_events(data: &[u8]) {
    let headers = data.split(|byte| *byte == b'\n').filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b':')?;
        Some((std::str::from_utf8(&line[..at]).ok()?, &line[at + 1..]))
    });
    if let Ok(headers) = cloud_event::binary(headers, None) {
        assert!(!headers.id.is_empty());
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(event) = cloud_event::structured(text) {
        assert!(!event.headers.id.is_empty() && !event.headers.source.is_empty());
        std::str::from_utf8(&event.data).expect("the data of a JSON event is text");
    }
    for event in cloud_event::batch(text).unwrap_or_default() {
        let _ = cloud_event::structured(event);
    }
}
