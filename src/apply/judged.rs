//! A batch with its records judged.

use std::sync::Arc;

use crate::journal::Batch;
use crate::store::{Documents, Reads};
use crate::stream::Stream;

/// A batch with its records judged.
pub struct Judged {
    pub(super) stream: Arc<Stream>,
    /// The offset behind it.
    pub(super) next_offset: i64,
    pub(super) documents: Arc<Documents>,
}

impl Judged {
    /// Reads the records as documents.
    pub(super) fn read(stream: &Arc<Stream>, batch: Batch) -> Self {
        let Batch { records, next_offset, .. } = batch;
        let documents = Arc::new(Documents::read(Arc::clone(stream) as Arc<dyn Reads>, records));
        Judged { stream: Arc::clone(stream), next_offset, documents }
    }
}
