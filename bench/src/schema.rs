//! The gate with a schema of twenty rules, beside serde_json reading the same bytes into a `Value` and the schema crate
//! judging that.

use std::hint::black_box;
use std::sync::Arc;

use serde_json::Value;
use sluicegate::format::event::EventRules;
use sluicegate::gate::{DocumentKind, Gate};
use sluicegate::schema::Schema;

use crate::Fallible;
use crate::documents::gate;
use crate::gate::{ROUNDS, micros};
use crate::report::{Rounds, Target, head, line_of_times};

const SIGHTINGS: &str = include_str!("../../tests/fixtures/events/sightings.ndjson");

/// Twenty rules over a sighting, of the kinds that people write.
const SCHEMA: &str = r##"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["userId", "visitorId", "type", "metadata", "event"],
    "properties": {
        "userId": {"type": "string", "pattern": "^j[0-9]{8}$"},
        "visitorId": {"type": "string", "minLength": 5, "maxLength": 40},
        "type": {"const": "Event"},
        "metadata": {
            "type": "object",
            "required": ["messageId", "timestamp"],
            "properties": {
                "messageId": {"type": "string", "minLength": 1},
                "sentAt": {"$ref": "#/$defs/seconds"},
                "timestamp": {"$ref": "#/$defs/seconds"},
                "receivedAt": {"type": "integer"},
                "version": {"enum": ["v1", "v2", "v3"]}
            }
        },
        "event": {"type": "string"},
        "eventData": {"type": "object", "maxProperties": 20}
    },
    "$defs": {"seconds": {"type": "integer", "minimum": 0}}
}"##;

pub(crate) fn measure() -> Fallible {
    let read = Arc::new(|_: &str| Ok(SCHEMA.to_owned()));
    let schema = Arc::new(Schema::compile("/sighting.json", false, read)?);
    let value: Value = serde_json::from_str(SCHEMA)?;
    let validator = jsonschema::validator_for(&value)?;
    let document = SIGHTINGS.lines().next().ok_or("there is no sighting")?;
    let padded = format!(r#"{{"more":{},{}"#, wide(), &document[1..]);
    head("µs a document");
    for (what, document) in [("a sighting", document), ("a sighting with forty members more", &padded)] {
        for (has_table, table) in [(false, ""), (true, ", with a table")] {
            let rules = EventRules::new(has_table, Some(Arc::clone(&schema)), Vec::new(), false);
            let gate = Gate { takes: DocumentKind::Events(rules), ..gate() };
            let bytes = document.as_bytes();
            gate.judge(bytes).map_err(|problem| format!("{what} was refused: {problem}"))?;
            let plainly =
                || serde_json::from_slice::<Value>(black_box(bytes)).is_ok_and(|value| validator.is_valid(&value));
            if !plainly() {
                return Err(format!("{what} was refused by the baseline").into());
            }
            let (mut ours, mut plain) = (Rounds::default(), Rounds::default());
            for _ in 0..ROUNDS.now() {
                ours.push(micros(|| drop(black_box(gate.judge(black_box(bytes))))));
                plain.push(micros(|| {
                    black_box(plainly());
                }));
            }
            line_of_times(&format!("{what}{table}, {} bytes", bytes.len()), &ours, &plain, Target::AtLeast(0.7));
        }
    }
    Ok(())
}

/// An object with forty members that no rule is about.
fn wide() -> String {
    let members: Vec<_> = (0..40).map(|at| format!(r#""member{at}":["text {at}",{at}.5,true,null]"#)).collect();
    format!("{{{}}}", members.join(","))
}
