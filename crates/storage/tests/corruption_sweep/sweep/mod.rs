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
mod lines;
mod observe;
mod rules;
mod tally;
mod trial;

pub(crate) use tally::Tally;
pub(crate) use trial::trials;

/// Trials on one directory.
pub(crate) const TRIALS: u64 = 10;

/// xorshift64*: the run of a seed is always the same, on real files and on simulated ones.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }

    pub(crate) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}
