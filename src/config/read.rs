//! The file as a `Config` whose unsaid parts are unsaid: everything it says is read and judged here.
//!
//! It does not read the disk, and does not know flags; `load.rs` does both.

use super::fields::{Field, Fields};
use super::problem::Problems;
use super::read_stream::{Claims, read_stream, set};
use super::schema::{CONFIG, READ};
use super::tree::Node;
use super::{
    BackendUrl, Limits, Log, Metrics, Read, Rollup, Schemes, Stream, limits, log, metrics, read_rollup, refuse,
};

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub listen: Option<String>,
    pub data: Option<String>,
    pub journal: Option<BackendUrl>,
    pub store: Option<BackendUrl>,
    pub streams: Option<Vec<Stream>>,
    pub rollups: Vec<Rollup>,
    pub log: Option<Log>,
    pub metrics: Option<Metrics>,
    pub read: Read,
    pub allowed_hosts: Vec<String>,
    pub allowed_origins: Vec<String>,
    pub limits: Option<Limits>,
}

/// Reads the whole file; what is wrong is reported.
pub(super) fn read(root: &Node, schemes: &Schemes<'_>, problems: &mut Problems) -> Said {
    let mut said = Said::default();
    let Some(fields) = Fields::open(root, "", &CONFIG, &[], problems) else { return said };
    if let Some(field) = fields.take("listen")
        && let Some(listen) = field.text("an address, HOST:PORT, such as 127.0.0.1:8080", problems)
    {
        match refuse::listen(listen) {
            Ok(()) => said.listen = Some(listen.to_owned()),
            Err(words) => field.refuse(problems, format!("cannot be \"{}\"; {words}", field.shown())),
        }
    }
    let data = fields.take("data");
    said.data = data.and_then(|field| field.text("the path of a folder", problems)).map(str::to_owned);
    said.journal = backend(fields.take("journal"), "journal", schemes.journal, problems);
    said.store = backend(fields.take("store"), "store", schemes.store, problems);
    let mut claims = Claims::default();
    said.streams = fields.take("streams").and_then(|field| streams(&field, &mut claims, problems));
    let rollups = fields.take("rollups").and_then(|field| {
        let streams = said.streams.clone().unwrap_or_else(Stream::unconfigured);
        read_rollup::read(&field, &streams, &mut claims, problems)
    });
    said.rollups = rollups.unwrap_or_default();
    said.log = fields.take("log").and_then(|field| log::log(&field, problems));
    said.metrics = fields.take("metrics").and_then(|field| metrics::read(&field, problems));
    set(&mut said.read, fields.take("read"), |field| {
        let fields = Fields::open(field.node, &field.label, &READ, &[], problems)?;
        let tables = fields.take("tables").and_then(|field| field.texts("[people, \"game.*\"]", problems));
        Some(Read { tables: tables.map(|tables| tables.into_iter().map(|(table, _)| table.to_owned()).collect()) })
    });
    let hosts = fields.take("allowed_hosts");
    said.allowed_hosts = hosts.map(|field| field.judged("[gate.internal]", refuse::host, problems)).unwrap_or_default();
    let origins = fields.take("allowed_origins");
    let example = "[\"https://console.example\"]";
    said.allowed_origins = origins.map(|field| field.judged(example, refuse::origin, problems)).unwrap_or_default();
    said.limits = fields.take("limits").and_then(|field| limits::read(&field, problems));
    said
}

fn backend(field: Option<Field<'_>>, what: &str, known: &[&str], problems: &mut Problems) -> Option<BackendUrl> {
    let field = field?;
    let url = BackendUrl::new(field.text("a URL", problems)?);
    match refuse::scheme(url.scheme(), what, known) {
        Ok(()) => Some(url),
        Err(words) => {
            field.refuse(problems, words);
            None
        }
    }
}

fn streams(field: &Field<'_>, claims: &mut Claims, problems: &mut Problems) -> Option<Vec<Stream>> {
    let what = "a mapping of names to streams, such as `orders: {takes: changes}`";
    let members = field.members(what, problems)?;
    Some(members.map(|(name, node)| read_stream(name, node, claims, problems)).collect())
}
