//! Events: any JSON value, kept as it is, and the columns that are taken out of it.
//!
//! A document is walked over once: members named twice, what no database holds, the values of the columns, and the tree
//! for the schema, if there is one, all come from that walk. What a violation means is the gate's matter.

mod columns;
mod walk;

use std::borrow::Cow;
use std::sync::Arc;

pub use self::columns::{ATTRIBUTE, At, RecordColumn};
use self::walk::Wanted;
use crate::change::{Action, Cell, Change, ChangeSet, ColumnType, Family, TableName, Value};
use crate::document::Receipt;
use crate::json::{Fault, Path, Reader, Tree};
use crate::judgement::Judge;
use crate::record::Headers;
use crate::schema::Schema;

/// The name of the form in records.
pub const NAME: &str = "event";

/// How the events of a stream are judged.
#[derive(Debug, Clone)]
pub struct EventRules {
    /// Whether they become rows.
    has_table: bool,
    schema: Option<Arc<Schema>>,
    columns: Vec<RecordColumn>,
    /// Whether a value that its column cannot hold becomes NULL; else it is a violation.
    misfits_become_null: bool,
    wanted: Wanted,
}

impl EventRules {
    /// Any JSON. With a table it must also be such that every database's JSON can hold it: no U+0000, and no number past
    /// PostgreSQL's NUMERIC.
    pub fn any(has_table: bool) -> Self {
        Self::new(has_table, None, Vec::new(), false)
    }

    /// What `schema` allows, with `columns` beside the document.
    pub fn new(
        has_table: bool,
        schema: Option<Arc<Schema>>,
        columns: Vec<RecordColumn>,
        misfits_become_null: bool,
    ) -> Self {
        let wanted = Wanted::of(&columns);
        EventRules { has_table, schema, columns, misfits_become_null, wanted }
    }

    /// Whether a short document may take long to be judged.
    pub fn is_heavy(&self) -> bool {
        self.schema.as_deref().is_some_and(Schema::is_heavy)
    }

    /// The schema, if there is one.
    pub fn schema(&self) -> Option<&Schema> {
        self.schema.as_deref()
    }

    /// The columns beside the document, in their order.
    pub fn columns(&self) -> &[RecordColumn] {
        &self.columns
    }

    /// Judges the one event in `text`. Gives the values of the columns; one that is said by `attributes` is NULL without
    /// them.
    pub fn read<'a>(
        &self,
        text: &'a str,
        attributes: Option<&'a Headers>,
        judge: &mut Judge<'a, '_>,
    ) -> Result<Vec<Value<'a>>, Fault> {
        let mut reader = Reader::new(text);
        let mut found = vec![None; self.columns.len()];
        let mut walker = walk::Walker { text, reader: &mut reader, has_table: self.has_table, found: &mut found };
        match &self.schema {
            Some(schema) => {
                let tree: Tree<'a> = walker.walk(&Path::ROOT, Some(&self.wanted), judge)?;
                reader.finish()?;
                // Rules of numbers calculate with their digits.
                if judge.is_foldable() {
                    schema.judge(text, &tree, judge);
                }
            }
            None if self.has_table || !self.columns.is_empty() => {
                walker.walk::<()>(&Path::ROOT, Some(&self.wanted), judge)?;
                reader.finish()?;
            }
            None => {
                reader.skip(&Path::ROOT, judge)?;
                reader.finish()?;
            }
        }
        for (column, found) in self.columns.iter().zip(&found) {
            let (At::Document(pointer), Some(text)) = (&column.at, found) else { continue };
            // A number was counted by the walk; one in a string is one to its column only.
            if text.starts_with(['"', '[']) && column.column_type.family() == Family::Decimal {
                judge.text_of(pointer, &column.column_type, text);
            }
        }
        let values = self.columns.iter().zip(found).map(|(column, found)| {
            let read = match &column.at {
                At::Document(_) => column.read(found),
                At::Attribute(name) => column.read_attribute(attributes.and_then(|all| all.attribute(name))),
            };
            read.unwrap_or_else(|misfit| {
                if !self.misfits_become_null {
                    judge.violation_at(&column.at.to_string(), || format!("{misfit} (column {:?})", column.name));
                }
                Value::Null
            })
        });
        Ok(values.collect())
    }

    /// The values of the columns for bare text that was judged as a JSON string: attributes, and the text itself where a
    /// column takes the whole document. What does not fit is NULL; the judge has said so where that is refused.
    pub fn fields_of_text<'a>(&self, text: &'a str, attributes: Option<&'a Headers>) -> Vec<Value<'a>> {
        let value = |column: &RecordColumn| match &column.at {
            At::Document(pointer) => column.read_attribute(Some(text).filter(|_| pointer.is_empty())),
            At::Attribute(name) => column.read_attribute(attributes.and_then(|all| all.attribute(name))),
        };
        self.columns.iter().map(|column| value(column).unwrap_or(Value::Null)).collect()
    }
}

/// The row that keeps an event: `receipt` (primary key), `received_at`, the columns, and the document itself.
pub fn row<'a>(
    table: &'a str,
    document_column: &'a str,
    receipt: &Receipt,
    received_at_ms: i64,
    columns: impl Iterator<Item = Cell<'a>>,
    text: impl Into<Cow<'a, str>>,
) -> ChangeSet<'a> {
    let cell = |name: &'a str, column_type: &str, value: Value<'a>| Cell {
        name: Cow::Borrowed(name),
        column_type: ColumnType::parse(column_type),
        value,
    };
    let mut row = vec![
        cell("receipt", "text", Value::Text(Cow::Owned(receipt.to_string()))),
        cell("received_at", "timestamptz", Value::Text(Cow::Owned(crate::clock::timestamp(received_at_ms)))),
    ];
    row.extend(columns);
    row.push(cell(document_column, "jsonb", Value::Json(text.into())));
    let primary_key = vec![Cow::Borrowed("receipt")];
    let table = TableName::parse(Cow::Borrowed(table));
    ChangeSet { changes: vec![Change { table, action: Action::Insert { row, primary_key } }] }
}
