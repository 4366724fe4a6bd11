//! A rollup, and how far it is summed up here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use crate::reading::progress::Progress;
use crate::roll::Plan;

/// A rollup and how far it is.
pub struct Rolled {
    /// What it does.
    pub plan: Arc<Plan>,
    /// The folder of its state files.
    pub folder: PathBuf,
    /// How far this process has summed it up.
    pub progress: Arc<Progress>,
    /// The positions that this process has committed, by partition.
    pub committed: watch::Sender<BTreeMap<i32, i64>>,
}

impl Rolled {
    /// A rollup of which nothing is known yet, whose state is in files of `folder`.
    pub fn new(plan: Arc<Plan>, folder: PathBuf) -> Self {
        Rolled { plan, folder, progress: Arc::default(), committed: watch::Sender::default() }
    }
}
