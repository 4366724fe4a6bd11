//! wal2json, PostgreSQL's logical decoding plug-in, in both of its versions.
//!
//! Members that change nothing (`timestamp`, `columnpositions`, …) are passed over: which there are depends
//! on the plug-in's version and options.

mod commit;
pub(super) mod v1;
pub(super) mod v2;

pub use self::commit::{Commit, Lsn, Part, commit};
