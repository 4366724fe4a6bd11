//! Who waits for the file of an SQLite store, and whom that holds up: nobody else.

use std::pin::Pin;

use sluicegate::store::moves::{Move, Why};
use sluicegate::store::sqlite::SqliteStore;
use sluicegate::store::{ApplyRules, ClaimRequest, StoreError};

use super::bench::Bench;

type Wait<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + 'a>>;

/// On a runtime of one thread, whoever blocks it keeps the lock from being released.
#[tokio::test(flavor = "current_thread")]
async fn whoever_waits_for_another_process_blocks_no_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = std::sync::Arc::new(SqliteStore::open(&path).unwrap());
    let bench = Bench::new(store).await;
    let other = rusqlite::Connection::open(&path).unwrap();
    let (store, place, rules) = (&bench.store, bench.place(), ApplyRules::default());
    let (books, request) =
        (store.books(), ClaimRequest { place: &place, journal: bench.journal_identity(), start: 0, owner: "" });
    let how = Move { seen: None, start: 0, to: 0, journal: bench.journal_identity().into(), why: Why::Set };
    let places = [(place.clone(), 0)];
    let calls: [(&str, Wait<'_>); 7] = [
        ("check", Box::pin(store.check())),
        ("claim", Box::pin(async { store.claim(request).await.map(drop) })),
        ("begin a transaction", Box::pin(async { store.begin(&rules, None).await.map(drop) })),
        ("begin a stream", Box::pin(books.begin("", &places))),
        ("note a halt", Box::pin(books.note_halt(&place, Some("why")))),
        ("move a position", Box::pin(async { books.move_position(&place, &how).await.map(drop) })),
        ("prune", Box::pin(async { books.prune(&place, 0, 0).await.map(drop) })),
    ];
    for (name, call) in calls {
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let release = async { other.execute_batch("COMMIT").unwrap() };
        let (called, ()) = futures_util::future::join(call, release).await;
        called.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
