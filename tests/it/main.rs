//! The program from outside: the real binary, its HTTP surface, its commands and the files it leaves.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod journal;
mod properties;
mod support;
