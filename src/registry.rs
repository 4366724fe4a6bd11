//! Which backends there are: one line each. Nothing else in the program knows.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;

use crate::config::{BackendUrl, Schemes};
#[cfg(feature = "kafka")]
use crate::journal::kafka::{self, KafkaJournal};
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal, JournalError};
use crate::reason::Reason;
use crate::sqlite;
#[cfg(feature = "postgres")]
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, StoreError};

/// The scheme of the journal and the store that are files.
const EMBEDDED: &str = "sqlite";

/// Opens a journal, on a thread that waits for a file or a server. It may keep what it must remember beside itself in the
/// folder that is given.
type OpenJournal = fn(&BackendUrl, &Path) -> Result<Arc<dyn Journal>, JournalError>;
/// Opens a store. It may have to ask a server.
type OpenStore = for<'u> fn(&'u BackendUrl) -> BoxFuture<'u, Result<Arc<dyn Store>, StoreError>>;

const JOURNALS: &[(&str, OpenJournal)] = &[
    ("sqlite", |url, _| Ok(Arc::new(SqliteJournal::open(Path::new(url.reveal_rest()))?))),
    #[cfg(feature = "kafka")]
    ("kafka", |url, data| Ok(Arc::new(KafkaJournal::open(url.reveal_rest(), data)?))),
    #[cfg(not(feature = "kafka"))]
    ("kafka", |_, _| Err(JournalError::stop(left_out("Kafka", "kafka")))),
];

const STORES: &[(&str, OpenStore)] =
    &[("sqlite", open_sqlite), ("postgres", open_postgres), ("postgresql", open_postgres)];

fn open_sqlite(url: &BackendUrl) -> BoxFuture<'_, Result<Arc<dyn Store>, StoreError>> {
    let url = url.clone();
    Box::pin(async move {
        // Another process may hold the file's lock.
        let opened = tokio::task::spawn_blocking(move || SqliteStore::open(Path::new(url.reveal_rest())));
        let store =
            opened.await.map_err(|error| StoreError::later(Reason::of("the store cannot be opened", error)))??;
        Ok(Arc::new(store) as _)
    })
}

#[cfg(feature = "postgres")]
fn open_postgres(url: &BackendUrl) -> BoxFuture<'_, Result<Arc<dyn Store>, StoreError>> {
    Box::pin(async { Ok(Arc::new(PostgresStore::open(url.reveal()).await?) as _) })
}

#[cfg(not(feature = "postgres"))]
fn open_postgres(_: &BackendUrl) -> BoxFuture<'_, Result<Arc<dyn Store>, StoreError>> {
    Box::pin(async { Err(StoreError::stop(left_out("PostgreSQL", "postgres"))) })
}

/// The mend for a backend that this program was built without.
#[cfg(not(all(feature = "kafka", feature = "postgres")))]
fn left_out(what: &str, feature: &str) -> String {
    format!("this program was built without {what}: build it with `cargo build --release --features {feature}`")
}

/// Calls `use_them` with the schemes of URLs that name a backend.
pub fn with_schemes<T>(use_them: impl FnOnce(&Schemes<'_>) -> T) -> T {
    let journal: Vec<_> = JOURNALS.iter().map(|(scheme, _)| *scheme).collect();
    let store: Vec<_> = STORES.iter().map(|(scheme, _)| *scheme).collect();
    use_them(&Schemes { journal: &journal, store: &store })
}

/// The version of the program, and of the libraries that are built into it and speak to the outside.
pub fn versions() -> &'static str {
    static VERSIONS: OnceLock<String> = OnceLock::new();
    VERSIONS.get_or_init(|| {
        let mut versions = vec![env!("CARGO_PKG_VERSION").to_owned()];
        #[cfg(feature = "kafka")]
        versions.push(format!("librdkafka {}", kafka::library_version()));
        versions.push(format!("SQLite {}", sqlite::library_version()));
        #[cfg(any(feature = "kafka-tls", feature = "kafka-tls-system"))]
        versions.push(openssl::version::version().to_owned());
        versions.join("\n")
    })
}

/// The file in which the backend that `url` names keeps everything; none when a server does.
pub fn embedded_file(url: &BackendUrl) -> Option<&Path> {
    (url.scheme() == EMBEDDED).then(|| Path::new(url.reveal_rest()))
}

/// The file of an embedded journal or store that is not there yet: opening it would make it. A server is never missing.
pub fn missing_file(url: &BackendUrl) -> Option<&Path> {
    embedded_file(url).filter(|path| !path.exists())
}

/// Opens the journal that `url` names; `data` is the folder of this process's own files.
pub async fn open_journal(url: &BackendUrl, data: &Path) -> Result<Arc<dyn Journal>, JournalError> {
    match JOURNALS.iter().find(|(scheme, _)| *scheme == url.scheme()) {
        Some((_, open)) => {
            let (open, url, data) = (*open, url.clone(), data.to_owned());
            let opened = tokio::task::spawn_blocking(move || open(&url, &data));
            opened.await.map_err(|error| JournalError::later(Reason::of("the journal cannot be opened", error)))?
        }
        None => Err(JournalError::stop(format!("there is no journal of the kind {:?}", url.scheme()))),
    }
}

/// Opens the store that `url` names.
pub async fn open_store(url: &BackendUrl) -> Result<Arc<dyn Store>, StoreError> {
    match STORES.iter().find(|(scheme, _)| *scheme == url.scheme()) {
        Some((_, open)) => open(url).await,
        None => Err(StoreError::stop(format!("there is no store of the kind {:?}", url.scheme()))),
    }
}
