//! The sweep: a directory with every kind of file is made from a seed; one file of it is damaged, a process starts on it,
//! reads everything in every way, appends, ends, and another one reads again.
//!
//! ```text
//!   history ──> fixture: the directory as a clean stop, a kill, and a kill within a compaction left it
//!                  │ one file, one damage                                      (damage)
//!                  ▼
//!   observe ──> append ──> stop or kill ──> observe                            (trial)
//!                  │
//!                  ▼
//!   judge: against the undamaged directory ──> outcome ──> rules: is it the right one for this file and this damage?
//! ```

mod damage;
mod files;
mod fixture;
mod history;
mod judge;
mod kind;
mod lines;
mod observe;
mod random;
mod rules;
mod tally;
mod trial;

pub(crate) use random::Random;
pub(crate) use tally::Tally;
pub(crate) use trial::trials;

/// Trials on one directory.
pub(crate) const TRIALS: u64 = 10;
