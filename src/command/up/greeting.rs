//! What `up` says once it runs.

use crate::config::Config;
use crate::service::Service;

/// Says, on standard error, where it listens, where data is kept, and what to try.
pub(super) fn say(config: &Config, service: &Service, address: std::net::SocketAddr) {
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
    match crate::command::try_line::command(streams, &address.to_string()) {
        Some(command) => eprintln!("Try:\n  {command}"),
        None => eprintln!("What the streams take:\n  curl http://{address}/v1/streams"),
    }
}
