//! Configuration files.

use sluicegate::config::{self, Overrides, Schemes};

/// Any file is read, or every problem of it names a place.
pub(crate) fn configuration(data: &[u8]) {
    thread_local! {
        static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder");
    }
    FOLDER.with(|folder| {
        let file = folder.path().join("sluicegate.yaml");
        std::fs::write(&file, data).expect("a file");
        let overrides = Overrides { config: Some(file), ..Overrides::default() };
        let schemes = Schemes { journal: &["sqlite", "kafka"], store: &["sqlite", "postgres"] };
        match config::load(&overrides, &schemes) {
            Ok(config) => assert!(config.streams.iter().all(|stream| !stream.name.is_empty())),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
}
