//! JSON Schemas, and documents judged by them.

use std::sync::Arc;

use sluicegate::format::event::EventRules;
use sluicegate::gate::DocumentKind;
use sluicegate::schema::Schema;

use crate::documents::{gate, is_told};

/// A schema, a line with `---`, a document. Whatever the schema is, the document is answered.
pub(crate) fn schemas(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((schema, document)) = text.split_once("\n---\n") else { return };
    let source = schema.to_owned();
    let read = Arc::new(move |path: &str| match path {
        "/schema.json" => Ok(source.clone()),
        _ => Err("there is no other file".to_owned()),
    });
    let Ok(schema) = Schema::compile("/schema.json", true, read) else { return };
    let gate = gate(DocumentKind::Events(EventRules::new(false, Some(Arc::new(schema)), Vec::new(), false)));
    if let Err(problem) = gate.judge(document.as_bytes()) {
        is_told(document.as_bytes(), &problem);
    }
}
