//! Compaction of a log: what stays, what goes, and what every reader sees meanwhile.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod any_history;
mod beside;
mod broken_swap;
mod far_offsets;
mod horizons;
mod keys;
mod legacy;
mod model;
mod settings;
mod store;
mod swap;
mod trouble;
