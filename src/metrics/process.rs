//! What the process takes, by the names that every Prometheus client uses, and which build it is.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// Reads `/proc/self` each time. Where there is none, nothing is told.
#[derive(Debug)]
pub(super) struct Process;

/// How the kernel counts processor time: `sysconf(_SC_CLK_TCK)` is 100 on every Linux.
const TICKS_A_SECOND: f64 = 100.0;

/// The build, as labels.
pub(super) fn register_build(registry: &mut Registry) {
    let labels = vec![("version", env!("CARGO_PKG_VERSION"))];
    registry.register("build", "The version of Sluicegate", Info::new(labels));
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(seen) = Seen::now() else { return Ok(()) };
        let mut gauge = |name: &str, help: &str, value: f64| {
            let gauge = ConstGauge::new(value);
            let described = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(described)
        };
        gauge("process_resident_memory_bytes", "Resident memory", seen.resident_bytes)?;
        gauge("process_open_fds", "Open file descriptors", seen.open_files)?;
        gauge("process_max_fds", "The most file descriptors that may be open", seen.open_files_max)?;
        gauge("process_threads", "Threads", seen.threads)?;
        gauge("process_start_time_seconds", "When the process began, in seconds since 1970", seen.began)?;
        let counter = ConstCounter::new(seen.cpu_seconds);
        let help = "Processor time, of the process and of the kernel for it";
        let described = encoder.encode_descriptor("process_cpu_seconds", help, None, counter.metric_type())?;
        counter.encode(described)
    }
}

struct Seen {
    cpu_seconds: f64,
    resident_bytes: f64,
    open_files: f64,
    open_files_max: f64,
    threads: f64,
    began: f64,
}

impl Seen {
    fn now() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The program's name stands in parentheses, and may hold anything.
        let fields: Vec<f64> =
            stat.rsplit_once(')')?.1.split_whitespace().map(|it| it.parse().unwrap_or(0.0)).collect();
        // Numbered from 3, the state, in proc(5): 14 and 15 are the times, 20 the threads, 22 the begin in ticks since boot.
        let field = |number: usize| fields.get(number - 3).copied();
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let resident_kib: f64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse()
            .ok()?;
        let boot = std::fs::read_to_string("/proc/stat").ok()?;
        let boot: f64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
        let open_files_max = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        Some(Seen {
            cpu_seconds: (field(14)? + field(15)?) / TICKS_A_SECOND,
            resident_bytes: resident_kib * 1024.0,
            open_files: std::fs::read_dir("/proc/self/fd").ok()?.count() as f64,
            open_files_max: open_files_max.split_whitespace().next()?.parse().unwrap_or(f64::INFINITY),
            threads: field(20)?,
            began: boot + field(22)? / TICKS_A_SECOND,
        })
    }
}
