//! The parts of a process, by its roles.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Roles;
use super::caught_up::CaughtUp;
use crate::apply::Applier;
use crate::command::door::Door;
use crate::command::{Failed, wiring};
use crate::config::{self, Config};
use crate::http;
use crate::intake::directory::Watch;
use crate::journal::{Retention, RetentionLimits};
use crate::metrics::Format;
use crate::metrics::push::{self, Push};
use crate::parts::{Health, Part};
use crate::query;
use crate::readiness::Readiness;
use crate::reason::{Reason, chain};
use crate::roll::{Roller, Work};
use crate::service::{Rolled, Service};
use crate::shutdown::Stop;
use crate::store::StoreError;

/// How often old records leave the topics.
const TIDY_EVERY: Duration = Duration::from_secs(15);

/// What the parts are made of.
pub(super) struct List<'u> {
    pub(super) config: &'u Config,
    pub(super) roles: &'u Roles,
    pub(super) service: &'u Arc<Service>,
    pub(super) health: &'u Arc<Health>,
    pub(super) retention: Option<&'u Arc<dyn Retention>>,
    /// In a run that ends.
    pub(super) caught_up: Option<&'u CaughtUp>,
}

impl List<'_> {
    /// HTTP, and where it listens.
    pub(super) fn http(&self, door: Door) -> Result<(Part, SocketAddr), Failed> {
        let listener = door.open()?;
        let address = listener.local_addr()?;
        let readiness = Readiness::new(Arc::clone(self.service), Arc::clone(self.health));
        let routes = http::router(self.service, &Arc::new(readiness));
        let rights = http::rights(self.service).map_err(|error| Failed::Error(error.into()))?;
        let (hosts, origins) = (self.config.allowed_hosts.clone(), self.config.allowed_origins.clone());
        let doors = Arc::new(http::doors::Doors::new(hosts, origins, rights, Arc::clone(self.service)));
        // Kept, so that the address is not lost while the part is begun again; and let go with the stop, so that nobody
        // waits for an answer that will not come.
        let kept = Arc::new(Mutex::new(Some(listener.into_std()?)));
        let shared = |error| Reason::of("the address cannot be listened on anew", error);
        let serve = move |stop: Stop| {
            let (kept, routes, doors) = (Arc::clone(&kept), routes.clone(), Arc::clone(&doors));
            async move {
                let again = || kept.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|it| it.try_clone());
                let Some(listener) = again().transpose().map_err(shared)? else { return Ok(()) };
                let listener = tokio::net::TcpListener::from_std(listener).map_err(shared)?;
                let let_go = async {
                    stop.wait().await;
                    drop(kept.lock().unwrap_or_else(PoisonError::into_inner).take());
                };
                tokio::join!(http::server::serve(listener, routes, doors, stop.clone()), let_go);
                Ok(())
            }
        };
        Ok((Part::task("http", serve), address))
    }

    /// What else takes documents in.
    pub(super) fn doors(&self) -> Vec<Part> {
        // Directories are refused where the journal is none.
        let Some(log) = self.service.log.as_ref().filter(|_| self.roles.is_watching) else { return Vec::new() };
        let streams = self.service.streams.iter();
        let watched = streams.filter(|served| !served.stream.intake.directories.is_empty());
        let part = |served: &Arc<crate::service::Served>| {
            let watch = Watch {
                stream: Arc::clone(&served.stream),
                journal: Arc::clone(log),
                memory: self.config.data.join("watch"),
                folders: Arc::clone(&served.folders),
            };
            // Directories are listed and files read where it stands.
            Part::thread(format!("watch {}", served.stream.name), move |stop| {
                let watch = watch.clone();
                async move {
                    watch.run(stop).await;
                    Ok(())
                }
            })
        };
        watched.map(part).collect()
    }

    /// What works behind the journal.
    pub(super) fn rest(&self) -> Vec<Part> {
        let mut parts: Vec<_> = self.retention.map(|retention| self.tidy(retention)).into_iter().collect();
        parts.extend(self.push());
        parts.extend(self.reach_store());
        parts.extend(self.rollups());
        let Some(store) = self.service.store().filter(|_| self.roles.is_applying) else { return parts };
        // A stream that is applied is refused where the journal is none.
        let Some(log) = &self.service.log else { return parts };
        for served in self.service.streams.iter().filter(|served| served.stream.is_applied()) {
            let applier = Applier {
                stream: Arc::clone(&served.stream),
                journal: Arc::clone(log),
                store: Arc::clone(store),
                progress: Arc::clone(&served.progress),
                counts: Arc::clone(&served.applied),
            };
            parts.push(Part::task(format!("apply {}", served.stream.name), move |stop| {
                let applier = applier.clone();
                async move {
                    applier.run(stop).await;
                    Ok(())
                }
            }));
        }
        parts
    }

    /// Sums up.
    fn rollups(&self) -> Vec<Part> {
        let Some(journal) = self.service.transactional.as_ref().filter(|_| self.roles.is_rolling) else {
            return Vec::new();
        };
        let part = |rolled: &Arc<Rolled>| {
            let work = Work {
                plan: Arc::clone(&rolled.plan),
                journal: Arc::clone(journal),
                folder: rolled.folder.clone(),
                committed: rolled.committed.clone(),
                ends: self.caught_up.and_then(|caught_up| caught_up.of(&rolled.plan.input).cloned()),
            };
            let roller = Roller { work, progress: Arc::clone(&rolled.progress) };
            Part::task(format!("rollup {}", rolled.plan.name), move |stop| {
                let roller = roller.clone();
                async move {
                    roller.run(stop).await;
                    Ok(())
                }
            })
        };
        self.service.rollups.iter().map(part).collect()
    }

    /// Pushes the numbers to a Pushgateway, if there is one.
    fn push(&self) -> Option<Part> {
        let config::Push { url, every, job, grouping } = self.config.metrics.push.as_ref()?;
        let grouping = grouping.iter().map(|(label, value)| (label.as_str(), value.as_str()));
        let push = Push { target: push::target(url, job, grouping), every: *every };
        let service = Arc::clone(self.service);
        let readiness = Arc::new(Readiness::new(Arc::clone(&service), Arc::clone(self.health)));
        Some(Part::task("push", move |stop: Stop| {
            let (push, service, readiness) = (push.clone(), Arc::clone(&service), Arc::clone(&readiness));
            async move {
                let text = || async { query::metrics::text(&service, &readiness, Format::Prometheus).await.ok() };
                push.run(text, stop).await;
                Ok(())
            }
        }))
    }

    /// Reaches the store that could not be reached at the start, for questions.
    fn reach_store(&self) -> Option<Part> {
        let url = self.config.store.clone().filter(|_| self.service.store().is_none())?;
        let service = Arc::clone(self.service);
        let reach = move |stop: Stop| {
            let (url, service) = (url.clone(), Arc::clone(&service));
            async move {
                tokio::select! {
                    reached = wiring::reach_store(&url) => {
                        service.reached(reached.map_err(StoreError::reason)?);
                    }
                    () = stop.wait() => {}
                }
                Ok(())
            }
        };
        Some(Part::task("store", reach).once())
    }

    /// Removes old records, but none that apply has yet to read.
    fn tidy(&self, retention: &Arc<dyn Retention>) -> Part {
        let (service, retention) = (Arc::clone(self.service), Arc::clone(retention));
        Part::task("tidy", move |stop: Stop| {
            let (service, retention) = (Arc::clone(&service), Arc::clone(&retention));
            async move {
                while !stop.is_set() {
                    for stream in service.streams.iter().map(|served| &served.stream).filter(|it| !it.is_foreign) {
                        let limits = RetentionLimits { age: stream.retention.age, bytes_max: stream.retention.size };
                        if let Err(error) = retention.retain(&stream.topic, limits, stream.is_applied()).await {
                            tracing::warn!(stream = %stream.name, error = chain(&error), "Old records could not be removed.");
                        }
                    }
                    for plan in service.rollups.iter().map(|rolled| &rolled.plan) {
                        if let Err(error) = retention.compact(&plan.output).await {
                            tracing::warn!(rollup = %plan.name, error = chain(&error), "Old summaries could not be removed.");
                        }
                    }
                    stop.wait_for(TIDY_EVERY).await;
                }
                Ok(())
            }
        })
    }
}
