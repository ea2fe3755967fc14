//! Every property that is served does what it says: the rows of the configuration table name these tests, each of a node
//! that runs as a process.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod compaction;
mod compression;
mod connections;
mod directories;
mod durability;
mod dynamic;
mod groups;
mod moves;
#[path = "../support/moves.rs"]
mod moving;
mod nodes;
mod quorum;
mod records;
mod retention;
mod segments;
#[path = "../support/mod.rs"]
mod support;
mod topics;

const HOUR_MS: i64 = 3_600_000;
