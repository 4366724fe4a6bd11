//! Which backends there are: one line each. Nothing else in the program knows.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;

use crate::config::{BackendUrl, Schemes};
use crate::journal::kafka::{self, KafkaJournal};
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal, JournalError};
use crate::sqlite;
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, StoreError};

/// The scheme of the journal and the store that are files.
const EMBEDDED: &str = "sqlite";

/// Opens a journal. It may keep what it must remember beside itself in the folder that is given.
type OpenJournal = fn(&BackendUrl, &Path) -> Result<Arc<dyn Journal>, JournalError>;
/// Opens a store. It may have to ask a server.
type OpenStore = for<'u> fn(&'u BackendUrl) -> BoxFuture<'u, Result<Arc<dyn Store>, StoreError>>;

const JOURNALS: &[(&str, OpenJournal)] = &[
    ("sqlite", |url, _| Ok(Arc::new(SqliteJournal::open(Path::new(url.reveal_rest()))?))),
    ("kafka", |url, data| Ok(Arc::new(KafkaJournal::open(url.reveal_rest(), data)?))),
];

const STORES: &[(&str, OpenStore)] = &[
    ("sqlite", |url| Box::pin(async { Ok(Arc::new(SqliteStore::open(Path::new(url.reveal_rest()))?) as _) })),
    ("postgres", |url| Box::pin(async { Ok(Arc::new(PostgresStore::open(url.reveal()).await?) as _) })),
    ("postgresql", |url| Box::pin(async { Ok(Arc::new(PostgresStore::open(url.reveal()).await?) as _) })),
];

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
        format!(
            "{}\nlibrdkafka {}\nSQLite {}\n{}",
            env!("CARGO_PKG_VERSION"),
            kafka::library_version(),
            sqlite::library_version(),
            openssl::version::version()
        )
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
pub fn open_journal(url: &BackendUrl, data: &Path) -> Result<Arc<dyn Journal>, JournalError> {
    match JOURNALS.iter().find(|(scheme, _)| *scheme == url.scheme()) {
        Some((_, open)) => open(url, data),
        None => Err(JournalError::Stop(format!("there is no journal of the kind {:?}", url.scheme()))),
    }
}

/// Opens the store that `url` names.
pub async fn open_store(url: &BackendUrl) -> Result<Arc<dyn Store>, StoreError> {
    match STORES.iter().find(|(scheme, _)| *scheme == url.scheme()) {
        Some((_, open)) => open(url).await,
        None => Err(StoreError::Stop(format!("there is no store of the kind {:?}", url.scheme()))),
    }
}
