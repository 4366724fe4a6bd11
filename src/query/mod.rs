//! Reading back over HTTP: streams, receipts, tables, dead letters, health, and what problems mean.

pub mod dead_letters;
pub mod health;
pub mod parameters;
pub mod problems;
pub mod receipts;
pub mod streams;
pub mod tables;
