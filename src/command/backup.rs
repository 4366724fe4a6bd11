//! `sluicegate backup`: a copy of the embedded journal and store, made while they are in use, that goes on by itself when it
//! is put back.
//!
//! The order makes it so: first what directories have published, then the store, then the journal. So the journal holds
//! everything that the others speak of. What a server keeps is not copied; that is said.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::output;
use super::streams;
use super::{Done, Failed, Global, capability};
use crate::config::{BackendUrl, Config};
use crate::{registry, sqlite};

const COLUMNS: &[&str] = &["part", "from", "to", "bytes"];

/// Retention may remove what the copy of the store has still to apply before the journal is copied; it does not do so
/// time after time, unless the journal is too small for its load.
const TRIES_MAX: usize = 3;

/// The memory for pages of a connection that reads next to nothing, in KiB.
const CACHE_KIB: u32 = 64;

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// A folder that is not there yet, or is empty
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// A file that is copied.
struct Part {
    name: &'static str,
    from: PathBuf,
    to: PathBuf,
}

impl Backup {
    pub(super) async fn run(self, global: &Global) -> Done {
        let config = global.load()?;
        let parts = parts(&config, &self.folder)?;
        if parts.is_empty() {
            return Err(Failed::Error("journal and store are kept by servers: back those up".into()));
        }
        make_folder(&self.folder)?;
        let mut tries = 1;
        loop {
            let flaw = match copy(&parts).map(|()| check(&config, &parts)) {
                Ok(checking) => match checking.await {
                    Ok(None) => break,
                    Ok(Some(flaw)) => Failed::Error(flaw.into()),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            for part in &parts {
                // What was not made need not go.
                let _ = fs::remove_file(&part.to);
            }
            if tries == TRIES_MAX {
                return Err(flaw);
            }
            tries += 1;
        }
        for part in &parts {
            // The look at the copies has left files beside them, which go with the last that closes.
            drop(sqlite::connect(&part.to, CACHE_KIB)?);
        }
        sync_folders(&parts)?;
        report(&config, &self.folder, &parts, global)
    }
}

/// The files to copy, in their order.
fn parts(config: &Config, folder: &Path) -> Result<Vec<Part>, Failed> {
    let mut parts = Vec::new();
    let watch = config.data.join("watch");
    let files = match fs::read_dir(&watch) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Failed::Error(format!("cannot read {}: {error}", watch.display()).into())),
    };
    for entry in files {
        let name = entry.file_name();
        let is_beside = name.to_string_lossy().ends_with("-wal") || name.to_string_lossy().ends_with("-shm");
        if entry.file_type()?.is_file() && !is_beside {
            parts.push(Part { name: "watch", from: entry.path(), to: folder.join("watch").join(name) });
        }
    }
    let urls = [("store", config.store.as_ref()), ("journal", Some(&config.journal))];
    for (name, url) in urls {
        let Some(from) = url.and_then(registry::embedded_file) else { continue };
        if !from.is_file() {
            let data = config.data.display();
            let text = format!("there is no {name} at {}; `--data` names the folder ({data} now)", from.display());
            return Err(Failed::Error(text.into()));
        }
        let to = folder.join(format!("{name}.db"));
        parts.push(Part { name, from: from.to_path_buf(), to });
    }
    if !parts.iter().any(|part| part.name != "watch") {
        parts.clear();
    }
    Ok(parts)
}

/// Makes the folder, for its owner alone. One that holds anything is left as it is.
fn make_folder(folder: &Path) -> Done {
    let at = |error: io::Error| Failed::Error(format!("cannot write {}: {error}", folder.display()).into());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at)?;
    if fs::read_dir(folder).map_err(at)?.next().is_some() {
        let text = format!("{} is not empty: a backup overwrites nothing, name another folder", folder.display());
        return Err(Failed::Error(text.into()));
    }
    Ok(())
}

fn copy(parts: &[Part]) -> Done {
    for part in parts {
        let at = |error: &dyn std::fmt::Display| {
            let (from, to) = (part.from.display(), part.to.display());
            Failed::Error(format!("cannot copy {from} to {to}: {error}").into())
        };
        if let Some(folder) = part.to.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| at(&error))?;
        }
        let new = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part.to);
        drop(new.map_err(|error| at(&error))?);
        sqlite::copy(&part.from, &part.to).map_err(|error| at(&error))?;
        fs::File::open(&part.to).and_then(|file| file.sync_all()).map_err(|error| at(&error))?;
    }
    Ok(())
}

fn sync_folders(parts: &[Part]) -> Done {
    for folder in parts.iter().filter_map(|part| part.to.parent()) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Whether the copied store goes on in the copied journal; why not, if it does not. Only where both were copied.
async fn check(config: &Config, parts: &[Part]) -> Result<Option<String>, Failed> {
    let url = |name: &str| {
        let part = parts.iter().find(|part| part.name == name)?;
        format!("sqlite://{}", part.to.display()).parse::<BackendUrl>().ok()
    };
    let (Some(journal), Some(store)) = (url("journal"), url("store")) else { return Ok(None) };
    let journal = registry::open_journal(&journal, &config.data).await?.log().ok_or_else(capability::no_log)?;
    let store = registry::open_store(&store).await?;
    let standings = store.books().positions(None).await?;
    for stream in streams::streams(config, None)?.iter().filter(|stream| stream.is_applied()) {
        for extent in journal.extents(&stream.topic).await? {
            let standing = standings
                .iter()
                .find(|standing| standing.place.stream == stream.name && standing.place.partition == extent.partition);
            let Some(standing) = standing.filter(|standing| standing.journal == journal.identity()) else { continue };
            if !(extent.start..=extent.end).contains(&standing.next_offset) {
                return Ok(Some(format!(
                    "{} stands at {}, and the copied journal holds offsets {} to {}; try again, or let the stream keep \
                     its documents for longer",
                    stream.name, standing.next_offset, extent.start, extent.end
                )));
            }
        }
    }
    Ok(None)
}

/// A file that was copied.
#[derive(Debug, Serialize)]
struct Copied {
    part: &'static str,
    from: String,
    to: String,
    bytes: u64,
}

/// Says what was written, what was not, and how it is put back.
fn report(config: &Config, folder: &Path, parts: &[Part], global: &Global) -> Done {
    let mut items = Vec::new();
    for part in parts {
        let bytes = fs::metadata(&part.to)?.len();
        let (from, to) = (part.from.display().to_string(), part.to.display().to_string());
        items.push(Copied { part: part.name, from, to, bytes });
    }
    output::list(global.output, COLUMNS, &items)?;
    let has = |name: &str| parts.iter().any(|part| part.name == name);
    if !has("journal") {
        eprintln!("Not copied: the journal, {}. Keep its topics as long as you keep this backup.", config.journal);
    }
    match &config.store {
        Some(store) if !has("store") => eprintln!(
            "Not copied: the store, {store}. Back it up by its own means, before the journal: where the journal is put \
             back at an earlier time than the store, streams stand still."
        ),
        _ => {}
    }
    eprintln!(
        "To put it back: end every sluicegate process, put the files of {} where they were (or name the folder with \
         --data), and start again; what was applied after the backup is applied once more from what the journal holds, \
         and documents that were accepted after it are not in it.",
        folder.display()
    );
    Ok(())
}
