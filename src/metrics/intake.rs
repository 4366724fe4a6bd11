//! What comes in: documents and bytes by stream and way in, refusals by reason, and how long a request and its append take.

use std::collections::HashMap;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use super::histogram::Histogram;
use super::labels::{OfRefusal, OfStream, OfWay};
use crate::problem::ProblemType;

/// The families; [`WaysIn::way`] takes the counters of one way in out of them.
#[derive(Debug, Default)]
pub(super) struct WaysIn {
    received: Family<OfWay, Counter>,
    accepted: Family<OfWay, Counter>,
    rejected: Family<OfRefusal, Counter>,
    bytes: Family<OfWay, Counter>,
    request: Family<OfStream, Histogram>,
    append: Family<OfStream, Histogram>,
}

/// The counters of one way into a stream.
#[derive(Debug, Clone)]
pub struct Way {
    stream: String,
    via: String,
    received: Counter,
    accepted: Counter,
    bytes: Counter,
    rejected: Family<OfRefusal, Counter>,
    /// From a request's head to its answer, waiting for an outcome left out.
    pub request: Histogram,
    /// From the judgement to the journal's acknowledgement.
    pub append: Histogram,
}

/// The counters of a stream by way in.
#[derive(Debug)]
pub struct Intake {
    ways: HashMap<String, Way>,
    /// For a way that nobody named.
    other: Way,
}

impl WaysIn {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let ways = WaysIn::default();
        let WaysIn { received, accepted, rejected, bytes, request, append } = &ways;
        let mut count =
            |name: &str, help: &str, family: &Family<OfWay, Counter>| registry.register(name, help, family.clone());
        count("documents_received", "Documents that came in, whatever became of them", received);
        count("documents_accepted", "Documents that the journal keeps", accepted);
        registry.register(
            "documents_rejected",
            "Documents that were refused, by the type of problem",
            rejected.clone(),
        );
        registry.register_with_unit(
            "documents_received",
            "Bytes of the documents that came in",
            Unit::Bytes,
            bytes.clone(),
        );
        let help = "Time from a request's head to its answer, of requests whose documents are kept, without waiting for an outcome";
        registry.register_with_unit("request", help, Unit::Seconds, request.clone());
        let help = "Time from the judgement of a document to the journal's acknowledgement";
        registry.register_with_unit("append", help, Unit::Seconds, append.clone());
        ways
    }

    pub(super) fn way(&self, stream: &str, via: &str) -> Way {
        let labels = OfWay { stream: stream.to_owned(), via: via.to_owned() };
        let of_stream = OfStream { stream: stream.to_owned() };
        Way {
            received: self.received.get_or_create_owned(&labels),
            accepted: self.accepted.get_or_create_owned(&labels),
            bytes: self.bytes.get_or_create_owned(&labels),
            rejected: self.rejected.clone(),
            request: self.request.get_or_create_owned(&of_stream),
            append: self.append.get_or_create_owned(&of_stream),
            stream: labels.stream,
            via: labels.via,
        }
    }
}

impl Way {
    /// A document of so many bytes came in.
    pub fn received(&self, bytes: usize) {
        self.received.inc();
        self.bytes.inc_by(bytes as u64);
    }

    /// The journal keeps so many of them.
    pub fn accepted(&self, documents: usize) {
        self.accepted.inc_by(documents as u64);
    }

    /// One was refused.
    pub fn rejected(&self, reason: ProblemType) {
        let labels = OfRefusal { stream: self.stream.clone(), via: self.via.clone(), reason: reason.name() };
        self.rejected.get_or_create(&labels).inc();
    }
}

impl Intake {
    pub(super) fn new(ways: impl Iterator<Item = (String, Way)>, other: Way) -> Self {
        Intake { ways: ways.collect(), other }
    }

    /// The counters of one way.
    pub fn way(&self, via: &str) -> &Way {
        self.ways.get(via).unwrap_or(&self.other)
    }
}
