//! The settings of a stream's records: table, schema, columns.
//!
//! It does not open the schema: whoever builds the streams does.

use std::path::PathBuf;

use super::fields::{Field, Fields};
use super::problem::Problems;
use super::read_stream::{judged, set};
use super::refuse;
use super::schema::COLUMN;
use super::stream::{Column, Stream};
use super::tree::{Kind, Scalar, Value};
use super::words::{Formats, Misfit};
use crate::words::Takes;

/// Reads what a stream of events says of its documents and of the rows they become.
pub(super) fn records(fields: &Fields<'_>, stream: &mut Stream, problems: &mut Problems) {
    set(&mut stream.schema, fields.take("schema"), |field| {
        Some(Some(PathBuf::from(field.text("the path of a JSON Schema", problems)?)))
    });
    set(&mut stream.formats, fields.take("formats"), |field| field.choice(problems));
    if let (Some(field), None, Formats::Assert) = (fields.take("formats"), fields.take("schema"), stream.formats) {
        let words = format!("`{}` is about `schema`, and there is none; write `schema`, or remove it", field.label);
        problems.add(field.key_place, words);
    }
    set(&mut stream.table, fields.take("table"), |field| {
        let table = field.text("the name of a table", problems)?;
        judged(field, refuse::table(table), problems).then(|| Some(table.to_owned()))
    });
    document_column(fields, stream, problems);
    set(&mut stream.columns, fields.take("columns"), |field| columns(field, stream_document(fields), problems));
    set(&mut stream.misfit, fields.take("misfit"), |field| misfit(field, problems));
    set(&mut stream.document_index, fields.take("document_index"), |field| field.boolean(problems));
    for key in ["document_column", "columns", "misfit", "document_index"] {
        if let (Some(field), None) = (fields.take(key), fields.take("table"))
            && stream.takes == Takes::Events
        {
            let words = format!("`{}` is about `table`, and there is none; write `table`, or remove it", field.label);
            problems.add(field.key_place, words);
        }
    }
}

/// The name of the document column as it is written, or the default.
fn stream_document<'n>(fields: &Fields<'n>) -> &'n str {
    match fields.take("document_column").map(|field| &field.node.value) {
        Some(Value::Scalar(Scalar { text, .. })) => text,
        _ => "document",
    }
}

fn document_column(fields: &Fields<'_>, stream: &mut Stream, problems: &mut Problems) {
    let Some(field) = fields.take("document_column") else { return };
    let Some(column) = field.text("the name of a column", problems) else { return };
    if is_own(column, "") {
        field.refuse(problems, format!("cannot be `{column}`: the table has a column of that name already"));
    } else if judged(&field, refuse::column(column), problems) {
        stream.document_column = column.to_owned();
    }
}

/// Whether the table has a column of that name by itself.
fn is_own(column: &str, document: &str) -> bool {
    ["receipt", "received_at", document].iter().any(|own| own.eq_ignore_ascii_case(column))
}

fn misfit(field: &Field<'_>, problems: &mut Problems) -> Option<Misfit> {
    if matches!(&field.node.value, Value::Scalar(Scalar { kind: Kind::Null, text, .. }) if !text.is_empty()) {
        field.refuse(problems, "must be in quotes, \"null\": YAML reads null as no value");
        return None;
    }
    field.choice(problems)
}

fn columns(field: &Field<'_>, document: &str, problems: &mut Problems) -> Option<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    for (name, node) in field.members("a mapping such as `{name: /name}`", problems)? {
        let own = Field { label: format!("{}.{}", field.label, name.text), key_place: name.place, node };
        if is_own(&name.text, document) {
            let words =
                format!("`{}` cannot be a column's name: the table has a column of that name already", name.text);
            problems.add(name.place, words);
        } else if let Some(other) = columns.iter().find(|other| other.name.eq_ignore_ascii_case(&name.text)) {
            let words = format!("the columns `{}` and `{}` differ in letter case only", other.name, name.text);
            problems.add(name.place, words);
        } else if name.text.is_empty() {
            problems.add(name.place, "a column's name is empty");
        } else if let Err(words) = refuse::column(&name.text) {
            problems.add(name.place, format!("a column's name {words}"));
        }
        let mut column = Column { name: name.text.clone(), ..Column::default() };
        match &node.value {
            Value::Map(_) => described(&own, &mut column, problems),
            _ => place(&own, &mut column, problems),
        }
        columns.push(column);
    }
    Some(columns)
}

fn place(field: &Field<'_>, column: &mut Column, problems: &mut Problems) {
    if let Some(at) = field.text("a JSON Pointer such as /name, or `{at: /name, type: text}`", problems)
        && judged(field, refuse::column_place(at), problems)
    {
        column.at = at.to_owned();
    }
}

fn described(field: &Field<'_>, column: &mut Column, problems: &mut Problems) {
    let Some(fields) = Fields::open(field.node, &field.label, &COLUMN, &[], problems) else { return };
    match fields.take("at") {
        Some(at) => place(&at, column, problems),
        None => {
            problems.add(field.key_place, format!("`{}` must say where its value stands: `at: /name`", field.label))
        }
    }
    if let Some(field) = fields.take("type")
        && let Some(name) = field.text("the name of a type", problems)
        && judged(&field, refuse::column_type(name), problems)
    {
        column.column_type = Some(name.to_owned());
    }
}
