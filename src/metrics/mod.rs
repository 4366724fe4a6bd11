//! What is counted and measured, and the two texts in which it is read: OpenMetrics 1.0 and Prometheus' 0.0.4.
//!
//! Whoever counts holds a handle of its own ([`Intake`], [`Applied`]): counting is an addition to an atomic, and takes no
//! lock. Labels are names of the configuration and of the catalogue of problems, so nobody who sends can make more of them.
//! What is looked at and not counted, such as lag, is set in [`Gauges`] before each reading.

mod apply;
mod gauges;
mod histogram;
mod intake;
mod labels;
mod order;
mod process;
pub mod push;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

pub use self::apply::Applied;
use self::apply::Apply;
pub use self::gauges::{Gauges, Standing};
pub use self::histogram::Histogram;
pub use self::intake::{Intake, Way};
use self::process::Process;

/// Everything this process counts.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    ways_in: intake::WaysIn,
    apply: Apply,
    /// Set anew for each reading; one reads at a time.
    gauges: Mutex<Gauges>,
}

/// The text in which metrics are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4, which the Pushgateway and `promtool` read.
    Prometheus,
}

impl Format {
    /// The format for a request's `Accept`: OpenMetrics where it is named, else 0.0.4, which everybody reads.
    pub fn accepted(accept: &str) -> Self {
        match accept.to_ascii_lowercase().contains("application/openmetrics-text") {
            true => Format::OpenMetrics,
            false => Format::Prometheus,
        }
    }

    /// The media type of the text.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        // What every program has goes by the names that every program gives it.
        registry.register_collector(Box::new(Process));
        let ours = registry.sub_registry_with_prefix("sluicegate");
        process::register_build(ours);
        let ways_in = intake::WaysIn::register(ours);
        let apply = Apply::register(ours);
        let gauges = Mutex::new(Gauges::register(ours));
        Metrics { registry, ways_in, apply, gauges }
    }
}

impl Metrics {
    /// The counters of a stream's documents that come by `via`: a route as the configuration writes it, `directory`,
    /// `publish`. They stand at 0 from then on.
    pub fn way(&self, stream: &str, via: &str) -> Way {
        self.ways_in.way(stream, via)
    }

    /// The counters of all of a stream's ways in. What comes by none of them is counted with the first.
    pub fn intake<'a>(&self, stream: &str, ways: impl IntoIterator<Item = &'a str>) -> Intake {
        let ways: Vec<_> = ways.into_iter().map(|via| (via.to_owned(), self.way(stream, via))).collect();
        let other = ways.first().map_or_else(|| self.way(stream, ""), |(_, way)| way.clone());
        Intake::new(ways.into_iter(), other)
    }

    /// The counters of what became of a stream's documents.
    pub fn applied(&self, stream: &str) -> Arc<Applied> {
        Arc::new(self.apply.stream(stream))
    }

    /// The text, once `set` has noted what is looked at now.
    pub fn text(&self, format: Format, set: impl FnOnce(&mut Gauges)) -> Result<String, fmt::Error> {
        let mut gauges = self.gauges.lock().unwrap_or_else(PoisonError::into_inner);
        gauges.clear();
        set(&mut gauges);
        let mut written = String::with_capacity(16 << 10);
        match format {
            Format::OpenMetrics => text::encode(&mut written, &self.registry)?,
            Format::Prometheus => prometheus_text::encode(&mut written, &self.registry)?,
        }
        Ok(order::sorted(&written))
    }
}

#[cfg(test)]
mod tests;
