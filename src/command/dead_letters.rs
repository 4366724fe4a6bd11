//! `sluicegate dead-letters`: list, show, retry, drop.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::output;
use super::watch::Watch;
use super::wiring;
use super::{Done, Failed, Global};
use crate::document::{Receipt, StreamName};
use crate::format::lines::BYTE_ORDER_MARK;
use crate::format::yaml;
use crate::near;
use crate::problem::ProblemType;
use crate::query::letters::{self, Letters};
use crate::query::retry::{self, Retries};
use crate::query::{Fate, Status};
use crate::service::Service;
use crate::store::books::LetterFilter;

const COLUMNS: &[&str] = &["id", "stream", "reason", "set_aside_at", "attempts", "detail"];

#[derive(Debug, Args)]
pub(super) struct Which {
    /// Of this stream only
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
    /// For this reason only, such as unknown-table
    #[arg(long, value_name = "TYPE")]
    reason: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum DeadLetters {
    /// List them in the order of their positions
    List {
        #[command(flatten)]
        which: Which,
        /// How many
        #[arg(long, default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        watch: Watch,
    },
    /// Show one whole, with its reason
    Show {
        /// Its receipt, TOPIC-PARTITION-OFFSET
        id: String,
    },
    /// Try them again
    Retry {
        /// Their receipts, TOPIC-PARTITION-OFFSET
        ids: Vec<String>,
        /// All of them, or all that --stream and --reason name
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        #[command(flatten)]
        which: Which,
        /// The mended document, in place of the one letter's: JSON, or YAML in a file named .yaml or .yml
        #[arg(long, value_name = "FILE")]
        with: Option<PathBuf>,
    },
    /// Give them up
    Drop {
        /// Their receipts, TOPIC-PARTITION-OFFSET
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

impl DeadLetters {
    pub(super) async fn run(self, global: &Global) -> Done {
        let config = global.load()?;
        let outside = wiring::open_existing(&config).await?;
        outside.store()?;
        let service = outside.service();
        match self {
            DeadLetters::List { which, limit, watch } => {
                let filter = LetterFilter { limit, ..which.filter()? };
                watch.run(async || list(&service, filter.clone(), global).await).await
            }
            DeadLetters::Show { id } => Ok(output::object(global.output, &letters::show(&service, &id).await?)?),
            DeadLetters::Retry { ids, all, which, with } => {
                if ids.is_empty() && !all && which.reason.is_none() && which.stream.is_none() {
                    return Err(Failed::Usage("name receipts, or --all, --stream or --reason".into()));
                }
                if with.is_some() && ids.len() != 1 {
                    return Err(Failed::Usage("--with mends one letter: name its receipt".into()));
                }
                let mended = with.map(|path| read(&path)).transpose()?;
                let fates = match ids.is_empty() {
                    true => retry_all(&service, which.filter()?).await?,
                    false => retry_named(&service, &ids, mended).await?,
                };
                tell(fates, global)
            }
            DeadLetters::Drop { ids } => {
                for id in &ids {
                    retry::drop(&service, id).await?;
                    eprintln!("{id}: dropped");
                }
                Ok(())
            }
        }
    }
}

/// As many as are asked for, however many pages they take.
async fn list(service: &Service, mut filter: LetterFilter, global: &Global) -> Done {
    let mut items = Vec::new();
    loop {
        let Letters { dead_letters, next } = letters::list(service, &filter).await?;
        filter.limit = filter.limit.saturating_sub(dead_letters.len());
        filter.after = next.and_then(|next| Receipt::parse(&next)).map(|receipt| receipt.0);
        items.extend(dead_letters);
        if filter.after.is_none() || filter.limit == 0 {
            break;
        }
    }
    Ok(output::list(global.output, COLUMNS, &items)?)
}

impl Which {
    fn filter(&self) -> Result<LetterFilter, Failed> {
        if let Some(reason) = self.reason.as_deref().filter(|reason| ProblemType::find(reason).is_none()) {
            let known = ProblemType::ALL.iter().map(|kind| kind.name());
            return Err(Failed::Usage(near::unknown("reason", reason, known)));
        }
        let stream = self.stream.as_deref().map(StreamName::parse).transpose()?;
        Ok(LetterFilter { stream, reason: self.reason.clone(), ..LetterFilter::default() })
    }
}

/// The document in a file, as JSON.
fn read(path: &Path) -> Result<Bytes, Failed> {
    let cannot = |error| Failed::Error(format!("{} cannot be read: {error}", crate::disk::shown(path)).into());
    let mut bytes = Vec::new();
    crate::disk::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(cannot)?;
    match path.extension().and_then(OsStr::to_str) {
        Some("yaml" | "yml") => {
            let json = yaml::to_json(&bytes, 1, usize::MAX);
            json.map(Bytes::from).map_err(|problem| Failed::Usage(format!("{}: {problem}", path.display())))
        }
        _ => Ok(Bytes::from(bytes.strip_prefix(BYTE_ORDER_MARK).map(<[u8]>::to_vec).unwrap_or(bytes))),
    }
}

/// Retries the letters that are named, in the order of their positions.
async fn retry_named(service: &Service, ids: &[String], mended: Option<Bytes>) -> Result<Vec<Fate>, Failed> {
    let mut found = Vec::new();
    for id in ids {
        found.push(letters::find(service, id).await?.position);
    }
    found.sort();
    let mut fates = Vec::new();
    for position in found {
        let id = Receipt(position).to_string();
        let letter = letters::find(service, &id).await?;
        fates.push(Fate::of_retry(id, retry::one(service, letter, mended.clone()).await?));
    }
    Ok(fates)
}

/// Retries all that match, however many.
async fn retry_all(service: &Service, mut filter: LetterFilter) -> Result<Vec<Fate>, Failed> {
    let mut fates = Vec::new();
    filter.limit = retry::RETRIES_MAX;
    loop {
        let Retries { more, results, .. } = retry::many(service, &filter).await?;
        filter.after = results.last().and_then(|fate| Receipt::parse(&fate.receipt)).map(|receipt| receipt.0);
        fates.extend(results);
        if !more {
            return Ok(fates);
        }
    }
}

/// A retry as it is printed: what became of the letter, with the reason in words.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    fate: Fate,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

fn tell(mut fates: Vec<Fate>, global: &Global) -> Done {
    // Somebody else has closed it meanwhile.
    fates.retain(|fate| fate.status != Status::Gone);
    let is_failed = fates.iter().any(|fate| fate.status != Status::Applied);
    let told = fates.into_iter().map(|fate| {
        let reason = fate.problem.as_ref().map(ToString::to_string);
        Told { fate, reason }
    });
    output::list(global.output, &["receipt", "status", "reason"], &told.collect::<Vec<_>>())?;
    if is_failed { Err(Failed::Said) } else { Ok(()) }
}
