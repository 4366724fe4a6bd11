//! `sluicegate up`: everything in one process, or the roles it is told. It is the list of the parts.

mod caught_up;
mod greeting;
mod list;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use self::caught_up::CaughtUp;
use self::list::List;
use super::door::Door;
use super::streams::readable;
use super::wiring::{self, Outside, Patience};
use super::{Done, Failed, Global, plans};
use crate::config::{BackendUrl, Config};
use crate::disk;
use crate::journal::{Log, Retention};
use crate::parts::{Health, Running};
use crate::roll::Plan;
use crate::service::Service;
use crate::shutdown::{self, Signals, Stopper};
use crate::stream::Stream;

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
    /// Summaries of what the journal holds, into the journal.
    Rollup,
    /// Directories into the journal.
    Watch,
}

#[derive(Debug, Args)]
pub(super) struct Up {
    /// The roles of this process [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROLES")]
    role: Vec<Role>,
    /// Leave once everything is summed up, published and applied that was in the journal at the start: with 0, or with 1 when
    /// something stands still
    #[arg(long)]
    until_caught_up: bool,
}

/// What this process is to do.
struct Roles {
    is_gateway: bool,
    is_applying: bool,
    is_rolling: bool,
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
            is_rolling: has(Role::Rollup),
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
        let (service, retention) = self.open(&config, &roles).await?;
        let caught_up = if self.until_caught_up { Some(CaughtUp::look(&service).await?) } else { None };

        // Before anybody is told that it runs, and may ask it to leave.
        let mut signals = Signals::listen_for_long()?;
        let health = Arc::new(Health::default());
        let list = List {
            config: &config,
            roles: &roles,
            service: &service,
            health: &health,
            retention: retention.as_ref(),
            caught_up: caught_up.as_ref(),
        };
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

        let ended = match caught_up {
            Some(caught_up) => tokio::select! {
                caught_up = caught_up.wait(&service, roles.is_applying, roles.is_rolling) => caught_up,
                () = signals.next() => Err(Failed::Error("it was told to leave before everything was done".into())),
            },
            None => {
                signals.next().await;
                Ok(())
            }
        };
        leave((doors_stopper, doors), (stopper, rest), signals).await;
        ended
    }

    /// Opens journal and store, and builds the service; gives what removes the journal's old records, too.
    async fn open(&self, config: &Config, roles: &Roles) -> Result<(Arc<Service>, Option<Arc<dyn Retention>>), Failed> {
        // Servers come and go: a process that is started before them waits. A gateway needs only the journal.
        let patience = if roles.is_applying { Patience::ForBoth } else { Patience::ForJournal };
        let outside = wiring::open_with(config, patience).await?;
        warn_of_open_files(config);
        if roles.is_applying {
            outside.store()?;
        }
        let Outside { journal, log, retention, store, streams, plans, rollups, transactional } = outside;
        if self.role.contains(&Role::Watch) && streams.iter().all(|stream| stream.intake.directories.is_empty()) {
            return Err(Failed::Usage("no stream has `directories` to watch".into()));
        }
        if self.role.contains(&Role::Rollup) && plans.is_empty() {
            return Err(Failed::Usage("the configuration has no `rollups`".into()));
        }
        if roles.is_rolling {
            must_not_be_split(&plans, &streams, log.as_deref()).await?;
        }
        let service = Service::new(streams, journal, log, store, roles.is_gateway, roles.is_applying);
        let service = service.showing(readable(config)).rolling(transactional, &plans, &rollups);
        Ok((Arc::new(service), retention))
    }
}

/// Has everything end in its order, and the process at once when that takes too long, or a second signal comes.
async fn leave(
    (doors_stopper, mut doors): (Stopper, Running),
    (stopper, mut rest): (Stopper, Running),
    mut signals: Signals,
) {
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
}

/// Fails when documents of one key of a rollup may stand in several partitions.
async fn must_not_be_split(plans: &[Arc<Plan>], streams: &[Arc<Stream>], log: Option<&dyn Log>) -> Done {
    let Some(log) = log else { return Ok(()) };
    for plan in plans {
        if let Some(stream) = streams.iter().find(|stream| stream.name == plan.from) {
            wiring::patiently(async || plans::must_not_be_split(plan, stream, log).await).await?;
        }
    }
    Ok(())
}

/// Files that were made for everybody's eyes, by an older version or a person, are left so: others may need them.
fn warn_of_open_files(config: &Config) {
    let names = [&config.journal].into_iter().chain(&config.store).filter_map(BackendUrl::file);
    for file in names.filter(|file| disk::is_open_to_others(file)) {
        let file = disk::shown(&file);
        tracing::warn!(file, "This file of documents can be read by others on this machine; chmod 600 mends that.");
    }
}
