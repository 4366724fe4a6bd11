//! Whether documents are accepted and applied by this process's roles; else what is wrong, by its name.
//!
//! However many ask, each question goes to journal and store once at a time, and everybody gets its answer. What is told by
//! memory alone (streams, folders, parts) is asked anew each time.

mod asked;
mod behind;
mod told;

use std::sync::Arc;

use self::asked::Asked;
pub use self::behind::Behind;
use self::told::Told;
use crate::parts::{Health, Seen, Trouble};
use crate::service::{Service, Veil};
use crate::store::rows::Listed;

/// What is asked, and by whom it can be asked at once.
pub struct Readiness {
    service: Arc<Service>,
    parts: Arc<Health>,
    journal: Asked<Result<(), String>>,
    journal_told: Arc<Told>,
    topics: Asked<Vec<(String, String)>>,
    store: Asked<Result<(), String>>,
    store_told: Arc<Told>,
    held_up: Asked<Option<String>>,
    tables: Asked<Option<Vec<Listed>>>,
    behind: Asked<Vec<Behind>>,
}

/// One thing that was looked at, and what is wrong with it, if anything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Such as `journal`, `stream people`, `directory inbox`.
    pub name: String,
    /// What is wrong.
    pub wrong: Option<String>,
}

impl Readiness {
    /// Asks about `service`, and the parts whose health is told.
    pub fn new(service: Arc<Service>, parts: Arc<Health>) -> Self {
        let (journal, topics, store, held_up, tables, behind) = Default::default();
        let (journal_told, store_told) = (Arc::new(Told::new("journal")), Arc::new(Told::new("store")));
        Readiness { service, parts, journal, journal_told, topics, store, store_told, held_up, tables, behind }
    }

    /// Looks at everything. `journal` is always told, and `store` where this process applies; others when they are in
    /// trouble.
    pub async fn look(&self) -> Vec<Checked> {
        let (journal, store, topics) = tokio::join!(self.journal(), self.store(), self.topics());
        let mut found = vec![Checked { name: "journal".into(), wrong: journal }];
        found.extend(store.map(|wrong| Checked { name: "store".into(), wrong }));
        // Where the journal as a whole fails, its topics have nothing to add.
        let topics = if found[0].wrong.is_none() { topics } else { Vec::new() };
        for served in &self.service.streams {
            let name = served.stream.name.as_str();
            let stuck = match served.progress.trouble(name).filter(|_| self.service.is_applying) {
                Some(why) => Some(self.as_told(self.with_who_blocks(why).await).await),
                None => None,
            };
            let refused = || topics.iter().find(|(stream, _)| stream == name).map(|(_, why)| why.clone());
            if let Some(why) = stuck.or_else(refused) {
                found.push(Checked { name: format!("stream {name}"), wrong: Some(why) });
            }
            for (folder, why) in served.folders.troubles() {
                found.push(Checked { name: format!("directory {folder}"), wrong: Some(why) });
            }
        }
        for rolled in &self.service.rollups {
            let name = rolled.plan.name.as_str();
            if let Some(why) = rolled.progress.trouble(name) {
                found.push(Checked { name: format!("rollup {name}"), wrong: Some(why) });
            }
        }
        for trouble in self.parts.troubles() {
            found.push(Checked { name: format!("part {}", trouble.part), wrong: Some(words(&trouble)) });
        }
        found
    }

    /// How far behind each partition is, as journal and store tell. Nothing when they do not.
    pub async fn behind(&self) -> Vec<Behind> {
        let service = Arc::clone(&self.service);
        self.behind.ask(move || async move { behind::look(&service).await }).await.unwrap_or_default()
    }

    /// The parts of this process, and how often each was begun again.
    pub fn parts(&self) -> Vec<Seen> {
        self.parts.seen()
    }

    async fn journal(&self) -> Option<String> {
        let (journal, told) = (Arc::clone(&self.service.journal), Arc::clone(&self.journal_told));
        let asked = self.journal.ask(move || async move { told.note(journal.check().await) });
        asked.await.and_then(|answer| answer).err()
    }

    /// The streams whose documents the journal refuses, and why.
    async fn topics(&self) -> Vec<(String, String)> {
        let service = Arc::clone(&self.service);
        let asked = self.topics.ask(move || async move {
            let mut refused = Vec::new();
            for stream in service.streams.iter().map(|served| &served.stream).filter(|stream| !stream.is_foreign) {
                if let Err(error) = service.journal.check_topic(&stream.topic).await {
                    refused.push((stream.name.to_string(), error.to_string()));
                }
            }
            refused
        });
        // A journal that does not answer says so itself.
        asked.await.unwrap_or_default()
    }

    /// Why a stream stands still, with who is in the way, where the store can tell.
    async fn with_who_blocks(&self, why: String) -> String {
        let Some(store) = self.service.store().cloned() else { return why };
        let asked = self.held_up.ask(move || async move { store.held_up().await });
        match asked.await {
            Ok(Some(who)) => format!("{why}; {who}"),
            _ => why,
        }
    }

    /// Why a stream stands still, for who may not know of every table.
    async fn as_told(&self, why: String) -> String {
        let service = Arc::clone(&self.service);
        if service.readable().tells_all() {
            return why;
        }
        let tables = self.tables.ask(move || async move { service.tables().await }).await;
        Veil::new(self.service.readable(), tables.ok().flatten()).over_words(why)
    }

    /// None where this process applies nothing.
    async fn store(&self) -> Option<Option<String>> {
        let store = self.service.store().cloned().filter(|_| self.service.is_applying)?;
        let told = Arc::clone(&self.store_told);
        let question = || async move { told.note(store.check().await) };
        Some(self.store.ask(question).await.and_then(|answer| answer).err())
    }
}

fn words(trouble: &Trouble) -> String {
    let Trouble { why, down, restarts, .. } = trouble;
    match down {
        Some(down) => format!("down for {} s, begun again {restarts} times so far: {why}", down.as_secs()),
        None => format!("begun again just now, {restarts} times so far: {why}"),
    }
}
