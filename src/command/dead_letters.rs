//! `sluicegate dead-letters`: list, show, retry, drop.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use clap::{Args, Subcommand};

use super::output;
use super::watch::Watch;
use super::wiring::{self, Outside};
use super::{Done, Failed, Global};
use crate::apply::letters::{Retried, drop_letter, retry};
use crate::document::{Receipt, StreamName};
use crate::format::lines::BYTE_ORDER_MARK;
use crate::format::yaml;
use crate::near;
use crate::problem::ProblemType;
use crate::query::dead_letters::{result, summary, whole};
use crate::store::Letter;
use crate::store::books::LetterFilter;
use crate::task;

const COLUMNS: &[&str] = &["id", "stream", "reason", "set_aside_at", "attempts", "detail"];

/// So many letters are read at once.
const PAGE: usize = 500;

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
        match self {
            DeadLetters::List { which, limit, watch } => {
                let filter = LetterFilter { limit, ..which.filter()? };
                watch.run(async || list(&outside, &filter, global).await).await
            }
            DeadLetters::Show { id } => {
                output::object(global.output, &whole(&find(&outside, &id).await?))?;
                Ok(())
            }
            DeadLetters::Retry { ids, all, which, with } => {
                if ids.is_empty() && !all && which.reason.is_none() && which.stream.is_none() {
                    return Err(Failed::Usage("name receipts, or --all, --stream or --reason".into()));
                }
                if with.is_some() && ids.len() != 1 {
                    return Err(Failed::Usage("--with mends one letter: name its receipt".into()));
                }
                let mended = with.map(|path| read(&path)).transpose()?;
                retry_letters(&outside, global, &ids, which.filter()?, mended).await
            }
            DeadLetters::Drop { ids } => {
                for id in &ids {
                    let position = find(&outside, id).await?.position;
                    let store = Arc::clone(outside.store()?);
                    if !task::blocking(async move { drop_letter(&*store, &position).await }).await? {
                        return Err(unknown(id));
                    }
                    eprintln!("{id}: dropped");
                }
                Ok(())
            }
        }
    }
}

async fn list(outside: &Outside, filter: &LetterFilter, global: &Global) -> Done {
    let letters = outside.store()?.books().letters(filter).await?;
    refuse_unknown_stream(outside, filter, letters.is_empty())?;
    let items: Vec<_> = letters.iter().map(summary).collect();
    output::list(global.output, COLUMNS, &items)?;
    Ok(())
}

/// A stream that the configuration has no more may still have letters; one that has none either is misspelt.
fn refuse_unknown_stream(outside: &Outside, filter: &LetterFilter, has_no_letters: bool) -> Done {
    match &filter.stream {
        Some(stream) if has_no_letters => outside.stream(stream.as_str()).map(drop),
        _ => Ok(()),
    }
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

async fn find(outside: &Outside, id: &str) -> Result<Letter, Failed> {
    let position = Receipt::parse(id).ok_or_else(|| unknown(id))?.0;
    outside.store()?.books().letter(&position).await?.ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> Failed {
    Failed::Error(format!("there is no dead letter {id:?}").into())
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

/// Retries the letters that are named, or all that match, page by page in the order of their positions.
async fn retry_letters(
    outside: &Outside,
    global: &Global,
    ids: &[String],
    mut filter: LetterFilter,
    mended: Option<Bytes>,
) -> Done {
    let mut results = Vec::new();
    let mut failed = 0;
    filter.limit = PAGE;
    loop {
        let positions: Vec<_> = if ids.is_empty() {
            outside.store()?.books().letters(&filter).await?.into_iter().map(|listed| listed.position).collect()
        } else {
            let mut positions = Vec::new();
            for id in ids {
                positions.push(find(outside, id).await?.position);
            }
            positions.sort();
            positions
        };
        refuse_unknown_stream(outside, &filter, positions.is_empty() && filter.after.is_none())?;
        let is_last = !ids.is_empty() || positions.len() < PAGE;
        filter.after = positions.last().cloned();
        for position in positions {
            let id = Receipt(position.clone()).to_string();
            // Somebody else may have closed it meanwhile.
            let Some(letter) = outside.store()?.books().letter(&position).await? else { continue };
            let stream = Arc::clone(outside.stream(letter.stream.as_str())?);
            let (store, mended) = (Arc::clone(outside.store()?), mended.clone());
            let retried = task::blocking(async move { retry(&*store, &stream, letter, mended).await }).await?;
            failed += usize::from(!matches!(retried, Retried::Applied));
            let mut item = result(&id, &retried);
            if let Retried::Failed(problem) | Retried::Rejected(problem) = &retried {
                item["reason"] = problem.to_string().into();
            }
            results.push(item);
        }
        if is_last {
            break;
        }
    }
    output::list(global.output, &["receipt", "status", "reason"], &results)?;
    if failed == 0 { Ok(()) } else { Err(Failed::Said) }
}
