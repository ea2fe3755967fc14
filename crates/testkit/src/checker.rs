//! What must hold of a history, one invariant a file.
//!
//! A checker reads a [`History`] and returns what contradicts its invariant, in words that name the evidence. Each file
//! states the invariant formally and has a test with planted violations: a checker that finds nothing must have looked.

pub mod acknowledged_never_lost;
pub mod committed_never_back;
pub mod last_of_each_key;
pub mod no_duplicates;
pub mod nothing_invented;
pub mod one_record_per_offset;
pub mod order_per_partition;

#[cfg(test)]
mod planted;

use std::fmt;

use crate::history::History;

/// A contradiction between a history and an invariant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The invariant: the name of its file.
    pub invariant: &'static str,
    /// The evidence.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// Judges the history of a compacted topic. Its readers see gaps, and what was acknowledged may have given way to a later
/// value of its key.
#[must_use]
pub fn check_compacted(history: &History) -> Vec<Violation> {
    let checkers = [
        last_of_each_key::check,
        no_duplicates::check,
        nothing_invented::check,
        one_record_per_offset::check,
        order_per_partition::check_producers,
    ];
    checkers.iter().flat_map(|check| check(history)).collect()
}

/// Judges the history of a topic that keeps everything, by all other invariants.
#[must_use]
pub fn check_all(history: &History) -> Vec<Violation> {
    let checkers = [
        acknowledged_never_lost::check,
        committed_never_back::check,
        no_duplicates::check,
        nothing_invented::check,
        one_record_per_offset::check,
        order_per_partition::check,
    ];
    checkers.iter().flat_map(|check| check(history)).collect()
}
