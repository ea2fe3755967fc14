//! A sweep of damage over every kind of file in a log directory, on the simulated disk.
//!
//! ```text
//!   cargo xtask sim corruption 7                one directory, and the trials on it
//!   cargo xtask sim corruption --many 10000     ten trials each
//! ```
#![cfg(sim)]

#[path = "sim_storage/many.rs"]
mod many;
mod support;
#[path = "corruption_sweep/sweep/mod.rs"]
mod sweep;

use std::path::Path;

use ottla_env::sim::seeds;
use parking_lot::Mutex;
use sweep::{TRIALS, Tally};

#[test]
fn what_is_damaged_is_told_or_harmless_and_never_served() {
    let tally = Mutex::new(Tally::default());
    let seeds = seeds(1_000 / TRIALS);
    many::all(&seeds, || {
        let seed = ottla_env::random::next_u64();
        let told = sweep::trials(seed, Path::new("/data"));
        tally.lock().add(told);
    });
    println!("{}", tally.into_inner());
}
