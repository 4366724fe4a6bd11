//! `sluicegate init`: a commented configuration to begin with.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Done, Failed, Global};
use crate::config::{FILE, TEMPLATE};

#[derive(Debug, Args)]
pub(super) struct Init {}

impl Init {
    pub(super) fn run(self, global: &Global) -> Done {
        let path: PathBuf = global.config.clone().unwrap_or_else(|| FILE.into());
        write(&path)?;
        eprintln!("wrote {}; `sluicegate check` reads it, `sluicegate up` runs it", crate::disk::shown(&path));
        Ok(())
    }
}

fn write(path: &Path) -> Done {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
        Failed::Error(match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                format!("{} is there already and stays as it is", crate::disk::shown(path)).into()
            }
            _ => format!("cannot write {}: {error}", crate::disk::shown(path)).into(),
        })
    })?;
    file.write_all(TEMPLATE.as_bytes())?;
    Ok(())
}
