//! `sluicegate check`: what would run, and what is wrong.

use clap::Args;

use super::wiring;
use super::{Done, Failed, Global};
use crate::registry;
use crate::stream::Target;

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
        let file = config.file.as_ref().map_or("defaults; there is no file".into(), |path| path.display().to_string());
        say("configuration", Ok(file));
        say("listen       ", Ok(config.listen.clone()));
        let journal = match registry::open_journal(&config.journal, &config.data) {
            Ok(journal) => journal.check().await,
            Err(error) => Err(error),
        };
        say("journal      ", journal.map(|()| config.journal.to_string()).map_err(|error| error.to_string()));
        let mut store = None;
        if let Some(url) = &config.store {
            let opened = match registry::open_store(url).await {
                Ok(opened) => opened.check().await.map(|()| store = Some(opened)),
                Err(error) => Err(error),
            };
            say("store        ", opened.map(|()| url.to_string()).map_err(|error| error.to_string()));
        } else {
            say("store        ", Ok("none: documents are kept in the journal".into()));
        }
        for stream in wiring::streams(&config, store.as_deref())? {
            let goes = match &stream.table {
                Target::Tables => "into the tables that its documents name".into(),
                Target::Records { table, .. } => format!("into table {table}"),
                Target::Journal => "into the journal only".into(),
            };
            let mut routes = vec![format!("/v1/streams/{}", stream.name)];
            routes.extend(stream.routes.iter().cloned());
            say("stream       ", Ok(format!("{}: POST {}, {goes}", stream.name, routes.join(" and "))));
        }
        if is_right { Ok(()) } else { Err(Failed::Said) }
    }
}
