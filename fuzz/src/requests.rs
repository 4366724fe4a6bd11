//! Whole requests to a gate with a journal in memory and a store in a file.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request};
use sluicegate::document::{StreamName, TopicName};
use sluicegate::format::event::EventRules;
use sluicegate::gate::DocumentKind;
use sluicegate::journal::Journal;
use sluicegate::journal::memory::MemoryJournal;
use sluicegate::parts::Health;
use sluicegate::readiness::Readiness;
use sluicegate::service::Service;
use sluicegate::settings::intake::IntakeSettings;
use sluicegate::settings::{ApplySettings, RetentionSettings};
use sluicegate::store::sqlite::SqliteStore;
use sluicegate::store::{ApplyRules, Store};
use sluicegate::stream::{Applying, Stream, Target};
use sluicegate::words::Reply;
use tower::ServiceExt as _;

use crate::documents;

struct Gate {
    runtime: tokio::runtime::Runtime,
    routes: Router,
    _folder: tempfile::TempDir,
}

fn gate() -> Gate {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("store.db")).expect("a store"));
    let forms = vec!["activities".into(), "wal2json".into()];
    let streams = [
        stream("activities", DocumentKind::Changes { forms }, Target::Tables, Reply::Echo),
        stream("events", DocumentKind::Events(EventRules::any(true)), records(), Reply::Receipt),
    ]
    .map(Arc::new)
    .into();
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let log = Arc::clone(&journal).log();
    let service = Arc::new(Service::new(streams, journal, log, Some(store), true, true));
    let readiness = Arc::new(Readiness::new(Arc::clone(&service), Arc::new(Health::default())));
    let routes = runtime.block_on(async { sluicegate::http::router(&service, &readiness) });
    Gate { runtime, routes, _folder: folder }
}

fn records() -> Target {
    Target::Records { table: "events".into(), document_column: "document".into(), is_queried: false }
}

fn stream(name: &str, takes: DocumentKind, target: Target, reply: Reply) -> Stream {
    Stream {
        name: StreamName::parse(name).expect("a name"),
        topic: TopicName::parse(name).expect("a name"),
        is_foreign: false,
        intake: IntakeSettings { routes: vec![format!("/api/{name}")], reply, ..IntakeSettings::default() },
        gate: documents::gate(takes),
        apply: Applying {
            target,
            rules: ApplyRules { create: true, ..ApplyRules::default() },
            settings: ApplySettings { duplicates_kept: Duration::from_secs(60), ..ApplySettings::default() },
        },
        retention: RetentionSettings { age: Duration::from_secs(60), size: 1 << 20 },
    }
}

thread_local! {
    static GATE: OnceCell<Gate> = const { OnceCell::new() };
}

/// A request as HTTP/1.1 writes it, without the version. Every one is answered, and none by our fault.
pub(crate) fn requests(data: &[u8]) {
    let cut = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = cut.map_or((data, &[][..]), |at| (&data[..at], &data[at + 2..]));
    let mut lines = head.split(|byte| *byte == b'\n');
    let Some(Ok(first)) = lines.next().map(std::str::from_utf8) else { return };
    let Some((method, target)) = first.split_once(' ') else { return };
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { return };
        let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(&line[..at]), HeaderValue::from_bytes(line[at + 1..].trim_ascii()))
        else {
            return;
        };
        // It would wait for an applier that is not there.
        if name != "prefer" {
            request = request.header(name, value);
        }
    }
    let caller = sluicegate::service::Caller([127, 0, 0, 1].into());
    let Ok(request) = request.header("host", "localhost").extension(caller).body(Body::from(body.to_vec())) else {
        return;
    };
    GATE.with(|cell| {
        let gate = cell.get_or_init(gate);
        let answer = gate.runtime.block_on(async {
            let response = gate.routes.clone().oneshot(request).await.expect("an answer");
            let status = response.status();
            (status, axum::body::to_bytes(response.into_body(), 1 << 26).await)
        });
        assert!(answer.0 != 500, "{} {target}: {:?}", method, answer.1);
    });
}
