//! As `keys`, with the rows and the keys in PostgreSQL, from the memory journal.

use std::sync::Arc;

use sluicegate::journal::memory::MemoryJournal;

use super::Database;
use crate::scale::Scaled;
use crate::{Fallible, keys};

/// Documents of a kind and a round.
const DOCUMENTS: Scaled<i64> = Scaled(200_000, 5_000);

pub(crate) fn measure() -> Fallible {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let database = Database::new()?;
    runtime.block_on(async {
        let store = database.store().await?;
        keys::compare(store, Arc::new(MemoryJournal::new()), DOCUMENTS.now()).await
    })
}
