//! `sluicegate up`: everything in one process, or the roles it is told. It is the list of the parts.

mod greeting;
mod list;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use self::list::List;
use super::door::Door;
use super::streams::readable;
use super::wiring::{self, Outside, Patience};
use super::{Done, Failed, Global};
use crate::config::{BackendUrl, Config};
use crate::disk;
use crate::parts::{Health, Running};
use crate::service::Service;
use crate::shutdown::{self, Signals};

/// The process is gone this long after the first signal, whatever hangs.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(9);

/// What takes documents in ends first, so that who waits for an outcome gets it; what applies them is told after this at
/// the latest.
const DOORS_TIMEOUT: Duration = Duration::from_secs(4);

/// A part of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    /// HTTP in front of the journal.
    Gateway,
    /// Journal to store.
    Apply,
    /// Directories into the journal.
    Watch,
}

#[derive(Debug, Args)]
pub(super) struct Up {
    /// The roles of this process [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROLES")]
    role: Vec<Role>,
}

/// What this process is to do.
struct Roles {
    is_gateway: bool,
    is_applying: bool,
    is_watching: bool,
    is_listening: bool,
}

impl Up {
    fn roles(&self, config: &Config, global: &Global) -> Roles {
        let has = |role| self.role.is_empty() || self.role.contains(&role);
        let is_gateway = has(Role::Gateway);
        Roles {
            is_gateway,
            is_applying: has(Role::Apply) && (config.store.is_some() || self.role.contains(&Role::Apply)),
            is_watching: has(Role::Watch),
            // HTTP is the gateway's; other roles listen only when told to, for health.
            is_listening: is_gateway || global.listen.is_some(),
        }
    }

    pub(super) async fn run(self, global: &Global) -> Done {
        let config = global.load()?;
        let roles = self.roles(&config, global);
        // Before anything is begun that would have to end again.
        let door = if roles.is_listening { Some(Door::take(&config.listen).await?) } else { None };
        // Servers come and go: a process that is started before them waits. A gateway needs only the journal.
        let patience = if roles.is_applying { Patience::ForBoth } else { Patience::ForJournal };
        let outside = wiring::open_with(&config, patience).await?;
        warn_of_open_files(&config);
        if roles.is_applying {
            outside.store()?;
        }
        let Outside { journal, log, retention, store, streams } = outside;
        if self.role.contains(&Role::Watch) && streams.iter().all(|stream| stream.intake.directories.is_empty()) {
            return Err(Failed::Usage("no stream has `directories` to watch".into()));
        }
        let service = Service::new(streams, journal, log, store, roles.is_gateway, roles.is_applying);
        let service = Arc::new(service.showing(readable(&config)));

        // Before anybody is told that it runs, and may ask it to leave.
        let mut signals = Signals::listen_for_long()?;
        let health = Arc::new(Health::default());
        let list =
            List { config: &config, roles: &roles, service: &service, health: &health, retention: retention.as_ref() };
        let (doors_stopper, doors_stop) = shutdown::channel();
        service.ends_with(doors_stop.clone());
        let (stopper, stop) = shutdown::channel();
        let mut doors = Running::new(Arc::clone(&health));
        let mut rest = Running::new(Arc::clone(&health));
        let address = match door {
            Some(door) => {
                let (http, address) = list.http(door)?;
                doors.start(http, doors_stop.clone());
                Some(address)
            }
            None => None,
        };
        list.doors().into_iter().for_each(|part| doors.start(part, doors_stop.clone()));
        list.rest().into_iter().for_each(|part| rest.start(part, stop.clone()));
        match address {
            Some(address) if !global.quiet => greeting::say(&config, &service, address),
            Some(_) => {}
            None => tracing::info!(streams = service.streams.len(), roles = ?self.role, "Running."),
        }

        signals.next().await;
        tracing::info!("Stopping: open requests are answered, the running batch is finished.");
        tokio::spawn(async move {
            signals.next().await;
            tracing::warn!("Leaving at once.");
            std::process::exit(1);
        });
        let drained = async {
            doors_stopper.stop();
            let _ = tokio::time::timeout(DOORS_TIMEOUT, doors.ended()).await;
            stopper.stop();
            tokio::join!(doors.ended(), rest.ended())
        };
        if tokio::time::timeout(LEAVE_TIMEOUT, drained).await.is_err() {
            tracing::warn!("Something hangs; what was not finished is done again at the next start.");
            std::process::exit(1)
        }
        Ok(())
    }
}

/// Files that were made for everybody's eyes, by an older version or a person, are left so: others may need them.
fn warn_of_open_files(config: &Config) {
    let names = [&config.journal].into_iter().chain(&config.store).filter_map(BackendUrl::file);
    for file in names.filter(|file| disk::is_open_to_others(file)) {
        let file = disk::shown(&file);
        tracing::warn!(file, "This file of documents can be read by others on this machine; chmod 600 mends that.");
    }
}
