//! From what the configuration says of a stream to the stream: schema read and compiled, columns typed.

use std::sync::Arc;

use super::Failed;
use crate::change::ColumnType;
use crate::config::{self, Config, Key, Misfit};
use crate::disk;
use crate::document::{StreamName, TopicName};
use crate::format::event::{ATTRIBUTE, At, EventRules, RecordColumn};
use crate::gate::{DocumentKind, Gate, KeyRule};
use crate::judgement::Rules;
use crate::rollup::WINDOW;
use crate::schema::{BrokenSchema, Schema};
use crate::store::readable::Readable;
use crate::store::{ApplyRules, Limits, Store};
use crate::stream::{Applying, Stream, Target};
use crate::words::Takes;

/// Without a store nobody has said what names it holds: PostgreSQL's limit fits every database.
const LIMITS_UNKNOWN: Limits =
    Limits { identifier_bytes_max: 63, columns_reserved: &[], batch_records_max: 1, writers_max: 1 };

/// A schema is read into memory; a larger file is no schema.
const SCHEMA_BYTES_MAX: u64 = 16 << 20;

/// Builds the streams of a configuration for `store`.
pub(super) fn streams(config: &Config, store: Option<&dyn Store>) -> Result<Vec<Arc<Stream>>, Failed> {
    let streams = config.streams.iter().map(|said| stream(said, &config.limits, store));
    let tables = config.rollups.iter().filter_map(|said| table_of(said, &config.limits, store).transpose());
    streams.chain(tables).collect()
}

/// The stream that applies the summaries of a rollup to its table, if it has one: it reads the output topic as any topic that
/// others write.
fn table_of(
    said: &config::Rollup,
    most: &config::Limits,
    store: Option<&dyn Store>,
) -> Result<Option<Arc<Stream>>, Failed> {
    let Some(table) = &said.table else { return Ok(None) };
    let limits = store.map_or(LIMITS_UNKNOWN, Store::limits);
    let mut like = config::Stream::named(&said.name, Takes::Events);
    like.source = Some(said.name.clone());
    let stream = stream(&like, most, store)?;
    let window = said.definition.window.iter().map(|_| WINDOW.to_owned());
    let key: Vec<String> = said.definition.key.iter().map(|part| part.name.clone()).chain(window).collect();
    let columns = key.iter().chain(said.definition.summaries.iter().map(|summary| &summary.name));
    if let Some(column) = columns.clone().find(|column| limits.columns_reserved.contains(&column.as_str())) {
        let words = format!("rollup {}: the column {column:?} cannot be: the database keeps one of its own", said.name);
        return Err(Failed::Error(words.into()));
    }
    let gate = Gate { takes: DocumentKind::Events(EventRules::any(true)), ..stream.gate.clone() };
    let target = Target::Summaries { table: table.clone(), key };
    let apply = Applying { target, ..stream.apply.clone() };
    Ok(Some(Arc::new(Stream { gate, apply, ..(*stream).clone() })))
}

/// Builds one stream of a configuration for `store`.
pub(super) fn stream(
    said: &config::Stream,
    most: &config::Limits,
    store: Option<&dyn Store>,
) -> Result<Arc<Stream>, Failed> {
    let limits = store.map_or(LIMITS_UNKNOWN, Store::limits);
    let name = StreamName::parse(&said.name)?;
    refuse_reserved(said, &limits)?;
    let key = match (&said.key, said.takes) {
        (Some(Key::Table), _) => KeyRule::Table,
        (Some(Key::Pointer(pointer)), _) => KeyRule::Pointer(pointer.clone()),
        (None, Takes::Changes) => KeyRule::Constant(said.name.clone().into()),
        (None, Takes::Events) => KeyRule::None,
    };
    let takes = match said.takes {
        Takes::Changes => {
            DocumentKind::Changes { forms: said.forms.iter().map(|form| form.word().to_owned()).collect() }
        }
        Takes::Events => DocumentKind::Events(events(said)?),
    };
    let target = match (said.takes, &said.table) {
        (Takes::Changes, _) => Target::Tables,
        (Takes::Events, Some(table)) => Target::Records {
            table: table.clone(),
            document_column: said.document_column.clone(),
            is_queried: said.queries,
        },
        (Takes::Events, None) => Target::Journal,
    };
    let rules = Rules {
        changes: said.changes.clone(),
        identifier_bytes_max: limits.identifier_bytes_max,
        digits_unfolded_max: most.digits_unfolded_max,
    };
    Ok(Arc::new(Stream {
        name,
        topic: TopicName::parse(&said.topic)?,
        is_foreign: said.source.is_some(),
        intake: said.intake.clone(),
        gate: Gate { takes, rules, key, document_bytes_max: said.document_bytes_max as usize },
        apply: Applying { target, rules: apply_rules(said, most), settings: said.apply.clone() },
        retention: said.retention.clone(),
    }))
}

