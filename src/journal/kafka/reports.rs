//! What the producer's client reports: its troubles, and the acknowledgement of each record.

use std::sync::{Arc, Weak};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};

use super::amount::Amount;
use super::client::Told;
use super::ticket::{Settled, Ticket};

/// Who hears that the last record of an append was acknowledged, or failed.
pub(super) trait Acknowledged: Send + Sync {
    /// An append of so much came to this.
    fn settled(&self, amount: Amount, settled: Settled);
}

/// Travels with a record, and comes back with its acknowledgement.
pub(super) struct Sent {
    pub(super) ticket: Arc<Ticket>,
    pub(super) index: u32,
}

/// The context of the producer's client.
pub(super) struct Reports {
    pub(super) told: Told,
    /// Who hears of acknowledgements.
    pub(super) told_of: Weak<dyn Acknowledged>,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.told.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.told.error(error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.told.stats_raw(statistics);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        let settled = match result {
            Ok(message) => sent.ticket.delivered(sent.index, message.partition(), message.offset()),
            Err((error, _)) => {
                let trouble = self.told.trouble().map(|(_, trouble)| trouble);
                sent.ticket.failed(error.rdkafka_error_code().unwrap_or(Code::Fail), trouble)
            }
        };
        if let (Some(settled), Some(told_of)) = (settled, self.told_of.upgrade()) {
            told_of.settled(sent.ticket.amount, settled);
        }
    }
}
