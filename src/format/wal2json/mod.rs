//! wal2json, PostgreSQL's logical decoding plug-in, in both of its versions.
//!
//! Members that change nothing (`xid`, `lsn`, `timestamp`, `columnpositions`, …) are passed over: which there are depends
//! on the plug-in's version and options.

pub(super) mod v1;
pub(super) mod v2;
