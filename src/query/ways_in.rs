//! The ways in: where each stream takes documents, and where else to look.

use schemars::JsonSchema;
use serde::Serialize;

use crate::service::Service;
use crate::stream::Stream;

/// Where to look besides the streams: an address and what is there.
const LINKS: &[(&str, &str)] = &[
    ("/v1/streams", "the streams: what each takes, and where it goes"),
    ("/v1/tables", "the tables"),
    ("/v1/dead-letters", "documents that could not be applied"),
    ("/health/ready", "whether documents can be accepted and applied"),
    ("/problems", "what each error means, and how to mend it"),
];

/// The ways in.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WaysIn {
    /// `Sluicegate`.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The streams, in the order of the configuration.
    pub streams: Vec<WayIn>,
    /// Where else to look.
    pub links: Vec<Link>,
}

/// The ways into one stream.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WayIn {
    /// The stream.
    pub name: String,
    /// The address that tells more of it.
    pub about: String,
    /// The addresses at which its documents are posted; none where others write its topic.
    pub post: Vec<String>,
    /// Methods and addresses whose calls are its events.
    pub actions: Vec<String>,
}

/// An address and what is there.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Link {
    /// The address.
    pub path: &'static str,
    /// What is there.
    pub what: &'static str,
}

/// The ways in.
pub fn list(service: &Service) -> WaysIn {
    WaysIn {
        name: "Sluicegate",
        version: env!("CARGO_PKG_VERSION"),
        streams: service.streams.iter().map(|served| WayIn::of(&served.stream)).collect(),
        links: LINKS.iter().map(|(path, what)| Link { path, what }).collect(),
    }
}

impl WayIn {
    fn of(stream: &Stream) -> Self {
        let about = format!("/v1/streams/{}", stream.name);
        let actions =
            stream.intake.actions.iter().map(|action| format!("{} {}", action.method.word(), action.path.as_str()));
        let post = match stream.is_foreign {
            true => Vec::new(),
            false => std::iter::once(about.clone()).chain(stream.intake.routes.iter().cloned()).collect(),
        };
        WayIn { name: stream.name.to_string(), about, post, actions: actions.collect() }
    }
}
