//! `sluicegate receipt ID`: what became of a document.

use clap::Args;

use super::output;
use super::wiring;
use super::{Done, Global};
use crate::query::receipts;

#[derive(Debug, Args)]
pub(super) struct ReceiptOf {
    /// The receipt, TOPIC-PARTITION-OFFSET, as the answer to the document gave it
    id: String,
}

impl ReceiptOf {
    pub(super) async fn run(self, global: &Global) -> Done {
        let config = global.load()?;
        let service = wiring::open_existing(&config).await?.service();
        output::object(global.output, &receipts::find(&service, &self.id).await?)?;
        Ok(())
    }
}
