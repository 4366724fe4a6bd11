//! The program from outside: the real binary, its HTTP surface, its commands and the files it leaves.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod actions;
mod answers;
mod attacks;
mod backup;
mod cli;
mod cloud_events;
mod crash;
mod dead_letters;
mod directories;
mod doors;
mod early;
mod events;
mod faults;
mod fixtures;
mod gate;
mod http;
mod journal;
mod metrics;
mod outcomes;
mod overtaken;
mod owners;
mod pairs;
mod pipes;
mod private_files;
mod properties;
mod random;
mod readable;
mod reading;
mod replication;
mod roles;
mod rollups;
mod rows;
mod signals;
mod source;
mod store;
mod support;
mod tables;
mod tail;
mod verify;
mod waiting;
mod yaml;
