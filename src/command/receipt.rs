//! `sluicegate receipt ID`: what became of a document.

use std::sync::Arc;

use clap::Args;

use super::output;
use super::wiring::{self, Outside};
use super::{Done, Failed, Global};
use crate::document::Receipt;
use crate::query::receipts::describe;
use crate::service::{Served, Service};

#[derive(Debug, Args)]
pub(super) struct ReceiptOf {
    /// The receipt, TOPIC-PARTITION-OFFSET, as the answer to the document gave it
    id: String,
}

impl ReceiptOf {
    pub(super) async fn run(self, global: &Global) -> Done {
        let config = global.load()?;
        let Outside { journal, log, store, streams, .. } = wiring::open_existing(&config).await?;
        let served = streams.into_iter().map(|stream| Arc::new(Served::new(stream)));
        let service = Service::new(served.collect(), journal, log, store, false, false);
        let unknown = || Failed::Error(format!("no document can have the receipt {:?}", self.id).into());
        let receipt = Receipt::parse(&self.id).ok_or_else(unknown)?;
        let served = service.stream_of_topic(&receipt.0).ok_or_else(unknown)?;
        let outcome = service.outcome(served, &receipt.0).await?.ok_or_else(unknown)?;
        output::object(global.output, &describe(&receipt, &served.stream.name, &outcome))?;
        Ok(())
    }
}
