//! The numbers of this process, as a text that Prometheus reads.

use super::Unanswered;
use crate::metrics::{Format, Gauges, Standing};
use crate::problem::ProblemType;
use crate::readiness::Readiness;
use crate::service::Service;

/// What was counted, and what is looked at now.
pub async fn text(service: &Service, readiness: &Readiness, format: Format) -> Result<String, Unanswered> {
    let behind = readiness.behind().await;
    let set = |gauges: &mut Gauges| {
        for partition in &behind {
            let standing =
                Standing { partition: partition.partition, documents: partition.documents, age: partition.age };
            gauges.standing(&partition.stream, standing);
        }
        for served in &service.streams {
            let name = served.stream.name.as_str();
            let of_stream = behind.iter().filter(|partition| partition.stream == name);
            let (letters, is_halted) = of_stream.fold((0, false), |(letters, is_halted), partition| {
                (letters + partition.dead_letters, is_halted || partition.is_halted)
            });
            if served.stream.is_applied() && service.store().is_some() {
                gauges.dead_letters(name, letters);
                gauges.halted(name, is_halted || served.progress.trouble(name).is_some());
            }
            if !served.stream.intake.directories.is_empty() {
                gauges.failing_folders(name, served.folders.troubles().len());
            }
        }
        for part in readiness.parts() {
            gauges.part(&part.name, part.is_down, part.restarts);
        }
        let (used, most) = service.bodies.fill();
        gauges.bodies(used, most);
    };
    let unwritten = |_| Unanswered::new(ProblemType::Internal, "the numbers cannot be written");
    service.metrics.text(format, set).map_err(unwritten)
}