/// The tables that HTTP shows: those that are named, else those that the streams write.
pub(super) fn readable(config: &Config) -> Readable {
    if let Some(patterns) = &config.read.tables {
        return Readable::named(patterns);
    }
    let mut readable = Readable::nothing();
    for stream in &config.streams {
        match (stream.takes, &stream.table) {
            (Takes::Changes, _) => readable.add_writable(&stream.changes.allow.tables),
            (Takes::Events, Some(table)) => readable.add_table(table),
            (Takes::Events, None) => {}
        }
    }
    config.rollups.iter().filter_map(|rollup| rollup.table.as_ref()).for_each(|table| readable.add_table(table));
    readable
}

/// Fails when a column of the stream's records has a name that the database keeps for itself.
fn refuse_reserved(said: &config::Stream, limits: &Limits) -> Result<(), Failed> {
    let documents = said.table.iter().map(|_| &said.document_column);
    let mut columns = said.columns.iter().map(|column| &column.name).chain(documents);
    let Some(column) = columns.find(|column| limits.columns_reserved.contains(&column.as_str())) else { return Ok(()) };
    let detail = format!(
        "stream {}: the column {column:?} cannot be: the database keeps a column of its own under this name; write \
         another name under `columns`",
        said.name
    );
    Err(Failed::Error(detail.into()))
}

/// How the documents of a stream are applied.
fn apply_rules(said: &config::Stream, most: &config::Limits) -> ApplyRules {
    let json_indexes = said.table.iter().filter(|_| said.document_index);
    ApplyRules {
        create: said.changes.allow.create,
        keys: said.keys.clone().into_iter().collect(),
        json_indexes: json_indexes.map(|table| (table.clone(), said.document_column.clone())).collect(),
        new_tables_max: most.tables_per_document,
        new_columns_max: most.columns_per_document,
    }
}

/// How the events of a stream are judged.
fn events(said: &config::Stream) -> Result<EventRules, Failed> {
    let schema = match &said.schema {
        Some(path) => {
            let wrong = |broken: BrokenSchema| {
                Failed::Error(format!("stream {}: in {}: {broken}", said.name, disk::shown(path)).into())
            };
            Some(Arc::new(compile(path, said.formats == config::Formats::Assert).map_err(wrong)?))
        }
        None => None,
    };
    let columns = said.columns.iter().map(|column| record_column(column, schema.as_deref())).collect();
    Ok(EventRules::new(said.table.is_some(), schema, columns, said.misfit == Misfit::Null))
}

fn record_column(said: &config::Column, schema: Option<&Schema>) -> RecordColumn {
    let at = match said.at.strip_prefix(ATTRIBUTE) {
        Some(name) => At::Attribute(name.to_owned()),
        None => At::Document(said.at.clone()),
    };
    let told = match &at {
        At::Attribute(name) if name == "time" => Some("timestamptz"),
        At::Attribute(_) => Some("text"),
        At::Document(pointer) => schema.and_then(|schema| schema.column_type(pointer)),
    };
    let type_name = said.column_type.as_deref().or(told);
    let column_type = ColumnType::parse(type_name.unwrap_or("text"));
    RecordColumn { name: said.name.clone(), at, column_type, is_open: type_name.is_none() }
}

/// Compiles the schema in a file, and those that it refers to.
fn compile(path: &std::path::Path, asserts_formats: bool) -> Result<Schema, BrokenSchema> {
    let shown = path.display().to_string();
    let broken = |what: String| BrokenSchema { file: shown.clone(), pointer: String::new(), what };
    let absolute = std::path::absolute(path).map_err(|error| broken(error.to_string()))?;
    let absolute = absolute.to_str().ok_or_else(|| broken("its path is not UTF-8".to_owned()))?;
    Schema::compile(absolute, asserts_formats, Arc::new(read))
}

fn read(path: &str) -> Result<String, String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let failed = |error: std::io::Error| format!("the file {name} cannot be read: {error}");
    disk::read_text(path.as_ref(), SCHEMA_BYTES_MAX).map_err(failed)
}
