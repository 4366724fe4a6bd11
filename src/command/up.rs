//! `sluicegate up`: everything in one process, or the roles it is told.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;

use super::wiring::{self, Outside, Patience};
use super::{Done, Failed, Global};
use crate::apply::Applier;
use crate::apply::progress::Progress;
use crate::config::Config;
use crate::http;
use crate::intake::directory::Watch;
use crate::journal::{Journal, Retention};
use crate::service::{Served, Service};
use crate::shutdown::{self, Signals, Stop};
use crate::stream::Stream;

/// The process is gone this long after the first signal, whatever hangs.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(9);

/// How often old records leave the topics that nobody applies.
const TIDY_EVERY: Duration = Duration::from_secs(15);

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

impl Up {
    pub(super) async fn run(self, global: &Global) -> Done {
        let config = global.load()?;
        let has = |role| self.role.is_empty() || self.role.contains(&role);
        let is_gateway = has(Role::Gateway);
        let is_applying = has(Role::Apply) && (config.store.is_some() || self.role.contains(&Role::Apply));
        // Servers come and go: a process that is started before them waits. A gateway needs only the journal.
        let patience = if is_applying { Patience::ForBoth } else { Patience::ForJournal };
        let outside = wiring::open_with(&config, patience).await?;
        if is_applying {
            outside.store()?;
        }
        let served: Vec<_> = outside
            .streams
            .iter()
            .map(|stream| Arc::new(Served { stream: Arc::clone(stream), progress: Arc::new(Progress::default()) }))
            .collect();
        let Outside { journal, store, .. } = outside;
        let service = Arc::new(Service::new(served, Arc::clone(&journal), store.clone(), is_gateway, is_applying));

        if let (Some(url), None) = (config.store.clone(), &store) {
            let service = Arc::clone(&service);
            tokio::spawn(async move {
                match wiring::reach_store(&url).await {
                    Ok(store) => service.reached(store),
                    Err(error) => tracing::error!(%error, "The store is of no use: this gateway only accepts."),
                }
            });
        }

        // Before anybody is told that it runs, and may ask it to leave.
        let mut signals = Signals::listen()?;
        let (stopper, stop) = shutdown::channel();
        let mut threads = Vec::new();
        if let (Some(store), true) = (&store, is_applying) {
            for served in service.streams.iter().filter(|served| served.stream.is_applied()) {
                let applier = Applier {
                    stream: Arc::clone(&served.stream),
                    journal: Arc::clone(&journal),
                    store: Arc::clone(store),
                    progress: Arc::clone(&served.progress),
                };
                threads.push(start(applier, stop.clone())?);
            }
        }
        let watched: Vec<_> = service
            .streams
            .iter()
            .map(|served| &served.stream)
            .filter(|stream| !stream.directories.is_empty())
            .collect();
        if watched.is_empty() && self.role.contains(&Role::Watch) {
            return Err(Failed::Usage("no stream has `directories` to watch".into()));
        }
        for stream in watched.into_iter().filter(|_| has(Role::Watch)) {
            let memory = config.data.join("watch");
            let watch = Watch { stream: Arc::clone(stream), journal: Arc::clone(&journal), memory };
            threads.push(start_watch(watch, stop.clone())?);
        }
        tokio::spawn(tidy(
            Arc::clone(&journal),
            service.streams.iter().map(|served| Arc::clone(&served.stream)).collect(),
        ));
        let mut server = None;
        // HTTP is the gateway's; other roles listen only when told to, for health.
        if is_gateway || global.listen.is_some() {
            let listener = listen(&config).await?;
            let address = listener.local_addr()?;
            let routes =
                if is_gateway { http::routes(Arc::clone(&service)) } else { http::health_only(Arc::clone(&service)) };
            server = Some(tokio::spawn(http::server::serve(listener, routes, stop.clone())));
            if !global.quiet {
                greet(&config, &service, address);
            }
        } else {
            tracing::info!(streams = service.streams.len(), roles = ?self.role, "Running.");
        }

        signals.next().await;
        tracing::info!("Stopping: open requests are answered, the running batch is finished.");
        stopper.stop();
        tokio::spawn(async move {
            signals.next().await;
            tracing::warn!("Leaving at once.");
            std::process::exit(1);
        });
        let drained = async {
            if let Some(server) = server {
                // A server that failed has said so.
                let _ = server.await;
            }
            let joined = tokio::task::spawn_blocking(move || threads.into_iter().all(|thread| thread.join().is_ok()));
            joined.await.unwrap_or(false)
        };
        match tokio::time::timeout(LEAVE_TIMEOUT, drained).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failed::Error("a part of the program failed; the log says which".into())),
            Err(_) => {
                tracing::warn!("Something hangs; what was not finished is done again at the next start.");
                std::process::exit(1)
            }
        }
    }
}

/// Runs an applier on a thread of its own, since the store's transactions may block it.
fn start(applier: Applier, stop: Stop) -> std::io::Result<std::thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Handle::current();
    let name = format!("apply-{}", applier.stream.name);
    std::thread::Builder::new().name(name).spawn(move || runtime.block_on(applier.run(stop)))
}

/// Watches the directories of a stream on a thread of its own, since files and the memory of them may block it.
fn start_watch(watch: Watch, stop: Stop) -> std::io::Result<std::thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Handle::current();
    let name = format!("watch-{}", watch.stream.name);
    std::thread::Builder::new().name(name).spawn(move || runtime.block_on(watch.run(stop)))
}

/// Removes old records of the topics that are kept in the journal only.
async fn tidy(journal: Arc<dyn Journal>, streams: Vec<Arc<Stream>>) {
    let mut ticks = tokio::time::interval(TIDY_EVERY);
    loop {
        ticks.tick().await;
        for stream in streams.iter().filter(|stream| !stream.is_applied()) {
            let limits = Retention { age: stream.retention_age, bytes_max: stream.retention_bytes };
            if let Err(error) = journal.retain(&stream.topic, limits, false).await {
                tracing::warn!(stream = %stream.name, %error, "Old records could not be removed.");
            }
        }
    }
}

async fn listen(config: &Config) -> Result<TcpListener, Failed> {
    TcpListener::bind(&config.listen).await.map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AddrInUse => "; another program listens there: end it, or choose another with --listen",
            _ => "",
        };
        Failed::Error(format!("cannot listen on {}: {error}{hint}", config.listen).into())
    })
}

/// Says, on standard error, where it listens, where data is kept, and what to try.
fn greet(config: &Config, service: &Service, address: std::net::SocketAddr) {
    let names: Vec<_> = service.streams.iter().map(|served| served.stream.name.as_str()).collect();
    eprintln!("Sluicegate {} listens on http://{address}", env!("CARGO_PKG_VERSION"));
    eprintln!("  journal  {}", config.journal);
    match (&config.store, service.is_applying) {
        (Some(store), true) => eprintln!("  store    {store}"),
        (Some(store), false) => eprintln!("  store    {store} (for reading; another process applies)"),
        (None, _) => eprintln!("  store    none: documents are kept in the journal"),
    }
    eprintln!("  streams  {}", names.join(", "));
    let streams = service.streams.iter().map(|served| &*served.stream);
    match super::try_line::command(streams, &address.to_string()) {
        Some(command) => eprintln!("Try:\n  {command}"),
        None => eprintln!("What the streams take:\n  curl http://{address}/v1/streams"),
    }
}
