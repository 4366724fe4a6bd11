//! `sluicegate check`: what would run, and what is wrong.

use std::path::Path;
use std::sync::Arc;

use clap::Args;

use super::{Done, Failed, Global};
use super::{capability, door, streams, wiring};
use crate::config::Config;
use crate::journal::Journal;
use crate::reason::chain;
use crate::registry;
use crate::stream::Target;

/// The folder, or why it cannot be read. It may come later.
fn readable(folder: &Path) -> Result<String, String> {
    match std::fs::read_dir(folder) {
        Ok(_) => Ok(crate::disk::shown(folder)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(format!("{} (not there yet)", crate::disk::shown(folder)))
        }
        Err(error) => Err(format!("{}: {error}", crate::disk::shown(folder))),
    }
}

/// What is said of a file that `up` has yet to make: beside a configuration it is as it should be before the first start,
/// and without one nothing says that this is the right folder. One that could never be made is wrong.
fn not_there(config: &Config, path: &Path) -> Result<String, String> {
    let is_in_the_way = |folder: &Path| folder.exists() && !folder.is_dir();
    if let Some(file) = path.ancestors().skip(1).find(|folder| is_in_the_way(folder)) {
        return Err(format!("{} cannot be made: {} is no folder", path.display(), file.display()));
    }
    let words = wiring::no_data(path);
    if config.file.is_some() { Ok(words) } else { Err(words) }
}

/// What is said of the journal; and the journal, if it takes documents.
async fn open_journal(config: &Config) -> (Result<String, String>, Option<Arc<dyn Journal>>) {
    if let Some(path) = registry::missing_file(&config.journal) {
        return (not_there(config, path), None);
    }
    let checked = match registry::open_journal(&config.journal, &config.data).await {
        Ok(journal) => journal.check().await.map(|()| journal),
        Err(error) => Err(error),
    };
    match checked {
        Ok(journal) => (Ok(config.journal.to_string()), Some(journal)),
        Err(error) => (Err(chain(&error)), None),
    }
}

#[derive(Debug, Args)]
pub(super) struct Check {}

impl Check {
    pub(super) async fn run(self, global: &Global) -> Done {
        let config = global.load()?;
        let mut is_right = true;
        let mut say = |what: &str, checked: Result<String, String>| match checked {
            Ok(text) => println!("ok     {what}  {text}"),
            Err(text) => {
                is_right = false;
                println!("wrong  {what}  {text}");
            }
        };
        let file = config.file.as_ref().map_or("defaults; there is no file".into(), |path| crate::disk::shown(path));
        say("configuration", Ok(file));
        say("listen       ", door::can_be_opened(&config.listen).await);
        let (said, journal) = open_journal(&config).await;
        say("journal      ", said);
        let mut store = None;
        if let Some(path) = config.store.as_ref().and_then(registry::missing_file) {
            say("store        ", not_there(&config, path));
        } else if let Some(url) = &config.store {
            let opened = match registry::open_store(url).await {
                Ok(opened) => opened.check().await.map(|()| store = Some(opened)),
                Err(error) => Err(error),
            };
            say("store        ", opened.map(|()| url.to_string()).map_err(|error| chain(&error)));
        } else {
            say("store        ", Ok("none: documents are kept in the journal".into()));
        }
        for said in &config.streams {
            let stream = match streams::stream(said, &config.limits, store.as_deref()) {
                Ok(stream) => stream,
                Err(Failed::Error(error)) => {
                    say("stream       ", Err(error.to_string()));
                    continue;
                }
                Err(failed) => return Err(failed),
            };
            let goes = match &stream.apply.target {
                Target::Tables => "into the tables that its documents name".into(),
                Target::Records { table, .. } | Target::Summaries { table, .. } => format!("into table {table}"),
                Target::Journal => "into the journal only".into(),
            };
            let mut routes = vec![format!("/v1/streams/{}", stream.name)];
            routes.extend(stream.intake.routes.iter().cloned());
            let comes = match stream.is_foreign {
                true => format!("reads the topic {}, which others write", stream.topic),
                false => format!("POST {}", routes.join(" and ")),
            };
            say("stream       ", Ok(format!("{}: {comes}, {goes}", stream.name)));
            if journal.as_ref().is_some_and(|journal| Arc::clone(journal).log().is_none())
                && let Some(words) = capability::lacks_log(&stream, config.store.is_some())
            {
                say("stream       ", Err(words));
            }
            if let Some(journal) = journal.as_ref().filter(|_| !stream.is_foreign)
                && let Err(error) = journal.check_topic(&stream.topic).await
            {
                say("topic        ", Err(chain(&error)));
            }
            for action in &stream.intake.actions {
                let (method, path) = (action.method.word(), action.path.as_str());
                say("action       ", Ok(format!("{method} {path}: into {}", stream.name)));
            }
            for directory in &stream.intake.directories {
                say("directory    ", readable(directory).map(|found| format!("{found}: into {}", stream.name)));
            }
        }
        if is_right { Ok(()) } else { Err(Failed::Said) }
    }
}
