//! What is looked at for each reading: where streams stand, what stands still, and how full the queues are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{OfPart, OfPartition, OfStream};

type Seconds = Gauge<f64, AtomicU64>;

/// Set before each reading.
#[derive(Debug, Default)]
pub struct Gauges {
    lag_documents: Family<OfPartition, Gauge>,
    lag: Family<OfPartition, Seconds>,
    dead_letters_kept: Family<OfStream, Gauge>,
    halted: Family<OfStream, Gauge>,
    down: Family<OfPart, Gauge>,
    restarts: Family<OfPart, Counter>,
    bodies: Gauge,
    bodies_max: Gauge,
    failing_folders: Family<OfStream, Gauge>,
}

/// Where a partition of a stream stands.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// Its number.
    pub partition: i32,
    /// Documents that the journal holds and the store does not know of.
    pub documents: i64,
    /// How long ago the first of these was accepted, if that is known.
    pub age: Option<Duration>,
}

impl Gauges {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let gauges = Gauges::default();
        let Gauges {
            lag_documents,
            lag,
            dead_letters_kept,
            halted,
            down,
            restarts,
            bodies,
            bodies_max,
            failing_folders,
        } = &gauges;
        registry.register("lag_documents", "Documents of the journal that have no outcome yet", lag_documents.clone());
        let help = "Age of the first document that has no outcome yet";
        registry.register_with_unit("lag", help, Unit::Seconds, lag.clone());
        registry.register("dead_letters_kept", "Dead letters that wait for somebody", dead_letters_kept.clone());
        registry.register("stream_halted", "1 while a stream stands still", halted.clone());
        registry.register("part_down", "1 while a part of this process is down", down.clone());
        registry.register("part_restarts", "How often a part of this process was begun again", restarts.clone());
        let help = "Bytes of request bodies and answers in memory";
        registry.register_with_unit("bodies", help, Unit::Bytes, bodies.clone());
        let help = "The most bytes of request bodies and answers in memory";
        registry.register_with_unit("bodies_max", help, Unit::Bytes, bodies_max.clone());
        registry.register("directories_failing", "Watched folders that cannot be read", failing_folders.clone());
        gauges
    }

    /// Forgets what was looked at for the reading before: a partition may be another process's by now.
    pub(super) fn clear(&mut self) {
        self.lag_documents.clear();
        self.lag.clear();
        self.dead_letters_kept.clear();
        self.halted.clear();
        self.down.clear();
        self.failing_folders.clear();
    }

    /// Where a stream stands.
    pub fn standing(&mut self, stream: &str, standing: Standing) {
        let labels = OfPartition { stream: stream.to_owned(), partition: standing.partition };
        self.lag_documents.get_or_create(&labels).set(standing.documents);
        if let Some(age) = standing.age {
            self.lag.get_or_create(&labels).set(age.as_secs_f64());
        }
    }

    /// How many dead letters of a stream there are.
    pub fn dead_letters(&mut self, stream: &str, count: i64) {
        self.dead_letters_kept.get_or_create(&OfStream { stream: stream.to_owned() }).set(count);
    }

    /// Whether a stream stands still.
    pub fn halted(&mut self, stream: &str, is_halted: bool) {
        self.halted.get_or_create(&OfStream { stream: stream.to_owned() }).set(i64::from(is_halted));
    }

    /// How many watched folders of a stream cannot be read.
    pub fn failing_folders(&mut self, stream: &str, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.failing_folders.get_or_create(&OfStream { stream: stream.to_owned() }).set(count);
    }

    /// Whether a part is down, and how often it was begun again.
    pub fn part(&mut self, part: &str, is_down: bool, restarts: u64) {
        let labels = OfPart { part: part.to_owned() };
        self.down.get_or_create(&labels).set(i64::from(is_down));
        self.restarts.get_or_create(&labels).inner().store(restarts, Ordering::Relaxed);
    }

    /// How full the room for bodies is.
    pub fn bodies(&mut self, used: usize, most: usize) {
        self.bodies.set(i64::try_from(used).unwrap_or(i64::MAX));
        self.bodies_max.set(i64::try_from(most).unwrap_or(i64::MAX));
    }
}
